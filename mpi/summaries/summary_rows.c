/* What becomes of the rows of a head when all of its keys are in: results and certificates. */
#include <math.h>
#include <string.h>

#include "mpi/summaries/summary_work.h"
#include "src/summary/outliers.h"
#include "src/rows/queries.h"

/* How far weights may be off, as parts of them: log w is a sum of dim products and a bias in
 * double, from which the log-scale is taken. What is left of weights that lie more than 104 below
 * it is 0 in float32, so biases of others are no larger than this. */
static double weight_rounding(const precis_summary_work *x, int g, double log_scale)
{
  const precis_problem *p = x->task->problem;
  const double *center = x->plan->q_center + (int64_t)g * p->dim;
  double square = 0;
  for (int c = 0; c < p->dim; c++)
    square += center[c] * center[c];
  double products = fabs(p->scale) * sqrt(square) * x->plan->key_radius[g];
  return expm1((p->dim + 6) * 0x1p-52 * (2 * products + fabs(log_scale) + 104));
}

/* How far e^y of a query may be off, as a part of it, because it and the keys were turned. */
static double turning_rounding(const precis_summary_work *x, int g, int64_t i)
{
  const double *error = x->plan->turning.error;
  double bound = fabs(x->task->problem->scale) * x->at.norm[i].plain * x->plan->key_radius[g];
  return error ? expm1(error[g] * bound) : 0;
}

/* The largest magnitudes that the terms of a query have together, for each unit of weight. */
static double term_magnitude(const precis_summary_work *x, int g, int64_t i)
{
  const precis_bivariate *fit = &x->plan->fit[g];
  const precis_reach plain = {.lead = x->plan->key_radius[g]};
  const precis_reach *keys = x->plan->turning.keys ? &x->plan->turning.keys[g] : &plain;
  double scale = fabs(x->task->problem->scale), y1 = scale * x->at.norm[i].lead * keys->lead,
         y2 = scale * x->at.norm[i].trail * keys->trail;
  return precis_bivariate_magnitude(fit, y1, y2) + precis_bivariate_envelope_magnitude(fit, y1, y2);
}

/* What rounding may do to the sums of a query, in units of the sum of weights. */
static double mass_rounding(const precis_summary_work *x, double magnitude)
{
  const precis_summary_rounding rounding = {x->plan->envelope_degree, precis_summarise_roundings(),
                                            x->plan->wire_roundings, precis_apply_roundings()};
  return precis_certificate_rounding(&rounding, magnitude, 0);
}

void precis_summary_gather(const precis_summary_work *x, int g, int64_t i,
                           const precis_summary_sums *sums, double log_scale,
                           const precis_weight_mass *weights, precis_row *row)
{
  int dv = x->task->problem->value_dim;
  if (!(weights->all > 0))
    return;
  const precis_error_mass gathered = {sums->env[i], sums->deviating[i]};
  double magnitude = term_magnitude(x, g, i), rounding = mass_rounding(x, magnitude);
  /* Weights and turned rows are off by a part of each term. */
  rounding += (weight_rounding(x, g, log_scale) + turning_rounding(x, g, i)) *
              (magnitude + rounding);
  const precis_error_mass mass = precis_certificate_mass(
      &gathered, rounding, weights, x->plan->count_features > 0 ? x->plan->least_deviation[g] : 0);
  double factor = precis_row_meet(dv, log_scale, row);
  row->l += factor * sums->den[i];
  row->mass.all += factor * mass.all;
  row->mass.deviating += factor * mass.deviating;
  for (int c = 0; c < dv; c++)
    row->o[c] += factor * sums->num[i * dv + c];
}

/* Beyond the limit for queries, or beyond where the polynomials of the head are proved for the keys
 * that are in the summary now. */
static int is_outlier(const precis_summary_work *x, int g, int64_t index)
{
  const precis_summaries *plan = x->plan;
  const precis_bulk_norms *norm = &x->at.norm[index];
  double scale = fabs(x->task->problem->scale);
  precis_reach query = {.lead = scale * norm->lead, .trail = scale * norm->trail};
  precis_reach keys = {.whole = plan->key_radius[g], .lead = plan->key_radius[g]};
  query.whole = hypot(query.lead, query.trail);
  if (plan->turning.keys)
    keys = plan->turning.keys[g];
  const double more = 1 + 1e-12; /* than rounding takes off; fits cover 1e-9 more */
  const precis_bivariate_domain needed = {query.whole * keys.whole * more,
                                          query.lead * keys.lead * more,
                                          query.trail * keys.trail * more};
  return precis_outliers_rho(norm->plain, plan->query_unit[g]) > plan->query_rho ||
         !precis_bivariate_covers(&plan->fit[g], &needed);
}

static void set_aside(precis_summary_result *result, int64_t row, int64_t head)
{
  int64_t number;
#pragma omp atomic capture
  number = result->outliers++;
  result->rows[number] = (precis_failed_row){row, (int)head};
}

/* Writes the result of a row to the task. One that float32 cannot hold has no proof, and is answered
 * exactly. */
static void finish(precis_summary_work *x, int g, int64_t index, const precis_row *row)
{
  const precis_task *task = x->task;
  const precis_problem *p = task->problem;
  int64_t i = index / x->group, head = g * x->group + index % x->group, at = i * p->heads + head;
  precis_finished to = precis_finished_at(&task->to, at, p->value_dim);
  precis_row_finish(&task->terms, g, task->q + at * p->dim, row, to);
  int outlier = is_outlier(x, g, index);
  if (outlier)
    set_aside(x->result, i, head);
  if (outlier || (x->plan->sampled && row->m != -INFINITY))
    to.proof[0] = to.proof[1] = INFINITY;
  if (x->plan->sampled && !(row->l > 0) && row->m != -INFINITY)
    to.proof[1] = NAN; /* good for nothing */
}

void precis_summary_finish(precis_summary_work *x, int g, int64_t first, int64_t end,
                           precis_summary_collect *collect, const void *context)
{
#pragma omp parallel for num_threads(x->task->engine.threads)
  for (int64_t i = first; i < end; i++) {
    double o[PRECIS_FEATURES_DIM_MAX];
    precis_row row = {.m = -INFINITY, .o = o};
    memset(o, 0, sizeof *o * (size_t)x->task->problem->value_dim);
    collect(context, x, g, i, &row);
    finish(x, g, i, &row);
  }
}
