/* schedule_build.h - the shapes of the moves, and the schedules made of them
 *
 * An attend by summaries is several schedules one after the other: outlier keys to all (spread),
 * the summaries, outlier queries and then the rows that have to be repaired (queries, with (row,
 * head) pairs for queries). How many rows are repaired is known only when it comes to that.
 *
 * Shapes are what src/schedule/cost.h counts bytes from. A schedule borrows its shape and everything that
 * the shape points to. Making one is cheap and cannot fail. */
#ifndef PRECIS_SRC_SCHEDULE_BUILD_H
#define PRECIS_SRC_SCHEDULE_BUILD_H

#include <stdint.h>

#include "src/layout/layout.h"
#include "src/exact/parcel.h"
#include "src/precis.h"
#include "src/schedule/schedule.h"
#include "src/layout/split.h"
#include "src/layout/visible.h"

/* Rows dealt out before a move so that all ranks have the same work, or brought in line, or home.
 * One step of the schedule, whose block has the rows that leave, and not a list of messages: which
 * rows of keys go where hangs on how they were appended, which shapes do not know. Where both
 * layouts are known, precis_exchange_rows() tells who sends how many to whom; mpi/rows/rows.h has one
 * message for each pair of ranks, to the rank `shift` places to the right while the one from as far
 * to the left comes in, for shift = 1 .. ranks - 1. */
typedef struct precis_exchange_shape {
  int wanted;
  precis_layout from; /* ranks 0: not known, as it hangs on the order in which keys were appended */
  precis_layout to;
  int64_t row_bytes;
} precis_exchange_shape;

/* Rows that rank `a` has and rank `b` gets. */
int64_t precis_exchange_rows(const precis_exchange_shape *exchange, int a, int b);

/* Rows that a rank has and others get; -1 if not known. */
int64_t precis_exchange_leaving(const precis_exchange_shape *exchange, int rank);

/* Rows that change ranks and nothing else, in one round. */
typedef struct precis_rows_shape {
  const char *move;
  precis_step_matter matter;
  precis_exchange_shape exchange;
} precis_rows_shape;

precis_schedule precis_schedule_rows(const precis_rows_shape *shape, const precis_nodes *nodes);

/* Parcels go round a ring of nodes, the next ones in flight while the present ones are computed:
 * those of a node's ranks together, each carried by one rank of the node that they are on, and
 * attended to by all of them where they lie. Parcel c of every rank goes round before parcel c + 1
 * starts, so that two buffers are enough. A round is a hop, which a node's ranks begin together,
 * with one before for exchanges and one at the end for results. */
typedef struct precis_tiles_shape {
  const precis_problem *problem;
  const int64_t *query_rows; /* ranks: as they are attended, dealt out or not */
  const int64_t *key_rows;   /* ranks: likewise; */
  int64_t most_keys;         /* the largest of them */
  int64_t tile_rows;         /* most keys in a parcel */
  precis_parcel_kind kind;
  precis_exchange_shape keys, queries, results; /* results go the way back */
  double visible; /* share of the pairs that is seen, for flops alone; 0: all */
} precis_tiles_shape;

enum { PRECIS_TILES_SUMS, PRECIS_TILES_PARCEL, PRECIS_TILES_SLOTS = PRECIS_TILES_PARCEL + 2 };

precis_schedule precis_schedule_tiles(const precis_tiles_shape *shape, const precis_nodes *nodes);

/* Whole heads, or the parts of heads between two cuts, are gathered on each rank; keys and values
 * of the heads that a rank needs come to it a parcel at a time, from ever farther to the left, the
 * next one in flight while the present one is computed; results go home. A round is a shift: ranks
 * of them for queries, as many for every parcel, as many for results. */
typedef struct precis_heads_shape {
  const precis_problem *problem;
  const precis_query_map *map;
  const int64_t *key_rows; /* ranks */
  const precis_cut *cuts;  /* ranks + 1 */
  int64_t tile_rows;
  precis_parcel_kind kind; /* of all key/value heads */
  double visible;          /* as above */
} precis_heads_shape;

enum {
  PRECIS_HEADS_SUMS,
  PRECIS_HEADS_QUERIES,
  PRECIS_HEADS_OUT, /* queries and results on their way */
  PRECIS_HEADS_IN,
  PRECIS_HEADS_PARCEL_OUT,
  PRECIS_HEADS_PARCEL,
  PRECIS_HEADS_SLOTS = PRECIS_HEADS_PARCEL + 2
};

precis_schedule precis_schedule_heads(const precis_heads_shape *shape, const precis_nodes *nodes);

/* The parcels that a rank needs. heads is 0 if it has nothing to attend. */
precis_parcel_kind precis_heads_kind(const precis_heads_shape *shape, int rank);

/* Rows of all pieces of a rank before piece i. */
int64_t precis_heads_offset(const precis_heads_shape *shape, int rank, int i);

/* Most ranks whose rows travel in one round: messages of all their trees are under way together. */
enum { PRECIS_QUERIES_OWNERS = 64 };

/* Every rank's queries go to all along a tree of its own; every rank attends to the keys that it
 * has; partials come back along the trees and are merged on the way. A round takes rows of several
 * ranks at once, rank after rank, so that keys are read once for all of them; one round before is
 * for the exchange of keys. */
typedef struct precis_queries_shape {
  const char *move;
  int heads; /* partials of a row */
  int64_t partial_words; /* of a partial on its way */
  int columns;             /* of a partial */
  const int64_t *rows;     /* ranks: that each has sent to all */
  int64_t batch_rows;      /* at most, in a round; >= 1 */
  int owners;              /* ranks that share a round, at most; 1 .. PRECIS_QUERIES_OWNERS */
  int64_t row_bytes;       /* of a row on its way */
  const int64_t *key_rows; /* ranks: as they are attended */
  int64_t tile_rows;
  precis_parcel_kind kind;
  precis_exchange_shape keys;
  double visible; /* as above */
} precis_queries_shape;

/* Rows of one rank lie together in a round: the first of those that a step is about. */
int64_t precis_queries_first(const precis_queries_shape *shape, const precis_step *step);

enum {
  PRECIS_QUERIES_SUMS,
  PRECIS_QUERIES_BATCH,
  PRECIS_QUERIES_PARCEL,
  PRECIS_QUERIES_IN, /* partials on their way */
  PRECIS_QUERIES_OUT,
  PRECIS_QUERIES_SLOTS
};

precis_schedule precis_schedule_queries(const precis_queries_shape *shape,
                                        const precis_nodes *nodes);

/* Some keys of every rank go to all along trees, batch after batch, rank after rank, and every rank
 * attends to them. What summaries leave out (outliers) travels so. A round is a batch. */
typedef struct precis_spread_shape {
  const char *move;
  const int64_t *rows; /* ranks: that each has sent to all */
  int64_t batch_rows;  /* at most, in a batch; >= 1 */
  int64_t row_bytes;   /* of a row in the message of a batch */
  int kv_heads;
  const int64_t *query_rows; /* ranks, for flops alone; NULL: none are counted */
  int heads, dim, value_dim;
} precis_spread_shape;

enum { PRECIS_SPREAD_SUMS, PRECIS_SPREAD_BATCH, PRECIS_SPREAD_SLOTS };

precis_schedule precis_schedule_spread(const precis_spread_shape *shape, const precis_nodes *nodes);

/* Sums of features over all keys. Tiles of features, head after head, first those with values, then
 * those with counts alone. */
typedef struct precis_summaries_shape {
  int heads, kv_heads, dim, value_dim;
  int64_t features, count_features;   /* of a head's summary */
  int64_t tile_features, tile_counts; /* most in a tile */
  int64_t least_slice;                /* numbers that are worth a message; >= 1 */
  const int64_t *query_start;         /* ranks + 1: as in precis_query_map */
  const int64_t *key_rows;            /* ranks */
  /* Under a causal mask alone: */
  precis_parcel_kind kind;
  int64_t parcel_rows; /* keys of a parcel for the exact part, whole blocks */
  int64_t block_keys;  /* of a block, for flops alone */
} precis_summaries_shape;

int64_t precis_summaries_tiles(const precis_summaries_shape *shape);

/* Tile `number`: its head and features. */
precis_block precis_summaries_tile(const precis_summaries_shape *shape, int64_t number);

/* Numbers of it: values, then counts, then counts with deviations, of which alone there are some
 * without values. */
int64_t precis_summaries_numbers(const precis_summaries_shape *shape, const precis_block *tile);

/* Of a vector that is cut up, part p has numbers first(p) .. first(p + 1) - 1. */
int64_t precis_summaries_slice(int64_t numbers, int parts, int part);

/* Three tiles at once in a pipeline: tile t is summarised while the slices of tile t - 1 are on
 * their way to the ranks that sum them, or sums on their way back to all, and tile t - 2 is
 * applied. Ranks of a node first add up their tiles where they lie, each its share of the numbers,
 * so that a node has one tile for the network; sums come back to one place for all of them, and
 * tile t - 3 is applied. Slices and sums go by direct messages, 2 (nodes - 1) / nodes of the tile
 * for a node, the least possible. A round summarises one, turns one, applies one. */
enum {
  PRECIS_SUMMARIES_STAGES = 3,
  PRECIS_SUMMARIES_WORK = 0,   /* packed rows, sums of a tile, what queries have gathered */
  PRECIS_SUMMARIES_VECTOR = 1, /* one each stage */
  PRECIS_SUMMARIES_SLICES = PRECIS_SUMMARIES_VECTOR + PRECIS_SUMMARIES_STAGES,
  PRECIS_SUMMARIES_RESULT = PRECIS_SUMMARIES_SLICES + PRECIS_SUMMARIES_STAGES, /* of a node */
  PRECIS_SUMMARIES_RESULTS = 4,
  PRECIS_SUMMARIES_SLOTS = PRECIS_SUMMARIES_RESULT + PRECIS_SUMMARIES_RESULTS
};

precis_schedule precis_schedule_summaries(const precis_summaries_shape *shape,
                                          const precis_nodes *nodes);

/* Under a causal mask: a rank's blocks of keys meet their queries exactly, those in the same block;
 * whole blocks before them through a running summary of this rank; keys of lower ranks through the
 * sum of their summaries, which comes down a chain of ranks. A round is a tile, with one before for
 * the exact part. */
enum {
  PRECIS_CAUSAL_WORK, /* as above, and partials of the exact part */
  PRECIS_CAUSAL_PARCEL,
  PRECIS_CAUSAL_OWN, /* sums of this rank, in double */
  PRECIS_CAUSAL_IN,  /* sums of lower ranks */
  PRECIS_CAUSAL_OUT,
  PRECIS_CAUSAL_SLOTS
};

precis_schedule precis_schedule_causal(const precis_summaries_shape *shape,
                                       const precis_nodes *nodes);

#endif
