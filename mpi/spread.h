/* spread.h - one rank's data to all, and partials of all back to one, along a binomial tree of
 * counted messages */
#ifndef PRECIS_MPI_SPREAD_H
#define PRECIS_MPI_SPREAD_H

#include <stdint.h>

#include "mpi/task.h"
#include "src/partial.h"

/* Collective: `bytes` bytes of the root's buffer into everybody's. Errors: MPI. */
int precis_spread_broadcast(precis_task *task, int root, void *buffer, int64_t bytes);

/* Collective: merges the partials of all ranks, which hold different keys, into the root's. wire_in
 * and wire_out: precis_partial_words(rows, value_dim) floats each. Errors: MPI. */
int precis_spread_reduce(precis_task *task, int root, precis_partial *partial, int64_t rows,
                         float *wire_in, float *wire_out);

#endif
