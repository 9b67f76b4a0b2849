/* Rows of every rank brought to all ranks, batch after batch, as a schedule. */
#include "src/schedule/emit.h"

enum { TAKING, SPREADING /* and one more for each child */ };

/* Shares are sent to all in batches, rank after rank: how many batches, and batch `number`. */
static int64_t batches_of(const int64_t *rows, int ranks, int64_t batch_rows)
{
  int64_t batches = 0;
  for (int r = 0; r < ranks; r++)
    batches += precis_parcels(rows[r], batch_rows);
  return batches;
}

static precis_block batch_at(const int64_t *rows, int ranks, int64_t batch_rows, int64_t number)
{
  int root = 0;
  for (; root < ranks - 1 && number >= precis_parcels(rows[root], batch_rows); root++)
    number -= precis_parcels(rows[root], batch_rows);
  return (precis_block){.owner = root,
                        .first = number * batch_rows,
                        .rows = precis_parcel_rows(rows[root], batch_rows, number)};
}

/* Brings a batch from its owner to all, large subtrees first; sends stay in flight. */
static void bring(precis_emitter *e, const precis_tree *tree, precis_block batch,
                  precis_message_place place)
{
  if (tree->parent < 0)
    precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_KEYS, batch, place.slot, place.bytes, -1);
  else {
    precis_emit_receive(e, PRECIS_MATTER_KEYS, batch, tree->parent, place);
    precis_emit_wait(e, place.request, 1);
  }
  for (int i = tree->children - 1; i >= 0; i--) {
    place.request = SPREADING + i;
    precis_emit_send(e, PRECIS_MATTER_KEYS, batch, precis_tree_child(tree, i), place);
  }
}

/* They are awaited when this rank has attended. */
static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  const precis_spread_shape *x = s->shape;
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  precis_block batch = batch_at(x->rows, s->ranks, x->batch_rows, round);
  precis_tree tree = precis_tree_at(s->nodes, batch.owner, rank);
  precis_message_place place = {
      .slot = PRECIS_SPREAD_BATCH, .bytes = batch.rows * x->row_bytes, .request = TAKING};
  batch.heads = x->kv_heads;
  bring(&e, &tree, batch, place);
  precis_emit_local(&e, PRECIS_STEP_COMPUTE, PRECIS_MATTER_KEYS, batch, place.slot, place.bytes,
                    PRECIS_SPREAD_SUMS);
  if (tree.children > 0)
    precis_emit_wait(&e, SPREADING, tree.children);
  return e.status;
}

/* The sums are those of what comes next. */
static precis_slot slot(const precis_schedule *s, int rank, int number)
{
  const precis_spread_shape *x = s->shape;
  (void)rank;
  if (number == PRECIS_SPREAD_SUMS)
    return (precis_slot){.name = "sums", .kept = 1};
  int64_t most = precis_parcel_rows(precis_largest(x->rows, s->ranks), x->batch_rows, 0);
  return (precis_slot){.name = "batch", .travels = 1, .bytes = most * x->row_bytes};
}

static double flops(const precis_schedule *s, int rank, const precis_step *step)
{
  const precis_spread_shape *x = s->shape;
  double queries = x->query_rows != NULL ? (double)x->query_rows[rank] * x->heads : 0;
  return 2.0 * (x->dim + x->value_dim) * queries * (double)step->block.rows;
}

precis_schedule precis_schedule_spread(const precis_spread_shape *x, const precis_nodes *nodes)
{
  return (precis_schedule){.move = x->move,
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = batches_of(x->rows, nodes->ranks, x->batch_rows),
                           .slots = PRECIS_SPREAD_SLOTS,
                           .requests = SPREADING + precis_tree_depth(nodes),
                           .quiet = 1,
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = flops};
}
