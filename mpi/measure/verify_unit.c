/* verify_unit.c - deviations of values, and what the mean query gets */
#include <math.h>
#include <string.h>

#include "mpi/measure/moments.h"
#include "mpi/measure/verify_work.h"
#include "src/base/problem.h"
#include "src/oracle/reference.h"

static const float *bias_of(const precis_verify_work *w)
{
  return w->job->has_bias ? w->bias : NULL;
}

static int read_values(precis_verify_work *w, precis_message *why)
{
  for (int64_t chunk = 0; chunk < w->chunks.count; chunk++) {
    int64_t first = precis_turns_first(&w->chunks, chunk),
            keys = precis_turns_rows(&w->chunks, chunk);
    int status = w->source->keys(w->source->context, first, keys, w->k, w->v, w->bias, why);
    if (status != PRECIS_SUCCESS)
      return status;
    precis_moments_add(&w->own_values, keys, w->v, bias_of(w));
    for (int64_t j = 0; j < keys && first + j < w->first_unmasked; j++)
      if (!precis_reference_masked(bias_of(w), j))
        w->first_unmasked = first + j;
  }
  return PRECIS_SUCCESS;
}

static int merge_values(precis_verify_work *w)
{
  int status = precis_moments_gather(w->world, &w->own_values, &w->part, &w->values);
  int failed = precis_world_reduce(w->world, &w->first_unmasked, 1, MPI_INT64_T, MPI_MIN);
  return failed ? PRECIS_ERR_MPI : status;
}

static int measure_values(precis_verify_work *w, precis_message *why)
{
  w->first_unmasked = w->job->keys;
  int status = read_values(w, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_world_agree(w->world, merge_values(w), why);
  for (int64_t c = 0; c < w->columns && status == PRECIS_SUCCESS; c++) {
    w->center[c] = (double)w->values.mean[c];
    w->sigma[c] = precis_moments_deviation(&w->values, c);
  }
  return status;
}

static int is_visible(const precis_verify_work *w, int64_t query)
{
  return precis_verify_visible(w, query, 0, w->job->keys) > w->first_unmasked;
}

/* Sums over the visible queries; returns how many of this rank's there are. */
static int add_queries(precis_verify_work *w, int64_t *count, precis_message *why)
{
  int64_t width = (int64_t)w->job->problem.heads * w->job->problem.dim;
  for (int64_t i = 0; i < width; i++)
    w->sum[i] = 0;
  for (int64_t chunk = 0; chunk < w->query_chunks.count; chunk++) {
    int64_t first = precis_turns_first(&w->query_chunks, chunk),
            rows = precis_turns_rows(&w->query_chunks, chunk);
    int status = w->source->all_queries(w->source->context, first, rows, w->queries, why);
    if (status != PRECIS_SUCCESS)
      return status;
    for (int64_t row = 0; row < rows; row++) {
      if (!is_visible(w, first + row))
        continue;
      ++*count;
      for (int64_t i = 0; i < width; i++)
        w->sum[i] += (long double)w->queries[row * width + i];
    }
  }
  return PRECIS_SUCCESS;
}

static int average_queries(precis_verify_work *w, precis_message *why)
{
  int width = w->job->problem.heads * w->job->problem.dim;
  int64_t count = 0;
  int status = add_queries(w, &count, why);
  if (status != PRECIS_SUCCESS)
    return status;
  int failed = precis_world_reduce(w->world, &count, 1, MPI_INT64_T, MPI_SUM) |
               precis_world_reduce(w->world, w->sum, width, MPI_LONG_DOUBLE, MPI_SUM) |
               precis_world_broadcast(w->world, w->sum, width, MPI_LONG_DOUBLE, 0);
  for (int i = 0; i < width; i++)
    w->mean_query[i] = count > 0 ? (double)(w->sum[i] / count) : 0;
  return precis_world_agree(w->world, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS, why);
}

int precis_verify_unit(precis_verify_work *w, precis_message *why)
{
  int status = measure_values(w, why);
  return status == PRECIS_SUCCESS ? average_queries(w, why) : status;
}

/* What the mean query of a head got of the keys before the chunk goes on through it, up to what
 * each row sees of it in turn: rows ascend. */
static void anchor_head(precis_verify_work *w, int head, int64_t block, int64_t rows, int64_t first,
                        int64_t keys)
{
  const precis_problem *p = &w->job->problem;
  double *far = w->far + (int64_t)head * (p->value_dim + 2);
  precis_reference_partial so_far = {far[0], far[1], far + 2};
  int64_t done = 0;
  for (int64_t i = 0; i <= rows; i++) {
    int64_t seen = i < rows ? precis_verify_visible(w, w->rows[block + i], first, keys) : keys,
            at = i * p->heads + head;
    if (seen == 0)
      continue;
    precis_reference_keys more = {seen - done, w->k + done * p->kv_heads * p->dim,
                                  w->v + done * p->kv_heads * p->value_dim,
                                  w->job->has_bias ? w->bias + done : NULL};
    precis_reference_add_double(p, head, w->mean_query + (int64_t)head * p->dim, &more, &so_far);
    done = seen;
    if (i == rows)
      break;
    w->mean.m[at] = so_far.m;
    w->mean.l[at] = so_far.l;
    memcpy(w->mean.o + at * p->value_dim, so_far.o, (size_t)p->value_dim * sizeof *so_far.o);
  }
  far[0] = so_far.m;
  far[1] = so_far.l;
}

void precis_verify_anchor(precis_verify_work *w, int64_t block, int64_t rows, int64_t first,
                          int64_t keys)
{
#pragma omp parallel for schedule(dynamic)
  for (int head = 0; head < w->job->problem.heads; head++)
    anchor_head(w, head, block, rows, first, keys);
}
