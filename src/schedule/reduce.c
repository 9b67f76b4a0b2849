#include "src/schedule/reduce.h"

static const int64_t WORD = sizeof(float);

precis_reduction precis_reduction_at(const precis_emitter *e, int64_t t)
{
  const precis_schedule *s = e->schedule;
  int shared = precis_reduction_shared(e);
  precis_reduction r = {.tile = precis_summaries_tile(s->shape, t),
                        .number = (int)(t % PRECIS_SUMMARIES_STAGES)};
  r.numbers = precis_summaries_numbers(s->shape, &r.tile);
  r.vector =
      PRECIS_SUMMARIES_VECTOR + (shared ? (int)(t % PRECIS_REDUCTION_SHARED_VECTORS) : r.number);
  r.slices = PRECIS_SUMMARIES_SLICES + (shared ? 0 : r.number);
  r.result = shared ? PRECIS_SUMMARIES_RESULT + (int)(t % PRECIS_SUMMARIES_RESULTS) : r.vector;
  r.request = r.number * 2 * (s->ranks - 1);
  return r;
}

/* Numbers first .. end - 1. */
typedef struct range {
  int64_t first, end;
} range;

static int64_t length_of(range r)
{
  return r.end - r.first;
}

/* Each node has its part of the numbers to sum over the nodes. */
static range part_of(const precis_emitter *e, const precis_reduction *r, int node)
{
  int nodes = e->schedule->nodes->count;
  return (range){precis_summaries_slice(r->numbers, nodes, node),
                 precis_summaries_slice(r->numbers, nodes, node + 1)};
}

/* Ranks of a node of so many that have a slice of a part: all, or fewer where slices would be so
 * small that a message is not worth it. */
static int slices_of(int64_t length, int mates, int64_t least)
{
  int64_t most = length / (least > 1 ? least : 1);
  return most >= mates ? mates : most > 1 ? (int)most : 1;
}

static int slices_on(const precis_emitter *e, range part, int node)
{
  const precis_summaries_shape *x = e->schedule->shape;
  return slices_of(length_of(part), precis_nodes_size(e->schedule->nodes, node), x->least_slice);
}

/* The rank of node `at` that has slice i of node `of`'s part: where not all have one, ranks take
 * turns from part to part. */
static int holder(const precis_emitter *e, range part, int of, int at, int i)
{
  const precis_nodes *n = e->schedule->nodes;
  int64_t slices = slices_on(e, part, at);
  return precis_nodes_rank(n, at, (int)((of * slices + i) % precis_nodes_size(n, at)));
}

/* What `rank` adds up of node `of`'s part over the ranks of its own node; nothing where it has no
 * slice of it. */
static range share_of(const precis_emitter *e, const precis_reduction *r, int of, int rank)
{
  const precis_nodes *n = e->schedule->nodes;
  range part = part_of(e, r, of);
  int slices = slices_on(e, part, n->node[rank]), mates = precis_nodes_mates(n, rank);
  int first = (int)((int64_t)of * slices % mates), i = (n->local[rank] - first + mates) % mates;
  if (i >= slices)
    return (range){part.first, part.first};
  return (range){part.first + precis_summaries_slice(length_of(part), slices, i),
                 part.first + precis_summaries_slice(length_of(part), slices, i + 1)};
}

/* What a rank sums over the nodes. */
static range own_of(const precis_emitter *e, const precis_reduction *r, int rank)
{
  return share_of(e, r, e->schedule->nodes->node[rank], rank);
}

/* What `from` has of that which `to` sums. */
static range between(const precis_emitter *e, const precis_reduction *r, int from, int to)
{
  range a = share_of(e, r, e->schedule->nodes->node[to], from), b = own_of(e, r, to);
  range both = {a.first > b.first ? a.first : b.first, a.end < b.end ? a.end : b.end};
  both.end = both.end > both.first ? both.end : both.first;
  return both;
}

static precis_message_place place_of(const precis_reduction *r, int slot, range part)
{
  return (precis_message_place){.slot = slot,
                                .offset = part.first * WORD,
                                .bytes = (part.end - part.first) * WORD,
                                .tag = r->number};
}

/* The node `shift` places away from this rank's, as not all are to send to the same one first. */
static int other_node(const precis_emitter *e, int shift)
{
  const precis_nodes *n = e->schedule->nodes;
  return (n->node[e->rank] + shift) % n->count;
}

/* Messages of a tile are numbered by how far away their other end is. */
static int request_of(const precis_emitter *e, const precis_reduction *r, int peer, int sending)
{
  int ranks = e->schedule->ranks;
  return r->request + (sending ? ranks - 1 : 0) + (peer - e->rank + ranks) % ranks - 1;
}

/* Slices of other nodes, one after the other, each put together from those of their ranks. */
static precis_message_place arriving(const precis_emitter *e, const precis_reduction *r, int from)
{
  const precis_nodes *n = e->schedule->nodes;
  range own = own_of(e, r, e->rank), part = between(e, r, from, e->rank);
  precis_message_place place = place_of(r, r->slices, part);
  int turn = (n->node[from] - n->node[e->rank] + n->count) % n->count - 1;
  place.offset = (length_of(own) * turn + part.first - own.first) * WORD;
  place.request = request_of(e, r, from, 0);
  return place;
}

/* From all ranks of other nodes that have some of what this rank sums. */
static void receive_slices(precis_emitter *e, const precis_reduction *r)
{
  const precis_nodes *n = e->schedule->nodes;
  int me = n->node[e->rank];
  range part = part_of(e, r, me);
  if (length_of(own_of(e, r, e->rank)) == 0)
    return;
  for (int s = 1; s < n->count; s++) {
    int node = other_node(e, s), slices = slices_on(e, part, node);
    for (int i = 0; i < slices; i++) {
      int from = holder(e, part, me, node, i);
      precis_emit_receive(e, PRECIS_MATTER_SUMMARY, r->tile, from, arriving(e, r, from));
    }
  }
}

void precis_reduction_send_slices(precis_emitter *e, const precis_reduction *r)
{
  const precis_nodes *n = e->schedule->nodes;
  receive_slices(e, r);
  for (int s = 1; s < n->count; s++) {
    int node = other_node(e, s);
    range part = part_of(e, r, node);
    int slices = length_of(share_of(e, r, node, e->rank)) > 0 ? slices_on(e, part, node) : 0;
    for (int i = 0; i < slices; i++) {
      int to = holder(e, part, node, node, i);
      precis_message_place place = place_of(r, r->vector, between(e, r, e->rank, to));
      place.request = request_of(e, r, to, 1);
      precis_emit_send(e, PRECIS_MATTER_SUMMARY, r->tile, to, place);
    }
  }
}

void precis_reduction_wait(precis_emitter *e, const precis_reduction *r)
{
  if (e->schedule->nodes->count > 1)
    precis_emit_wait(e, r->request, 2 * (e->schedule->ranks - 1));
}

static void add_up(precis_emitter *e, precis_step_kind kind, const precis_reduction *r,
                   precis_message_place from, int into, int64_t into_offset)
{
  precis_step step = precis_step_new(kind, PRECIS_MATTER_SUMMARY, r->tile);
  step.slot = from.slot;
  step.offset = from.offset;
  step.bytes = from.bytes;
  step.into = into;
  step.into_offset = into_offset;
  if (step.bytes > 0)
    precis_emit(e, step);
}

void precis_reduction_sum_node(precis_emitter *e, const precis_reduction *r)
{
  const precis_nodes *n = e->schedule->nodes;
  for (int node = 0; node < n->count; node++) {
    precis_message_place place = place_of(r, r->vector, share_of(e, r, node, e->rank));
    add_up(e, PRECIS_STEP_SUM, r, place, node == n->node[e->rank] ? r->result : r->vector,
           place.offset);
  }
}

/* The sums of others that this rank takes for its node. */
static void receive_sums(precis_emitter *e, const precis_reduction *r)
{
  const precis_nodes *n = e->schedule->nodes;
  for (int s = 1; s < n->count; s++) {
    int node = other_node(e, s);
    range part = part_of(e, r, node);
    for (int i = 0; i < slices_on(e, part, node); i++) {
      int from = holder(e, part, node, node, i);
      if (precis_nodes_carrier(n, n->node[e->rank], from) != e->rank)
        continue;
      precis_message_place place = place_of(r, r->result, own_of(e, r, from));
      place.request = request_of(e, r, from, 0);
      precis_emit_receive(e, PRECIS_MATTER_SUMMARY, r->tile, from, place);
    }
  }
}

void precis_reduction_turn(precis_emitter *e, const precis_reduction *r)
{
  const precis_nodes *n = e->schedule->nodes;
  precis_message_place own = place_of(r, r->result, own_of(e, r, e->rank)), slices = own;
  slices.slot = r->slices;
  slices.offset = 0;
  slices.bytes *= n->count - 1;
  precis_reduction_wait(e, r);
  add_up(e, PRECIS_STEP_MERGE, r, slices, own.slot, own.offset);
  receive_sums(e, r);
  for (int s = 1; s < n->count; s++) {
    int to = precis_nodes_carrier(n, other_node(e, s), e->rank);
    own.request = request_of(e, r, to, 1);
    precis_emit_send(e, PRECIS_MATTER_SUMMARY, r->tile, to, own);
  }
}

/* A shorter part may be cut into fewer slices, which are then longer. */
int64_t precis_reduction_slices_bytes(const precis_summaries_shape *x, const precis_nodes *n,
                                      int rank, int64_t numbers)
{
  int mates = precis_nodes_mates(n, rank);
  int64_t length = numbers / n->count + 1, slices = slices_of(length, mates, x->least_slice),
          slice = (length + slices - 1) / slices,
          longest = 2 * x->least_slice < length ? 2 * x->least_slice : length;
  return (slice > longest ? slice : longest) * (n->count - 1) * WORD;
}
