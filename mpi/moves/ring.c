/* The tiles move: parcels of keys and values go round a ring of nodes, as src/schedule/tiles.c has
 * it. Here is what a step does on this rank. */
#include <stdlib.h>

#include "mpi/rows/deal.h"
#include "mpi/moves/execute.h"
#include "src/base/memory.h"
#include "src/rows/queries.h"

typedef struct ring {
  precis_task *task;
  precis_tiles_shape shape;
  precis_schedule schedule;
  precis_shape_rows rows;
  int64_t *position; /* of queries at home */
  precis_finished to; /* of queries away from home */
  const precis_keys *keys;
  precis_keys dealt_keys;
  precis_dealt_queries dealt;
  precis_queries queries;
  precis_job *jobs;
} ring;

static int position_created(ring *r)
{
  const precis_task *task = r->task;
  int64_t at_home = task->deal_queries ? 0 : task->rows;
  r->position = precis_memory_array(at_home, sizeof *r->position);
  for (int64_t i = 0; i < at_home && r->position != NULL; i++)
    r->position[i] = task->map->first_position[task->world->rank] + i;
  return r->position != NULL;
}

static int exchange(ring *r, const precis_step *step)
{
  precis_task *task = r->task;
  int status;
  switch (step->matter) {
  case PRECIS_MATTER_KEYS:
    r->keys = &r->dealt_keys;
    return precis_deal_keys(task->world, task->keys, &r->shape.keys.to, &r->dealt_keys);
  case PRECIS_MATTER_QUERIES:
    status = precis_deal_queries(task->world, task->problem, task->map, task->q,
                                 &r->shape.queries.to, &r->dealt);
    r->queries.q = r->dealt.q;
    r->queries.position = task->problem->causal ? r->dealt.position : NULL;
    return status;
  case PRECIS_MATTER_RESULTS:
    return precis_deal_back(task->world, task->problem, task->map, &r->dealt, &r->to, &task->to);
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

/* Where a parcel lies, with this rank or with another of its node. */
static const void *parcel_of(const precis_execution *x, const precis_step *step)
{
  if (step->peer < 0)
    return precis_execution_at(x, step);
  return precis_execution_seen(x, x->schedule->nodes->local[step->peer], step);
}

static int work(precis_execution *x, const precis_step *step)
{
  ring *r = x->move;
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  switch (step->kind) {
  case PRECIS_STEP_EXCHANGE:
    return exchange(r, step);
  case PRECIS_STEP_CLEAR:
    return PRECIS_SUCCESS; /* made so */
  case PRECIS_STEP_PACK:
    precis_parcel_pack(&task->kind, r->keys, step->block.first, step->block.rows, &task->terms, task->engine.threads, precis_execution_at(x, step));
    return PRECIS_SUCCESS;
  case PRECIS_STEP_COMPUTE:
    precis_queries_jobs(p, &r->queries, &task->kind, step->block.rows, parcel_of(x, step), r->jobs);
    precis_task_compute(task, r->jobs, p->heads);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_FINISH:
    return precis_queries_finish(&task->terms, &r->queries, 0, r->queries.rows,
                                 task->deal_queries ? &r->to : &task->to)
               ? PRECIS_ERR_RANGE
               : PRECIS_SUCCESS;
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

/* All memory but that of exchanges, which take and agree on their own. */
static int create(ring *r, precis_execution *x)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  precis_placement at = precis_task_placement(task);
  r->jobs = precis_memory_array(p->heads, sizeof *r->jobs);
  if (r->jobs == NULL || !position_created(r) || precis_shape_tiles(&at, &r->rows, &r->shape))
    return PRECIS_ERR_MEMORY;
  const precis_world *world = task->world;
  r->schedule =
      precis_schedule_tiles(&r->shape, task->tiles_apart ? &world->apart : &world->layout);
  int64_t rows = r->rows.queries[task->world->rank];
  if (task->deal_queries) {
    int made = precis_finished_create(rows * p->heads, p->value_dim, &r->to);
    if (made != PRECIS_SUCCESS)
      return made;
  }
  int status = precis_execution_create(task, &r->schedule, work, r, x);
  return status == PRECIS_SUCCESS
             ? precis_queries_create(p, rows, task->q, r->position, &r->queries)
             : status;
}

static void release(ring *r)
{
  precis_queries_free(&r->queries);
  precis_dealt_queries_free(&r->dealt);
  precis_keys_free(&r->dealt_keys);
  free(r->jobs);
  precis_finished_free(&r->to);
  free(r->position);
  precis_shape_rows_free(&r->rows);
}

static int run(precis_task *task, int *without_room)
{
  ring r = {.task = task, .keys = task->keys};
  precis_execution x = {0};
  int status = precis_world_agree(task->world, create(&r, &x), NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_execution_open(&x);
  *without_room = x.without_room;
  if (status == PRECIS_SUCCESS)
    status = precis_execution_run(&x, r.schedule.rounds);
  precis_execution_free(&x);
  release(&r);
  return status;
}

/* Somebody else may have taken, since the plan was made, what it counted on. */
int precis_ring_run(precis_task *task)
{
  int without_room, status = run(task, &without_room);
  if (!without_room)
    return status;
  task->tiles_apart = 1;
  return run(task, &without_room);
}
