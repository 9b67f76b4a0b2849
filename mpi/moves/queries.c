/* The queries move: every query goes to every rank, which attends to the keys it holds; partial
 * results come back along a tree, as src/schedule/queries.c has it. Here is what a step does on
 * this rank. Rounds bound the memory. */
#include <stdlib.h>
#include <string.h>

#include "mpi/rows/deal.h"
#include "mpi/moves/execute.h"
#include "src/base/memory.h"
#include "src/base/problem.h"
#include "src/rows/queries.h"

typedef struct spread {
  precis_task *task;
  precis_queries_shape shape;
  precis_schedule schedule;
  precis_shape_rows rows;
  const precis_keys *keys;
  precis_keys dealt;
  int64_t *position; /* batch_rows */
  precis_job *jobs;
  precis_queries queries; /* of the round */
} spread;

/* The queries themselves are attended where they lie. */
static void unpack(spread *s, const precis_step *step)
{
  const precis_block *b = &step->block;
  int64_t first = precis_queries_first(&s->shape, step);
  for (int64_t i = 0; i < b->rows; i++)
    s->position[first + i] = s->task->map->first_position[b->owner] + b->first + i;
}

static void pack(spread *s, const precis_step *step, void *to)
{
  precis_task *task = s->task;
  const precis_problem *p = task->problem;
  const precis_block *b = &step->block;
  if (step->matter == PRECIS_MATTER_QUERIES)
    memcpy(to, task->q + b->first * p->heads * p->dim, (size_t)step->bytes);
  else if (step->matter == PRECIS_MATTER_KEYS)
    precis_parcel_pack(&task->kind, s->keys, b->first, b->rows, &task->terms,
                       task->engine.threads, to);
  else
    precis_queries_pack(p, &s->queries, precis_queries_first(&s->shape, step), b->rows, to);
}

static int finish(spread *s, const precis_step *step)
{
  precis_task *task = s->task;
  const precis_problem *p = task->problem;
  const precis_block *b = &step->block;
  const precis_finished to = precis_finished_at(&task->to, b->first * p->heads, p->value_dim);
  return precis_queries_finish(&task->terms, &s->queries, precis_queries_first(&s->shape, step),
                               b->rows, &to)
             ? PRECIS_ERR_RANGE
             : PRECIS_SUCCESS;
}

static int work(precis_execution *x, const precis_step *step)
{
  spread *s = x->move;
  precis_task *task = s->task;
  const precis_problem *p = task->problem;
  switch (step->kind) {
  case PRECIS_STEP_EXCHANGE:
    s->keys = &s->dealt;
    return precis_deal_keys(task->world, task->keys, &s->shape.keys.to, &s->dealt);
  case PRECIS_STEP_PACK:
    pack(s, step, precis_execution_at(x, step));
    return PRECIS_SUCCESS;
  case PRECIS_STEP_CLEAR:
    s->queries.rows = step->block.rows;
    precis_partial_clear(&s->queries.partial, step->block.rows * p->heads,
                         precis_problem_columns(p));
    return PRECIS_SUCCESS;
  case PRECIS_STEP_UNPACK:
    unpack(s, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_COMPUTE:
    precis_queries_jobs(p, &s->queries, &task->kind, step->block.rows, precis_execution_at(x, step),
                        s->jobs);
    precis_task_compute(task, s->jobs, p->heads);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_MERGE:
    precis_queries_merge(p, &s->queries, precis_queries_first(&s->shape, step), step->block.rows,
                         precis_execution_at(x, step));
    return PRECIS_SUCCESS;
  case PRECIS_STEP_FINISH:
    return finish(s, step);
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

/* All memory but that of the exchange, which takes and agrees on its own. */
static int create(spread *s, precis_execution *x)
{
  precis_placement at = precis_task_placement(s->task);
  int status = precis_shape_queries(&at, &s->rows, &s->shape);
  if (status != PRECIS_SUCCESS)
    return status;
  s->schedule = precis_schedule_queries(&s->shape, &s->task->world->layout);
  s->position = precis_memory_array(s->shape.batch_rows, sizeof *s->position);
  s->jobs = precis_memory_array(s->task->problem->heads, sizeof *s->jobs);
  status = precis_execution_create(s->task, &s->schedule, work, s, x);
  if (status != PRECIS_SUCCESS || s->position == NULL || s->jobs == NULL)
    return PRECIS_ERR_MEMORY;
  return precis_queries_create(s->task->problem, s->shape.batch_rows,
                               (const float *)x->slot[PRECIS_QUERIES_BATCH], s->position,
                               &s->queries);
}

int precis_queries_run(precis_task *task)
{
  spread s = {.task = task, .keys = task->keys};
  precis_execution x = {0};
  int status = precis_world_agree(task->world, create(&s, &x), NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_execution_run(&x, s.schedule.rounds);
  precis_execution_free(&x);
  precis_queries_free(&s.queries);
  precis_keys_free(&s.dealt);
  free(s.jobs);
  free(s.position);
  precis_shape_rows_free(&s.rows);
  return status;
}
