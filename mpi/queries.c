/* The queries move: every query goes to every rank, which attends to the keys it holds; partial
 * results come back along a tree and are merged on the way. Batches of queries bound the memory. */
#include <stdlib.h>
#include <string.h>

#include "mpi/deal.h"
#include "mpi/plan.h"
#include "mpi/spread.h"
#include "mpi/task.h"
#include "src/memory.h"
#include "src/queries.h"

enum { BATCH_MOST = 4096 };

typedef struct batch {
  precis_task *task;
  const precis_keys *keys;
  int64_t batch_rows; /* most queries in a batch */
  float *q;           /* batch_rows x heads x dim */
  int64_t *position;  /* batch_rows */
  float *wire_out, *wire_in;
  char *parcel;
  precis_job *jobs;
  precis_queries queries; /* of the batch */
} batch;

/* A quarter of a million words or so of queries and partials at a time. */
static int64_t choose_batch(const precis_task *task)
{
  const precis_problem *p = task->problem;
  int64_t most = 0;
  for (int r = 0; r < task->world->ranks; r++) {
    int64_t share = task->map->start[r + 1] - task->map->start[r];
    most = share > most ? share : most;
  }
  int64_t rows = ((int64_t)1 << 22) / ((int64_t)p->heads * (p->dim + p->value_dim)) + 64;
  rows = rows < BATCH_MOST ? rows : BATCH_MOST;
  return rows < most ? rows : most;
}

static int create(batch *s)
{
  const precis_problem *p = s->task->problem;
  s->batch_rows = choose_batch(s->task);
  int64_t wire = precis_partial_words(s->batch_rows * p->heads, p->value_dim);
  s->q = precis_memory_array(s->batch_rows * p->heads, (size_t)p->dim * sizeof *s->q);
  s->position = precis_memory_array(s->batch_rows, sizeof *s->position);
  s->wire_out = precis_memory_array(wire, sizeof *s->wire_out);
  s->wire_in = precis_memory_array(wire, sizeof *s->wire_in);
  int64_t parcel = s->keys->rows < s->task->tile_rows ? s->keys->rows : s->task->tile_rows;
  s->parcel = precis_memory_array(precis_parcel_bytes(&s->task->kind, parcel), 1);
  s->jobs = precis_memory_array(p->heads, sizeof *s->jobs);
  int made = s->q && s->position && s->wire_out && s->wire_in && s->parcel && s->jobs;
  int status = precis_queries_create(p, s->batch_rows, s->q, s->position, &s->queries);
  return precis_world_agree(s->task->world, made ? status : PRECIS_ERR_MEMORY, NULL);
}

static void release(batch *s)
{
  precis_queries_free(&s->queries);
  free(s->jobs);
  free(s->parcel);
  free(s->wire_in);
  free(s->wire_out);
  free(s->position);
  free(s->q);
}

static void attend_own_keys(batch *s)
{
  precis_task *task = s->task;
  int64_t parcels = precis_task_parcels(task, s->keys->rows);
  for (int64_t c = 0; c < parcels; c++) {
    int64_t rows = precis_task_parcel_rows(task, s->keys->rows, c);
    precis_parcel_pack(&task->kind, s->keys, c * task->tile_rows, rows, task->k_center,
                       task->v_center, task->engine.threads, s->parcel);
    precis_queries_jobs(task->problem, &s->queries, &task->kind, rows, s->parcel, s->jobs);
    precis_task_compute(task, s->jobs, task->problem->heads);
  }
}

/* Queries [first, first + rows) of rank root. */
static int run_batch(batch *s, int root, int64_t first, int64_t rows)
{
  precis_task *task = s->task;
  const precis_problem *p = task->problem;
  int at_root = task->world->rank == root;
  s->queries.rows = rows;
  for (int64_t i = 0; i < rows; i++)
    s->position[i] = task->map->first_position[root] + first + i;
  precis_partial_clear(&s->queries.partial, rows * p->heads, p->value_dim);
  int64_t numbers = rows * p->heads * p->dim;
  if (at_root)
    memcpy(s->q, task->q + first * p->heads * p->dim, (size_t)numbers * sizeof *s->q);
  int status = precis_spread_broadcast(task, root, s->q, numbers * (int64_t)sizeof *s->q);
  if (status == PRECIS_SUCCESS) {
    attend_own_keys(s);
    status = precis_spread_reduce(task, root, &s->queries.partial, rows * p->heads, s->wire_in,
                                  s->wire_out);
  }
  if (status == PRECIS_SUCCESS && at_root &&
      precis_queries_finish(p, &s->queries, 0, rows, task->k_center, task->v_center,
                            task->out + first * p->heads * p->value_dim,
                            task->lse + first * p->heads))
    status = PRECIS_ERR_RANGE;
  return status;
}

static int run_all(batch *s)
{
  const precis_query_map *map = s->task->map;
  int status = PRECIS_SUCCESS, out_of_range = PRECIS_SUCCESS;
  for (int root = 0; root < map->ranks; root++) {
    int64_t end = map->start[root + 1] - map->start[root];
    for (int64_t first = 0; first < end && status == PRECIS_SUCCESS; first += s->batch_rows) {
      status = run_batch(s, root, first, end - first < s->batch_rows ? end - first : s->batch_rows);
      if (status == PRECIS_ERR_RANGE) { /* known to the root alone: the others go on, so it must */
        out_of_range = status;
        status = PRECIS_SUCCESS;
      }
      precis_task_progress(s->task, map->start[root] + first, map->start[map->ranks]);
    }
  }
  return status == PRECIS_SUCCESS ? out_of_range : status;
}

int precis_queries_run(precis_task *task)
{
  precis_keys dealt = {0};
  batch s = {.task = task, .keys = task->keys};
  int status = PRECIS_SUCCESS;
  if (task->deal_keys) {
    int pairs = precis_plan_pairs_of_rounds(task->map, task->tile_rows);
    precis_layout layout = precis_layout_dealt(task->world->ranks, task->map->keys, pairs);
    status = precis_deal_keys(task->world, task->keys, &layout, &dealt);
    if (status != PRECIS_SUCCESS)
      return status;
    s.keys = &dealt;
  }
  status = create(&s);
  if (status == PRECIS_SUCCESS)
    status = run_all(&s);
  release(&s);
  precis_keys_free(&dealt);
  return status;
}
