/* watchdog.h - ends the job when it takes too long
 *
 * A thread of its own, so that it also bites while MPI waits for ever. When the time is up it
 * prints one line that names rank and phase, removes the files it was told of, and aborts the
 * job with status 1. */
#ifndef PRECIS_CLI_WATCHDOG_H
#define PRECIS_CLI_WATCHDOG_H

#include <pthread.h>
#include <stdatomic.h>

enum { PRECIS_WATCHDOG_FILES = 4 };

typedef struct precis_watchdog {
  double seconds; /* 0: there is no limit and no thread */
  int rank, ranks;
  _Atomic(const char *) phase; /* static text: "reading the keys" */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t stop;
  int stopped;
  char *files[PRECIS_WATCHDOG_FILES]; /* copies, guarded by mutex; NULL: free */
} precis_watchdog;

/* Zero-initialised watchdog. Returns 0, or an errno. */
int precis_watchdog_start(precis_watchdog *watchdog, double seconds, int rank, int ranks);
void precis_watchdog_stop(precis_watchdog *watchdog);
void precis_watchdog_phase(precis_watchdog *watchdog, const char *phase);

/* Around the making of a file that is written aside: guard names it (NULL: none was made), to be
 * removed should time run out. Between the two, rank 0 does not give up, or the file would be left
 * behind; other ranks still do. Nothing happens if the file is gone by then. */
void precis_watchdog_hold(precis_watchdog *watchdog);
void precis_watchdog_guard(precis_watchdog *watchdog, const char *path);

#endif
