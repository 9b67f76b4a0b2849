#include "src/schedule_reduce.h"

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

/* Each node has its part of the numbers to sum over the nodes; this is what `rank` adds up of node
 * `node`'s part over the ranks of its own node. */
static range share_of(const precis_emitter *e, const precis_reduction *r, int node, int rank)
{
  const precis_nodes *n = e->schedule->nodes;
  int mates = precis_nodes_mates(n, rank);
  int64_t low = precis_summaries_slice(r->numbers, n->count, node),
          length = precis_summaries_slice(r->numbers, n->count, node + 1) - low;
  return (range){low + precis_summaries_slice(length, mates, n->local[rank]),
                 low + precis_summaries_slice(length, mates, n->local[rank] + 1)};
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

/* The rank `shift` places away from this one, as not all are to send to the same one first; -1 if
 * it is of this node. */
static int partner(const precis_emitter *e, int shift)
{
  const precis_nodes *n = e->schedule->nodes;
  int rank = (e->rank + shift) % n->ranks;
  return n->node[rank] == n->node[e->rank] ? -1 : rank;
}

/* Slices of other nodes, one after the other, each put together from those of their ranks. */
static precis_message_place arriving(const precis_emitter *e, const precis_reduction *r, int from)
{
  const precis_nodes *n = e->schedule->nodes;
  range own = own_of(e, r, e->rank), part = between(e, r, from, e->rank);
  precis_message_place place = place_of(r, r->slices, part);
  int turn = (n->node[from] - n->node[e->rank] + n->count) % n->count - 1;
  place.offset = ((own.end - own.first) * turn + part.first - own.first) * WORD;
  return place;
}

void precis_reduction_send_slices(precis_emitter *e, const precis_reduction *r)
{
  int ranks = e->schedule->ranks;
  for (int s = 1; s < ranks; s++) {
    int from = partner(e, s);
    if (from < 0)
      continue;
    precis_message_place place = arriving(e, r, from);
    place.request = r->request + s - 1;
    precis_emit_receive(e, PRECIS_MATTER_SUMMARY, r->tile, from, place);
  }
  for (int s = 1; s < ranks; s++) {
    int to = partner(e, s);
    if (to < 0)
      continue;
    precis_message_place place = place_of(r, r->vector, between(e, r, e->rank, to));
    place.request = r->request + ranks - 1 + s - 1;
    precis_emit_send(e, PRECIS_MATTER_SUMMARY, r->tile, to, place);
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

void precis_reduction_turn(precis_emitter *e, const precis_reduction *r)
{
  const precis_nodes *n = e->schedule->nodes;
  precis_message_place own = place_of(r, r->result, own_of(e, r, e->rank)), slices = own;
  slices.slot = r->slices;
  slices.offset = 0;
  slices.bytes *= n->count - 1;
  precis_reduction_wait(e, r);
  add_up(e, PRECIS_STEP_MERGE, r, slices, own.slot, own.offset);
  for (int s = 1; s < n->ranks; s++) {
    int from = partner(e, s);
    if (from < 0 || precis_nodes_carrier(n, n->node[e->rank], from) != e->rank)
      continue;
    precis_message_place place = place_of(r, r->result, own_of(e, r, from));
    place.request = r->request + s - 1;
    precis_emit_receive(e, PRECIS_MATTER_SUMMARY, r->tile, from, place);
  }
  for (int s = 1; s < n->ranks; s++) {
    int to = partner(e, s);
    if (to < 0 || precis_nodes_carrier(n, n->node[to], e->rank) != to)
      continue;
    own.request = r->request + n->ranks - 1 + s - 1;
    precis_emit_send(e, PRECIS_MATTER_SUMMARY, r->tile, to, own);
  }
}

int64_t precis_reduction_slices_bytes(const precis_nodes *n, int rank, int64_t numbers)
{
  int mates = precis_nodes_mates(n, rank);
  int64_t slice = (numbers / n->count + mates) / mates; /* at most */
  return slice * (n->count - 1) * WORD;
}
