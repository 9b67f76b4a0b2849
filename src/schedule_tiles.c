/* The tiles move as a schedule. */
#include "src/schedule_emit.h"

enum { RECEIVING, SENDING, REQUESTS };

static int64_t rows_of(const precis_tiles_shape *x, int rank, int64_t parcel)
{
  return precis_parcel_rows(x->key_rows[rank], x->tile_rows, parcel);
}

static precis_block keys_of(const precis_tiles_shape *x, int rank, int64_t parcel)
{
  return (precis_block){.owner = rank,
                        .first = parcel * x->tile_rows,
                        .rows = rows_of(x, rank, parcel),
                        .heads = x->kind.heads};
}

static precis_block queries_of(const precis_tiles_shape *x, int rank)
{
  return (precis_block){.owner = rank, .rows = x->query_rows[rank], .heads = x->problem->heads};
}

/* Passes the parcel that began at `owner` on to the right and takes the next from the left. */
static void pass(precis_emitter *e, const precis_tiles_shape *x, int owner, int64_t parcel, int hop)
{
  int ranks = e->schedule->ranks, right = (e->rank + 1) % ranks,
      left = (e->rank - 1 + ranks) % ranks, next = (owner - 1 + ranks) % ranks;
  precis_block out = keys_of(x, owner, parcel), in = keys_of(x, next, parcel);
  precis_emit_receive(e, PRECIS_MATTER_KEYS, in, left,
                      (precis_message_place){.slot = PRECIS_TILES_PARCEL + (hop + 1) % 2,
                                             .bytes = precis_parcel_bytes(&x->kind, in.rows),
                                             .request = RECEIVING});
  precis_emit_send(e, PRECIS_MATTER_KEYS, out, right,
                   (precis_message_place){.slot = PRECIS_TILES_PARCEL + hop % 2,
                                          .bytes = precis_parcel_bytes(&x->kind, out.rows),
                                          .request = SENDING});
}

static void emit_hop(precis_emitter *e, const precis_tiles_shape *x, int64_t parcel, int hop)
{
  int ranks = e->schedule->ranks, owner = (e->rank - hop + ranks) % ranks,
      slot = PRECIS_TILES_PARCEL + hop % 2;
  precis_block keys = keys_of(x, owner, parcel);
  int64_t bytes = precis_parcel_bytes(&x->kind, keys.rows);
  if (hop == 0 && keys.rows > 0)
    precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_KEYS, keys, slot, bytes, -1);
  if (hop < ranks - 1)
    pass(e, x, owner, parcel, hop);
  if (keys.rows > 0)
    precis_emit_local(e, PRECIS_STEP_COMPUTE, PRECIS_MATTER_KEYS, keys, slot, bytes,
                      PRECIS_TILES_SUMS);
  if (hop < ranks - 1)
    precis_emit_wait(e, RECEIVING, REQUESTS);
}

static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  const precis_tiles_shape *x = s->shape;
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  precis_block mine = queries_of(x, rank);
  if (round == 0) {
    precis_emit_exchange(&e, PRECIS_MATTER_KEYS, &x->keys);
    precis_emit_exchange(&e, PRECIS_MATTER_QUERIES, &x->queries);
    precis_emit_local(&e, PRECIS_STEP_CLEAR, PRECIS_MATTER_PARTIALS, mine, -1, 0,
                      PRECIS_TILES_SUMS);
  } else if (round < s->rounds - 1) {
    emit_hop(&e, x, (round - 1) / s->ranks, (int)((round - 1) % s->ranks));
  } else {
    precis_emit_local(&e, PRECIS_STEP_FINISH, PRECIS_MATTER_RESULTS, mine, -1, 0,
                      PRECIS_TILES_SUMS);
    precis_emit_exchange(&e, PRECIS_MATTER_RESULTS, &x->results);
  }
  return e.status;
}

static precis_slot slot(const precis_schedule *s, int rank, int number)
{
  const precis_tiles_shape *x = s->shape;
  if (number == PRECIS_TILES_SUMS)
    return (precis_slot){.name = "sums",
                         .kept = 1,
                         .bytes = precis_partial_bytes(x->query_rows[rank] * x->problem->heads,
                                                       x->problem->value_dim)};
  int needed = number == PRECIS_TILES_PARCEL || s->ranks > 1;
  int64_t most = precis_largest(x->key_rows, s->ranks);
  return (precis_slot){
      .name = number == PRECIS_TILES_PARCEL ? "parcel 0" : "parcel 1",
      .bytes =
          needed ? precis_parcel_bytes(&x->kind, most < x->tile_rows ? most : x->tile_rows) : 0,
      .travels = 1};
}

static double flops(const precis_schedule *s, int rank, const precis_step *step)
{
  const precis_tiles_shape *x = s->shape;
  return precis_compute_flops(&x->kind, (double)x->query_rows[rank] * x->problem->heads,
                              step->block.rows, x->visible);
}

precis_schedule precis_schedule_tiles(const precis_tiles_shape *x, const precis_nodes *nodes)
{
  int64_t parcels = precis_parcels(precis_largest(x->key_rows, nodes->ranks), x->tile_rows);
  return (precis_schedule){.move = "tiles",
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = 1 + parcels * nodes->ranks + 1,
                           .slots = PRECIS_TILES_SLOTS,
                           .requests = REQUESTS,
                           .quiet = 1,
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = flops};
}
