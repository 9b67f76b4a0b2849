#include "mpi/repair.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/spread.h"
#include "src/memory.h"
#include "src/problem.h"
#include "src/queries.h"

enum { BATCH_MOST = 1 << 14 };

/* One batch of one rank's rows, ordered by head. What travels: batch int64 positions, batch int32
 * heads, batch x dim floats. */
typedef struct repair {
  precis_task *task;
  const precis_failed_row *failed;
  int64_t batch; /* rows in the largest */
  int64_t *message;
  int64_t *head_rows; /* heads: how many of the batch are of each */
  float *wire_in, *wire_out;
  char *parcel;
  precis_job *jobs;
  precis_partial partial;
} repair;

static int by_head(const void *a, const void *b)
{
  const precis_failed_row *x = a, *y = b;
  if (x->head != y->head)
    return x->head < y->head ? -1 : 1;
  return (x->row > y->row) - (x->row < y->row);
}

static int64_t message_bytes(const repair *r, int64_t rows)
{
  int64_t each =
      sizeof *r->message + sizeof(int32_t) + (size_t)r->task->problem->dim * sizeof(float);
  return rows * each;
}

static int64_t *positions_of(const repair *r)
{
  return r->message;
}

static int32_t *heads_of(const repair *r, int64_t rows)
{
  return (int32_t *)(r->message + rows);
}

static float *queries_of(const repair *r, int64_t rows)
{
  return (float *)(heads_of(r, rows) + rows);
}

static int create(repair *r)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int64_t words = precis_partial_words(r->batch, p->value_dim), keys = task->keys->rows;
  r->message = precis_memory_array(message_bytes(r, r->batch), 1);
  r->head_rows = precis_memory_array(p->heads, sizeof *r->head_rows);
  r->wire_in = precis_memory_array(words, sizeof *r->wire_in);
  r->wire_out = precis_memory_array(words, sizeof *r->wire_out);
  r->parcel = precis_memory_array(
      precis_parcel_bytes(&task->kind, keys < task->tile_rows ? keys : task->tile_rows), 1);
  r->jobs = precis_memory_array(p->heads, sizeof *r->jobs);
  int status = precis_partial_create(&r->partial, r->batch, p->value_dim);
  return r->message && r->head_rows && r->wire_in && r->wire_out && r->parcel && r->jobs
             ? status
             : PRECIS_ERR_MEMORY;
}

static void release(repair *r)
{
  precis_partial_free(&r->partial);
  free(r->jobs);
  free(r->parcel);
  free(r->wire_out);
  free(r->wire_in);
  free(r->head_rows);
  free(r->message);
}

static void pack(repair *r, int64_t first, int64_t rows)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  for (int64_t i = 0; i < rows; i++) {
    const precis_failed_row *f = &r->failed[first + i];
    heads_of(r, rows)[i] = f->head;
    positions_of(r)[i] = task->map->first_position[task->world->rank] + f->row;
    memcpy(queries_of(r, rows) + i * p->dim, task->q + (f->row * p->heads + f->head) * p->dim,
           (size_t)p->dim * sizeof(float));
  }
}

/* Every head's rows of the batch against this rank's keys. */
static void attend_own_keys(repair *r, int64_t rows)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int64_t parcels = precis_task_parcels(task, task->keys->rows);
  memset(r->head_rows, 0, (size_t)p->heads * sizeof *r->head_rows);
  for (int64_t i = 0; i < rows; i++)
    r->head_rows[heads_of(r, rows)[i]]++;
  precis_partial_clear(&r->partial, rows, p->value_dim);
  for (int64_t c = 0; c < parcels; c++) {
    int64_t keys = precis_task_parcel_rows(task, task->keys->rows, c), first = 0;
    precis_parcel_pack(&task->kind, task->keys, c * task->tile_rows, keys, task->k_center,
                       task->v_center, task->engine.threads, r->parcel);
    for (int h = 0; h < p->heads; first += r->head_rows[h++])
      r->jobs[h] = (precis_job){
          .rows = r->head_rows[h],
          .q = queries_of(r, rows) + first * p->dim,
          .q_stride = p->dim,
          .query_position = p->causal ? positions_of(r) + first : NULL,
          .tile = precis_parcel_tile(&task->kind, keys, r->parcel, precis_problem_kv_head(p, h)),
          .key_position = precis_parcel_positions(&task->kind, r->parcel),
          .partial = precis_partial_at(&r->partial, first, p->value_dim),
      };
    precis_task_compute(task, r->jobs, p->heads);
  }
}

static int finish(repair *r, int64_t first, int64_t rows)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int bad = 0;
  for (int64_t i = 0; i < rows; i++) {
    const precis_failed_row *f = &r->failed[first + i];
    int64_t g = precis_problem_kv_head(p, f->head), to = f->row * p->heads + f->head;
    double offset = precis_queries_offset(p, task->q + to * p->dim, task->k_center + g * p->dim);
    bad |= precis_partial_finish(&r->partial, i, p->value_dim, task->v_center + g * p->value_dim,
                                 offset, task->out + to * p->value_dim, task->lse + to);
  }
  return bad ? PRECIS_ERR_RANGE : PRECIS_SUCCESS;
}

/* Rows [first, first + rows) of the root's failures. */
static int run_batch(repair *r, int root, int64_t first, int64_t rows)
{
  int at_root = r->task->world->rank == root;
  if (at_root)
    pack(r, first, rows);
  int status = precis_spread_broadcast(r->task, root, r->message, message_bytes(r, rows));
  if (status != PRECIS_SUCCESS)
    return status;
  attend_own_keys(r, rows);
  status = precis_spread_reduce(r->task, root, &r->partial, rows, r->wire_in, r->wire_out);
  return status == PRECIS_SUCCESS && at_root ? finish(r, first, rows) : status;
}

static int run_all(repair *r, const int64_t *counts)
{
  int status = PRECIS_SUCCESS, out_of_range = PRECIS_SUCCESS;
  for (int root = 0; root < r->task->world->ranks; root++)
    for (int64_t first = 0; first < counts[root] && status == PRECIS_SUCCESS; first += r->batch) {
      int64_t left = counts[root] - first;
      status = run_batch(r, root, first, left < r->batch ? left : r->batch);
      if (status == PRECIS_ERR_RANGE) { /* known to the root alone: the others go on, so it must */
        out_of_range = status;
        status = PRECIS_SUCCESS;
      }
    }
  return status == PRECIS_SUCCESS ? out_of_range : status;
}

int precis_repair_run(precis_task *task, precis_failed_row *failed, int64_t failures,
                      int64_t *repaired)
{
  precis_world *world = task->world;
  repair r = {.task = task, .failed = failed};
  int64_t *counts = precis_memory_array(world->ranks, sizeof *counts), most = 0;
  int status = precis_world_agree(world, counts ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  *repaired = 0;
  if (status == PRECIS_SUCCESS &&
      MPI_Allgather(&failures, 1, MPI_INT64_T, counts, 1, MPI_INT64_T, world->comm))
    status = PRECIS_ERR_MPI;
  for (int i = 0; i < world->ranks && status == PRECIS_SUCCESS; i++) {
    *repaired += counts[i];
    most = counts[i] > most ? counts[i] : most;
  }
  if (status == PRECIS_SUCCESS && most > 0) {
    qsort(failed, (size_t)failures, sizeof *failed, by_head);
    r.batch = most < BATCH_MOST ? most : BATCH_MOST;
    status = precis_world_agree(world, create(&r), NULL);
    if (status == PRECIS_SUCCESS)
      status = run_all(&r, counts);
    release(&r);
  }
  free(counts);
  return status;
}
