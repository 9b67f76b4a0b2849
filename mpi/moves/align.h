/* align.h - causal rows brought in line for prefix sums
 *
 * A scan over ranks needs every key of a lower rank to come before all keys of a higher one, and
 * every query on the rank whose keys it is among. Rows that one append and one attend gave in even
 * shares are so already; else they move. */
#ifndef PRECIS_MPI_MOVES_ALIGN_H
#define PRECIS_MPI_MOVES_ALIGN_H

#include <stdint.h>

#include "mpi/rows/deal.h"
#include "mpi/moves/task.h"
#include "src/layout/wire.h"

typedef struct precis_align {
  int possible; /* the queries' positions ascend without gaps over the ranks */
  int moves_keys, moves_queries;
  precis_wire keys_leaving, queries_leaving; /* rows that change rank, of all ranks */
  int64_t *key_start, *query_start;          /* ranks + 1: the shares in line */
  int64_t *first_position;                   /* ranks */
  int64_t *key_rows;                         /* ranks */
  /* Set by precis_align_make(): */
  precis_query_map map;
  precis_task task; /* like the one at home, on the rows in line */
  precis_keys keys;
  precis_dealt_queries queries;
  precis_finished to;
} precis_align;

/* Collective. Finds out what has to move. Errors: MEMORY, MPI. */
int precis_align_plan(precis_world *world, const precis_keys *keys, const precis_query_map *map,
                      precis_align *align);

/* Collective. Moves rows and makes align->task of `home`. Errors: MEMORY, MPI. */
int precis_align_make(const precis_task *home, precis_align *align);

/* Collective. Brings results and counters back to `home`. Errors: MEMORY, MPI. */
int precis_align_back(precis_task *home, precis_align *align);

void precis_align_free(precis_align *align);

#endif
