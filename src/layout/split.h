/* split.h - cutting the work of an attend evenly over the ranks, for the heads move
 *
 * The work is heads x queries, head after head, each pair of a query and a key it sees counting
 * once. A cut is a place in that order; rank r works between cuts r and r + 1, on pieces of
 * consecutive heads. */
#ifndef PRECIS_SRC_LAYOUT_SPLIT_H
#define PRECIS_SRC_LAYOUT_SPLIT_H

#include <stdint.h>

#include "src/layout/visible.h"

/* Before query `query` of head `head`. */
typedef struct precis_cut {
  int head;
  int64_t query;
} precis_cut;

/* Queries [first, end) of one head. */
typedef struct precis_piece {
  int head;
  int64_t first, end;
} precis_piece;

/* cuts: ranks + 1. */
void precis_split_heads(const precis_query_map *map, int heads, precis_cut *cuts);

/* The same for any number of ranks, where `map` need only tell the positions: with thousands of
 * ranks at consecutive positions a map of one rank does, and is quick. */
void precis_split_heads_over(const precis_query_map *map, int heads, int ranks, precis_cut *cuts);

/* The pieces between cuts from[0] and from[1]: how many, and piece i of them. `queries`: of the
 * whole sequence. */
int precis_split_pieces(const precis_cut *from);
precis_piece precis_split_piece(const precis_cut *from, int64_t queries, int i);

#endif
