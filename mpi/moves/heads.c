/* The heads move: queries are regrouped so that every rank has whole heads (or, where ranks do not
 * divide heads, parts of heads with equal work, see src/layout/split.h), as src/schedule/heads.c has it.
 * Here is what a step does on this rank. */
#include <stdlib.h>
#include <string.h>

#include "mpi/moves/execute.h"
#include "src/base/memory.h"
#include "src/base/problem.h"
#include "src/rows/queries.h"

typedef struct regroup {
  precis_task *task;
  precis_heads_shape shape;
  precis_schedule schedule;
  int pieces;        /* this rank's */
  int64_t *position; /* of all queries */
  precis_partial partial;
  precis_job *jobs;
  precis_parcel_kind kind; /* of the key/value heads needed here */
} regroup;

static precis_piece piece_of(const regroup *r, int i)
{
  return precis_split_piece(r->task->cuts + r->task->world->rank,
                            precis_visible_queries(r->task->map), i);
}

static int64_t offset_of(const regroup *r, int i)
{
  return precis_heads_offset(&r->shape, r->task->world->rank, i);
}

/* Rows of one head from the caller's queries. */
static void pack_queries(const regroup *r, const precis_block *b, float *to)
{
  const precis_problem *p = r->task->problem;
  const float *q = r->task->q + (b->first * p->heads + b->first_head) * p->dim;
  for (int64_t j = 0; j < b->rows; j++, to += p->dim)
    memcpy(to, q + j * p->heads * p->dim, (size_t)p->dim * sizeof *to);
}

/* Results of one head's rows: value_dim outputs, the lse and the proof of each. */
static int pack_results(const precis_execution *x, const precis_block *b, float *to)
{
  const regroup *r = x->move;
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int i = b->first_head - task->cuts[task->world->rank].head, bad = 0;
  int64_t first = offset_of(r, i) + task->map->start[b->owner] + b->first - piece_of(r, i).first;
  int g = precis_problem_kv_head(p, b->first_head);
  const float *q = (const float *)x->slot[PRECIS_HEADS_QUERIES];
  int columns = precis_problem_columns(p);
  for (int64_t row = first; row < first + b->rows; row++, to += precis_problem_results(p)) {
    precis_finished here = {to, to + p->value_dim, to + p->value_dim + 1};
    const precis_partial partial = precis_partial_at(&r->partial, row, columns);
    bad |= precis_row_finish_exact(&task->terms, g, q + row * p->dim, &partial, here);
  }
  return bad ? PRECIS_ERR_RANGE : PRECIS_SUCCESS;
}

static void unpack_results(const regroup *r, const precis_block *b, const float *from)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  for (int64_t j = 0; j < b->rows; j++, from += precis_problem_results(p)) {
    int64_t row = (b->first + j) * p->heads + b->first_head;
    precis_finished to = precis_finished_at(&task->to, row, p->value_dim);
    memcpy(to.out, from, (size_t)p->value_dim * sizeof *from);
    *to.lse = from[p->value_dim];
    memcpy(to.proof, from + p->value_dim + 1, PRECIS_PROOF_NUMBERS * sizeof *from);
  }
}

static void pack_keys(const regroup *r, const precis_block *b, void *to)
{
  const precis_task *task = r->task;
  precis_parcel_kind kind = r->kind;
  kind.first_head = b->first_head;
  kind.heads = b->heads;
  precis_parcel_pack(&kind, task->keys, b->first, b->rows, &task->terms,
                     task->engine.threads, to);
}

static void compute(precis_execution *x, const precis_step *step)
{
  regroup *r = x->move;
  const precis_problem *p = r->task->problem;
  const void *parcel = precis_execution_at(x, step);
  for (int i = 0; i < r->pieces; i++) {
    precis_piece piece = piece_of(r, i);
    int64_t offset = offset_of(r, i);
    r->jobs[i] = (precis_job){
        .rows = piece.end - piece.first,
        .q = (const float *)x->slot[PRECIS_HEADS_QUERIES] + offset * p->dim,
        .q_stride = p->dim,
        .query_position = p->causal ? r->position + piece.first : NULL,
        .key_position = precis_parcel_positions(&r->kind, parcel),
        .partial = precis_partial_at(&r->partial, offset, precis_problem_columns(p)),
    };
    if (piece.end > piece.first)
      r->jobs[i].tile =
          precis_parcel_tile(&r->kind, step->block.rows, parcel,
                             precis_problem_kv_head(p, piece.head) - r->kind.first_head);
  }
  precis_task_compute(r->task, r->jobs, r->pieces);
}

static int work(precis_execution *x, const precis_step *step)
{
  regroup *r = x->move;
  void *at = precis_execution_at(x, step);
  switch (step->kind) {
  case PRECIS_STEP_PACK:
    if (step->matter == PRECIS_MATTER_RESULTS)
      return pack_results(x, &step->block, at);
    if (step->matter == PRECIS_MATTER_QUERIES)
      pack_queries(r, &step->block, at);
    else
      pack_keys(r, &step->block, at);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_UNPACK:
    if (step->matter == PRECIS_MATTER_QUERIES)
      memcpy(x->slot[step->into] + step->into_offset, at, (size_t)step->bytes);
    else
      unpack_results(r, &step->block, at);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_COMPUTE:
    compute(x, step);
    return PRECIS_SUCCESS;
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

static int create(regroup *r, precis_execution *x)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int64_t queries = precis_visible_queries(task->map);
  r->position = precis_memory_array(p->causal ? queries : 0, sizeof *r->position);
  r->jobs = precis_memory_array(r->pieces, sizeof *r->jobs);
  int status = precis_execution_create(r->task, &r->schedule, work, r, x);
  if (status != PRECIS_SUCCESS || r->position == NULL || r->jobs == NULL)
    return PRECIS_ERR_MEMORY;
  for (int64_t i = 0; i < queries && p->causal; i++)
    r->position[i] = precis_visible_position(task->map, i);
  return precis_partial_create(&r->partial, offset_of(r, r->pieces), precis_problem_columns(p));
}

int precis_heads_run(precis_task *task)
{
  precis_placement at = precis_task_placement(task);
  regroup r = {.task = task,
               .shape = precis_shape_heads(&at),
               .pieces = precis_split_pieces(task->cuts + task->world->rank)};
  precis_execution x = {0};
  r.kind = precis_heads_kind(&r.shape, task->world->rank);
  r.schedule = precis_schedule_heads(&r.shape, &task->world->layout);
  int status = precis_world_agree(task->world, create(&r, &x), NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_execution_run(&x, r.schedule.rounds);
  precis_execution_free(&x);
  precis_partial_free(&r.partial);
  free(r.jobs);
  free(r.position);
  return status;
}
