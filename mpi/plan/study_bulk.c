/* The bulk within limits, and what lies beyond: see study.h. */
#include <math.h>

#include "mpi/plan/study.h"
#include "src/model/footprint.h"
#include "src/schedule/cost.h"

double precis_study_key_radius(const precis_study *s, int g, precis_limits limits)
{
  return precis_outliers_radius(s->key_radius[g], s->out->plan.key_unit[g],
                                s->keys.rho[limits.keys]);
}

double precis_study_query_radius(const precis_study *s, int g, precis_limits limits)
{
  return precis_outliers_radius(s->query_radius[g], s->out->plan.query_unit[g],
                                s->queries.rho[limits.queries]);
}

double precis_study_bound(const precis_study *s, int g, precis_limits limits)
{
  return fabs(s->a->problem.scale) * precis_study_query_radius(s, g, limits) *
         precis_study_key_radius(s, g, limits) * (1 + 1e-9);
}

int precis_study_widest(const precis_study *s, precis_limits limits)
{
  int widest = 0;
  for (int g = 1; g < s->a->problem.kv_heads; g++)
    if (precis_study_bound(s, g, limits) > precis_study_bound(s, widest, limits))
      widest = g;
  return widest;
}

precis_limits precis_study_tightest(const precis_study *s)
{
  return (precis_limits){s->keys.count - 1, s->queries.count - 1};
}

precis_head_sample precis_study_sample(const precis_study *s, int g, precis_limits limits)
{
  int64_t at = ((int64_t)limits.keys * s->a->problem.kv_heads + g) * s->sampled;
  return (precis_head_sample){.rows = s->sampled,
                              .moments = s->moments + at * PRECIS_SAMPLE_MOMENTS,
                              .lengths = s->lengths + (int64_t)g * s->sampled,
                              .unit =
                                  fabs(s->a->problem.scale) * precis_study_key_radius(s, g, limits),
                              .bound = precis_study_bound(s, g, limits),
                              .least_deviation = s->out->plan.least_deviation[g],
                              .all = {.histogram = s->query_lengths,
                                      .unit = s->out->plan.query_unit[g],
                                      .most = s->queries.rho[limits.queries]}};
}

int precis_study_keeps_memory(const precis_study *s, precis_limits limits,
                              precis_summary_size *size)
{
  const precis_scene *scene = s->wish->scene;
  size->outlier_keys = s->keys.beyond[limits.keys];
  size->outlier_queries = s->queries.beyond[limits.queries];
  return scene->memory_limit == 0 ||
         precis_footprint_summaries(scene, size) <= scene->memory_limit;
}

/* Outlier keys meet all queries, outlier queries all keys; both travel to all ranks. */
double precis_study_outlier_seconds(const precis_study *s, precis_limits limits)
{
  const precis_attention *a = s->a;
  double queries = (double)precis_visible_queries(s->map), keys = (double)s->map->keys;
  double all = precis_visible_pairs(s->map, 0, precis_visible_queries(s->map));
  double seen = queries > 0 && keys > 0 ? all / queries / keys : 1;
  double outlier_keys = (double)s->keys.beyond[limits.keys];
  double outlier_queries = (double)s->queries.beyond[limits.queries];
  double pairs = seen * (outlier_keys * queries * a->problem.heads + outlier_queries * keys);
  double bytes = outlier_keys * (double)precis_cost_outlier_key(&a->problem) +
                 outlier_queries * (double)precis_cost_outlier_query(&a->problem);
  double rows =
      outlier_keys > 0 ? (double)precis_scene_queries(s->wish->scene) * a->problem.heads : 0;
  return precis_model_outlier_seconds(s->wish->scene, pairs, rows, bytes * (a->world.ranks - 1));
}
