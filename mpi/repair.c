#include "mpi/repair.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/execute.h"
#include "src/memory.h"
#include "src/problem.h"
#include "src/queries.h"

/* The queries move with (row, head) pairs for queries, as src/schedule_queries.c has it. One batch
 * of one rank's rows, ordered by head. What travels: batch int64 positions, batch int32
 * heads, batch x dim floats. */
typedef struct repair {
  precis_task *task;
  precis_queries_shape shape;
  precis_schedule schedule;
  precis_execution execution;
  const precis_failed_row *failed;
  int64_t rows;       /* of the batch at hand */
  int64_t *head_rows; /* heads: how many of them are of each */
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

static int64_t *positions_of(const repair *r)
{
  return (int64_t *)r->execution.slot[PRECIS_QUERIES_BATCH];
}

static int32_t *heads_of(const repair *r, int64_t rows)
{
  return (int32_t *)(positions_of(r) + rows);
}

static float *queries_of(const repair *r, int64_t rows)
{
  return (float *)(heads_of(r, rows) + rows);
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

/* The batch is here: nothing attended yet. */
static void begin_batch(repair *r, int64_t rows)
{
  const precis_problem *p = r->task->problem;
  r->rows = rows;
  memset(r->head_rows, 0, (size_t)p->heads * sizeof *r->head_rows);
  for (int64_t i = 0; i < rows; i++)
    r->head_rows[heads_of(r, rows)[i]]++;
  precis_partial_clear(&r->partial, rows, p->value_dim);
}

/* Every head's rows of the batch against a parcel of this rank's keys. */
static void attend_own_keys(repair *r, const precis_step *step)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  const char *parcel = precis_execution_at(&r->execution, step);
  int64_t first = 0;
  for (int h = 0; h < p->heads; first += r->head_rows[h++])
    r->jobs[h] = (precis_job){
        .rows = r->head_rows[h],
        .q = queries_of(r, r->rows) + first * p->dim,
        .q_stride = p->dim,
        .query_position = p->causal ? positions_of(r) + first : NULL,
        .tile =
            precis_parcel_tile(&task->kind, step->block.rows, parcel, precis_problem_kv_head(p, h)),
        .key_position = precis_parcel_positions(&task->kind, parcel),
        .partial = precis_partial_at(&r->partial, first, p->value_dim),
    };
  precis_task_compute(task, r->jobs, p->heads);
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

static void pack_step(repair *r, const precis_step *step)
{
  const precis_task *task = r->task;
  const precis_block *b = &step->block;
  void *to = precis_execution_at(&r->execution, step);
  if (step->matter == PRECIS_MATTER_QUERIES)
    pack(r, b->first, b->rows);
  else if (step->matter == PRECIS_MATTER_KEYS)
    precis_parcel_pack(&task->kind, task->keys, b->first, b->rows, task->k_center, task->v_center,
                       task->engine.threads, to);
  else
    precis_partial_pack(&r->partial, b->rows, task->problem->value_dim, to);
}

static int work(precis_execution *x, const precis_step *step)
{
  repair *r = x->move;
  switch (step->kind) {
  case PRECIS_STEP_PACK:
    pack_step(r, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_CLEAR:
    begin_batch(r, step->block.rows);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_COMPUTE:
    attend_own_keys(r, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_MERGE:
    precis_partial_merge_packed(&r->partial, step->block.rows, r->task->problem->value_dim,
                                precis_execution_at(x, step));
    return PRECIS_SUCCESS;
  case PRECIS_STEP_FINISH:
    return finish(r, step->block.first, step->block.rows);
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

static int create(repair *r, const int64_t *counts)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  precis_placement at = precis_task_placement(task);
  r->shape = precis_shape_repair(&at, counts);
  r->schedule = precis_schedule_queries(&r->shape, &task->world->layout);
  r->jobs = precis_memory_array(p->heads, sizeof *r->jobs);
  r->head_rows = precis_memory_array(p->heads, sizeof *r->head_rows);
  int status = precis_execution_create(task, &r->schedule, work, r, &r->execution);
  r->execution.tells = 0;
  if (status != PRECIS_SUCCESS || r->jobs == NULL || r->head_rows == NULL)
    return PRECIS_ERR_MEMORY;
  return precis_partial_create(&r->partial, r->shape.batch_rows, p->value_dim);
}

static void release(repair *r)
{
  precis_execution_free(&r->execution);
  precis_partial_free(&r->partial);
  free(r->head_rows);
  free(r->jobs);
}

int precis_repair_run(precis_task *task, precis_failed_row *failed, int64_t failures,
                      int64_t *repaired)
{
  precis_world *world = task->world;
  repair r = {.task = task, .failed = failed};
  int64_t *counts = precis_memory_array(world->ranks, sizeof *counts);
  int status = precis_world_agree(world, counts ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  *repaired = 0;
  if (status == PRECIS_SUCCESS &&
      MPI_Allgather(&failures, 1, MPI_INT64_T, counts, 1, MPI_INT64_T, world->comm))
    status = PRECIS_ERR_MPI;
  for (int i = 0; i < world->ranks && status == PRECIS_SUCCESS; i++)
    *repaired += counts[i];
  if (status == PRECIS_SUCCESS && *repaired > 0) {
    qsort(failed, (size_t)failures, sizeof *failed, by_head);
    status = precis_world_agree(world, create(&r, counts), NULL);
    if (status == PRECIS_SUCCESS)
      status = precis_execution_run(&r.execution, r.schedule.rounds);
    release(&r);
  }
  free(counts);
  return status;
}
