/* machine.h - what a rank has of its machine */
#ifndef PRECIS_MPI_MACHINE_H
#define PRECIS_MPI_MACHINE_H

#include "mpi/world.h"
#include "topology/cache.h"

typedef struct precis_machine {
  precis_cache cache;
  char host[64];  /* cut to fit */
  int node_ranks; /* ranks on this node */
  /* Of them, those bound to the same PUs as this one, or unbound like it; itself included. The
   * cache is divided by their number. */
  int sharers;
} precis_machine;

/* Collective; differs from rank to rank. Errors: MEMORY, MPI, INTERNAL (hwloc fails). */
int precis_machine_find(precis_world *world, precis_machine *machine);

#endif
