/* The heads move: queries are regrouped so that every rank has whole heads (or, where ranks do not
 * divide heads, parts of heads with equal work, see src/split.h). Keys and values come to each rank
 * a parcel at a time, of just the key/value heads that it needs, the next parcel in flight while
 * the present one is computed. Results go home at the end. */
#include <stdlib.h>
#include <string.h>

#include "mpi/task.h"
#include "src/cost.h"
#include "src/memory.h"
#include "src/problem.h"
#include "src/queries.h"

enum { QUERY_TAG = 15, PARCEL_TAG = 16, RESULT_TAG = 17 };

typedef struct regroup {
  precis_task *task;
  const precis_cut *mine; /* this rank's pieces lie between mine[0] and mine[1] */
  int pieces;
  int64_t *offset; /* pieces + 1: rows of all pieces before one */
  float *q;        /* offset[pieces] x dim */
  int64_t *position;
  precis_partial partial;
  precis_job *jobs;
  precis_parcel_kind kind;           /* of the key/value heads needed here */
  char *present, *next, *out_parcel; /* parcels */
  float *out, *in;                   /* messages of queries and of results */
} regroup;

static precis_piece piece_of(const regroup *r, int rank, int i)
{
  return precis_split_piece(r->task->cuts + rank, precis_visible_queries(r->task->map), i);
}

/* Rows of a piece that `home` holds: *first is the number of the first in the whole. */
static int64_t overlap(const regroup *r, precis_piece piece, int home, int64_t *first)
{
  const int64_t *start = r->task->map->start;
  int64_t low = piece.first > start[home] ? piece.first : start[home];
  int64_t high = piece.end < start[home + 1] ? piece.end : start[home + 1];
  *first = low;
  return high > low ? high - low : 0;
}

/* Rows that `home` holds of the pieces of `worker`. */
static int64_t rows_between(const regroup *r, int home, int worker)
{
  int64_t rows = 0, first;
  int pieces = precis_split_pieces(r->task->cuts + worker);
  for (int i = 0; i < pieces; i++)
    rows += overlap(r, piece_of(r, worker, i), home, &first);
  return rows;
}

static void pack_queries(const regroup *r, int worker, float *to)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int home = task->world->rank, pieces = precis_split_pieces(task->cuts + worker);
  for (int i = 0; i < pieces; i++) {
    precis_piece piece = piece_of(r, worker, i);
    int64_t first, rows = overlap(r, piece, home, &first);
    const float *q = task->q + ((first - task->map->start[home]) * p->heads + piece.head) * p->dim;
    for (int64_t j = 0; j < rows; j++, to += p->dim)
      memcpy(to, q + j * p->heads * p->dim, (size_t)p->dim * sizeof *to);
  }
}

static void unpack_queries(const regroup *r, int home, const float *from)
{
  int64_t dim = r->task->problem->dim;
  for (int i = 0; i < r->pieces; i++) {
    precis_piece piece = piece_of(r, r->task->world->rank, i);
    int64_t first, rows = overlap(r, piece, home, &first);
    if (rows > 0)
      memcpy(r->q + (r->offset[i] + first - piece.first) * dim, from,
             (size_t)(rows * dim) * sizeof *from);
    from += rows * dim;
  }
}

/* Results of this rank's pieces for `home`: value_dim outputs and the lse of each row. Returns -1
 * if one is not finite. */
static int pack_results(const regroup *r, int home, float *to)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int bad = 0;
  for (int i = 0; i < r->pieces; i++) {
    precis_piece piece = piece_of(r, task->world->rank, i);
    int64_t first, rows = overlap(r, piece, home, &first),
                   g = precis_problem_kv_head(p, piece.head);
    for (int64_t j = 0; j < rows; j++, to += p->value_dim + 1) {
      int64_t row = r->offset[i] + first - piece.first + j;
      double offset = precis_queries_offset(p, r->q + row * p->dim, task->k_center + g * p->dim);
      bad |=
          precis_partial_finish(&r->partial, row, p->value_dim, task->v_center + g * p->value_dim,
                                offset, to, to + p->value_dim);
    }
  }
  return bad;
}

static void unpack_results(const regroup *r, int worker, const float *from)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int home = task->world->rank, pieces = precis_split_pieces(task->cuts + worker);
  for (int i = 0; i < pieces; i++) {
    precis_piece piece = piece_of(r, worker, i);
    int64_t first, rows = overlap(r, piece, home, &first);
    for (int64_t j = 0; j < rows; j++, from += p->value_dim + 1) {
      int64_t row = (first - task->map->start[home] + j) * p->heads + piece.head;
      memcpy(task->out + row * p->value_dim, from, (size_t)p->value_dim * sizeof *from);
      task->lse[row] = from[p->value_dim];
    }
  }
}

/* Sends r->out (out_words) `shift` places to the right, receives r->in (in_words) from as far left.
 */
static int trade(regroup *r, int shift, int64_t out_words, int64_t in_words, int tag)
{
  precis_world *world = r->task->world;
  int right = (world->rank + shift) % world->ranks,
      left = (world->rank - shift + world->ranks) % world->ranks;
  int status = precis_world_receive(world, r->in, in_words * (int64_t)sizeof(float), left, tag,
                                    &r->task->flight[0]);
  if (status == PRECIS_SUCCESS)
    status = precis_world_send(world, r->out, out_words * (int64_t)sizeof(float), right, tag,
                               &r->task->flight[1]);
  int waited = precis_task_wait(r->task);
  return status == PRECIS_SUCCESS ? waited : status;
}

static int gather_queries(regroup *r)
{
  const precis_world *world = r->task->world;
  int64_t dim = r->task->problem->dim;
  pack_queries(r, world->rank, r->in);
  unpack_queries(r, world->rank, r->in);
  for (int shift = 1; shift < world->ranks; shift++) {
    int right = (world->rank + shift) % world->ranks,
        left = (world->rank - shift + world->ranks) % world->ranks;
    pack_queries(r, right, r->out);
    int status = trade(r, shift, rows_between(r, world->rank, right) * dim,
                       rows_between(r, left, world->rank) * dim, QUERY_TAG);
    if (status != PRECIS_SUCCESS)
      return status;
    unpack_queries(r, left, r->in);
  }
  return PRECIS_SUCCESS;
}

static int return_results(regroup *r)
{
  const precis_world *world = r->task->world;
  int64_t width = r->task->problem->value_dim + 1;
  int bad = pack_results(r, world->rank, r->in);
  unpack_results(r, world->rank, r->in);
  for (int shift = 1; shift < world->ranks; shift++) {
    int right = (world->rank + shift) % world->ranks,
        left = (world->rank - shift + world->ranks) % world->ranks;
    bad |= pack_results(r, right, r->out);
    int status = trade(r, shift, rows_between(r, right, world->rank) * width,
                       rows_between(r, world->rank, left) * width, RESULT_TAG);
    if (status != PRECIS_SUCCESS)
      return status;
    unpack_results(r, left, r->in);
  }
  return bad ? PRECIS_ERR_RANGE : PRECIS_SUCCESS;
}

static precis_parcel_kind kind_for(const regroup *r, int worker)
{
  precis_parcel_kind kind = r->task->kind;
  precis_cost_kv_heads(r->task->problem, r->task->cuts + worker,
                       precis_visible_queries(r->task->map), &kind.first_head, &kind.heads);
  return kind;
}

/* Without heads to work on, a rank wants no parcels, not even positions. */
static int64_t parcel_bytes(const precis_parcel_kind *kind, int64_t rows)
{
  return kind->heads > 0 ? precis_parcel_bytes(kind, rows) : 0;
}

static void pack_parcel(const regroup *r, const precis_parcel_kind *kind, int64_t number,
                        char *buffer)
{
  const precis_task *task = r->task;
  if (kind->heads > 0)
    precis_parcel_pack(kind, task->keys, number * task->tile_rows,
                       precis_task_parcel_rows(task, task->keys->rows, number), task->k_center,
                       task->v_center, task->engine.threads, buffer);
}

/* Starts the parcels of the next shift: one from the left into r->next, one of ours to the right.
 */
static int start_parcels(regroup *r, int64_t number, int shift)
{
  precis_task *task = r->task;
  const precis_world *world = task->world;
  int right = (world->rank + shift) % world->ranks,
      left = (world->rank - shift + world->ranks) % world->ranks;
  precis_parcel_kind theirs = kind_for(r, right);
  int64_t in = parcel_bytes(&r->kind, precis_task_parcel_rows(task, task->key_rows[left], number));
  int64_t out = parcel_bytes(&theirs, precis_task_parcel_rows(task, task->keys->rows, number));
  int status = precis_world_receive(task->world, r->next, in, left, PARCEL_TAG, &task->flight[0]);
  if (status != PRECIS_SUCCESS)
    return status;
  pack_parcel(r, &theirs, number, r->out_parcel);
  return precis_world_send(task->world, r->out_parcel, out, right, PARCEL_TAG, &task->flight[1]);
}

static void compute_parcel(regroup *r, int64_t key_rows)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  for (int i = 0; i < r->pieces; i++) {
    precis_piece piece = piece_of(r, task->world->rank, i);
    r->jobs[i] = (precis_job){
        .rows = piece.end - piece.first,
        .q = r->q + r->offset[i] * p->dim,
        .q_stride = p->dim,
        .query_position = p->causal ? r->position + piece.first : NULL,
        .key_position = precis_parcel_positions(&r->kind, r->present),
        .partial = precis_partial_at(&r->partial, r->offset[i], p->value_dim),
    };
    if (piece.end > piece.first)
      r->jobs[i].tile =
          precis_parcel_tile(&r->kind, key_rows, r->present,
                             precis_problem_kv_head(p, piece.head) - r->kind.first_head);
  }
  precis_task_compute(task, r->jobs, r->pieces);
}

static int attend_parcels(regroup *r, int64_t parcels)
{
  precis_task *task = r->task;
  int ranks = task->world->ranks;
  int status = PRECIS_SUCCESS;
  for (int64_t step = 0; step < parcels * ranks && status == PRECIS_SUCCESS; step++) {
    int64_t number = step / ranks;
    int shift = (int)(step % ranks), source = (task->world->rank - shift + ranks) % ranks;
    if (shift == 0)
      pack_parcel(r, &r->kind, number, r->present);
    if (shift + 1 < ranks)
      status = start_parcels(r, number, shift + 1);
    compute_parcel(r, precis_task_parcel_rows(task, task->key_rows[source], number));
    int waited = precis_task_wait(task);
    status = status == PRECIS_SUCCESS ? waited : status;
    char *spent = r->present;
    r->present = r->next;
    r->next = spent;
    precis_task_progress(task, step + 1, parcels * ranks);
  }
  return status;
}

/* The largest messages of queries or results and the largest parcels for others. */
static void largest(const regroup *r, int64_t *words, int64_t *theirs)
{
  const precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int64_t rows = 0, width = p->dim > p->value_dim + 1 ? p->dim : p->value_dim + 1;
  int64_t parcel = precis_task_parcel_rows(task, task->keys->rows, 0);
  *theirs = 0;
  for (int rank = 0; rank < task->world->ranks; rank++) {
    precis_parcel_kind kind = kind_for(r, rank);
    int64_t there = rows_between(r, task->world->rank, rank),
            here = rows_between(r, rank, task->world->rank);
    int64_t bytes = parcel_bytes(&kind, parcel);
    rows = there > rows ? there : rows;
    rows = here > rows ? here : rows;
    *theirs = bytes > *theirs ? bytes : *theirs;
  }
  *words = rows * width;
}

static int create(regroup *r, int64_t most_keys)
{
  precis_task *task = r->task;
  const precis_problem *p = task->problem;
  int64_t queries = precis_visible_queries(task->map), words, theirs;
  r->offset = precis_memory_array(r->pieces + 1, sizeof *r->offset);
  if (r->offset == NULL)
    return PRECIS_ERR_MEMORY;
  r->offset[0] = 0;
  for (int i = 0; i < r->pieces; i++) {
    precis_piece piece = piece_of(r, task->world->rank, i);
    r->offset[i + 1] = r->offset[i] + piece.end - piece.first;
  }
  largest(r, &words, &theirs);
  int64_t rows = r->offset[r->pieces],
          keys = most_keys < task->tile_rows ? most_keys : task->tile_rows;
  r->q = precis_memory_array(rows * p->dim, sizeof *r->q);
  r->position = precis_memory_array(p->causal ? queries : 0, sizeof *r->position);
  r->jobs = precis_memory_array(r->pieces, sizeof *r->jobs);
  r->present = precis_memory_array(parcel_bytes(&r->kind, keys), 1);
  r->next = precis_memory_array(parcel_bytes(&r->kind, keys), 1);
  r->out_parcel = precis_memory_array(theirs, 1);
  r->out = precis_memory_array(words, sizeof *r->out);
  r->in = precis_memory_array(words, sizeof *r->in);
  if (!r->q || !r->position || !r->jobs || !r->present || !r->next || !r->out_parcel || !r->out ||
      !r->in)
    return PRECIS_ERR_MEMORY;
  for (int64_t i = 0; i < queries && p->causal; i++)
    r->position[i] = precis_visible_position(task->map, i);
  return precis_partial_create(&r->partial, rows, p->value_dim);
}

static void release(regroup *r)
{
  precis_partial_free(&r->partial);
  free(r->in);
  free(r->out);
  free(r->out_parcel);
  free(r->next);
  free(r->present);
  free(r->jobs);
  free(r->position);
  free(r->q);
  free(r->offset);
}

int precis_heads_run(precis_task *task)
{
  regroup r = {.task = task, .mine = task->cuts + task->world->rank};
  r.pieces = precis_split_pieces(r.mine);
  r.kind = kind_for(&r, task->world->rank);
  int64_t most = 0;
  for (int rank = 0; rank < task->world->ranks; rank++)
    most = task->key_rows[rank] > most ? task->key_rows[rank] : most;
  int status = precis_world_agree(task->world, create(&r, most), NULL);
  if (status == PRECIS_SUCCESS)
    status = gather_queries(&r);
  if (status == PRECIS_SUCCESS)
    status = attend_parcels(&r, precis_task_parcels(task, most));
  if (status == PRECIS_SUCCESS)
    status = return_results(&r);
  release(&r);
  return status;
}
