/* visible.h - how much the queries of each rank see
 *
 * A rank's queries are at consecutive positions; the sequence has keys at positions 0 .. keys - 1,
 * and a causal query at position p sees the keys at positions <= p. */
#ifndef PRECIS_SRC_LAYOUT_VISIBLE_H
#define PRECIS_SRC_LAYOUT_VISIBLE_H

#include <stdint.h>

/* The queries of all ranks, in rank order. */
typedef struct precis_query_map {
  int ranks, causal;
  int64_t keys;
  const int64_t *start;          /* ranks + 1: a rank's queries are start[r] .. start[r + 1] - 1 */
  const int64_t *first_position; /* ranks: of the first query of a rank */
} precis_query_map;

int64_t precis_visible_queries(const precis_query_map *map);

/* Where query i is, and the keys it sees. */
int64_t precis_visible_position(const precis_query_map *map, int64_t query);

/* Pairs of queries [first, end) and the keys that they see, for one head. */
double precis_visible_pairs(const precis_query_map *map, int64_t first, int64_t end);

/* The first query at which the pairs before it reach `pairs`. */
int64_t precis_visible_split(const precis_query_map *map, double pairs);

/* Queries that see the key at `position`. */
int64_t precis_visible_by(const precis_query_map *map, int64_t position);

#endif
