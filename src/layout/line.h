/* line.h - where queries go so that each is on the rank whose keys it is among
 *
 * What prefix sums of summaries down a chain of ranks want, see mpi/moves/align.h. */
#ifndef PRECIS_SRC_LAYOUT_LINE_H
#define PRECIS_SRC_LAYOUT_LINE_H

#include <stdint.h>

#include "src/layout/visible.h"

/* Whether the queries' positions ascend without gaps over the ranks, without which they cannot be
 * brought in line. */
int precis_line_possible(const precis_query_map *map);

/* A query goes to the rank that has the key at its position: queries before the first key to the
 * first rank, those beyond the last key to the last. key_start: ranks + 1, keys being consecutive.
 * Fills query_start (ranks + 1) and first_position (ranks). Returns whether any has to move. */
int precis_line_queries(const precis_query_map *map, const int64_t *key_start, int64_t *query_start,
                        int64_t *first_position);

#endif
