/* rows.h - rows of arrays moved from the ranks that have them to the ranks of another layout */
#ifndef PRECIS_MPI_ROWS_ROWS_H
#define PRECIS_MPI_ROWS_ROWS_H

#include <stdint.h>

#include "mpi/world/world.h"
#include "src/layout/layout.h"

/* One array: rows of row_bytes bytes each. */
typedef struct precis_rows_array {
  int64_t row_bytes;
  const void *from; /* the rows that this rank has */
  void *to;         /* room for the rows that it gets: precis_layout_share(to, rank) */
} precis_rows_array;

/* Collective. `index` names this rank's rows in the whole sequence, ascending; over all ranks every
 * row of the sequence occurs once. Sends, per row that leaves its rank, its index (8 bytes) and its
 * row in each of the arrays. Buffers hold what goes to one other rank
 * at a time. Errors: MEMORY, MPI. */
int precis_rows_exchange(precis_world *world, int64_t rows, const int64_t *index,
                         const precis_layout *to, const precis_rows_array *arrays, int count);

#endif
