/* verify_judge.c - errors of the sampled rows, in every unit */
#include <math.h>

#include "mpi/measure/verify_work.h"
#include "src/base/problem.h"
#include "src/oracle/reference.h"

static void measure_lse(precis_verify_work *w, double computed, double want)
{
  double error = fabs(computed - want) - fabs(want) * (0x1p-24 + 0x1p-52);
  if (computed == -INFINITY || want == -INFINITY)
    error = computed == want ? 0 : INFINITY;
  w->lse_error = fmax(w->lse_error, isnan(error) ? INFINITY : error);
}

static void measure_row(precis_verify_work *w, int64_t at, int64_t of_all)
{
  const precis_problem *p = &w->job->problem;
  int dv = p->value_dim;
  double want[PRECIS_DIM_MAX], mean[PRECIS_DIM_MAX], out[PRECIS_DIM_MAX], lse, unused;
  precis_reference_partial own = {w->own.m[at], w->own.l[at], w->own.o + at * dv},
                           of_mean = {w->mean.m[at], w->mean.l[at], w->mean.o + at * dv};
  int64_t column = (int64_t)precis_problem_kv_head(p, (int)(at % p->heads)) * dv;
  precis_reference_finish(dv, &own, want, &lse);
  precis_reference_finish(dv, &of_mean, mean, &unused);
  for (int c = 0; c < dv; c++) {
    out[c] = (double)w->out[at * dv + c];
    double difference = fabs(out[c] - want[c]);
    difference = isfinite(difference) ? difference : INFINITY;
    w->range = fmax(w->range, difference / precis_contract_range_unit(w->values.low[column + c],
                                                                      w->values.high[column + c]));
    w->squares += difference * difference;
    w->reference += want[c] * want[c];
  }
  double distance = precis_contract_distance(dv, out, want, w->sigma + column);
  w->absolute[of_all] = isfinite(distance) ? distance : INFINITY;
  w->distance[of_all] =
      lse == -INFINITY ? -1 : precis_contract_distance(dv, want, mean, w->sigma + column);
  if (w->job->has_lse)
    measure_lse(w, (double)w->lse[at], lse);
}

void precis_verify_measure(precis_verify_work *w, int64_t block, int64_t rows)
{
  int heads = w->job->problem.heads;
  for (int64_t at = 0; at < rows * heads; at++)
    measure_row(w, at, block * heads + at);
}

/* R of a head, as the sampled rows have it. */
static double mean_signal(const precis_verify_work *w, int head)
{
  int heads = w->job->problem.heads;
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < w->samples; i++)
    if (w->distance[i * heads + head] >= 0) {
      sum += w->distance[i * heads + head];
      count++;
    }
  return count > 0 ? sum / (double)count : 0;
}

static void finish_head(const precis_verify_work *w, int head, precis_verify_result *result)
{
  const precis_problem *p = &w->job->problem;
  double signal = w->job->signal ? w->job->signal[head] : mean_signal(w, head), trivial = 0, far = w->most[precis_problem_kv_head(p, head)];
  if (!(signal > 0) || signal < PRECIS_CONSTANT_SHARE * far) {
    result->constant_heads++;
    return;
  }
  for (int64_t i = 0; i < w->samples; i++) {
    double distance = w->distance[i * p->heads + head], error = w->absolute[i * p->heads + head];
    double unit = fmax(signal, distance);
    result->max_error_outputs = fmax(result->max_error_outputs, error / unit);
    trivial = fmax(trivial, distance / unit);
  }
  result->mean_signal = fmin(result->mean_signal, signal);
  result->trivial = fmin(result->trivial, trivial);
}

void precis_verify_finish(const precis_verify_work *w, precis_verify_result *result)
{
  *result = (precis_verify_result){.rows = w->samples,
                                   .mean_signal = INFINITY,
                                   .trivial = INFINITY,
                                   .max_error_range = w->range,
                                   .max_error_lse = w->job->has_lse ? w->lse_error : NAN,
                                   .relative_error =
                                       w->squares > 0 ? sqrt(w->squares / w->reference) : 0};
  for (int head = 0; head < w->job->problem.heads; head++)
    finish_head(w, head, result);
  if (result->constant_heads == w->job->problem.heads)
    result->max_error_outputs = result->mean_signal = result->trivial = NAN;
  result->max_error = precis_verify_error(result, w->job->tol_of);
}

double precis_verify_error(const precis_verify_result *result, precis_unit unit)
{
  if (unit == PRECIS_UNIT_LSE)
    return result->max_error_lse;
  if (unit == PRECIS_UNIT_RANGE || result->constant_heads == 0)
    return unit == PRECIS_UNIT_RANGE ? result->max_error_range : result->max_error_outputs;
  return fmax(result->max_error_range, result->max_error_outputs); /* of which NAN is no number */
}
