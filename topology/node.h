/* node.h - whether the ranks of one node get in each other's way */
#ifndef PRECIS_TOPOLOGY_NODE_H
#define PRECIS_TOPOLOGY_NODE_H

#include "topology/cache.h"

/* A rank of the node. */
typedef struct precis_seat {
  const precis_cache *cache; /* as found on that node */
  int threads;               /* that it computes with */
} precis_seat;

/* Counts of ranks, unless said otherwise. */
typedef struct precis_node {
  int ranks;
  int threads, cores; /* of all ranks; cores that they may run on, each counted once */
  int unbound;        /* may run anywhere, though they are not alone */
  int overlapping;    /* bound, and share a PU with another bound rank */
  int crowded;        /* more threads than cores of its own */
  int withheld;       /* of those: more threads than the system allows the job at all */
  int spanning;       /* bound across NUMA nodes though there are as many ranks as NUMA nodes */
  /* Of ranks near one NUMA node only: the most, and the fewest, at one of the machine's. */
  int numa_most, numa_fewest;
} precis_node;

/* `ranks` is at least 1. */
precis_node precis_node_judge(const precis_seat *seats, int ranks);

/* Nonzero if numbers of ranks near NUMA nodes differ by more than one. */
int precis_node_uneven(const precis_node *node);

#endif
