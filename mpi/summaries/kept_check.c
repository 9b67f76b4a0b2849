/* kept_check.c - whether a kept summary still serves, and what it takes to make it serve */
#include <math.h>
#include <stdlib.h>

#include "mpi/summaries/kept.h"
#include "src/summary/outliers.h"

/* At most this part of the keys, and this many, are added one by one; beyond, building anew costs
 * about the same. */
enum { PART = 4, ROWS_MOST = 1 << 14, SCALE_DRIFT = 4 };

/* With more outliers than this, building anew is better. */
enum { TOKENS_PART = 16, TOKENS_ALWAYS = 64 };

static const double HEADROOM = 1.25, OUTLIER_SHARE_MOST = 1.0 / 32;

/* Certificates lose this factor at most to deviations that were weighed in an earlier norm. */
static const double NORM_DRIFT = 1.5;

typedef struct squares {
  double lead[PRECIS_FEATURES_DIM_MAX + 1], trail[PRECIS_FEATURES_DIM_MAX + 1];
} squares;

/* Of the queries of a head: returns how many are beyond the plan's limit. */
static int64_t measure_queries(const precis_problem *p, const precis_bulk *bulk,
                               const precis_summaries *plan, int64_t rows, const float *q,
                               precis_kept_reach *reach)
{
  squares x = {{0}, {0}};
  int group = p->heads / p->kv_heads, g = bulk->kv_head;
  int64_t beyond = 0;
  for (int64_t i = 0; i < rows * group; i++) {
    const float *at = q + (i / group * p->heads + (int64_t)g * group + i % group) * p->dim;
    double norm = precis_bulk_query_radius(p->dim, 1, 1, at, p->dim, bulk->q_center);
    int outlier = precis_outliers_rho(norm, plan->query_unit[g]) > plan->query_rho;
    reach->all = fmax(reach->all, norm);
    reach->radius = outlier ? reach->radius : fmax(reach->radius, norm);
    beyond += outlier;
    if (!outlier && bulk->to_queries)
      precis_bulk_query_reach(bulk, p->dim, 1, 1, at, p->dim, x.lead, x.trail);
  }
  if (bulk->to_queries)
    reach->queries = precis_reach_of(x.lead, x.trail, p->dim, bulk->lead);
  return beyond;
}

/* Of the keys of a head that have come since, but for outliers. */
static precis_reach measure_keys(const precis_terms *terms, const precis_bulk *bulk,
                                 const precis_kept *kept, const precis_keys *keys)
{
  squares x = {{0}, {0}};
  for (int64_t j = kept->local_rows; j < keys->rows; j++) {
    precis_keys one = *keys;
    double rho;
    one.rows = 1;
    one.k += j * one.kv_heads * one.dim;
    one.bias = keys->bias ? keys->bias + j : NULL;
    precis_outliers_key_rho(&one, terms->k_center, kept->plan.key_unit, &rho);
    if (!(rho > kept->plan.key_rho))
      precis_bulk_key_reach(bulk, keys, j, 1, x.lead, x.trail);
  }
  return precis_reach_of(x.lead, x.trail, keys->dim, bulk->lead);
}

void precis_kept_measure(const precis_terms *terms, const precis_keys *keys, int64_t rows, const float *q,
                         const precis_kept *kept, precis_kept_reach *reach)
{
  const precis_problem *p = terms->problem;
  const precis_summaries *plan = &kept->plan;
  int64_t beyond = 0, pairs = rows * p->heads;
  for (int g = 0; g < p->kv_heads; g++) {
    precis_bulk bulk = precis_summaries_bulk(terms, plan, g);
    reach[g] = (precis_kept_reach){0};
    beyond += measure_queries(p, &bulk, plan, rows, q, &reach[g]);
    if (bulk.to_keys)
      reach[g].keys = measure_keys(terms, &bulk, kept, keys);
  }
  for (int g = 0; g < p->kv_heads; g++)
    reach[g].outlier_share = pairs > 0 ? (double)beyond / (double)pairs : 0;
}

/* The longest key of each head that is in the summary or joins it now: all of them, or those within
 * the limit, beyond which they join the outliers. */
static void widen_keys(const precis_terms *terms, precis_kept *kept)
{
  precis_summaries *plan = &kept->plan;
  for (int g = 0; g < terms->problem->kv_heads; g++)
    plan->key_radius[g] =
        fmax(plan->key_radius[g], precis_outliers_radius(terms->key_radius[g], plan->key_unit[g],
                                                         plan->key_rho));
}

/* A limit for queries stays as long as few are beyond it. Those were not measured in axes, so that
 * with these it cannot be lifted: returns whether it had to be. */
static int limit_queries(const precis_problem *p, precis_kept_reach *reach, precis_summaries *plan)
{
  int lifted = reach[0].outlier_share > OUTLIER_SHARE_MOST;
  if (lifted)
    plan->query_rho = INFINITY;
  for (int g = 0; g < p->kv_heads && lifted; g++)
    reach[g].radius = reach[g].all;
  return lifted;
}

/* Where the polynomials of a head have to hold. */
static precis_bivariate_domain domain_of(const precis_problem *p, const precis_summaries *plan,
                                         const precis_kept_reach *reach, int g)
{
  if (plan->turning.keys)
    return precis_turning_domain(&reach[g].queries, &plan->turning.keys[g]);
  double bound = fabs(p->scale) * reach[g].radius * plan->key_radius[g] * (1 + 1e-9);
  return (precis_bivariate_domain){bound, bound, 0};
}

/* How many times as long as those the fit was for; 1 for shorter ones. */
static double growth(double now, double before)
{
  double factor = now > before ? now / before : 1;
  return isfinite(factor) ? factor : 1;
}

static precis_reach larger(precis_reach a, precis_reach b)
{
  return (precis_reach){fmax(a.whole, b.whole), fmax(a.lead, b.lead), fmax(a.trail, b.trail)};
}

/* Moments grow with the queries, and so does what the plan says of these. */
static precis_bivariate_moments grow(precis_kept *kept, const precis_kept_reach *reach, int g)
{
  precis_summaries *plan = &kept->plan;
  precis_bivariate_moments moments = {{0}, {0}};
  if (plan->turning.keys) {
    precis_bivariate_moments *m = &plan->turning.moments[g];
    precis_reach *before = &plan->turning.queries[g];
    double lead = growth(reach[g].queries.lead, before->lead),
           trail = growth(reach[g].queries.trail, before->trail);
    for (int b = 0; b < plan->set.blocks; b++) {
      double factor = pow(lead, plan->set.block[b].lead) * pow(trail, plan->set.block[b].trail);
      m->mean[b] *= factor;
      m->size[b] *= factor;
    }
    *before = larger(*before, reach[g].queries);
    return *m;
  }
  double *m = kept->at.moments + (int64_t)g * (PRECIS_DEGREE_MAX + 1), power = 1;
  double factor = growth(reach[g].radius, plan->query_radius[g]);
  for (int k = 0; k <= PRECIS_DEGREE_MAX; k++, power *= factor) {
    m[k] *= power;
    moments.mean[k] = m[k];
    moments.size[k] = fabs(m[k]);
  }
  plan->query_radius[g] = fmax(reach[g].radius, plan->query_radius[g]);
  return moments;
}

/* Fits the heads whose bounds have grown, each on one rank. */
static int refit(precis_world *world, const precis_problem *p, const precis_kept_reach *reach,
                 precis_kept *kept)
{
  precis_summaries *plan = &kept->plan;
  int status = PRECIS_SUCCESS;
  for (int g = 0; g < p->kv_heads; g++) {
    precis_bivariate_domain domain = domain_of(p, plan, reach, g);
    if (precis_bivariate_covers(&plan->fit[g], &domain))
      continue;
    domain.bound = fmin(domain.bound * HEADROOM, precis_bivariate_bound_most(&plan->set));
    domain.lead_bound *= HEADROOM;
    domain.trail_bound *= HEADROOM;
    precis_bivariate_moments moments = grow(kept, reach, g);
    if (g % world->ranks == world->rank && status == PRECIS_SUCCESS)
      status = precis_bivariate_fit(&plan->set, &domain, &moments, &plan->fit[g]);
  }
  status = precis_world_agree(world, status, NULL);
  return status == PRECIS_SUCCESS
             ? precis_world_share(world, plan->fit, sizeof *plan->fit, p->kv_heads)
             : status;
}

/* The power of two is still about the one that these radii ask for, lest monomials leave the range
 * of float32. Shorter queries do no harm. */
static int in_scale(const precis_problem *p, const precis_summaries *plan,
                    const precis_kept_reach *reach, int g)
{
  double keys = plan->key_radius[g],
         queries = fabs(p->scale) * fmax(reach[g].radius, plan->query_radius[g]);
  if (plan->turning.keys) {
    keys = plan->turning.keys[g].whole;
    queries = fmax(reach[g].queries.whole, plan->turning.queries[g].whole);
  }
  return abs(precis_bulk_exponent(keys, queries) - plan->exponent[g]) <= SCALE_DRIFT;
}

/* The norm that deviations were summed in still covers all columns. */
static int norm_serves(const precis_terms *terms, const precis_kept *kept)
{
  int dv = terms->problem->value_dim;
  for (int g = 0; g < terms->problem->kv_heads; g++) {
    const precis_norm frozen = {dv, terms->largest, kept->at.per + (int64_t)g * dv},
                      now = precis_terms_norm(terms, g);
    if (!(precis_norm_conversion(&frozen, &now) < NORM_DRIFT))
      return 0;
  }
  return 1;
}

int precis_kept_check(precis_world *world, const precis_terms *terms, int moves,
                      precis_kept_reach *reach, int64_t rows, precis_kept *kept)
{
  const precis_problem *p = terms->problem;
  precis_summaries *plan = &kept->plan;
  int good = kept->moves == moves && norm_serves(terms, kept) && rows - kept->rows <= kept->rows / PART &&
             rows - kept->rows <= ROWS_MOST &&
             kept->tokens.rows <= kept->rows / TOKENS_PART + TOKENS_ALWAYS;
  int grown = 0;
  widen_keys(terms, kept);
  if (limit_queries(p, reach, plan) && plan->turning.keys)
    good = 0;
  for (int g = 0; g < p->kv_heads && good; g++) {
    if (plan->turning.keys)
      plan->turning.keys[g] = larger(plan->turning.keys[g], reach[g].keys);
    precis_bivariate_domain domain = domain_of(p, plan, reach, g);
    good = domain.bound <= precis_bivariate_bound_most(&plan->set) && in_scale(p, plan, reach, g);
    grown |= !precis_bivariate_covers(&plan->fit[g], &domain);
  }
  if (!good)
    precis_kept_free(kept);
  return good && grown ? refit(world, p, reach, kept) : PRECIS_SUCCESS;
}
