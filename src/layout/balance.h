/* balance.h - whether rows change ranks so that all have the same work, and how many do
 *
 * The one rule that runs and plans on paper go by. Work is counted in pairs of a query and a key
 * that it sees. */
#ifndef PRECIS_SRC_LAYOUT_BALANCE_H
#define PRECIS_SRC_LAYOUT_BALANCE_H

#include <stdint.h>

#include "src/layout/layout.h"
#include "src/layout/visible.h"
#include "src/layout/wire.h"

/* Whether the busiest rank has so much more than the mean that rows are to move. */
int precis_balance_uneven(double most, double sum, int ranks);

/* The same of ranks that keep their queries and see all keys. start: ranks + 1 first queries; of
 * `map` only what it says of positions matters, so that a map of one rank does where queries are
 * consecutive. */
int precis_balance_queries_uneven(const precis_query_map *map, const int64_t *start, int ranks);

/* Pairs of a rank's keys with all queries, for one head, from a sample of the keys. position: rows,
 * or NULL where keys are consecutive from `first` on. Few queries are not worth moving keys for: 0
 * then, and where every query sees every key. */
double precis_balance_key_pairs(const precis_query_map *map, int64_t rows, const int64_t *position,
                                int64_t first);

/* Pairs of rounds for a dealing (see layout.h): one for each parcel, so that every parcel holds as
 * many late as early rows. Where there are fewer queries than keys, their rounds do not match and
 * more of them even out the difference. */
int precis_balance_pairs_of_rounds(int64_t queries, int64_t keys, int ranks, int64_t tile_rows);

/* Rows that change rank between consecutive shares (start: ranks + 1) and another layout. node: of
 * each rank. */
precis_wire precis_balance_leaving(const int64_t *start, const precis_layout *to, const int *node);

#endif
