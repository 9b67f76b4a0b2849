/* Outlier keys travel as tokens: every rank's to all others along trees, in batches that bound the
 * memory, as src/schedule/spread.c has it, and every rank attends to them with its own queries. */
#include <stdlib.h>
#include <string.h>

#include "mpi/moves/execute.h"
#include "mpi/summaries/summary_work.h"
#include "src/base/memory.h"
#include "src/base/problem.h"

/* A batch on its way: positions, then k, v and bias of all key/value heads. */
typedef struct exchange {
  precis_task *task;
  precis_spread_shape shape;
  precis_schedule schedule;
  precis_execution execution;
  const precis_keys *tokens; /* this rank's */
  precis_keys waiting;       /* that have come, and are not attended to yet */
  precis_queries *exact;
  precis_keys *kept_tokens;
  precis_parcel_kind kind;
  precis_outlier_arrays at;
} exchange;

static int create(exchange *x)
{
  const precis_task *task = x->task;
  x->kind = task->kind;
  x->kind.with_bias = 1;
  x->kind.with_positions = x->exact->position != NULL;
  precis_allotment allotment = {.failed = 0};
  precis_outlier_arrays_lay(task->world->ranks, task->problem->heads,
                            precis_parcel_bytes(&x->kind, PRECIS_OUTLIERS_MOST), &allotment, &x->at);
  x->shape = precis_shape_outlier_keys(task->problem, x->at.counts);
  x->waiting = (precis_keys){
      .kv_heads = x->tokens->kv_heads, .dim = x->tokens->dim, .value_dim = x->tokens->value_dim};
  int status = precis_keys_reserve(&x->waiting, x->shape.batch_rows, 1);
  return allotment.failed ? PRECIS_ERR_MEMORY : status;
}

static void release(exchange *x)
{
  precis_execution_free(&x->execution);
  precis_keys_free(&x->waiting);
  precis_outlier_arrays_free(&x->at);
}

/* The rows of a message as keys. */
static precis_keys view(const exchange *x, int64_t rows)
{
  int64_t *message = (int64_t *)x->execution.slot[PRECIS_SPREAD_BATCH];
  precis_keys keys = *x->tokens;
  keys.rows = rows;
  keys.position = message;
  keys.k = (float *)(message + rows);
  keys.v = keys.k + rows * keys.kv_heads * keys.dim;
  keys.bias = keys.v + rows * keys.kv_heads * keys.value_dim;
  return keys;
}

static void pack(exchange *x, int64_t first, int64_t rows)
{
  const precis_keys *from = x->tokens;
  precis_keys to = view(x, rows);
  int64_t k_row = (int64_t)from->kv_heads * from->dim,
          v_row = (int64_t)from->kv_heads * from->value_dim;
  memcpy(to.position, from->position + first, (size_t)rows * sizeof *to.position);
  memcpy(to.k, from->k + first * k_row, (size_t)(rows * k_row) * sizeof *to.k);
  memcpy(to.v, from->v + first * v_row, (size_t)(rows * v_row) * sizeof *to.v);
  memcpy(to.bias, from->bias + first, (size_t)rows * sizeof *to.bias);
}

static void attend(exchange *x)
{
  precis_task *task = x->task;
  precis_keys *keys = &x->waiting;
  if (keys->rows == 0)
    return;
  precis_parcel_pack(&x->kind, keys, 0, keys->rows, &task->terms,
                     task->engine.threads, x->at.parcel);
  precis_queries_jobs(task->problem, x->exact, &x->kind, keys->rows, x->at.parcel, x->at.jobs);
  precis_task_compute(task, x->at.jobs, task->problem->heads);
  keys->rows = 0;
}

/* All queries pass by for whatever is attended to, so it had better be more than the few keys that
 * one rank has. In a parcel, positions ascend. */
static void take(exchange *x, int64_t rows)
{
  precis_keys keys = view(x, rows), *waiting = &x->waiting;
  int late = waiting->rows > 0 && waiting->position[waiting->rows - 1] > keys.position[0];
  if (waiting->rows + rows > x->shape.batch_rows || (x->kind.with_positions && late))
    attend(x);
  precis_keys_append(waiting, &keys);
  if (x->kept_tokens != NULL)
    precis_keys_append(x->kept_tokens, &keys);
}

static int work(precis_execution *execution, const precis_step *step)
{
  exchange *x = execution->move;
  switch (step->kind) {
  case PRECIS_STEP_PACK:
    pack(x, step->block.first, step->block.rows);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_COMPUTE:
    take(x, step->block.rows);
    return PRECIS_SUCCESS;
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

static int plan_schedule(exchange *x)
{
  x->schedule = precis_schedule_spread(&x->shape, &x->task->world->layout);
  int status = precis_execution_create(x->task, &x->schedule, work, x, &x->execution);
  x->execution.tells = 0;
  return status;
}

/* All ranks know how many tokens each has, and have room for those that are kept. */
static int prepare(exchange *x)
{
  precis_world *world = x->task->world;
  int64_t total = 0;
  int status = precis_world_agree(world, create(x), NULL);
  if (status == PRECIS_SUCCESS &&
      MPI_Allgather(&x->tokens->rows, 1, MPI_INT64_T, x->at.counts, 1, MPI_INT64_T, world->comm))
    status = PRECIS_ERR_MPI;
  if (status != PRECIS_SUCCESS)
    return status;
  for (int r = 0; r < world->ranks; r++)
    total += x->at.counts[r];
  status = plan_schedule(x);
  if (status == PRECIS_SUCCESS && x->kept_tokens != NULL)
    status = precis_keys_reserve(x->kept_tokens, total, 1);
  return precis_world_agree(world, status, NULL);
}

int precis_summary_attend_outliers(precis_summary_work *work, precis_queries *exact,
                                   precis_keys *kept_tokens)
{
  if (work->plan->outlier_keys == 0)
    return PRECIS_SUCCESS;
  exchange x = {.task = work->task,
                .tokens = &work->split.tokens,
                .exact = exact,
                .kept_tokens = kept_tokens};
  int status = prepare(&x);
  if (status == PRECIS_SUCCESS)
    status = precis_execution_run(&x.execution, x.schedule.rounds);
  if (status == PRECIS_SUCCESS)
    attend(&x);
  release(&x);
  return status;
}

void precis_summary_gather_queries(const precis_summary_work *work, int g, int64_t index,
                                   const precis_queries *exact, precis_row *row)
{
  const precis_terms *terms = &work->task->terms;
  const precis_problem *p = terms->problem;
  int64_t i = index / work->group, head = g * work->group + index % work->group;
  int64_t at = head * exact->rows + i;
  const float *q = exact->q + (i * p->heads + head) * p->dim;
  precis_row_add_exact(terms, g, precis_row_query_norm(p->dim, q), exact->partial.m[at],
                       exact->partial.l[at],
                       exact->partial.o + at * precis_problem_columns(p), row);
}
