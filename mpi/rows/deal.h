/* deal.h - rows dealt out so that every rank has the same work, and results taken back */
#ifndef PRECIS_MPI_ROWS_DEAL_H
#define PRECIS_MPI_ROWS_DEAL_H

#include <stdint.h>

#include "mpi/world/world.h"
#include "src/rows/row.h"
#include "src/tokens/keys.h"
#include "src/layout/layout.h"
#include "src/precis.h"
#include "src/layout/visible.h"

/* Collective. Moves all ranks' keys to the ranks of a layout. *dealt is new. Errors: MEMORY, MPI.
 */
int precis_deal_keys(precis_world *world, const precis_keys *keys, const precis_layout *layout,
                     precis_keys *dealt);

/* Queries away from home. */
typedef struct precis_dealt_queries {
  precis_layout layout;
  int64_t rows;
  float *q;          /* rows x heads x dim */
  int64_t *index;    /* rows: number of the query in the whole */
  int64_t *position; /* rows */
} precis_dealt_queries;

/* Collective. Moves this rank's queries (home rows) to the ranks of a layout. Errors: MEMORY, MPI.
 */
int precis_deal_queries(precis_world *world, const precis_problem *problem,
                        const precis_query_map *map, const float *q, const precis_layout *layout,
                        precis_dealt_queries *dealt);

/* Collective. Moves results back to the ranks whose queries they are. */
int precis_deal_back(precis_world *world, const precis_problem *problem,
                     const precis_query_map *map, const precis_dealt_queries *dealt,
                     const precis_finished *away, const precis_finished *at_home);

void precis_dealt_queries_free(precis_dealt_queries *dealt);

#endif
