/* The queries move as a schedule; the repair of rows is one, too. */
#include "src/schedule_emit.h"

enum { BATCH_TAG, PARTIAL_TAG };
enum { TAKING, MERGING, RETURNING, SPREADING /* and one more for each child */ };

static int64_t message_bytes(const precis_queries_shape *x, int64_t rows)
{
  return rows * x->row_bytes;
}

static int64_t partial_bytes(const precis_queries_shape *x, int64_t rows)
{
  return precis_partial_words(rows * x->heads, x->value_dim) * (int64_t)sizeof(float);
}

/* The batch from the root to all; the sends are in flight while this rank attends. */
static void spread(precis_emitter *e, const precis_tree *tree, precis_block batch)
{
  precis_message_place place = {.slot = PRECIS_QUERIES_BATCH,
                                .bytes = message_bytes(e->schedule->shape, batch.rows),
                                .tag = BATCH_TAG,
                                .request = TAKING};
  precis_emit_down(e, tree, PRECIS_MATTER_QUERIES, batch, place, SPREADING);
  precis_emit_local(e, PRECIS_STEP_CLEAR, PRECIS_MATTER_PARTIALS, batch, place.slot, place.bytes,
                    PRECIS_QUERIES_SUMS);
}

static void attend_own_keys(precis_emitter *e, const precis_queries_shape *x)
{
  int64_t rows = x->key_rows[e->rank], parcels = precis_parcels(rows, x->tile_rows);
  for (int64_t c = 0; c < parcels; c++) {
    precis_block keys = {.owner = e->rank,
                         .first = c * x->tile_rows,
                         .rows = precis_parcel_rows(rows, x->tile_rows, c),
                         .heads = x->kind.heads};
    int64_t bytes = precis_parcel_bytes(&x->kind, keys.rows);
    precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_KEYS, keys, PRECIS_QUERIES_PARCEL, bytes,
                      -1);
    precis_emit_local(e, PRECIS_STEP_COMPUTE, PRECIS_MATTER_KEYS, keys, PRECIS_QUERIES_PARCEL,
                      bytes, PRECIS_QUERIES_SUMS);
  }
}

static void receive_partials(precis_emitter *e, const precis_tree *tree, int child,
                             precis_block batch)
{
  if (child < tree->children)
    precis_emit_receive(
        e, PRECIS_MATTER_PARTIALS, batch, precis_tree_child(tree, child),
        (precis_message_place){.slot = PRECIS_QUERIES_IN,
                               .bytes = partial_bytes(e->schedule->shape, batch.rows),
                               .tag = PARTIAL_TAG,
                               .request = MERGING});
}

/* Partials of the children, the first of which have been asked for, and on to the parent. */
static void gather(precis_emitter *e, const precis_tree *tree, precis_block batch)
{
  int64_t bytes = partial_bytes(e->schedule->shape, batch.rows);
  for (int i = 0; i < tree->children; i++) {
    precis_emit_wait(e, MERGING, 1);
    precis_emit_local(e, PRECIS_STEP_MERGE, PRECIS_MATTER_PARTIALS, batch, PRECIS_QUERIES_IN, bytes,
                      PRECIS_QUERIES_SUMS);
    receive_partials(e, tree, i + 1, batch);
  }
  if (tree->parent < 0) {
    precis_emit_local(e, PRECIS_STEP_FINISH, PRECIS_MATTER_RESULTS, batch, -1, 0,
                      PRECIS_QUERIES_SUMS);
    return;
  }
  precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_PARTIALS, batch, PRECIS_QUERIES_OUT, bytes,
                    PRECIS_QUERIES_SUMS);
  precis_emit_send(
      e, PRECIS_MATTER_PARTIALS, batch, tree->parent,
      (precis_message_place){
          .slot = PRECIS_QUERIES_OUT, .bytes = bytes, .tag = PARTIAL_TAG, .request = RETURNING});
  precis_emit_wait(e, RETURNING, 1);
}

static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  const precis_queries_shape *x = s->shape;
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  if (round == 0) {
    precis_emit_exchange(&e, PRECIS_MATTER_KEYS, &x->keys);
    return e.status;
  }
  precis_block batch = precis_batch_at(x->rows, s->ranks, x->batch_rows, round - 1);
  batch.heads = x->heads;
  precis_tree tree = precis_tree_at(s->nodes, batch.owner, rank);
  spread(&e, &tree, batch);
  receive_partials(&e, &tree, 0, batch);
  attend_own_keys(&e, x);
  if (tree.children > 0)
    precis_emit_wait(&e, SPREADING, tree.children);
  gather(&e, &tree, batch);
  return e.status;
}

static precis_slot slot(const precis_schedule *s, int rank, int number)
{
  const precis_queries_shape *x = s->shape;
  int64_t most = precis_largest(x->rows, s->ranks), keys = x->key_rows[rank];
  int64_t rows = most < x->batch_rows ? most : x->batch_rows;
  switch (number) {
  case PRECIS_QUERIES_SUMS:
    return (precis_slot){
        .name = "sums", .kept = 1, .bytes = precis_partial_bytes(rows * x->heads, x->value_dim)};
  case PRECIS_QUERIES_BATCH:
    return (precis_slot){.name = "batch", .travels = 1, .bytes = message_bytes(x, rows)};
  case PRECIS_QUERIES_PARCEL:
    return (precis_slot){
        .name = "parcel",
        .bytes = precis_parcel_bytes(&x->kind, keys < x->tile_rows ? keys : x->tile_rows)};
  default:
    return (precis_slot){.name = number == PRECIS_QUERIES_IN ? "partials in" : "partials out",
                         .travels = 1,
                         .bytes = partial_bytes(x, rows)};
  }
}

/* Whole batches: the last of a rank's may be smaller. */
static double flops(const precis_schedule *s, int rank, const precis_step *step)
{
  const precis_queries_shape *x = s->shape;
  int64_t most = precis_largest(x->rows, s->ranks);
  (void)rank;
  return precis_compute_flops(&x->kind,
                              (double)(most < x->batch_rows ? most : x->batch_rows) * x->heads,
                              step->block.rows, x->visible);
}

precis_schedule precis_schedule_queries(const precis_queries_shape *x, const precis_nodes *nodes)
{
  return (precis_schedule){.move = x->move,
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = 1 + precis_batches(x->rows, nodes->ranks, x->batch_rows),
                           .slots = PRECIS_QUERIES_SLOTS,
                           .requests = SPREADING + precis_tree_depth(nodes),
                           .quiet = 1,
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = flops};
}
