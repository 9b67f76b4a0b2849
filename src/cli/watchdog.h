/* watchdog.h - ends the job when it takes too long
 *
 * A thread of its own, so that it also bites while MPI waits for ever. When the time is up each
 * rank of a job that is not large prints a line: what it does, how far it is, whom it waits for.
 * One that says nothing is stuck or dead. Rank 0's line begins with "precis: "; it then removes the
 * files it was told of, and aborts the job with status 1. Should rank 0 not do so, the others do.
 *
 * From arming to the end of the process there is a guard as well, for what is stopped, or hangs
 * while MPI starts or ends, and a reaper for the launcher, which may stay when all ranks are gone.
 */
#ifndef PRECIS_CLI_WATCHDOG_H
#define PRECIS_CLI_WATCHDOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "src/cli/guard.h"
#include "src/cli/janitor.h"
#include "src/cli/reaper.h"

enum { PRECIS_WATCHDOG_FILES = 4 };

/* Whom this rank waits for, see precis_attention_waits(), from another thread. */
typedef char *precis_watchdog_words(const void *of, char *text, size_t size);

typedef struct precis_watchdog {
  double seconds;        /* 0: there is no limit and no thread */
  struct timespec armed; /* CLOCK_MONOTONIC */
  precis_guard *guard;   /* or NULL */
  precis_janitor janitor;
  precis_reaper *reaper; /* or NULL */
  int rank, ranks;
  _Atomic(const char *) phase; /* static text: "reading the keys" */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t stop;
  int stopped;
  precis_watchdog_words *words;       /* guarded by mutex; NULL: nobody knows ... */
  const void *of;                     /* ... what is waited for */
  char *files[PRECIS_WATCHDOG_FILES]; /* copies, guarded by mutex; NULL: free */
} precis_watchdog;

/* Zero-initialised watchdog. Time runs from here; 0 seconds: for ever. */
void precis_watchdog_arm(precis_watchdog *watchdog, double seconds);

/* This process ends as it should. */
void precis_watchdog_finish(precis_watchdog *watchdog);

/* Starts the thread. Returns 0, or an errno. */
int precis_watchdog_start(precis_watchdog *watchdog, int rank, int ranks);
void precis_watchdog_stop(precis_watchdog *watchdog);
void precis_watchdog_phase(precis_watchdog *watchdog, const char *phase);

/* From now on words(of) tell whom this rank waits for. `of` must last until the next call, or until
 * the watchdog has stopped. */
void precis_watchdog_look(precis_watchdog *watchdog, precis_watchdog_words *words, const void *of);

/* Around the making of a file that is written aside: guard names it (NULL: none was made), to be
 * removed should time run out, or should a process that has a janitor end. Between the two, rank 0
 * does not give up, or the file would be left behind; other ranks still do. Nothing happens if the
 * file is gone by then. */
void precis_watchdog_hold(precis_watchdog *watchdog);
void precis_watchdog_guard(precis_watchdog *watchdog, const char *path);
/* A file that was guarded is not removed any more. Nothing happens if it was not. */
void precis_watchdog_spare(precis_watchdog *watchdog, const char *path);

#endif
