/* guard.h - a process beside this one that ends it when time is up, even where it is stopped
 *
 * A stopped process cannot end itself, and others cannot while MPI starts, or when they have ended
 * before. The guard is forked before MPI starts, and goes with the process that it guards. It
 * shares the process group: who suspends both suspends the guard's judgement too. */
#ifndef PRECIS_CLI_GUARD_H
#define PRECIS_CLI_GUARD_H

#include <stdatomic.h>
#include <time.h>

/* What the guarded process tells. */
typedef struct precis_guard {
  atomic_int watched; /* nonzero: a watchdog is at work, the guard only helps if that fails */
} precis_guard;

/* Time runs out `seconds` after `start` (CLOCK_MONOTONIC). Then the guard says if the process is
 * stopped, and a second later kills it if it still is. It kills one that is not watched after two
 * seconds, and any that is there after `patience` seconds. Each time it says on standard error
 * which rank that was. Without a guard (NULL) the process goes on as well, as one cannot always be
 * made. The structure lasts as long as the process. */
precis_guard *precis_guard_start(struct timespec start, double seconds, double patience);

#endif
