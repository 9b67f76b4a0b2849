#include "mpi/moves/repair.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/moves/execute.h"
#include "src/base/memory.h"
#include "src/exact/precise.h"
#include "src/base/problem.h"
#include "src/rows/queries.h"

/* The queries move with (row, head) pairs for queries, as src/schedule/queries.c has it. What
 * travels of a pair is a record: its int64 position, its int32 head, dim floats. Rows of all ranks
 * that share a round are attended together, ordered by head: of one rank there are often too few of
 * a head to fill a block of the kernel. */
typedef struct repair {
  precis_task *task;
  int precise;
  precis_queries_shape shape;
  precis_schedule schedule;
  precis_execution execution;
  const precis_failed_row *failed;
  int64_t rows, taken; /* of the round at hand, and how many of them are here */
  int64_t *first;      /* heads + 1: where in the order each begins */
  unsigned char *some; /* kv_heads: whether there are rows of it */
  int64_t *place;      /* rows: of each record in the order */
  int64_t *position;   /* rows, in order */
  float *q;            /* rows x dim, in order */
  precis_job *jobs;
  precis_partial partial; /* rows, in order */
} repair;

enum { HEAD_AT = sizeof(int64_t), QUERY_AT = HEAD_AT + sizeof(int32_t) };

static int by_head(const void *a, const void *b)
{
  const precis_failed_row *x = a, *y = b;
  if (x->head != y->head)
    return x->head < y->head ? -1 : 1;
  return (x->row > y->row) - (x->row < y->row);
}

static void pack_rows(repair *r, int64_t first, int64_t rows, char *record)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  for (int64_t i = 0; i < rows; i++, record += r->shape.row_bytes) {
    const precis_failed_row *f = &r->failed[first + i];
    int64_t position = task->map->first_position[task->world->rank] + f->row;
    int32_t head = f->head;
    memcpy(record, &position, sizeof position);
    memcpy(record + HEAD_AT, &head, sizeof head);
    memcpy(record + QUERY_AT, task->q + (f->row * p->heads + f->head) * p->dim,
           (size_t)p->dim * sizeof(float));
  }
}

static const char *record_of(const repair *r, int64_t i)
{
  return r->execution.slot[PRECIS_QUERIES_BATCH] + i * r->shape.row_bytes;
}

static int head_of(const repair *r, int64_t i)
{
  int32_t head;
  memcpy(&head, record_of(r, i) + HEAD_AT, sizeof head);
  return head;
}

/* All records are here. */
static void put_in_order(repair *r)
{
  const precis_problem *p = r->task->problem;
  memset(r->first, 0, ((size_t)p->heads + 1) * sizeof *r->first);
  for (int64_t i = 0; i < r->rows; i++)
    r->place[i] = r->first[head_of(r, i) + 1]++;
  memset(r->some, 0, (size_t)p->kv_heads);
  for (int h = 0; h < p->heads; h++) {
    r->some[precis_problem_kv_head(p, h)] |= r->first[h + 1] > 0;
    r->first[h + 1] += r->first[h];
  }
  for (int64_t i = 0; i < r->rows; i++) {
    int64_t to = r->place[i] += r->first[head_of(r, i)];
    memcpy(&r->position[to], record_of(r, i), sizeof *r->position);
    memcpy(r->q + to * p->dim, record_of(r, i) + QUERY_AT, (size_t)p->dim * sizeof *r->q);
  }
}

/* Every head's rows against a parcel of this rank's keys. */
static void attend_own_keys(repair *r, const precis_step *step)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  const char *parcel = precis_execution_at(&r->execution, step);
  for (int h = 0; h < p->heads; h++)
    r->jobs[h] = (precis_job){
        .rows = r->first[h + 1] - r->first[h],
        .q = r->q + r->first[h] * p->dim,
        .q_stride = p->dim,
        .query_position = p->causal ? r->position + r->first[h] : NULL,
        .tile =
            precis_parcel_tile(&task->kind, step->block.rows, parcel, precis_problem_kv_head(p, h)),
        .key_position = precis_parcel_positions(&task->kind, parcel),
        .partial = precis_partial_at(&r->partial, r->first[h], precis_problem_columns(p)),
    };
  precis_task_compute(task, r->jobs, p->heads);
}

/* The same in double, against the keys themselves. */
static void attend_precisely(repair *r, const precis_step *step)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  double start = MPI_Wtime();
  for (int h = 0; h < p->heads; h++) {
    precis_partial partial =
        precis_partial_at(&r->partial, r->first[h], precis_problem_columns(p));
    task->pairs += (double)precis_precise_attend(
        &task->terms, precis_problem_kv_head(p, h), task->keys, step->block.first, step->block.rows,
        r->first[h + 1] - r->first[h], r->q + r->first[h] * p->dim,
        p->causal ? r->position + r->first[h] : NULL, task->engine.threads, &partial);
    if (task->poll != NULL && task->poll_status == PRECIS_SUCCESS)
      task->poll_status = task->poll(task->poll_context);
  }
  task->seconds_exact += MPI_Wtime() - start;
}

static void pack_partials(const repair *r, const precis_step *step, float *to)
{
  int64_t first = precis_queries_first(&r->shape, step);
  int columns = r->shape.columns;
  for (int64_t i = 0; i < step->block.rows; i++, to += r->shape.partial_words) {
    precis_partial row = precis_partial_at(&r->partial, r->place[first + i], columns);
    if (r->precise)
      precis_precise_pack(&row, columns, to);
    else
      precis_partial_pack(&row, 1, columns, to);
  }
}

static void merge_partials(repair *r, const precis_step *step, const float *from)
{
  int64_t first = precis_queries_first(&r->shape, step);
  int columns = r->shape.columns;
  for (int64_t i = 0; i < step->block.rows; i++, from += r->shape.partial_words) {
    precis_partial row = precis_partial_at(&r->partial, r->place[first + i], columns);
    if (r->precise)
      precis_precise_merge(&row, columns, from);
    else
      precis_partial_merge_packed(&row, 1, columns, from);
  }
}

static int finish(repair *r, const precis_step *step)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int64_t first = precis_queries_first(&r->shape, step);
  int bad = 0;
  for (int64_t i = 0; i < step->block.rows; i++) {
    const precis_failed_row *f = &r->failed[step->block.first + i];
    int64_t at = f->row * p->heads + f->head;
    const precis_partial row =
        precis_partial_at(&r->partial, r->place[first + i], r->shape.columns);
    bad |= (r->precise ? precis_row_finish_double : precis_row_finish_exact)(
        &task->terms, precis_problem_kv_head(p, f->head), task->q + at * p->dim, &row,
        precis_finished_at(&task->to, at, p->value_dim));
  }
  return bad ? PRECIS_ERR_RANGE : PRECIS_SUCCESS;
}

static void pack_step(repair *r, const precis_step *step)
{
  const precis_task *task = r->task;
  const precis_block *b = &step->block;
  void *to = precis_execution_at(&r->execution, step);
  if (step->matter == PRECIS_MATTER_QUERIES)
    pack_rows(r, b->first, b->rows, to);
  else if (step->matter == PRECIS_MATTER_KEYS && !r->precise)
    precis_parcel_pack_some(&task->kind, task->keys, b->first, b->rows, &task->terms, r->some,
                            task->engine.threads, to);
  else if (step->matter != PRECIS_MATTER_KEYS)
    pack_partials(r, step, to);
}

static int work(precis_execution *x, const precis_step *step)
{
  repair *r = x->move;
  switch (step->kind) {
  case PRECIS_STEP_PACK:
    pack_step(r, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_CLEAR:
    r->rows = step->block.rows;
    r->taken = 0;
    precis_partial_clear(&r->partial, r->rows, r->shape.columns);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_UNPACK:
    r->taken += step->block.rows;
    if (r->taken == r->rows)
      put_in_order(r);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_COMPUTE:
    if (r->precise)
      attend_precisely(r, step);
    else
      attend_own_keys(r, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_MERGE:
    merge_partials(r, step, precis_execution_at(x, step));
    return PRECIS_SUCCESS;
  case PRECIS_STEP_FINISH:
    return finish(r, step);
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

static int create(repair *r, const int64_t *counts)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  precis_placement at = precis_task_placement(task);
  r->shape = precis_shape_repair(&at, counts, r->precise);
  r->schedule = precis_schedule_queries(&r->shape, &task->world->layout);
  int64_t rows = r->shape.batch_rows;
  r->jobs = precis_memory_array(p->heads, sizeof *r->jobs);
  r->first = precis_memory_array(p->heads + 1, sizeof *r->first);
  r->some = precis_memory_array(p->kv_heads, sizeof *r->some);
  r->place = precis_memory_array(rows, sizeof *r->place);
  r->position = precis_memory_array(rows, sizeof *r->position);
  r->q = precis_memory_array(rows, (size_t)p->dim * sizeof *r->q);
  int status = precis_execution_create(task, &r->schedule, work, r, &r->execution);
  r->execution.tells = 0;
  int made = r->jobs && r->first && r->some && r->place && r->position && r->q;
  if (status != PRECIS_SUCCESS || !made)
    return PRECIS_ERR_MEMORY;
  return precis_partial_create(&r->partial, rows, r->shape.columns);
}

static void release(repair *r)
{
  precis_execution_free(&r->execution);
  precis_partial_free(&r->partial);
  free(r->q);
  free(r->position);
  free(r->place);
  free(r->some);
  free(r->first);
  free(r->jobs);
}

int precis_repair_run(precis_task *task, precis_failed_row *failed, int64_t failures, int precise,
                      int64_t *repaired)
{
  precis_world *world = task->world;
  repair r = {.task = task, .precise = precise, .failed = failed};
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
