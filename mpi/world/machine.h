/* machine.h - what a rank has of its machine */
#ifndef PRECIS_MPI_WORLD_MACHINE_H
#define PRECIS_MPI_WORLD_MACHINE_H

#include "mpi/world/world.h"
#include "topology/cache.h"

typedef struct precis_machine {
  precis_cache cache;  /* with what other ranks of the node take of it */
  char host[64];       /* cut to fit */
  char room_place[64]; /* where memory that ranks of a node share is, cut to fit, ... */
  int64_t room_bytes;  /* ... and how much of it is free; INT64_MAX: there is no limit */
  int node_ranks;      /* ranks on this node */
  int sharers;         /* of them, those with the same PUs as this one; itself included */
  int overlaps;        /* of them, those with some of its PUs, but not the same */
} precis_machine;

/* Collective; differs from rank to rank. Errors: MEMORY, MPI, INTERNAL (hwloc fails). */
int precis_machine_find(precis_world *world, precis_machine *machine);

#endif
