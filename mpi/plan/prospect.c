#include "mpi/plan/prospect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/plan/turned_study.h"
#include "src/schedule/cost.h"

static void decline(precis_study *s, const char *why)
{
  snprintf(s->out->why, sizeof s->out->why, "%s", why);
}

/* Those that may be worth it; needs only sizes. */
static int promising(const precis_study *s, precis_candidate *candidates)
{
  const precis_wish *wish = s->wish;
  if (!wish->force && precis_model_summaries_least(wish->scene) >= precis_wish_limit(wish))
    return 0;
  int count =
      precis_choose_candidates(wish->scene, wish->degree, PRECIS_CANDIDATES_MOST, candidates);
  for (int i = 0; i < count && wish->sampled; i++)
    if (candidates[i].envelope_degree > candidates[i].degree ||
        candidates[i].degree > PRECIS_SAMPLE_DEGREE)
      candidates[i--] = candidates[--count];
  while (count > 0 && !wish->force && candidates[count - 1].seconds >= precis_wish_limit(wish))
    count--;
  return count;
}

/* The bulk of the plan. */
static void set_limits(precis_study *s, precis_limits limits)
{
  const precis_problem *p = &s->a->problem;
  precis_summaries *plan = &s->out->plan;
  plan->key_rho = s->keys.rho[limits.keys];
  plan->query_rho = s->queries.rho[limits.queries];
  plan->outlier_keys = s->keys.beyond[limits.keys];
  plan->outlier_queries = s->queries.beyond[limits.queries];
  for (int g = 0; g < p->kv_heads; g++) {
    plan->key_radius[g] = precis_study_key_radius(s, g, limits);
    plan->query_radius[g] = precis_study_query_radius(s, g, limits);
    plan->log_scale[g] = s->log_scale[limits.keys * p->kv_heads + g];
  }
}

/* What was found becomes the plan, but for the polynomials. */
static void set_plan(precis_study *s, const precis_candidate *c, precis_limits limits)
{
  const precis_problem *p = &s->a->problem;
  precis_summaries *plan = &s->out->plan;
  set_limits(s, limits);
  plan->degree = c->degree;
  plan->envelope_degree = c->envelope_degree;
  plan->set = precis_feature_set_full(p->dim, c->degree, c->envelope_degree);
  plan->features = c->features;
  plan->count_features = c->count_features;
  plan->seconds = c->seconds;
  for (int g = 0; g < p->kv_heads; g++) {
    precis_head_sample sample = precis_study_sample(s, g, limits);
    precis_choose_moments(&sample, plan->moments + (int64_t)g * (PRECIS_DEGREE_MAX + 1));
    plan->exponent[g] =
        precis_bulk_exponent(plan->key_radius[g], fabs(p->scale) * plan->query_radius[g]);
  }
}

/* Fits all heads, each on one rank, and estimates the share of rows that will fail. */
static int fit_heads(precis_study *s, const precis_candidate *c, precis_limits limits)
{
  precis_world *world = &s->a->world;
  int heads = s->a->problem.kv_heads, status = PRECIS_SUCCESS;
  precis_bivariate *fit = s->out->plan.fit;
  double failing = 0;
  for (int g = world->rank; g < heads && status == PRECIS_SUCCESS; g += world->ranks) {
    double some = 0;
    precis_polynomial head;
    status = precis_search_fit(s, g, limits, c, &head, &some);
    if (status == PRECIS_SUCCESS)
      fit[g] = precis_bivariate_of(&head, s->a->problem.dim);
    failing += some / heads;
  }
  status = precis_world_agree(world, status, NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_world_share(world, fit, sizeof *fit, heads);
  if (status == PRECIS_SUCCESS &&
      MPI_Allreduce(MPI_IN_PLACE, &failing, 1, MPI_DOUBLE, MPI_SUM, world->comm))
    status = PRECIS_ERR_MPI;
  s->out->failing = failing;
  return status;
}

static void explain_nothing(precis_study *s)
{
  precis_limits tightest = precis_study_tightest(s);
  double bound = precis_study_bound(s, precis_study_widest(s, tightest), tightest);
  if (s->out->over_memory)
    decline(s, "no summary that keeps the tolerance keeps the memory limit");
  else if (bound <= PRECIS_BOUND_MOST)
    decline(s, "no summary that is cheaper keeps the tolerance");
  else
    snprintf(s->out->why, sizeof s->out->why,
             "scores may reach %.3g, outliers apart; summaries are fitted up to %d", bound,
             PRECIS_BOUND_MOST);
}

/* Full sets in the axes that queries and keys come in. */
static int plan_plain(precis_study *s, const precis_candidate *c, const precis_found *found)
{
  set_plan(s, c, found->limits);
  int status = fit_heads(s, c, found->limits);
  s->out->seconds = c->seconds + found->outlier_seconds;
  return status;
}

/* Something cheaper in common axes, where that may be. */
static int plan_turned(precis_study *s, const precis_found *plain, int *found)
{
  int good = plain->candidate >= 0 && isfinite(plain->price);
  precis_limits limits = plain->candidate >= 0 ? plain->limits : precis_study_tightest(s);
  const precis_turned_question question = {.study = s,
                                           .limits = limits,
                                           .outlier_seconds =
                                               precis_study_outlier_seconds(s, limits),
                                           .best = good ? plain->price : INFINITY};
  *found = 0;
  if (s->wish->degree > 0 || s->wish->sampled)
    return PRECIS_SUCCESS;
  set_limits(s, limits);
  return precis_turned_study(&question, found);
}

static int decide(precis_study *s, const precis_candidate *candidates, int count)
{
  const precis_wish *wish = s->wish;
  precis_prospect *out = s->out;
  precis_found plain;
  int turned;
  int status = precis_search(s, candidates, count, &plain);
  if (status == PRECIS_SUCCESS && plain.candidate >= 0)
    status = plan_plain(s, &candidates[plain.candidate], &plain);
  if (status == PRECIS_SUCCESS)
    status = plan_turned(s, &plain, &turned);
  if (status != PRECIS_SUCCESS)
    return status;
  if (plain.candidate < 0 && !turned) {
    s->out->over_memory = plain.over_memory;
    explain_nothing(s);
    return PRECIS_SUCCESS;
  }
  const precis_summary_size size = precis_summaries_size(&out->plan);
  double price = out->seconds + precis_wish_later(wish, &size) +
                 precis_wish_price_of_failing(wish, out->failing, 0);
  /* Where most rows are to be repaired, nothing is saved in any call. */
  const double failing_most = 0.5;
  out->use = wish->force || (price < precis_wish_limit(wish) && out->failing < failing_most);
  out->seconds += precis_wish_repair(wish, out->failing);
  if (!out->use)
    snprintf(
        out->why, sizeof out->why,
        "the best summary (degree %d, envelope %d) leaves too much to repair: %.2g of the rows",
        out->plan.degree, out->plan.envelope_degree, out->failing);
  return PRECIS_SUCCESS;
}

/* Whether it is the memory limit that leaves no candidates. */
static int over_memory(const precis_study *s)
{
  precis_candidate candidates[1];
  return s->wish->scene->memory_limit > 0 &&
         precis_choose_candidates(s->wish->scene, s->wish->degree, 1, candidates) == 0;
}

/* How far scores spread, in the root mean square over the sample; outliers are among them. */
static void note_spreads(precis_study *s)
{
  for (int g = 0; g < s->a->problem.kv_heads; g++) {
    precis_head_sample sample = precis_study_sample(s, g, (precis_limits){0, 0});
    double squares = 0, weights = 0;
    for (int i = 0; i < sample.rows; i++) {
      const double *row = sample.moments + (int64_t)i * PRECIS_SAMPLE_MOMENTS;
      weights += row[0];
      squares += row[2];
    }
    s->out->spread[g] = weights > 0 ? sqrt(squares / weights) : 0;
  }
}

static int study_all(precis_study *s)
{
  precis_candidate candidates[PRECIS_CANDIDATES_MOST];
  int count = promising(s, candidates);
  if (count == 0) {
    s->out->over_memory = over_memory(s);
    decline(s, s->out->over_memory ? "no summary keeps the memory limit"
                                   : "too few tokens for a summary to be cheaper");
    return PRECIS_SUCCESS;
  }
  s->degree_most = 2 * PRECIS_SAMPLE_DEGREE; /* for least squares */
  for (int i = 0; i < count; i++)
    if (candidates[i].envelope_degree > s->degree_most)
      s->degree_most = candidates[i].envelope_degree;
  int status = precis_study_survey(s);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_study_weigh(s);
  for (int g = 0; g < s->a->problem.kv_heads && status == PRECIS_SUCCESS; g++)
    if (!isfinite(s->log_scale[(s->keys.count - 1) * s->a->problem.kv_heads + g])) {
      decline(s, "no key is visible");
      return PRECIS_SUCCESS;
    }
  if (status != PRECIS_SUCCESS)
    return status;
  note_spreads(s);
  return decide(s, candidates, count);
}

int precis_prospect_make(precis_attention *a, const precis_query_map *map, int64_t rows,
                         const float *q, const precis_wish *wish, precis_prospect *prospect)
{
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  precis_study s = {.a = a,
                    .map = map,
                    .rows = rows,
                    .q = q,
                    .wish = wish,
                    .out = prospect,
                    .key_radius = extremes.radius};
  *prospect = (precis_prospect){
      .instead_seconds = wish->instead_seconds,
      .calls = wish->calls,
      .plan = {.sampled = wish->sampled,
               .wire_roundings = precis_cost_summary_roundings(
                   a->world.ranks, a->world.nodes, a->world.layout.largest, wish->prefixes),
               .key_rho = INFINITY,
               .query_rho = INFINITY}};
  int status = study_all(&s);
  precis_study_free(&s);
  if (status != PRECIS_SUCCESS)
    precis_prospect_free(prospect);
  return status;
}

void precis_prospect_free(precis_prospect *prospect)
{
  precis_summaries_release(&prospect->plan);
  free(prospect->moments);
  free(prospect->spread);
  *prospect = (precis_prospect){0};
}
