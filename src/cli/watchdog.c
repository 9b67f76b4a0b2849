#include "src/cli/watchdog.h"

#include "src/cli/launch.h"

#include <errno.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds. Rank 0 gives the other ranks time to be heard before it ends them; they end the job only
 * if rank 0 does not, one after the other, as one is enough. What still hangs is ended by the
 * guard. */
static const double HEARING = 0.5, PATIENCE = 3, NEXT = 0.25, LAST = 7;
enum { TURNS = 8, ABORT_MOST = 5 };

/* In larger jobs, rank 0 alone says where it is. */
enum { HEARD_MOST = 64 };

static struct timespec after(struct timespec at, double seconds)
{
  double whole = (double)(time_t)seconds;
  at.tv_sec += (time_t)whole;
  at.tv_nsec += (long)((seconds - whole) * 1e9);
  at.tv_sec += at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  return at;
}

/* In one piece, or lines of several ranks would be mixed. */
static void say_where(const precis_watchdog *watchdog, const char *before)
{
  char text[512], where[384] = "";
  if (watchdog->words != NULL)
    watchdog->words(watchdog->of, where, sizeof where);
  snprintf(text, sizeof text, "%srank %d of %d is %s%s%s\n", before, watchdog->rank,
           watchdog->ranks, atomic_load(&watchdog->phase), where[0] != '\0' ? ": " : "", where);
  fputs(text, stderr);
}

/* The mutex is held for good: nothing may be made any more. */
static void give_up(precis_watchdog *watchdog)
{
  char before[64];
  alarm(ABORT_MOST); /* should MPI_Abort hang as well, the default action of SIGALRM ends this rank,
                        and mpirun the rest */
  snprintf(before, sizeof before,
           "precis: no end after %g seconds (--timeout): ", watchdog->seconds);
  say_where(watchdog, before);
  for (int i = 0; i < PRECIS_WATCHDOG_FILES; i++)
    if (watchdog->files[i] != NULL)
      unlink(watchdog->files[i]);
  int with_mpi = 0;
  if (MPI_Initialized(&with_mpi) == MPI_SUCCESS && with_mpi)
    MPI_Abort(MPI_COMM_WORLD, 1);
  _exit(1);
}

/* With the mutex. Returns nonzero if time ran out, 0 if the watchdog was stopped before. */
static int wait_until(precis_watchdog *watchdog, double seconds)
{
  struct timespec end = after(watchdog->armed, seconds);
  int error = 0;
  while (!watchdog->stopped && error != ETIMEDOUT)
    error = pthread_cond_timedwait(&watchdog->stop, &watchdog->mutex, &end);
  return !watchdog->stopped;
}

static void *watch(void *argument)
{
  precis_watchdog *watchdog = argument;
  int rank = watchdog->rank, heard = watchdog->ranks > 1 && watchdog->ranks <= HEARD_MOST;
  double last = rank > 0 ? PATIENCE + NEXT * (rank < TURNS ? rank : TURNS) : heard ? HEARING : 0;
  pthread_mutex_lock(&watchdog->mutex);
  int over = wait_until(watchdog, watchdog->seconds);
  if (over && rank > 0 && heard)
    say_where(watchdog, "");
  if (over && wait_until(watchdog, watchdog->seconds + last))
    give_up(watchdog);
  pthread_mutex_unlock(&watchdog->mutex);
  return NULL;
}

void precis_watchdog_arm(precis_watchdog *watchdog, double seconds)
{
  clock_gettime(CLOCK_MONOTONIC, &watchdog->armed);
  watchdog->seconds = seconds;
  if (seconds > 0)
    watchdog->guard = precis_guard_start(watchdog->armed, seconds, LAST);
  if (seconds > 0 && precis_launch_rank() == 0) /* when the guard has had its turn */
    watchdog->reaper = precis_reaper_start(watchdog->armed, seconds + LAST + PATIENCE);
}

void precis_watchdog_finish(precis_watchdog *watchdog)
{
  if (watchdog->reaper != NULL)
    atomic_store(&watchdog->reaper->finished, 1);
}

static void set_watched(precis_watchdog *watchdog, int watched)
{
  if (watchdog->guard != NULL)
    atomic_store(&watchdog->guard->watched, watched);
}

int precis_watchdog_start(precis_watchdog *watchdog, int rank, int ranks)
{
  atomic_store(&watchdog->phase, "starting");
  if (watchdog->seconds <= 0)
    return 0;
  watchdog->rank = rank;
  watchdog->ranks = ranks;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&watchdog->stop, &attributes);
  pthread_condattr_destroy(&attributes);
  pthread_mutex_init(&watchdog->mutex, NULL);
  set_watched(watchdog, 1);
  int error = pthread_create(&watchdog->thread, NULL, watch, watchdog);
  if (error != 0)
    watchdog->seconds = 0;
  return error;
}

void precis_watchdog_stop(precis_watchdog *watchdog)
{
  if (watchdog->seconds <= 0)
    return;
  pthread_mutex_lock(&watchdog->mutex);
  watchdog->stopped = 1;
  pthread_cond_signal(&watchdog->stop);
  pthread_mutex_unlock(&watchdog->mutex);
  set_watched(watchdog, 0);
  pthread_join(watchdog->thread, NULL);
  pthread_cond_destroy(&watchdog->stop);
  pthread_mutex_destroy(&watchdog->mutex);
  for (int i = 0; i < PRECIS_WATCHDOG_FILES; i++)
    free(watchdog->files[i]);
  watchdog->seconds = 0;
}

void precis_watchdog_phase(precis_watchdog *watchdog, const char *phase)
{
  atomic_store(&watchdog->phase, phase);
}

void precis_watchdog_look(precis_watchdog *watchdog, precis_watchdog_words *words, const void *of)
{
  if (watchdog->seconds <= 0)
    return;
  pthread_mutex_lock(&watchdog->mutex);
  watchdog->words = words;
  watchdog->of = of;
  pthread_mutex_unlock(&watchdog->mutex);
}

void precis_watchdog_hold(precis_watchdog *watchdog)
{
  if (watchdog->seconds > 0 && watchdog->rank == 0)
    pthread_mutex_lock(&watchdog->mutex);
}

void precis_watchdog_guard(precis_watchdog *watchdog, const char *path)
{
  precis_janitor_guard(&watchdog->janitor, path);
  if (watchdog->seconds <= 0)
    return;
  if (watchdog->rank != 0)
    pthread_mutex_lock(&watchdog->mutex);
  int i = 0;
  while (i < PRECIS_WATCHDOG_FILES && watchdog->files[i] != NULL)
    i++;
  if (i < PRECIS_WATCHDOG_FILES && path != NULL)
    watchdog->files[i] = strdup(path);
  pthread_mutex_unlock(&watchdog->mutex);
}

void precis_watchdog_spare(precis_watchdog *watchdog, const char *path)
{
  precis_janitor_spare(&watchdog->janitor, path);
  if (watchdog->seconds <= 0)
    return;
  pthread_mutex_lock(&watchdog->mutex);
  for (int i = 0; i < PRECIS_WATCHDOG_FILES; i++)
    if (watchdog->files[i] != NULL && strcmp(watchdog->files[i], path) == 0) {
      free(watchdog->files[i]);
      watchdog->files[i] = NULL;
    }
  pthread_mutex_unlock(&watchdog->mutex);
}
