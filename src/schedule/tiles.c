/* The tiles move as a schedule. */
#include "src/base/problem.h"
#include "src/schedule/emit.h"

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

/* Parcels of `owner` are carried, on another node, by whoever stands for it there, who may stand
 * for several. */
typedef struct carriage {
  int rank;       /* the carrier */
  int64_t offset; /* in its slot */
} carriage;

static int64_t most_bytes(const precis_tiles_shape *x)
{
  return precis_parcel_bytes(&x->kind, x->most_keys < x->tile_rows ? x->most_keys : x->tile_rows);
}

/* Parcels that share a slot begin with cache lines, as there may be numbers of 8 bytes in them. */
static int64_t stride(const precis_tiles_shape *x)
{
  enum { LINE = 64 };
  return (most_bytes(x) + LINE - 1) / LINE * LINE;
}

static carriage carriage_of(const precis_schedule *s, int node, int owner)
{
  const precis_nodes *n = s->nodes;
  int turn = n->local[owner] / precis_nodes_size(n, node);
  return (carriage){precis_nodes_carrier(n, node, owner), turn * stride(s->shape)};
}

/* How many ranks' parcels a rank may carry at once. */
static int carried_most(const precis_nodes *n)
{
  return (n->largest + n->smallest - 1) / n->smallest;
}

/* Starts the messages of a hop that this rank has a hand in: of parcels of node `from` on their way
 * from node `here` to node `there`. */
static void pass(precis_emitter *e, int from, int here, int there, int64_t parcel, int64_t turn)
{
  const precis_schedule *s = e->schedule;
  const precis_tiles_shape *x = s->shape;
  const precis_nodes *n = s->nodes;
  int sending = n->node[e->rank] == here, sent = 0;
  for (int l = 0; l < precis_nodes_size(n, from); l++) {
    int owner = precis_nodes_rank(n, from, l);
    carriage out = carriage_of(s, here, owner), in = carriage_of(s, there, owner),
             mine = sending ? out : in;
    if (mine.rank != e->rank)
      continue;
    precis_block keys = keys_of(x, owner, parcel);
    precis_message_place place = {.slot =
                                      PRECIS_TILES_PARCEL + (int)((sending ? turn : turn + 1) % 2),
                                  .offset = mine.offset,
                                  .bytes = precis_parcel_bytes(&x->kind, keys.rows),
                                  .request = 2 * sent + sending};
    if (sending)
      precis_emit_send(e, PRECIS_MATTER_KEYS, keys, in.rank, place);
    else
      precis_emit_receive(e, PRECIS_MATTER_KEYS, keys, out.rank, place);
    sent++;
  }
}

/* The parcels that are on this node, from wherever they lie; its ranks do not all begin with the
 * same one. */
static void compute(precis_emitter *e, int from, int64_t parcel, int slot)
{
  const precis_schedule *s = e->schedule;
  const precis_tiles_shape *x = s->shape;
  const precis_nodes *n = s->nodes;
  int count = precis_nodes_size(n, from);
  for (int i = 0; i < count; i++) {
    int owner = precis_nodes_rank(n, from, (n->local[e->rank] + i) % count);
    carriage at = carriage_of(s, n->node[e->rank], owner);
    precis_block keys = keys_of(x, owner, parcel);
    precis_step step = precis_step_new(PRECIS_STEP_COMPUTE, PRECIS_MATTER_KEYS, keys);
    step.peer = at.rank == e->rank ? -1 : at.rank;
    step.slot = slot;
    step.offset = at.offset;
    step.bytes = precis_parcel_bytes(&x->kind, keys.rows);
    step.into = PRECIS_TILES_SUMS;
    if (keys.rows > 0)
      precis_emit(e, step);
  }
}

/* Hop `hop` of parcel number `parcel` of all ranks, the `turn`th of all hops. */
static void emit_hop(precis_emitter *e, int64_t parcel, int hop, int64_t turn)
{
  const precis_schedule *s = e->schedule;
  const precis_tiles_shape *x = s->shape;
  int nodes = s->nodes->count, node = s->nodes->node[e->rank], right = (node + 1) % nodes,
      left = (node - 1 + nodes) % nodes, from = (node - hop + nodes) % nodes,
      next = (from - 1 + nodes) % nodes,
      slot = PRECIS_TILES_PARCEL + (s->ranks > 1 ? (int)(turn % 2) : 0);
  precis_block own = keys_of(x, e->rank, parcel);
  if (hop == 0 && own.rows > 0)
    precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_KEYS, own, slot,
                      precis_parcel_bytes(&x->kind, own.rows), -1);
  precis_emit_mark(e, turn + 1);
  precis_emit_meet(e, turn + 1);
  if (hop < nodes - 1) {
    pass(e, next, left, node, parcel, turn);
    pass(e, from, node, right, parcel, turn);
  }
  compute(e, from, parcel, slot);
  if (hop < nodes - 1)
    precis_emit_wait(e, 0, s->requests);
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
    emit_hop(&e, (round - 1) / s->nodes->count, (int)((round - 1) % s->nodes->count), round - 1);
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
                                                       precis_problem_columns(x->problem))};
  int mates = precis_nodes_mates(s->nodes, rank), carried = (s->nodes->largest + mates - 1) / mates,
      needed = number == PRECIS_TILES_PARCEL || s->ranks > 1;
  return (precis_slot){.name = number == PRECIS_TILES_PARCEL ? "parcel 0" : "parcel 1",
                       .bytes = needed ? (carried - 1) * stride(x) + most_bytes(x) : 0,
                       .travels = s->nodes->count > 1,
                       .view = mates > 1 ? PRECIS_VIEW_NODE : PRECIS_VIEW_RANK};
}

static double flops(const precis_schedule *s, int rank, const precis_step *step)
{
  const precis_tiles_shape *x = s->shape;
  return precis_compute_flops(&x->kind, (double)x->query_rows[rank] * x->problem->heads,
                              step->block.rows, x->visible);
}

precis_schedule precis_schedule_tiles(const precis_tiles_shape *x, const precis_nodes *nodes)
{
  int64_t parcels = precis_parcels(x->most_keys, x->tile_rows);
  return (precis_schedule){.move = "tiles",
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = 1 + parcels * nodes->count + 1,
                           .slots = PRECIS_TILES_SLOTS,
                           .requests = 2 * carried_most(nodes),
                           .shares = nodes->largest > 1,
                           .quiet = 1,
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = flops};
}
