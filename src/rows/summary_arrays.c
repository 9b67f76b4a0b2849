#include "src/rows/summary_arrays.h"

#include <stdlib.h>

#include "src/base/problem.h"

/* Packed query rows. */
static int64_t packed(const precis_summary_extent *e)
{
  return e->rows * (e->heads / e->kv_heads);
}

void precis_summary_sums_lay(const precis_summary_extent *e, precis_allotment *a,
                             precis_summary_sums *sums)
{
  int64_t rows = packed(e);
  sums->num = precis_allot_array(a, rows * e->value_dim, sizeof *sums->num);
  sums->den = precis_allot_array(a, rows, sizeof *sums->den);
  sums->env = precis_allot_array(a, rows, sizeof *sums->env);
  sums->deviating = precis_allot_array(a, rows, sizeof *sums->deviating);
}

void precis_summary_sums_free(precis_summary_sums *sums)
{
  free(sums->num);
  free(sums->den);
  free(sums->env);
  free(sums->deviating);
}

void precis_summary_arrays_lay(const precis_summary_extent *e, precis_allotment *a,
                               precis_summary_arrays *x)
{
  int64_t keys = e->keys, rows = packed(e);
  x->values = precis_allot_array(a, e->numbers_most, sizeof *x->values);
  x->counts = precis_allot_array(a, e->numbers_most, sizeof *x->counts);
  x->scratch = precis_allot_scratch(a, e->scratch, (size_t)e->threads);
  x->k = precis_allot_array(a, keys * e->dim, sizeof *x->k);
  x->v = precis_allot_array(a, keys * e->value_dim, sizeof *x->v);
  x->w = precis_allot_array(a, keys, sizeof *x->w);
  x->deviation = precis_allot_array(a, keys, sizeof *x->deviation);
  x->w_deviation = precis_allot_array(a, keys, sizeof *x->w_deviation);
  x->log_weight = precis_allot_array(a, keys, sizeof *x->log_weight);
  x->q = precis_allot_array(a, rows * e->dim, sizeof *x->q);
  x->norm = precis_allot_array(a, rows, sizeof *x->norm);
  precis_summary_sums_lay(e, a, &x->sums);
}

void precis_summary_arrays_free(precis_summary_arrays *x)
{
  void *arrays[] = {x->values,      x->counts,     x->scratch, x->k, x->v, x->w, x->deviation,
                    x->w_deviation, x->log_weight, x->q,       x->norm};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
  precis_summary_sums_free(&x->sums);
}

precis_failed_row *precis_summary_aside_lay(const precis_summary_extent *e, precis_allotment *a)
{
  return precis_allot_array(a, e->rows * e->heads, sizeof(precis_failed_row));
}

void precis_prefix_arrays_lay(const precis_summary_extent *e, int64_t blocks, int64_t jobs,
                              precis_allotment *a, precis_prefix_arrays *x)
{
  x->first_row = precis_allot_array(a, blocks + 2, sizeof *x->first_row);
  x->scale = precis_allot_array(a, blocks + 1, sizeof *x->scale);
  x->weights = precis_allot_array(a, blocks + 1, sizeof *x->weights);
  precis_summary_sums_lay(e, a, &x->incoming);
  x->rounded = precis_allot_array(a, e->numbers_most, sizeof *x->rounded);
  x->jobs = precis_allot_array(a, jobs, sizeof *x->jobs);
}

void precis_prefix_arrays_free(precis_prefix_arrays *x)
{
  free(x->first_row);
  free(x->scale);
  free(x->weights);
  precis_summary_sums_free(&x->incoming);
  free(x->rounded);
  free(x->jobs);
}

void precis_kept_arrays_lay(const precis_problem *p, int64_t value_numbers, int64_t count_numbers,
                            precis_allotment *a, precis_kept_arrays *x)
{
  int64_t columns = (int64_t)p->kv_heads * p->value_dim;
  x->moments = precis_allot_array(a, p->kv_heads, (PRECIS_DEGREE_MAX + 1) * sizeof *x->moments);
  x->values = precis_allot_array(a, p->kv_heads * value_numbers, sizeof *x->values);
  x->counts = precis_allot_array(a, p->kv_heads * count_numbers, sizeof *x->counts);
  x->values32 = precis_allot_array(a, p->kv_heads * value_numbers, sizeof *x->values32);
  x->counts32 = precis_allot_array(a, p->kv_heads * count_numbers, sizeof *x->counts32);
  x->per = precis_allot_array(a, columns, sizeof *x->per);
  x->fold = precis_allot_array(a, columns, sizeof *x->fold);
}

void precis_kept_arrays_free(precis_kept_arrays *x)
{
  free(x->moments);
  free(x->values);
  free(x->counts);
  free(x->values32);
  free(x->counts32);
  free(x->per);
  free(x->fold);
}

void precis_outlier_arrays_lay(int ranks, int heads, int64_t parcel_bytes, precis_allotment *a,
                               precis_outlier_arrays *x)
{
  x->parcel = precis_allot_array(a, parcel_bytes, 1);
  x->jobs = precis_allot_array(a, heads, sizeof *x->jobs);
  x->counts = precis_allot_array(a, ranks, sizeof *x->counts);
}

void precis_outlier_arrays_free(precis_outlier_arrays *x)
{
  free(x->parcel);
  free(x->jobs);
  free(x->counts);
}
