/* The heads move as a schedule. */
#include "src/schedule/cost.h"
#include "src/base/problem.h"
#include "src/schedule/emit.h"

enum { QUERY_TAG, PARCEL_TAG, RESULT_TAG };
enum { RECEIVING, SENDING, REQUESTS };

static const int64_t WORD = sizeof(float);

precis_parcel_kind precis_heads_kind(const precis_heads_shape *x, int rank)
{
  precis_parcel_kind kind = x->kind;
  precis_cost_kv_heads(x->problem, x->cuts + rank, precis_visible_queries(x->map), &kind.first_head,
                       &kind.heads);
  return kind;
}

int64_t precis_heads_offset(const precis_heads_shape *x, int rank, int i)
{
  int64_t queries = precis_visible_queries(x->map), rows = 0;
  if (i > 0) { /* what the first has, and whole heads */
    precis_piece first = precis_split_piece(x->cuts + rank, queries, 0);
    precis_piece last = precis_split_piece(x->cuts + rank, queries, i - 1);
    rows = first.end - first.first;
    rows += i > 1 ? (i - 2) * queries + last.end - last.first : 0;
  }
  return rows;
}

/* Without heads to work on, a rank wants no parcels, not even positions. */
static int64_t parcel_bytes(const precis_parcel_kind *kind, int64_t rows)
{
  return kind->heads > 0 ? precis_parcel_bytes(kind, rows) : 0;
}

/* What `home` has of piece i of `worker`. */
static precis_block overlap(const precis_heads_shape *x, int home, int worker, int i)
{
  precis_piece piece = precis_split_piece(x->cuts + worker, precis_visible_queries(x->map), i);
  const int64_t *start = x->map->start;
  int64_t low = piece.first > start[home] ? piece.first : start[home];
  int64_t high = piece.end < start[home + 1] ? piece.end : start[home + 1];
  return (precis_block){.owner = home,
                        .first = low - start[home],
                        .rows = high > low ? high - low : 0,
                        .first_head = piece.head,
                        .heads = 1};
}

/* All of it: rows are counted once for each head. */
static precis_block all_between(const precis_heads_shape *x, int home, int worker)
{
  int pieces = precis_split_pieces(x->cuts + worker);
  precis_block all = {
      .owner = home, .first_head = x->cuts[worker].head, .heads = pieces > 0 ? pieces : 0};
  for (int i = 0; i < pieces; i++)
    all.rows += overlap(x, home, worker, i).rows;
  return all;
}

/* The pieces of a message between home and worker, as they are packed and unpacked. */
static void emit_pieces(precis_emitter *e, precis_step_kind kind, precis_step_matter matter,
                        int home, int worker, int slot, int64_t row_bytes)
{
  const precis_heads_shape *x = e->schedule->shape;
  int pieces = precis_split_pieces(x->cuts + worker);
  int64_t offset = 0, dim = x->problem->dim;
  for (int i = 0; i < pieces; i++) {
    precis_step step = precis_step_new(kind, matter, overlap(x, home, worker, i));
    step.slot = slot;
    step.offset = offset;
    step.bytes = step.block.rows * row_bytes;
    if (matter == PRECIS_MATTER_QUERIES && kind == PRECIS_STEP_UNPACK) {
      precis_piece piece = precis_split_piece(x->cuts + worker, precis_visible_queries(x->map), i);
      int64_t row = x->map->start[home] + step.block.first - piece.first;
      step.into = PRECIS_HEADS_QUERIES;
      step.into_offset = (precis_heads_offset(x, worker, i) + row) * dim * WORD;
    } else if (matter == PRECIS_MATTER_RESULTS && kind == PRECIS_STEP_PACK) {
      step.into = PRECIS_HEADS_SUMS;
    }
    offset += step.bytes;
    if (step.block.rows > 0)
      precis_emit(e, step);
  }
}

/* One message each way: `matter` from `from` to `to` is what we send if we are `from`. For queries
 * from is home, for results it is the worker. */
static void emit_trade(precis_emitter *e, precis_step_matter matter, int shift)
{
  const precis_heads_shape *x = e->schedule->shape;
  int ranks = e->schedule->ranks, me = e->rank, right = (me + shift) % ranks,
      left = (me - shift + ranks) % ranks, results = matter == PRECIS_MATTER_RESULTS;
  int64_t bytes = (results ? precis_problem_results(x->problem) : x->problem->dim) * WORD;
  precis_block out = results ? all_between(x, right, me) : all_between(x, me, right);
  precis_block in = results ? all_between(x, me, left) : all_between(x, left, me);
  int slot = shift == 0 ? PRECIS_HEADS_OUT : PRECIS_HEADS_IN;
  emit_pieces(e, PRECIS_STEP_PACK, matter, out.owner, results ? me : right, PRECIS_HEADS_OUT,
              bytes);
  if (shift > 0) {
    int tag = results ? RESULT_TAG : QUERY_TAG;
    precis_emit_receive(
        e, matter, in, left,
        (precis_message_place){PRECIS_HEADS_IN, 0, in.rows * bytes, tag, RECEIVING});
    precis_emit_send(e, matter, out, right,
                     (precis_message_place){PRECIS_HEADS_OUT, 0, out.rows * bytes, tag, SENDING});
    precis_emit_wait(e, RECEIVING, REQUESTS);
  }
  emit_pieces(e, PRECIS_STEP_UNPACK, matter, in.owner, results ? left : me, slot, bytes);
}

static precis_block keys_of(const precis_heads_shape *x, const precis_parcel_kind *kind, int owner,
                            int64_t number)
{
  return (precis_block){.owner = owner,
                        .first = number * x->tile_rows,
                        .rows = precis_parcel_rows(x->key_rows[owner], x->tile_rows, number),
                        .first_head = kind->first_head,
                        .heads = kind->heads};
}

/* The parcels of the next shift: one from the left, one of ours to the right. */
static void next_parcels(precis_emitter *e, const precis_parcel_kind *kind, int64_t number,
                         int shift)
{
  const precis_heads_shape *x = e->schedule->shape;
  int ranks = e->schedule->ranks, right = (e->rank + shift) % ranks,
      left = (e->rank - shift + ranks) % ranks;
  precis_parcel_kind theirs = precis_heads_kind(x, right);
  precis_block in = keys_of(x, kind, left, number), out = keys_of(x, &theirs, e->rank, number);
  int64_t out_bytes = parcel_bytes(&theirs, out.rows);
  precis_emit_receive(e, PRECIS_MATTER_KEYS, in, left,
                      (precis_message_place){PRECIS_HEADS_PARCEL + shift % 2, 0,
                                             parcel_bytes(kind, in.rows), PARCEL_TAG, RECEIVING});
  if (out_bytes > 0)
    precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_KEYS, out, PRECIS_HEADS_PARCEL_OUT,
                      out_bytes, -1);
  precis_emit_send(
      e, PRECIS_MATTER_KEYS, out, right,
      (precis_message_place){PRECIS_HEADS_PARCEL_OUT, 0, out_bytes, PARCEL_TAG, SENDING});
}

static void emit_parcel(precis_emitter *e, int64_t number, int shift)
{
  const precis_heads_shape *x = e->schedule->shape;
  int ranks = e->schedule->ranks, slot = PRECIS_HEADS_PARCEL + shift % 2;
  precis_parcel_kind kind = precis_heads_kind(x, e->rank);
  precis_block keys = keys_of(x, &kind, (e->rank - shift + ranks) % ranks, number);
  int64_t bytes = parcel_bytes(&kind, keys.rows);
  if (shift == 0 && bytes > 0)
    precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_KEYS, keys, slot, bytes, -1);
  if (shift + 1 < ranks)
    next_parcels(e, &kind, number, shift + 1);
  if (bytes > 0)
    precis_emit_local(e, PRECIS_STEP_COMPUTE, PRECIS_MATTER_KEYS, keys, slot, bytes,
                      PRECIS_HEADS_SUMS);
  if (shift + 1 < ranks)
    precis_emit_wait(e, RECEIVING, REQUESTS);
}

static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  int shift = (int)(round % s->ranks);
  if (round < s->ranks)
    emit_trade(&e, PRECIS_MATTER_QUERIES, shift);
  else if (round < s->rounds - s->ranks)
    emit_parcel(&e, round / s->ranks - 1, shift);
  else
    emit_trade(&e, PRECIS_MATTER_RESULTS, shift);
  return e.status;
}

/* The largest message of queries or results. */
static int64_t trade_bytes(const precis_schedule *s, int rank)
{
  const precis_heads_shape *x = s->shape;
  int64_t rows = 0, dim = x->problem->dim, out = precis_problem_results(x->problem);
  for (int r = 0; r < s->ranks; r++) {
    int64_t there = all_between(x, rank, r).rows, here = all_between(x, r, rank).rows;
    rows = there > rows ? there : rows;
    rows = here > rows ? here : rows;
  }
  return rows * (dim > out ? dim : out) * WORD;
}

/* The largest parcel for another. */
static int64_t parcel_out_bytes(const precis_schedule *s, int rank)
{
  const precis_heads_shape *x = s->shape;
  int64_t most = 0, rows = precis_parcel_rows(x->key_rows[rank], x->tile_rows, 0);
  for (int r = 0; r < s->ranks; r++) {
    precis_parcel_kind kind = precis_heads_kind(x, r);
    int64_t bytes = r == rank ? 0 : parcel_bytes(&kind, rows);
    most = bytes > most ? bytes : most;
  }
  return most;
}

static precis_slot slot(const precis_schedule *s, int rank, int number)
{
  static const char *const names[] = {"sums",       "queries",  "out",     "in",
                                      "parcel out", "parcel 0", "parcel 1"};
  const precis_heads_shape *x = s->shape;
  int64_t rows = precis_heads_offset(x, rank, precis_split_pieces(x->cuts + rank));
  int64_t keys = precis_parcel_rows(precis_largest(x->key_rows, s->ranks), x->tile_rows, 0);
  precis_parcel_kind kind = precis_heads_kind(x, rank);
  precis_slot made = {.name = names[number], .travels = number >= PRECIS_HEADS_OUT};
  switch (number) {
  case PRECIS_HEADS_SUMS:
    made.kept = 1;
    made.bytes = precis_partial_bytes(rows, precis_problem_columns(x->problem));
    break;
  case PRECIS_HEADS_QUERIES:
    made.bytes = rows * x->problem->dim * WORD;
    break;
  case PRECIS_HEADS_OUT:
  case PRECIS_HEADS_IN:
    made.bytes = trade_bytes(s, rank);
    break;
  case PRECIS_HEADS_PARCEL_OUT:
    made.bytes = parcel_out_bytes(s, rank);
    break;
  default:
    made.bytes = parcel_bytes(&kind, keys);
  }
  return made;
}

static double flops(const precis_schedule *s, int rank, const precis_step *step)
{
  const precis_heads_shape *x = s->shape;
  int64_t rows = precis_heads_offset(x, rank, precis_split_pieces(x->cuts + rank));
  return precis_compute_flops(&x->kind, (double)rows, step->block.rows, x->visible);
}

precis_schedule precis_schedule_heads(const precis_heads_shape *x, const precis_nodes *nodes)
{
  int64_t parcels = precis_parcels(precis_largest(x->key_rows, nodes->ranks), x->tile_rows);
  return (precis_schedule){.move = "heads",
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = (parcels + 2) * nodes->ranks,
                           .slots = PRECIS_HEADS_SLOTS,
                           .requests = REQUESTS,
                           .quiet = 1,
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = flops};
}
