/* reaper.h - ends a launcher that stays though time is up
 *
 * mpiexec has been seen to live on after all its ranks were gone, which had not come out of
 * MPI_Init(). No rank is there then to end anything, so that a process of its own session watches
 * the launcher: it goes with it, or when this process has ended as it should, and kills it when
 * time is up and what else ends jobs has had its turn. */
#ifndef PRECIS_CLI_REAPER_H
#define PRECIS_CLI_REAPER_H

#include <stdatomic.h>
#include <time.h>

typedef struct precis_reaper {
  atomic_int finished; /* nonzero: there is nothing to watch for any more */
} precis_reaper;

/* Before MPI starts. Kills the parent of this process, if that is a launcher that is known by name,
 * `seconds` after `start` (CLOCK_MONOTONIC). NULL where the parent is none, or there is no process
 * to be had. The structure lasts as long as this process. */
precis_reaper *precis_reaper_start(struct timespec start, double seconds);

#endif
