#include "mpi/measure/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/measure/moments.h"
#include "mpi/measure/verify_work.h"
#include "src/base/memory.h"
#include "src/base/problem.h"
#include "src/oracle/reference.h"
#include "src/oracle/sample.h"

static const int64_t BUFFER_BYTES = 8 << 20;

typedef precis_verify_work work;

static int64_t at_most(int64_t value, int64_t most)
{
  int64_t up = value < 1 ? 1 : value;
  return up < most ? up : most;
}

static void plan(work *w)
{
  const precis_problem *p = &w->job->problem;
  int64_t key_bytes = (int64_t)p->kv_heads * (p->dim + p->value_dim) * (int64_t)sizeof(float);
  int64_t row_bytes = (int64_t)p->heads * 2 * (p->value_dim + 3) * (int64_t)sizeof(double);
  int64_t query_bytes = (int64_t)p->heads * p->dim * (int64_t)sizeof(float);
  int64_t bytes = w->job->buffer_bytes > 0 ? w->job->buffer_bytes : BUFFER_BYTES;
  int ranks = w->world->ranks, rank = w->world->rank;
  w->samples = precis_sample_count(w->job->queries, w->job->rows);
  w->block_rows = at_most(bytes / row_bytes, w->samples);
  w->chunks = precis_turns_plan(w->job->keys, ranks, rank, key_bytes, bytes);
  w->query_chunks = precis_turns_plan(w->job->queries, ranks, rank, query_bytes, bytes);
  w->columns = (int64_t)p->kv_heads * p->value_dim;
}

static int allocate_partials(int64_t vectors, int value_dim, precis_verify_partials *partials)
{
  partials->m = precis_memory_array(vectors, sizeof *partials->m);
  partials->l = precis_memory_array(vectors, sizeof *partials->l);
  partials->o = precis_memory_array(vectors * value_dim, sizeof *partials->o);
  partials->largest = precis_memory_array(vectors, sizeof *partials->largest);
  return partials->m && partials->l && partials->o && partials->largest;
}

static int allocate(work *w)
{
  const precis_problem *p = &w->job->problem;
  int64_t vectors = w->block_rows * p->heads, keys = w->chunks.turn_rows,
          width = (int64_t)p->heads * p->dim;
  w->rows = precis_memory_array(w->samples, sizeof *w->rows);
  w->queries = precis_memory_array(w->query_chunks.turn_rows * width, sizeof *w->queries);
  w->q = precis_memory_array(vectors * p->dim, sizeof *w->q);
  w->out = precis_memory_array(vectors * p->value_dim, sizeof *w->out);
  w->lse = precis_memory_array(vectors, sizeof *w->lse);
  w->far = precis_memory_array((int64_t)p->heads * (p->value_dim + 2), sizeof *w->far);
  w->k = precis_memory_array(keys * p->kv_heads * p->dim, sizeof *w->k);
  w->v = precis_memory_array(keys * p->kv_heads * p->value_dim, sizeof *w->v);
  w->bias = precis_memory_array(keys, sizeof *w->bias);
  w->center = precis_memory_array(w->columns, sizeof *w->center);
  w->sigma = precis_memory_array(w->columns, sizeof *w->sigma);
  w->most = precis_memory_array(p->kv_heads, sizeof *w->most);
  w->sum = precis_memory_array(width, sizeof *w->sum);
  w->mean_query = precis_memory_array(width, sizeof *w->mean_query);
  w->distance = precis_memory_array(w->samples * p->heads, sizeof *w->distance);
  w->absolute = precis_memory_array(w->samples * p->heads, sizeof *w->absolute);
  int complete = w->rows && w->queries && w->q && w->out && w->lse && w->far && w->k && w->v &&
                 w->bias && w->center && w->sigma && w->most && w->sum && w->mean_query &&
                 w->distance && w->absolute;
  complete &= allocate_partials(vectors, p->value_dim, &w->own);
  complete &= allocate_partials(vectors, p->value_dim, &w->mean);
  complete &= precis_moments_allocate(w->columns, &w->values);
  complete &= precis_moments_allocate(w->columns, &w->own_values);
  complete &= precis_moments_allocate(w->columns, &w->part);
  return complete ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

static void release(work *w)
{
  void *all[] = {w->rows,  w->queries,     w->q,        w->out,      w->lse,    w->far,
                 w->k,     w->v,           w->bias,     w->center,   w->sigma,  w->most,
                 w->sum,   w->mean_query,  w->distance, w->absolute, w->own.m,  w->own.l,
                 w->own.o, w->own.largest, w->mean.m,   w->mean.l,   w->mean.o, w->mean.largest};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
  precis_moments_release(&w->values);
  precis_moments_release(&w->own_values);
  precis_moments_release(&w->part);
}

int64_t precis_verify_visible(const work *w, int64_t row, int64_t first, int64_t keys)
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
      precis_reference_keys seen = {.count =
                                        precis_verify_visible(w, w->rows[block + i], first, keys),
                                    .k = w->k,
                                    .v = w->v,
                                    .bias = w->job->has_bias ? w->bias : NULL};
      precis_reference_partial partial = {w->own.m[at], w->own.l[at], w->own.o + at * p->value_dim};
      precis_reference_add(p, head, w->q + at * p->dim, &seen, &partial);
      w->own.m[at] = partial.m;
      w->own.l[at] = partial.l;
    }
  }
}

/* How far values are from their mean. */
static void raise_most(work *w, int64_t keys)
{
  int dv = w->job->problem.value_dim;
  for (int g = 0; g < w->job->problem.kv_heads; g++) {
    int64_t first = (int64_t)g * dv;
    precis_contract_raise(keys, w->columns, first, dv, w->v, w->job->has_bias ? w->bias : NULL,
                          w->center + first, w->sigma + first, &w->most[g]);
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
      raise_most(w, keys);
    attend(w, block, rows, first, keys);
    precis_verify_anchor(w, block, rows, first, keys);
  }
  return PRECIS_SUCCESS;
}

/* Merges what the ranks found. Rank 0's sums are handed out, so that all ranks judge the same
 * numbers. */
static int merge(work *w, precis_verify_partials *partials, int64_t rows)
{
  const precis_problem *p = &w->job->problem;
  int vectors = (int)(rows * p->heads), failed = 0; /* bounded by BUFFER_BYTES, or one row */
  memcpy(partials->largest, partials->m, (size_t)vectors * sizeof *partials->m);
  failed |= precis_world_reduce(w->world, partials->largest, vectors, MPI_DOUBLE, MPI_MAX);
  for (int64_t at = 0; at < vectors; at++) {
    precis_reference_partial partial = {partials->m[at], partials->l[at],
                                        partials->o + at * p->value_dim};
    precis_reference_rescale(p->value_dim, partials->largest[at], &partial);
    partials->m[at] = partial.m;
    partials->l[at] = partial.l;
  }
  failed |= precis_world_reduce(w->world, partials->l, vectors, MPI_DOUBLE, MPI_SUM);
  failed |= precis_world_reduce(w->world, partials->o, vectors * p->value_dim, MPI_DOUBLE, MPI_SUM);
  failed |= precis_world_broadcast(w->world, partials->l, vectors, MPI_DOUBLE, 0);
  failed |= precis_world_broadcast(w->world, partials->o, vectors * p->value_dim, MPI_DOUBLE, 0);
  return failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}

static int merge_all(work *w, int64_t rows)
{
  int status = merge(w, &w->own, rows), other = merge(w, &w->mean, rows);
  int failed =
      precis_world_reduce(w->world, w->most, w->job->problem.kv_heads, MPI_DOUBLE, MPI_MAX);
  return failed ? PRECIS_ERR_MPI : status != PRECIS_SUCCESS ? status : other;
}

static void clear(const work *w, precis_verify_partials *partials, int64_t vectors)
{
  int dv = w->job->problem.value_dim;
  for (int64_t at = 0; at < vectors; at++) {
    precis_reference_partial partial = {.o = partials->o + at * dv};
    precis_reference_clear(dv, &partial);
    partials->m[at] = partial.m;
    partials->l[at] = partial.l;
  }
}

static int verify_block(work *w, int64_t block, precis_message *why)
{
  int64_t left = w->samples - block, rows = left < w->block_rows ? left : w->block_rows;
  const precis_problem *p = &w->job->problem;
  int status = w->source->queries(w->source->context, rows, w->rows + block, w->q, w->out,
                                  w->job->has_lse ? w->lse : NULL, why);
  if (status != PRECIS_SUCCESS)
    return status;
  clear(w, &w->own, rows * p->heads);
  clear(w, &w->mean, rows * p->heads);
  for (int64_t i = 0; i < (int64_t)p->heads * (p->value_dim + 2); i++)
    w->far[i] = i % (p->value_dim + 2) == 0 ? -INFINITY : 0;
  status = stream_keys(w, block, rows, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_world_agree(w->world, merge_all(w, rows), why);
  if (status == PRECIS_SUCCESS)
    precis_verify_measure(w, block, rows);
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
  for (int g = 0; g < job->problem.kv_heads; g++)
    w.most[g] = 0;
  status = precis_verify_unit(&w, why);
  for (int64_t block = 0; block < w.samples && status == PRECIS_SUCCESS; block += w.block_rows)
    status = verify_block(&w, block, why);
  if (status == PRECIS_SUCCESS)
    precis_verify_finish(&w, result);
done:
  release(&w);
  return status;
}
