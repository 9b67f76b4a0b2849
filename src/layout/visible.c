#include "src/layout/visible.h"

/* Pairs of `rows` queries at consecutive positions: none before position 0, a triangle up to the
 * last key, then all. A double is exact to 2^53 pairs and close beyond. */
static double pairs_from(const precis_query_map *map, int64_t position, int64_t rows)
{
  if (!map->causal)
    return (double)rows * (double)map->keys;
  int64_t end = position + rows;
  int64_t low = position < 0 ? 0 : position, high = end < map->keys ? end : map->keys;
  double triangle = high > low ? ((double)low + 1 + (double)high) / 2 * (double)(high - low) : 0;
  int64_t beyond = end - (position > map->keys ? position : map->keys);
  return triangle + (beyond > 0 ? (double)beyond * (double)map->keys : 0);
}

int64_t precis_visible_queries(const precis_query_map *map)
{
  return map->start[map->ranks];
}

static int rank_of(const precis_query_map *map, int64_t query)
{
  int low = 0, high = map->ranks - 1;
  while (low < high) {
    int middle = low + (high - low + 1) / 2;
    if (map->start[middle] <= query)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

int64_t precis_visible_position(const precis_query_map *map, int64_t query)
{
  int rank = rank_of(map, query);
  return map->first_position[rank] + query - map->start[rank];
}

double precis_visible_pairs(const precis_query_map *map, int64_t first, int64_t end)
{
  double pairs = 0;
  for (int64_t query = first; query < end;) {
    int rank = rank_of(map, query);
    int64_t stop = map->start[rank + 1] < end ? map->start[rank + 1] : end;
    pairs += pairs_from(map, map->first_position[rank] + query - map->start[rank], stop - query);
    query = stop;
  }
  return pairs;
}

int64_t precis_visible_split(const precis_query_map *map, double pairs)
{
  int rank = 0;
  double before = 0;
  for (; rank < map->ranks; rank++) {
    double here =
        pairs_from(map, map->first_position[rank], map->start[rank + 1] - map->start[rank]);
    if (before + here >= pairs)
      break;
    before += here;
  }
  if (rank == map->ranks)
    return precis_visible_queries(map);
  int64_t low = 0, high = map->start[rank + 1] - map->start[rank];
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (before + pairs_from(map, map->first_position[rank], middle) >= pairs)
      high = middle;
    else
      low = middle + 1;
  }
  return map->start[rank] + low;
}

int64_t precis_visible_by(const precis_query_map *map, int64_t position)
{
  if (!map->causal)
    return precis_visible_queries(map);
  int64_t count = 0;
  for (int r = 0; r < map->ranks; r++) {
    int64_t rows = map->start[r + 1] - map->start[r], blind = position - map->first_position[r];
    count += blind <= 0 ? rows : blind >= rows ? 0 : rows - blind;
  }
  return count;
}
