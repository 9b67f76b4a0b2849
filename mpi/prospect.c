#include "mpi/prospect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/certificate.h"
#include "src/feature_kernel.h"
#include "src/features.h"
#include "src/memory.h"
#include "src/problem.h"

/* The largest bound that polynomials are fitted for. */
static const double BOUND_MOST = 8;

/* Where exact moves are forbidden, one row over the tolerance is the end: no price is too high to
 * avoid it. Rows that were not sampled may be worse than those that were. */
static const double FAILURE_SECONDS = 1e9, MARGIN = 0.5, MARGIN_SECONDS = 1e6;

enum { CANDIDATES_MOST = 24, CENTER_QUERIES = 64 };

typedef struct study {
  precis_attention *a;
  const precis_query_map *map;
  int64_t rows;
  const float *q;
  const precis_wish *wish;
  precis_prospect *out;
  int group;
  int sampled;     /* query rows sampled, of all ranks */
  float *queries;  /* kv_heads x sampled x dim: one head of each group for a row */
  double *samples; /* kv_heads x sampled x PRECIS_SAMPLE_MOMENTS */
  double *bounds;  /* kv_heads x sampled */
  double *log_weight;
} study;

static int create(study *s)
{
  const precis_problem *p = &s->a->problem;
  precis_summaries *plan = &s->out->plan;
  int64_t queries = precis_visible_queries(s->map);
  s->group = p->heads / p->kv_heads;
  s->sampled = (int)(queries < PRECIS_SAMPLE_QUERIES ? queries : PRECIS_SAMPLE_QUERIES);
  int64_t pairs = (int64_t)p->kv_heads * s->sampled;
  plan->q_center = precis_memory_array((int64_t)p->kv_heads * p->dim + 1, sizeof(double));
  plan->query_radius = precis_memory_array(p->kv_heads, sizeof(double));
  plan->log_scale = precis_memory_array(p->kv_heads, sizeof(double));
  plan->exponent = precis_memory_array(p->kv_heads, sizeof *plan->exponent);
  plan->fit = calloc((size_t)p->kv_heads, sizeof *plan->fit);
  s->queries = precis_memory_array(pairs * p->dim, sizeof *s->queries);
  s->samples = precis_memory_array(pairs * PRECIS_SAMPLE_MOMENTS, sizeof *s->samples);
  s->bounds = precis_memory_array(pairs, sizeof *s->bounds);
  s->out->moments = precis_memory_array(p->kv_heads, (PRECIS_DEGREE_MAX + 1) * sizeof(double));
  plan->moments = s->out->moments;
  s->log_weight = precis_memory_array(s->a->keys.rows, sizeof *s->log_weight);
  int made = plan->q_center && plan->query_radius && plan->log_scale && plan->exponent &&
             plan->fit && s->queries && s->samples && s->bounds && s->out->moments && s->log_weight;
  return made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

/* Centres and radii of the queries of each group. */
static int survey_queries(study *s)
{
  const precis_problem *p = &s->a->problem;
  precis_summaries *plan = &s->out->plan;
  int64_t stride = (int64_t)p->heads * p->dim, size = (int64_t)p->kv_heads * p->dim;
  double count = (double)precis_visible_queries(s->map) * s->group;
  memset(plan->q_center, 0, (size_t)size * sizeof *plan->q_center);
  for (int g = 0; g < p->kv_heads; g++)
    precis_bulk_query_sums(p->dim, s->group, s->rows, s->q + (int64_t)g * s->group * p->dim, stride,
                           plan->q_center + (int64_t)g * p->dim);
  if (MPI_Allreduce(MPI_IN_PLACE, plan->q_center, (int)size, MPI_DOUBLE, MPI_SUM, s->a->world.comm))
    return PRECIS_ERR_MPI;
  /* The mean of a few queries would fit those alone, and the summary is to serve later ones too. */
  for (int64_t i = 0; i < size; i++)
    plan->q_center[i] =
        precis_visible_queries(s->map) >= CENTER_QUERIES ? plan->q_center[i] / count : 0;
  for (int g = 0; g < p->kv_heads; g++)
    plan->query_radius[g] =
        precis_bulk_query_radius(p->dim, s->group, s->rows, s->q + (int64_t)g * s->group * p->dim,
                                 stride, plan->q_center + (int64_t)g * p->dim);
  if (MPI_Allreduce(MPI_IN_PLACE, plan->query_radius, p->kv_heads, MPI_DOUBLE, MPI_MAX,
                    s->a->world.comm))
    return PRECIS_ERR_MPI;
  for (int g = 0; g < p->kv_heads; g++)
    plan->exponent[g] =
        precis_bulk_exponent(plan->key_radius[g], fabs(p->scale) * plan->query_radius[g]);
  return PRECIS_SUCCESS;
}

static precis_bulk bulk_of(const study *s, int g)
{
  const precis_problem *p = &s->a->problem;
  return (precis_bulk){.kv_head = g,
                       .k_center = precis_survey_k_center(&s->a->survey) + (int64_t)g * p->dim,
                       .v_center = precis_survey_v_center(&s->a->keys, &s->a->survey) +
                                   (int64_t)g * p->value_dim,
                       .q_center = s->out->plan.q_center + (int64_t)g * p->dim,
                       .scale = p->scale};
}

/* Fills s->queries: row number i of the sample is query i n / sampled, head i modulo the group.
 * Each rank adds its own to zeros. */
static int sample_queries(study *s)
{
  const precis_problem *p = &s->a->problem;
  int64_t queries = precis_visible_queries(s->map), first = s->map->start[s->a->world.rank];
  int64_t size = (int64_t)p->kv_heads * s->sampled * p->dim;
  memset(s->queries, 0, (size_t)size * sizeof *s->queries);
  for (int i = 0; i < s->sampled; i++) {
    int64_t row = i * queries / s->sampled - first;
    if (row < 0 || row >= s->rows)
      continue;
    for (int g = 0; g < p->kv_heads; g++)
      memcpy(s->queries + ((int64_t)g * s->sampled + i) * p->dim,
             s->q + (row * p->heads + g * s->group + i % s->group) * p->dim,
             (size_t)p->dim * sizeof *s->q);
  }
  if (MPI_Allreduce(MPI_IN_PLACE, s->queries, (int)size, MPI_FLOAT, MPI_SUM, s->a->world.comm))
    return PRECIS_ERR_MPI;
  const precis_summaries *plan = &s->out->plan;
  for (int g = 0; g < p->kv_heads; g++)
    for (int i = 0; i < s->sampled; i++) {
      int64_t at = (int64_t)g * s->sampled + i;
      double norm = precis_bulk_query_radius(p->dim, 1, 1, s->queries + at * p->dim, p->dim,
                                             plan->q_center + (int64_t)g * p->dim);
      s->bounds[at] = fabs(p->scale) * norm * plan->key_radius[g];
    }
  return PRECIS_SUCCESS;
}

static double score(const precis_bulk *bulk, int dim, const float *q, const float *k)
{
  double sum = 0;
  for (int c = 0; c < dim; c++)
    sum += (q[c] - bulk->q_center[c]) * (k[c] - bulk->k_center[c]);
  return bulk->scale * sum;
}

/* Largest log weights of each head, and the moments of the sampled rows over sampled keys (of a
 * causal row: those it sees). */
static int sample_keys(study *s)
{
  const precis_problem *p = &s->a->problem;
  const precis_keys *keys = &s->a->keys;
  precis_summaries *plan = &s->out->plan;
  int64_t pairs = (int64_t)p->kv_heads * s->sampled, queries = precis_visible_queries(s->map);
  int64_t step = s->map->keys / PRECIS_SAMPLE_KEYS + 1;
  memset(s->samples, 0, (size_t)(pairs * PRECIS_SAMPLE_MOMENTS) * sizeof *s->samples);
  for (int g = 0; g < p->kv_heads; g++) {
    precis_bulk bulk = bulk_of(s, g);
    plan->log_scale[g] = precis_bulk_weights(&bulk, keys, 0, keys->rows, s->log_weight);
    if (MPI_Allreduce(MPI_IN_PLACE, &plan->log_scale[g], 1, MPI_DOUBLE, MPI_MAX, s->a->world.comm))
      return PRECIS_ERR_MPI;
    for (int64_t j = 0; j < keys->rows; j++) {
      if (keys->position[j] % step != 0 || precis_keys_masked(keys, j))
        continue;
      double w = exp(s->log_weight[j] - plan->log_scale[g]);
      const float *k = keys->k + (j * p->kv_heads + g) * p->dim;
      for (int i = 0; i < s->sampled; i++)
        if (!p->causal ||
            precis_visible_position(s->map, i * queries / s->sampled) >= keys->position[j])
          precis_sample_add(
              s->samples + ((int64_t)g * s->sampled + i) * PRECIS_SAMPLE_MOMENTS, w,
              score(&bulk, p->dim, s->queries + ((int64_t)g * s->sampled + i) * p->dim, k));
    }
  }
  return MPI_Allreduce(MPI_IN_PLACE, s->samples, (int)(pairs * PRECIS_SAMPLE_MOMENTS), MPI_DOUBLE,
                       MPI_SUM, s->a->world.comm)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

static precis_head_sample sample_of(const study *s, int g)
{
  const precis_summaries *plan = &s->out->plan;
  int64_t first = (int64_t)g * s->sampled;
  double bound =
      fabs(s->a->problem.scale) * plan->query_radius[g] * plan->key_radius[g] * (1 + 1e-9);
  return (precis_head_sample){s->sampled, s->samples + first * PRECIS_SAMPLE_MOMENTS,
                              s->bounds + first, bound};
}

/* The share of rows that will need repair. */
static double failing_of(const study *s, int g, const precis_candidate *c,
                         const precis_polynomial *fit, double tol)
{
  /* About what precis_apply_roundings() will say, when tiles are known. */
  int64_t additions =
      2 * PRECIS_CHUNK_FEATURES + (c->features + c->count_features) / PRECIS_CHUNK_FEATURES;
  const precis_summary_rounding rounding = {c->envelope_degree, PRECIS_KEY_BLOCK,
                                            s->out->plan.wire_roundings, additions};
  precis_head_sample sample = sample_of(s, g);
  return precis_choose_failing(&sample, fit, &rounding, tol);
}

/* Fits a head; *failing is the share of rows that will need repair. Without a proof none will, but
 * a fit that is too far off in the mean is no fit: values spread over their range by a third or so.
 */
static int fit_head(const study *s, int g, const precis_candidate *c, precis_polynomial *fit,
                    double *failing)
{
  precis_head_sample sample = sample_of(s, g);
  if (s->wish->sampled) {
    *failing = precis_choose_least_squares(&sample, c->degree, fit) / 3 <= s->wish->tol ? 0 : 1;
    return PRECIS_SUCCESS;
  }
  int status = precis_choose_fit(&sample, c->degree, c->envelope_degree, fit);
  if (status == PRECIS_SUCCESS)
    *failing = failing_of(s, g, c, fit, s->wish->tol);
  return status;
}

/* The head with the largest bound, on which candidates are tried. */
static int widest_head(const study *s)
{
  int widest = 0;
  for (int g = 1; g < s->a->problem.kv_heads; g++)
    if (sample_of(s, g).bound > sample_of(s, widest).bound)
      widest = g;
  return widest;
}

static double price_of_failing(const study *s, int g, const precis_candidate *c,
                               const precis_polynomial *fit, double failing)
{
  if (!s->wish->force || s->wish->sampled)
    return failing * s->wish->exact_seconds;
  return failing * FAILURE_SECONDS +
         failing_of(s, g, c, fit, MARGIN * s->wish->tol) * MARGIN_SECONDS;
}

/* Tries candidates on the widest head, each rank some of them, and agrees on the one with the
 * fewest predicted seconds, repair included; -1 if none could be fitted. */
static int try_candidates(study *s, const precis_candidate *candidates, int count, int *best)
{
  precis_world *world = &s->a->world;
  int widest = widest_head(s);
  struct {
    double seconds;
    int number;
  } mine = {INFINITY, -1}, all;
  for (int i = world->rank; i < count; i += world->ranks) {
    precis_polynomial fit;
    double failing;
    if (candidates[i].seconds >= mine.seconds ||
        fit_head(s, widest, &candidates[i], &fit, &failing))
      continue;
    double seconds =
        candidates[i].seconds + price_of_failing(s, widest, &candidates[i], &fit, failing);
    if (seconds < mine.seconds) {
      mine.seconds = seconds;
      mine.number = i;
    }
  }
  if (MPI_Allreduce(&mine, &all, 1, MPI_DOUBLE_INT, MPI_MINLOC, world->comm))
    return PRECIS_ERR_MPI;
  *best = all.number;
  return PRECIS_SUCCESS;
}

/* Fits all heads, each on one rank, and estimates the share of rows that will fail. */
static int fit_heads(study *s, const precis_candidate *c)
{
  precis_world *world = &s->a->world;
  int heads = s->a->problem.kv_heads, status = PRECIS_SUCCESS;
  double failing = 0;
  for (int g = world->rank; g < heads && status == PRECIS_SUCCESS; g += world->ranks) {
    double some = 0;
    status = fit_head(s, g, c, &s->out->plan.fit[g], &some);
    failing += some / heads;
  }
  status = precis_world_agree(world, status, NULL);
  for (int g = 0; g < heads && status == PRECIS_SUCCESS; g++)
    if (MPI_Bcast(&s->out->plan.fit[g], sizeof *s->out->plan.fit, MPI_BYTE, g % world->ranks,
                  world->comm))
      status = PRECIS_ERR_MPI;
  if (status == PRECIS_SUCCESS &&
      MPI_Allreduce(MPI_IN_PLACE, &failing, 1, MPI_DOUBLE, MPI_SUM, world->comm))
    status = PRECIS_ERR_MPI;
  s->out->failing = failing;
  return status;
}

static void decline(study *s, const char *why)
{
  snprintf(s->out->why, sizeof s->out->why, "%s", why);
}

static int decide(study *s, const precis_candidate *candidates, int count)
{
  const precis_problem *p = &s->a->problem;
  int best, status = try_candidates(s, candidates, count, &best);
  if (status == PRECIS_SUCCESS && best < 0)
    status = PRECIS_ERR_INTERNAL;
  if (status == PRECIS_SUCCESS)
    status = fit_heads(s, &candidates[best]);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_summaries *plan = &s->out->plan;
  for (int g = 0; g < p->kv_heads; g++) {
    precis_head_sample sample = sample_of(s, g);
    precis_choose_moments(&sample, plan->moments + (int64_t)g * (PRECIS_DEGREE_MAX + 1));
  }
  plan->degree = candidates[best].degree;
  plan->envelope_degree = candidates[best].envelope_degree;
  plan->features = candidates[best].features;
  plan->count_features = candidates[best].count_features;
  s->out->seconds = candidates[best].seconds + s->out->failing * s->wish->exact_seconds;
  s->out->use = s->wish->force || (s->out->seconds < s->wish->exact_seconds + s->wish->credit &&
                                   s->out->failing <= 0.05);
  if (!s->out->use)
    snprintf(s->out->why, sizeof s->out->why,
             "best summary (degree %d, envelope %d) would leave %.2g of the rows to repair",
             plan->degree, plan->envelope_degree, s->out->failing);
  return PRECIS_SUCCESS;
}

/* Those that may be worth it; needs only sizes. */
static int promising(const study *s, precis_candidate *candidates)
{
  precis_rates rates = precis_rates_nominal(s->a->threads_least);
  int count = precis_choose_candidates(
      &s->a->problem, &rates, s->a->world.ranks, precis_visible_queries(s->map), s->map->keys,
      s->wish->prefixes, s->wish->degree, CANDIDATES_MOST, candidates);
  for (int i = 0; i < count && s->wish->sampled; i++)
    if (candidates[i].envelope_degree > candidates[i].degree ||
        candidates[i].degree > PRECIS_SAMPLE_DEGREE)
      candidates[i--] = candidates[--count];
  while (count > 0 && !s->wish->force &&
         candidates[count - 1].seconds >= s->wish->exact_seconds + s->wish->credit)
    count--;
  return count;
}

static int study_all(study *s)
{
  const precis_problem *p = &s->a->problem;
  precis_candidate candidates[CANDIDATES_MOST];
  int count = promising(s, candidates);
  if (count == 0) {
    decline(s, "too few tokens for a summary to be cheaper");
    return PRECIS_SUCCESS;
  }
  int status = create(s);
  status = precis_world_agree(&s->a->world, status, NULL);
  if (status == PRECIS_SUCCESS)
    status = survey_queries(s);
  if (status != PRECIS_SUCCESS)
    return status;
  double widest = sample_of(s, widest_head(s)).bound;
  if (!(widest <= BOUND_MOST)) {
    snprintf(s->out->why, sizeof s->out->why,
             "scores may reach %.3g, summaries are fitted up to %g", widest, BOUND_MOST);
    return PRECIS_SUCCESS;
  }
  status = sample_queries(s);
  if (status == PRECIS_SUCCESS)
    status = sample_keys(s);
  for (int g = 0; g < p->kv_heads && status == PRECIS_SUCCESS; g++)
    if (!isfinite(s->out->plan.log_scale[g])) {
      decline(s, "no key is visible");
      return PRECIS_SUCCESS;
    }
  return status == PRECIS_SUCCESS ? decide(s, candidates, count) : status;
}

int precis_prospect_make(precis_attention *a, const precis_query_map *map, int64_t rows,
                         const float *q, const precis_wish *wish, precis_prospect *prospect)
{
  study s = {.a = a, .map = map, .rows = rows, .q = q, .wish = wish, .out = prospect};
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  *prospect = (precis_prospect){.exact_seconds = wish->exact_seconds,
                                .plan = {.sampled = wish->sampled,
                                         .wire_roundings = wish->prefixes ? a->world.ranks + 1 : 2,
                                         .exact_rounding = wish->exact_rounding,
                                         .key_radius = extremes.radius,
                                         .value_most = extremes.value_most,
                                         .value_least = extremes.value_least}};
  int status = study_all(&s);
  free(s.queries);
  free(s.samples);
  free(s.bounds);
  free(s.log_weight);
  if (status != PRECIS_SUCCESS)
    precis_prospect_free(prospect);
  return status;
}

void precis_prospect_free(precis_prospect *prospect)
{
  precis_summaries_release(&prospect->plan);
  free(prospect->moments);
  *prospect = (precis_prospect){0};
}
