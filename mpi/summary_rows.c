/* What becomes of the rows of a head when all of its keys are in: results and certificates. */
#include <math.h>
#include <string.h>

#include "mpi/summary_work.h"
#include "src/outliers.h"
#include "src/queries.h"

/* Expresses the row by the exponent m if that is larger; returns the factor for what is added. */
static double meet(int value_dim, double m, precis_summary_row *row)
{
  if (m > row->m) {
    double keep = exp(row->m - m);
    row->l *= keep;
    row->mass.all *= keep;
    row->mass.deviating *= keep;
    for (int c = 0; c < value_dim; c++)
      row->o[c] *= keep;
    row->m = m;
  }
  return exp(m - row->m);
}

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
  double bound = fabs(x->task->problem->scale) * x->norm[i].plain * x->plan->key_radius[g];
  return error ? expm1(error[g] * bound) : 0;
}

/* What rounding may add to the error mass of a query, in units of the sum of weights. */
static precis_error_mass mass_rounding(const precis_summary_work *x, int g, int64_t i)
{
  const precis_bivariate *fit = &x->plan->fit[g];
  const precis_reach plain = {.lead = x->plan->key_radius[g]};
  const precis_reach *keys = x->plan->turning.keys ? &x->plan->turning.keys[g] : &plain;
  const precis_summary_rounding rounding = {x->plan->envelope_degree, precis_summarise_roundings(),
                                            x->plan->wire_roundings, precis_apply_roundings()};
  double scale = fabs(x->task->problem->scale), y1 = scale * x->norm[i].lead * keys->lead,
         y2 = scale * x->norm[i].trail * keys->trail;
  return precis_certificate_rounding(&rounding, precis_bivariate_magnitude(fit, y1, y2),
                                     precis_bivariate_envelope_magnitude(fit, y1, y2));
}

void precis_summary_gather(const precis_summary_work *x, int g, int64_t i,
                           const precis_summary_sums *sums, double log_scale, double weights,
                           precis_summary_row *row)
{
  int dv = x->task->problem->value_dim;
  if (!(weights > 0))
    return;
  const precis_error_mass gathered = {sums->env[i], sums->deviating[i]};
  const precis_error_mass rounding = mass_rounding(x, g, i);
  const precis_error_mass mass = precis_certificate_mass(
      &gathered, &rounding, weights, x->plan->count_features > 0 ? x->plan->least_deviation[g] : 0);
  /* In numerator and normaliser, see precis_certificate_rounding(). */
  double off = 4 * (weight_rounding(x, g, log_scale) + turning_rounding(x, g, i)) *
               (fabs(sums->den[i]) + mass.all);
  double factor = meet(dv, log_scale, row);
  row->l += factor * sums->den[i];
  row->mass.all += factor * (mass.all + off);
  row->mass.deviating += factor * (mass.deviating + off);
  for (int c = 0; c < dv; c++)
    row->o[c] += factor * sums->num[i * dv + c];
}

void precis_summary_gather_exact(const precis_summary_work *x, double m, double l, const double *o,
                                 precis_summary_row *row)
{
  int dv = x->task->problem->value_dim;
  if (m == -INFINITY)
    return;
  double factor = meet(dv, m, row);
  row->l += factor * l;
  row->mass.all += factor * l * 2 * x->plan->exact_rounding;
  row->mass.deviating += factor * l * 2 * x->plan->exact_rounding;
  for (int c = 0; c < dv; c++)
    row->o[c] += factor * o[c];
}

/* The row as a result; nothing seen gives zeros. */
static void write_row(const precis_summary_work *x, int g, int64_t index,
                      const precis_summary_row *row, int64_t to)
{
  const precis_problem *p = x->task->problem;
  const double *center = x->task->v_center + (int64_t)g * p->value_dim;
  float *out = x->task->out + to * p->value_dim;
  int seen = row->m != -INFINITY;
  for (int c = 0; c < p->value_dim; c++)
    out[c] = seen ? (float)(row->o[c] / row->l + center[c]) : 0;
  x->task->lse[to] = seen ? (float)(row->m + log(row->l) + x->norm[index].offset) : -INFINITY;
}

/* From the front or from the back of one list, which has room for all. */
static void set_aside(precis_summary_result *result, int64_t row, int64_t head, int outlier)
{
  int64_t *count = outlier ? &result->outliers : &result->failures, number;
#pragma omp atomic capture
  number = (*count)++;
  result->rows[outlier ? result->capacity - 1 - number : number] =
      (precis_failed_row){row, (int)head};
}

static int is_outlier(const precis_summary_work *x, int g, int64_t index)
{
  return precis_outliers_rho(x->norm[index].plain, x->plan->query_unit[g]) > x->plan->query_rho;
}

/* Writes the result of a row to the task. Returns its certificate; zeros for a row set aside. */
static precis_certificate finish(precis_summary_work *x, int g, int64_t index,
                                 const precis_value_range *values, const precis_summary_row *row)
{
  const precis_certificate nothing = {0, 0};
  const precis_problem *p = x->task->problem;
  int64_t i = index / x->group, head = g * x->group + index % x->group, to = i * p->heads + head;
  write_row(x, g, index, row, to);
  if (is_outlier(x, g, index)) {
    set_aside(x->result, i, head, 1);
    return nothing;
  }
  if (row->m == -INFINITY || (x->plan->sampled && row->l > 0))
    return nothing;
  const precis_error_mass mass = {row->l > 0 ? row->mass.all / row->l : INFINITY,
                                  row->mass.deviating / row->l};
  precis_certificate proved =
      precis_certificate_make(&mass, values, x->task->out + to * p->value_dim);
  if (proved.error <= x->tol)
    return proved;
  set_aside(x->result, i, head, 0);
  return nothing;
}

/* Of the head's values; with room for two rows of them. */
static precis_value_range range_of(const precis_summary_work *x, int g, double *least,
                                   double *per_range)
{
  const int dv = x->task->problem->value_dim;
  const int64_t column = (int64_t)g * dv;
  const double *most = x->plan->value_most + column;
  for (int c = 0; c < dv; c++) {
    least[c] = -x->plan->value_least[column + c];
    per_range[c] = precis_certificate_per_range(most[c], least[c]);
  }
  return (precis_value_range){dv, most, least, x->task->v_center + column, per_range};
}

void precis_summary_finish(precis_summary_work *x, int g, int64_t first, int64_t end,
                           precis_summary_collect *collect, const void *context)
{
  double error = x->result->error, lse_error = x->result->lse_error;
  double least[PRECIS_FEATURES_DIM_MAX], per_range[PRECIS_FEATURES_DIM_MAX];
  const precis_value_range values = range_of(x, g, least, per_range);
#pragma omp parallel for num_threads(x->task->engine.threads) reduction(max : error, lse_error)
  for (int64_t i = first; i < end; i++) {
    double o[PRECIS_FEATURES_DIM_MAX];
    precis_summary_row row = {.m = -INFINITY, .o = o};
    memset(o, 0, sizeof *o * (size_t)x->task->problem->value_dim);
    collect(context, x, g, i, &row);
    precis_certificate proved = finish(x, g, i, &values, &row);
    error = fmax(error, proved.error);
    lse_error = fmax(lse_error, proved.lse_error);
  }
  x->result->error = error;
  x->result->lse_error = lse_error;
}
