/* shapes.h - the shapes of schedules, from a problem and where its rows lie
 *
 * The one place that fills the structures of src/schedule/build.h: runs carry out what is made
 * here, plans on paper print it, and models count its memory. */
#ifndef PRECIS_SRC_SCHEDULE_SHAPES_H
#define PRECIS_SRC_SCHEDULE_SHAPES_H

#include <stdint.h>

#include "src/schedule/build.h"
#include "src/summary/summary_kernels.h"

/* Keys of a parcel for the exact part of causal summaries, in whole blocks. */
enum {
  PRECIS_PREFIX_PARCEL_BLOCKS = 32,
  PRECIS_PREFIX_PARCEL_ROWS = PRECIS_PREFIX_PARCEL_BLOCKS * PRECIS_KEY_BLOCK
};

/* On their way at a time: keys that summaries leave out, and (query, head) pairs that are answered
 * exactly. */
enum { PRECIS_OUTLIERS_MOST = 1024, PRECIS_REPAIRED_MOST = 1 << 14 };

/* Where rows lie and how a move takes them. Borrowed by all that is made of it. */
typedef struct precis_placement {
  const precis_problem *problem;
  const precis_query_map *map;
  const int64_t *key_rows;  /* ranks: as they were appended */
  const int64_t *key_start; /* ranks + 1, where keys are consecutive; NULL: not known */
  const precis_cut *cuts;   /* ranks + 1: shares of the heads move */
  precis_parcel_kind kind;  /* of a parcel of all key/value heads */
  int64_t tile_rows;        /* most keys in a parcel */
  int deal_queries, deal_keys;
} precis_placement;

/* Rows of each rank as the move attends them; owned. */
typedef struct precis_shape_rows {
  int64_t *queries, *keys;
} precis_shape_rows;

void precis_shape_rows_free(precis_shape_rows *rows);

/* The exact moves. *rows is new, to be released when the shape is used no more. Errors: MEMORY. */
int precis_shape_tiles(const precis_placement *at, precis_shape_rows *rows,
                       precis_tiles_shape *shape);
int precis_shape_queries(const precis_placement *at, precis_shape_rows *rows,
                         precis_queries_shape *shape);
precis_heads_shape precis_shape_heads(const precis_placement *at);

/* Keys in a parcel of the queries move and of repair, where other moves have so many. */
int64_t precis_shape_parcel_rows(const precis_problem *problem, int64_t tile_rows);

/* Queries that the queries move sends at a time, of so many, where a rank has at most `most`. */
int64_t precis_shape_batch_rows(const precis_problem *problem, int ranks, int64_t queries,
                                int64_t most);

/* Summaries of so many features with values and so many counts, of all keys or of prefixes. biased:
 * parcels have biases even if keys have none, as outliers are masked by them. */
precis_summaries_shape precis_shape_summaries(const precis_placement *at, int64_t features,
                                              int64_t count_features,
                                              const precis_summary_kernels *kernels);
precis_summaries_shape precis_shape_prefixes(const precis_placement *at, int64_t features,
                                             int64_t count_features,
                                             const precis_summary_kernels *kernels, int biased);

/* Keys that summaries leave out, `counts` of each rank, and (query, head) pairs to be attended to
 * exactly. */
precis_spread_shape precis_shape_outlier_keys(const precis_problem *problem, const int64_t *counts);
precis_queries_shape precis_shape_repair(const precis_placement *at, const int64_t *counts,
                                         int precise);

#endif
