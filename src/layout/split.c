#include "src/layout/split.h"

void precis_split_heads(const precis_query_map *map, int heads, precis_cut *cuts)
{
  precis_split_heads_over(map, heads, map->ranks, cuts);
}

void precis_split_heads_over(const precis_query_map *map, int heads, int ranks, precis_cut *cuts)
{
  int64_t queries = precis_visible_queries(map);
  precis_query_map rows = *map;
  double head_pairs = precis_visible_pairs(map, 0, queries);
  if (head_pairs == 0) { /* nothing to compute: share the rows */
    rows.causal = 0;
    rows.keys = 1;
    head_pairs = (double)queries;
  }
  for (int r = 0; r <= ranks; r++) {
    double place = (double)heads / ranks * r;
    int head = (int)place;
    int64_t query = head < heads ? precis_visible_split(&rows, (place - head) * head_pairs) : 0;
    cuts[r] = (precis_cut){head, query};
  }
  cuts[ranks] = (precis_cut){heads, 0};
}

int precis_split_pieces(const precis_cut *from)
{
  return from[1].head - from[0].head + (from[1].query > 0);
}

precis_piece precis_split_piece(const precis_cut *from, int64_t queries, int i)
{
  precis_piece piece = {.head = from[0].head + i, .first = i == 0 ? from[0].query : 0};
  piece.end = piece.head == from[1].head ? from[1].query : queries;
  return piece;
}
