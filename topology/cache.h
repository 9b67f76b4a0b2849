/* cache.h - the fast memory that a process owns
 *
 * Functions return 0, or -1 when hwloc cannot say or memory is short; the structure is then
 * untouched. Nothing is printed, nothing is kept, nothing is bound: where a process runs is for who
 * started it to say. */
#ifndef PRECIS_TOPOLOGY_CACHE_H
#define PRECIS_TOPOLOGY_CACHE_H

#include <stdint.h>

#include "topology/pus.h"

/* Taken for the fast memory of a machine that tells nothing about its L2 and L3. */
#define PRECIS_CACHE_FALLBACK ((int64_t)1 << 20)

/* "Owns" means: may run on. Of a cache, a process owns the part that its processing units (PUs,
 * hardware threads) are of all PUs below that cache: both L2 of two cores, an eighth of an L3
 * shared by eight cores when it runs on one. PUs that a container or batch system withholds
 * count as somebody else's; a PU that several processes may run on is divided among them. */
typedef struct precis_cache {
  int64_t fast_bytes;         /* l2_bytes + l3_bytes, or PRECIS_CACHE_FALLBACK */
  int64_t l2_bytes, l3_bytes; /* 0 where there is none or it is not known */
  int known;                  /* 0: fast_bytes is the fallback */
  int line_bytes;             /* 64 when not known */
  int cores, pus;      /* that the process may run on; a core counts if one of its PUs does */
  int bound;           /* nonzero: confined to a part of the PUs that the system allows */
  precis_pus set;      /* of those PUs */
  precis_pus core_set; /* of their cores, each named by its lowest PU */
  char cpuset[256];    /* PUs in list form, "0-3,8", cut to fit */
  char numa[64];       /* NUMA nodes that their memory is near to, in list form, cut to fit */
  int numa_count;      /* of those; 1 where the machine has no NUMA nodes */
  int numa_first;      /* the lowest of those, counted from 0 along the machine */

  /* The machine, all of it; allowed: what the system lets this user or job have. */
  int machine_cores, machine_pus, allowed_cores, allowed_pus;
  int packages, numa_nodes;
  int l2_count, l3_count;
  int64_t l2_size, l3_size; /* of the first, in bytes */
  char cpu[128];            /* model, or "unknown" */
} precis_cache;

/* This process on this machine. `sharers` processes, itself included and at least 1, run on the
 * same PUs and divide their caches evenly. */
int precis_cache_find(int sharers, precis_cache *cache);

/* This process on this machine, with `processes` processes on it that may run on sets[], of which
 * it is number `mine`. */
int precis_cache_find_among(const precis_pus *sets, int processes, int mine, precis_cache *cache);

/* A process bound to `cpuset` (list form; NULL: unbound) on a machine described in hwloc's
 * synthetic syntax, for tests and for plans of machines that are not at hand. */
int precis_cache_find_synthetic(const char *machine, const char *cpuset, int sharers,
                                precis_cache *cache);

/* The same with precis_cache_find_among()'s arguments. */
int precis_cache_find_synthetic_among(const char *machine, const precis_pus *sets, int processes,
                                      int mine, precis_cache *cache);

#endif
