/* schedule_build.h - the shapes of the moves, and the schedules made of them
 *
 * Shapes are what src/cost.h counts bytes from. A schedule borrows its shape and everything that
 * the shape points to. Making one is cheap and cannot fail. */
#ifndef PRECIS_SRC_SCHEDULE_BUILD_H
#define PRECIS_SRC_SCHEDULE_BUILD_H

#include <stdint.h>

#include "src/layout.h"
#include "src/parcel.h"
#include "src/precis.h"
#include "src/schedule.h"
#include "src/split.h"
#include "src/visible.h"

/* Rows dealt out before a move so that all ranks have the same work. One step, whose block has the
 * rows that leave: who sends how many to whom follows from the two layouts, see
 * precis_exchange_rows(). */
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

/* Parcels go round a ring, the next one in flight while the present one is computed. Parcel c of
 * every rank goes round before parcel c + 1 starts, so that two buffers are enough. A round is a
 * hop, with one before for exchanges and one at the end for results. */
typedef struct precis_tiles_shape {
  const precis_problem *problem;
  const int64_t *query_rows; /* ranks: as they are attended, dealt out or not */
  const int64_t *key_rows;   /* ranks: likewise */
  int64_t tile_rows;         /* most keys in a parcel */
  precis_parcel_kind kind;
  precis_exchange_shape keys, queries, results; /* results go the way back */
} precis_tiles_shape;

enum { PRECIS_TILES_SUMS, PRECIS_TILES_PARCEL, PRECIS_TILES_SLOTS = PRECIS_TILES_PARCEL + 2 };

precis_schedule precis_schedule_tiles(const precis_tiles_shape *shape, int ranks, const int *node);

#endif
