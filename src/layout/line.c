#include "src/layout/line.h"

int precis_line_possible(const precis_query_map *map)
{
  int64_t next = 0;
  int any = 0;
  for (int r = 0; r < map->ranks; r++) {
    int64_t rows = map->start[r + 1] - map->start[r];
    if (rows == 0)
      continue;
    if (any && map->first_position[r] != next)
      return 0;
    any = 1;
    next = map->first_position[r] + rows;
  }
  return 1;
}

int precis_line_queries(const precis_query_map *map, const int64_t *key_start, int64_t *query_start,
                        int64_t *first_position)
{
  int64_t queries = precis_visible_queries(map),
          base = queries > 0 ? precis_visible_position(map, 0) : 0;
  int moves = 0;
  for (int r = 0; r <= map->ranks; r++) {
    int64_t before = key_start[r] - base; /* queries at positions below the rank's first key */
    before = before < 0 || r == 0 ? 0 : before;
    query_start[r] = before > queries || r == map->ranks ? queries : before;
  }
  for (int r = 0; r < map->ranks; r++) {
    first_position[r] = base + query_start[r];
    moves |= query_start[r] != map->start[r];
  }
  return moves;
}
