/* reduce.h - sums of float vectors over all ranks, in flight while others are computed
 *
 * Reduce-scatter, then all-gather, both by direct messages: rank p sums slice p of everybody's
 * vector and sends the sum to everybody. A rank sends and receives 2 (ranks - 1) / ranks of the
 * vector, the least possible. Built from counted messages, as bytes inside an MPI collective cannot
 * be counted. Sums are formed in double and rounded once. */
#ifndef PRECIS_MPI_REDUCE_H
#define PRECIS_MPI_REDUCE_H

#include <stdint.h>

#include "mpi/world.h"

typedef struct precis_reduction {
  precis_world *world;
  int tag;
  int64_t most;               /* numbers in the largest vector */
  float *vector;              /* numbers, to be filled by the caller; then their sums */
  int64_t numbers;            /* of the vector under way */
  float *slices;              /* this rank's slice from every other rank */
  precis_transfer *transfers; /* 2 ranks: receives, then sends */
} precis_reduction;

/* Not collective: the caller agrees on the result. `tag` must differ between reductions that are
 * under way at once. Errors: MEMORY. */
int precis_reduction_create(precis_world *world, int tag, int64_t most,
                            precis_reduction *reduction);
void precis_reduction_free(precis_reduction *reduction);

/* Collective, in this order for each vector: */
int precis_reduction_start(precis_reduction *reduction, int64_t numbers); /* sends slices */
int precis_reduction_turn(precis_reduction *reduction); /* waits for them, sums, sends the sums */
int precis_reduction_wait(precis_reduction *reduction); /* waits for the sums */

/* Keeps messages moving. */
int precis_reduction_poll(precis_reduction *reduction);

/* Bytes that all ranks together send for one vector. */
int64_t precis_reduction_bytes(int ranks, int64_t numbers);

#endif
