#include "mpi/verify.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/memory.h"
#include "src/problem.h"
#include "src/reference.h"
#include "src/sample.h"
#include "src/share.h"

static const int64_t BUFFER_BYTES = 8 << 20;

/* What a rank works with: one block of sampled rows, one chunk of its keys. */
typedef struct work {
  precis_world *world;
  const precis_verify_job *job;
  const precis_verify_source *source;
  int64_t samples, *rows; /* the sampled rows */
  int64_t block_rows;
  precis_turns chunks;              /* of this rank's keys */
  float *q, *out;                   /* of a block */
  double *m, *l, *o, *largest;      /* of a block: partial results, and the m of all ranks */
  float *k, *v, *bias;              /* of a chunk */
  int64_t columns;                  /* kv_heads x value_dim */
  double *low, *high;               /* of a column, unmasked */
  double error, squares, reference; /* so far: largest error, sums of squares */
} work;

static int64_t at_most(int64_t value, int64_t most)
{
  int64_t up = value < 1 ? 1 : value;
  return up < most ? up : most;
}

static void plan(work *w)
{
  const precis_problem *p = &w->job->problem;
  int64_t key_bytes = (int64_t)p->kv_heads * (p->dim + p->value_dim) * (int64_t)sizeof(float);
  int64_t row_bytes = (int64_t)p->heads * (p->value_dim + 3) * (int64_t)sizeof(double);
  int64_t bytes = w->job->buffer_bytes > 0 ? w->job->buffer_bytes : BUFFER_BYTES;
  w->samples = precis_sample_count(w->job->queries, w->job->rows);
  w->block_rows = at_most(bytes / row_bytes, w->samples);
  w->chunks = precis_turns_plan(w->job->keys, w->world->ranks, w->world->rank, key_bytes, bytes);
  w->columns = (int64_t)p->kv_heads * p->value_dim;
}

static int allocate(work *w)
{
  const precis_problem *p = &w->job->problem;
  int64_t vectors = w->block_rows * p->heads, keys = w->chunks.turn_rows;
  w->rows = precis_memory_array(w->samples, sizeof *w->rows);
  w->q = precis_memory_array(vectors * p->dim, sizeof *w->q);
  w->out = precis_memory_array(vectors * p->value_dim, sizeof *w->out);
  w->m = precis_memory_array(vectors, sizeof *w->m);
  w->l = precis_memory_array(vectors, sizeof *w->l);
  w->largest = precis_memory_array(vectors, sizeof *w->largest);
  w->o = precis_memory_array(vectors * p->value_dim, sizeof *w->o);
  w->k = precis_memory_array(keys * p->kv_heads * p->dim, sizeof *w->k);
  w->v = precis_memory_array(keys * p->kv_heads * p->value_dim, sizeof *w->v);
  w->bias = precis_memory_array(keys, sizeof *w->bias);
  w->low = precis_memory_array(w->columns, sizeof *w->low);
  w->high = precis_memory_array(w->columns, sizeof *w->high);
  int complete = w->rows && w->q && w->out && w->m && w->l && w->largest && w->o && w->k && w->v &&
                 w->bias && w->low && w->high;
  return complete ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

static void release(work *w)
{
  void *all[] = {w->rows, w->q, w->out, w->m,    w->l,   w->largest,
                 w->o,    w->k, w->v,   w->bias, w->low, w->high};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
}

static void widen_ranges(work *w, int64_t keys)
{
  for (int64_t j = 0; j < keys; j++) {
    if (w->job->has_bias && w->bias[j] == -INFINITY)
      continue;
    for (int64_t c = 0; c < w->columns; c++) {
      w->low[c] = fmin(w->low[c], (double)w->v[j * w->columns + c]);
      w->high[c] = fmax(w->high[c], (double)w->v[j * w->columns + c]);
    }
  }
}

/* Of `keys` keys that start at position `first`, those that a sampled query sees. */
static int64_t visible(const work *w, int64_t row, int64_t first, int64_t keys)
{
  if (!w->job->problem.causal)
    return keys;
  int64_t seen = w->job->first_position + row + 1 - first;
  return seen < 0 ? 0 : seen < keys ? seen : keys;
}

/* Every sampled query of the block meets the chunk at hand. */
static void attend(work *w, int64_t block, int64_t rows, int64_t first, int64_t keys)
{
  const precis_problem *p = &w->job->problem;
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t i = 0; i < rows; i++) {
    for (int head = 0; head < p->heads; head++) {
      int64_t at = i * p->heads + head;
      precis_reference_keys seen = {.count = visible(w, w->rows[block + i], first, keys),
                                    .k = w->k,
                                    .v = w->v,
                                    .bias = w->job->has_bias ? w->bias : NULL};
      precis_reference_partial partial = {w->m[at], w->l[at], w->o + at * p->value_dim};
      precis_reference_add(p, head, w->q + at * p->dim, &seen, &partial);
      w->m[at] = partial.m;
      w->l[at] = partial.l;
    }
  }
}

static int stream_keys(work *w, int64_t block, int64_t rows, precis_message *why)
{
  for (int64_t chunk = 0; chunk < w->chunks.count; chunk++) {
    int64_t first = precis_turns_first(&w->chunks, chunk),
            keys = precis_turns_rows(&w->chunks, chunk);
    int status = w->source->keys(w->source->context, first, keys, w->k, w->v, w->bias, why);
    if (status != PRECIS_SUCCESS)
      return status;
    if (block == 0)
      widen_ranges(w, keys);
    attend(w, block, rows, first, keys);
  }
  return PRECIS_SUCCESS;
}

/* Merges what the ranks found. Rank 0's sums are handed out, so that all ranks judge the same
 * numbers. */
static int merge(work *w, int64_t block, int64_t rows)
{
  const precis_problem *p = &w->job->problem;
  int vectors = (int)(rows * p->heads), failed = 0; /* bounded by BUFFER_BYTES, or one row */
  memcpy(w->largest, w->m, (size_t)vectors * sizeof *w->m);
  failed |= precis_world_reduce(w->world, w->largest, vectors, MPI_DOUBLE, MPI_MAX);
  for (int64_t at = 0; at < vectors; at++) {
    precis_reference_partial partial = {w->m[at], w->l[at], w->o + at * p->value_dim};
    precis_reference_rescale(p->value_dim, w->largest[at], &partial);
    w->m[at] = partial.m;
    w->l[at] = partial.l;
  }
  failed |= precis_world_reduce(w->world, w->l, vectors, MPI_DOUBLE, MPI_SUM);
  failed |= precis_world_reduce(w->world, w->o, vectors * p->value_dim, MPI_DOUBLE, MPI_SUM);
  failed |= precis_world_broadcast(w->world, w->l, vectors, MPI_DOUBLE, 0);
  failed |= precis_world_broadcast(w->world, w->o, vectors * p->value_dim, MPI_DOUBLE, 0);
  if (block == 0) {
    failed |= precis_world_reduce(w->world, w->low, (int)w->columns, MPI_DOUBLE, MPI_MIN);
    failed |= precis_world_reduce(w->world, w->high, (int)w->columns, MPI_DOUBLE, MPI_MAX);
  }
  return failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}

/* What an error in a column is divided by. */
static double unit(const work *w, int64_t column)
{
  double low = w->low[column], high = w->high[column];
  if (high > low)
    return high - low;
  return high == low ? fmax(fabs(high), FLT_MIN) : FLT_MIN; /* no key at all: outputs are 0 */
}

static void judge(work *w, int64_t rows)
{
  const precis_problem *p = &w->job->problem;
  for (int64_t at = 0; at < rows * p->heads; at++) {
    double reference[PRECIS_DIM_MAX], lse;
    precis_reference_partial partial = {w->m[at], w->l[at], w->o + at * p->value_dim};
    precis_reference_finish(p->value_dim, &partial, reference, &lse);
    int64_t column = (int64_t)precis_problem_kv_head(p, (int)(at % p->heads)) * p->value_dim;
    for (int c = 0; c < p->value_dim; c++) {
      double difference = fabs((double)w->out[at * p->value_dim + c] - reference[c]);
      difference = isfinite(difference) ? difference : INFINITY;
      w->error = fmax(w->error, difference / unit(w, column + c));
      w->squares += difference * difference;
      w->reference += reference[c] * reference[c];
    }
  }
}

static int verify_block(work *w, int64_t block, precis_message *why)
{
  int64_t left = w->samples - block, rows = left < w->block_rows ? left : w->block_rows;
  const precis_problem *p = &w->job->problem;
  int status = w->source->queries(w->source->context, rows, w->rows + block, w->q, w->out, why);
  if (status != PRECIS_SUCCESS)
    return status;
  for (int64_t at = 0; at < rows * p->heads; at++) {
    precis_reference_partial partial = {.o = w->o + at * p->value_dim};
    precis_reference_clear(p->value_dim, &partial);
    w->m[at] = partial.m;
    w->l[at] = partial.l;
  }
  status = stream_keys(w, block, rows, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_world_agree(w->world, merge(w, block, rows), why);
  if (status == PRECIS_SUCCESS)
    judge(w, rows);
  return status;
}

int precis_verify(precis_world *world, const precis_verify_job *job,
                  const precis_verify_source *source, precis_verify_result *result,
                  precis_message *why)
{
  work w = {.world = world, .job = job, .source = source};
  plan(&w);
  int status = precis_world_agree(world, allocate(&w), why);
  if (status != PRECIS_SUCCESS)
    goto done;
  precis_sample_rows(job->queries, w.samples, job->seed, w.rows);
  for (int64_t c = 0; c < w.columns; c++) {
    w.low[c] = INFINITY;
    w.high[c] = -INFINITY;
  }
  for (int64_t block = 0; block < w.samples && status == PRECIS_SUCCESS; block += w.block_rows)
    status = verify_block(&w, block, why);
  if (status == PRECIS_SUCCESS)
    *result =
        (precis_verify_result){.rows = w.samples,
                               .max_error = w.error,
                               .relative_error = w.squares > 0 ? sqrt(w.squares / w.reference) : 0};
done:
  release(&w);
  return status;
}
