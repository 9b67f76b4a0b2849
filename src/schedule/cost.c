#include "src/schedule/cost.h"

#include "src/exact/partial.h"
#include "src/base/problem.h"

static const int64_t WORD = sizeof(float), INDEX = sizeof(int64_t);

int64_t precis_cost_query_row(const precis_problem *p)
{
  return INDEX + WORD * p->heads * p->dim;
}

int64_t precis_cost_output_row(const precis_problem *p)
{
  return INDEX + WORD * p->heads * precis_problem_results(p);
}

int64_t precis_cost_key_row(const precis_problem *p, int with_bias)
{
  return INDEX + WORD * (p->kv_heads * (int64_t)(p->dim + p->value_dim) + (with_bias != 0));
}

int64_t precis_cost_outlier_key(const precis_problem *p)
{
  return precis_cost_key_row(p, 1);
}

int64_t precis_cost_outlier_query(const precis_problem *p)
{
  return INDEX + WORD * (1 + p->dim + precis_partial_words(1, precis_problem_columns(p)));
}

void precis_cost_kv_heads(const precis_problem *problem, const precis_cut *from, int64_t queries,
                          int *first, int *heads)
{
  int count = precis_split_pieces(from), low = 0, high = -1;
  for (int i = 0; i < count; i++) {
    precis_piece piece = precis_split_piece(from, queries, i);
    if (piece.first == piece.end)
      continue;
    int g = precis_problem_kv_head(problem, piece.head);
    low = high < 0 ? g : low;
    high = g;
  }
  *first = low;
  *heads = high < 0 ? 0 : high - low + 1;
}

/* Whether ranks lie node by node, so that those of a node are neighbours. */
static int in_order(const precis_cost_input *in)
{
  for (int r = 1; r < in->map->ranks && in->node != NULL; r++)
    if (in->node[r] < in->node[r - 1])
      return 0;
  return 1;
}

static int same_node(const precis_cost_input *in, int a, int b)
{
  return in->node == NULL || in->node[a] == in->node[b];
}

/* Round the ring of ranks apart: each passes on to the next all parcels but those of the next. */
static precis_wire ring_bytes(const precis_cost_input *in, int64_t all)
{
  const precis_nodes *n = in->apart;
  precis_wire wire = {0, 0};
  for (int i = 0; i < n->ranks; i++) {
    int here = n->member[i], next = n->member[(i + 1) % n->ranks];
    int64_t rows = in->dealt.ranks > 0 ? precis_layout_share(&in->dealt, next) : in->key_rows[next];
    int64_t bytes = all - precis_parcel_bytes(&in->kind, rows);
    *(n->place[here] == n->place[next] ? &wire.node : &wire.network) += bytes;
  }
  return wire;
}

/* Every parcel crosses to each other node once, and is seen there; rows that are dealt out travel
 * once more. */
static precis_wire tiles_bytes(const precis_cost_input *in)
{
  int64_t all = 0;
  for (int r = 0; r < in->map->ranks; r++)
    all += precis_parcel_bytes(&in->kind, in->key_rows[r]);
  precis_wire wire = {(in->nodes - 1) * all, 0};
  if (in->apart != NULL && in->map->ranks > 1)
    wire = ring_bytes(in, all);
  int64_t query = precis_cost_query_row(in->problem) + precis_cost_output_row(in->problem);
  wire = precis_wire_plus(wire, precis_wire_times(in->queries_dealt, query));
  return precis_wire_plus(
      wire,
      precis_wire_times(in->keys_dealt, precis_cost_key_row(in->problem, in->kind.with_bias)));
}

/* The ranks of r's node, where they are neighbours. */
typedef struct neighbours {
  int first, end;
} neighbours;

static neighbours neighbours_of(const precis_cost_input *in, int r)
{
  neighbours n = {r, r + 1};
  while (n.first > 0 && same_node(in, n.first - 1, r))
    n.first--;
  while (n.end < in->map->ranks && same_node(in, n.end, r))
    n.end++;
  return n;
}

static int64_t overlap(int64_t first, int64_t end, int64_t low, int64_t high)
{
  low = first > low ? first : low;
  high = end < high ? end : high;
  return high > low ? high - low : 0;
}

/* Rows of the queries [first, end) that rank r does not hold itself: on its node, and elsewhere. */
static precis_wire foreign_rows(const precis_cost_input *in, int r, int64_t first, int64_t end,
                                const neighbours *near)
{
  const int64_t *start = in->map->start;
  int64_t own = overlap(first, end, start[r], start[r + 1]), node = 0;
  if (near != NULL)
    node = overlap(first, end, start[near->first], start[near->end]);
  else
    for (int s = 0; s < in->map->ranks; s++)
      node += same_node(in, s, r) ? overlap(first, end, start[s], start[s + 1]) : 0;
  return (precis_wire){end - first - node, node - own};
}

static precis_wire foreign_keys(const precis_cost_input *in, int r, const neighbours *near)
{
  int64_t node = 0;
  for (int s = near ? near->first : 0; s < (near ? near->end : in->map->ranks); s++)
    node += same_node(in, s, r) ? in->key_rows[s] : 0;
  return (precis_wire){in->map->keys - node, node - in->key_rows[r]};
}

/* Every rank gets the queries of its pieces and returns outputs with their lse, and gets the keys
 * of the key/value heads that its pieces need. */
static precis_wire heads_bytes(const precis_cost_input *in)
{
  const precis_problem *p = in->problem;
  precis_wire wire = {0, 0};
  int64_t queries = precis_visible_queries(in->map);
  int ordered = in_order(in);
  for (int r = 0; r < in->map->ranks; r++) {
    neighbours around = ordered ? neighbours_of(in, r) : (neighbours){0, 0};
    const neighbours *near = ordered ? &around : NULL;
    precis_parcel_kind kind = in->kind;
    precis_cost_kv_heads(p, in->cuts + r, queries, &kind.first_head, &kind.heads);
    if (kind.heads > 0)
      wire = precis_wire_plus(
          wire, precis_wire_times(foreign_keys(in, r, near), precis_parcel_bytes(&kind, 1)));
    int count = precis_split_pieces(in->cuts + r);
    for (int i = 0; i < count; i++) {
      precis_piece piece = precis_split_piece(in->cuts + r, queries, i);
      wire = precis_wire_plus(wire,
                              precis_wire_times(foreign_rows(in, r, piece.first, piece.end, near),
                                                WORD * (p->dim + precis_problem_results(p))));
    }
  }
  return wire;
}

precis_wire precis_cost_tree(int ranks, int nodes, int64_t bytes)
{
  return (precis_wire){(nodes - 1) * bytes, (ranks - nodes) * bytes};
}

/* A query reaches all others, and as many partials come back. */
static precis_wire queries_bytes(const precis_cost_input *in)
{
  const precis_problem *p = in->problem;
  int64_t row = p->heads * WORD * (p->dim + precis_partial_words(1, precis_problem_columns(p)));
  precis_wire wire =
      precis_cost_tree(in->map->ranks, in->nodes, precis_visible_queries(in->map) * row);
  return precis_wire_plus(wire, precis_wire_times(in->keys_dealt_for_queries,
                                                  precis_cost_key_row(p, in->kind.with_bias)));
}

precis_wire precis_cost_wire(const precis_cost_input *input, precis_move move)
{
  switch (move) {
  case PRECIS_MOVE_TILES:
    return tiles_bytes(input);
  case PRECIS_MOVE_HEADS:
    return heads_bytes(input);
  case PRECIS_MOVE_QUERIES:
    return queries_bytes(input);
  case PRECIS_MOVE_AUTO:
  case PRECIS_MOVE_SUMMARIES: /* see precis_cost_summaries() */
    break;
  }
  return (precis_wire){0, 0};
}

precis_wire precis_cost_summaries(int ranks, int nodes, const int *node, int64_t numbers,
                                  int prefixes)
{
  int64_t bytes = numbers * WORD, pairs[2] = {0, 0}; /* of ranks, in different nodes and in one */
  /* Nodes' sums are cut up and sent to be summed, and the sums to each other node. */
  if (!prefixes)
    return (precis_wire){2 * (nodes - 1) * bytes, 0};
  for (int r = 0; r + 1 < ranks; r++)
    pairs[node == NULL || node[r] == node[r + 1]] += 1;
  return (precis_wire){pairs[0] * bytes, pairs[1] * bytes};
}

precis_wire precis_cost_summaries_apart(const precis_nodes *apart, int64_t numbers)
{
  /* Every rank sums its slice, to which all others send theirs, and sends it to all others. Slices
   * are equal but for a number. */
  double all = (double)numbers * (double)WORD, network = 0;
  int ranks = apart->ranks;
  for (int i = 0, end; i < ranks; i = end) {
    for (end = i + 1; end < ranks; end++)
      if (apart->place[apart->member[end]] != apart->place[apart->member[i]])
        break;
    network += (end - i) * (2. * (ranks - (end - i)) * all / ranks);
  }
  int64_t whole = 2 * (ranks - 1) * numbers * WORD, between = (int64_t)(network + .5);
  return (precis_wire){between, whole - between};
}

int precis_cost_summary_roundings(int ranks, int nodes, int largest_node, int prefixes)
{
  if (prefixes)
    return ranks + 1;
  return nodes > 1 && largest_node > 1 ? 3 : 2;
}

void precis_cost_pieces(const precis_cost_input *in, int *pieces, int64_t *rows, int heads[2])
{
  int64_t queries = precis_visible_queries(in->map);
  *pieces = heads[0] = heads[1] = 0;
  *rows = 0;
  for (int r = 0; r < in->map->ranks; r++) {
    int count = precis_split_pieces(in->cuts + r), first, needed;
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
      precis_piece piece = precis_split_piece(in->cuts + r, queries, i);
      sum += piece.end - piece.first;
    }
    precis_cost_kv_heads(in->problem, in->cuts + r, queries, &first, &needed);
    *pieces = count > *pieces ? count : *pieces;
    int second = needed > heads[0] ? heads[0] : needed;
    heads[1] = second > heads[1] ? second : heads[1];
    heads[0] = needed > heads[0] ? needed : heads[0];
    *rows = sum > *rows ? sum : *rows;
  }
}
