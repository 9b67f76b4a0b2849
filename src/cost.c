#include "src/cost.h"

#include "src/partial.h"
#include "src/problem.h"

static const int64_t WORD = sizeof(float), INDEX = sizeof(int64_t);

int64_t precis_cost_query_row(const precis_problem *p)
{
  return INDEX + WORD * p->heads * p->dim;
}

int64_t precis_cost_output_row(const precis_problem *p)
{
  return INDEX + WORD * p->heads * (p->value_dim + 1);
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
  return INDEX + WORD * (1 + p->dim + precis_partial_words(1, p->value_dim));
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

/* Every parcel makes ranks - 1 hops; rows that are dealt out travel once more. */
static int64_t tiles_bytes(const precis_cost_input *in)
{
  int64_t ring = 0;
  for (int r = 0; r < in->map->ranks; r++)
    ring += precis_parcel_bytes(&in->kind, in->key_rows[r]);
  return ring * (in->map->ranks - 1) +
         in->queries_dealt *
             (precis_cost_query_row(in->problem) + precis_cost_output_row(in->problem)) +
         in->keys_dealt * precis_cost_key_row(in->problem, in->kind.with_bias);
}

/* Rows of the queries [first, end) that rank r does not hold itself. */
static int64_t foreign_rows(const precis_query_map *map, int r, int64_t first, int64_t end)
{
  int64_t low = first > map->start[r] ? first : map->start[r];
  int64_t high = end < map->start[r + 1] ? end : map->start[r + 1];
  return end - first - (high > low ? high - low : 0);
}

/* Every rank gets the queries of its pieces and returns outputs with their lse, and gets the keys
 * of the key/value heads that its pieces need. */
static int64_t heads_bytes(const precis_cost_input *in)
{
  const precis_problem *p = in->problem;
  int64_t bytes = 0, queries = precis_visible_queries(in->map);
  for (int r = 0; r < in->map->ranks; r++) {
    precis_parcel_kind kind = in->kind;
    precis_cost_kv_heads(p, in->cuts + r, queries, &kind.first_head, &kind.heads);
    if (kind.heads > 0)
      bytes += precis_parcel_bytes(&kind, in->map->keys - in->key_rows[r]);
    int count = precis_split_pieces(in->cuts + r);
    for (int i = 0; i < count; i++) {
      precis_piece piece = precis_split_piece(in->cuts + r, queries, i);
      bytes +=
          foreign_rows(in->map, r, piece.first, piece.end) * WORD * (p->dim + p->value_dim + 1);
    }
  }
  return bytes;
}

/* A query reaches ranks - 1 others, and as many partials come back. */
static int64_t queries_bytes(const precis_cost_input *in)
{
  const precis_problem *p = in->problem;
  int64_t rows = precis_visible_queries(in->map) * p->heads;
  return (in->map->ranks - 1) * rows * WORD * (p->dim + precis_partial_words(1, p->value_dim)) +
         in->keys_dealt_for_queries * precis_cost_key_row(p, in->kind.with_bias);
}

int64_t precis_cost_bytes(const precis_cost_input *input, precis_move move)
{
  switch (move) {
  case PRECIS_MOVE_TILES:
    return tiles_bytes(input);
  case PRECIS_MOVE_HEADS:
    return heads_bytes(input);
  case PRECIS_MOVE_QUERIES:
    return queries_bytes(input);
  case PRECIS_MOVE_AUTO:
  case PRECIS_MOVE_SUMMARIES: /* see precis_summaries_bytes() */
    break;
  }
  return 0;
}

precis_move precis_cost_choose(const int64_t bytes[PRECIS_MOVES])
{
  precis_move best = PRECIS_MOVE_TILES;
  for (precis_move move = PRECIS_MOVE_HEADS; move <= PRECIS_MOVE_QUERIES; move++)
    if (bytes[move] < bytes[best])
      best = move;
  return best;
}
