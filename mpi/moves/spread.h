/* spread.h - one rank's data to all, along a binomial tree of counted messages */
#ifndef PRECIS_MPI_MOVES_SPREAD_H
#define PRECIS_MPI_MOVES_SPREAD_H

#include <stdint.h>

#include "mpi/moves/task.h"

/* Collective: `bytes` bytes of the root's buffer into everybody's. Errors: MPI. */
int precis_spread_broadcast(precis_task *task, int root, void *buffer, int64_t bytes);

#endif
