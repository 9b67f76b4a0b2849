#include "src/cli/watchdog.h"

#include <errno.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Ranks other than 0 speak up only if rank 0 cannot: one line is enough. */
static const double PATIENCE = 3;

static struct timespec after(double seconds)
{
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  double whole = (double)(time_t)seconds;
  at.tv_sec += (time_t)whole;
  at.tv_nsec += (long)((seconds - whole) * 1e9);
  at.tv_sec += at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  return at;
}

/* Holds the mutex for good: nothing may be made any more. */
static void give_up(precis_watchdog *watchdog)
{
  fprintf(stderr, "precis: no end after %g seconds (--timeout): rank %d of %d is %s\n",
          watchdog->seconds, watchdog->rank, watchdog->ranks, atomic_load(&watchdog->phase));
  for (int i = 0; i < PRECIS_WATCHDOG_FILES; i++)
    if (watchdog->files[i] != NULL)
      unlink(watchdog->files[i]);
  alarm(5); /* should MPI_Abort hang as well, the default action of SIGALRM ends this rank, and
               mpirun the rest */
  MPI_Abort(MPI_COMM_WORLD, 1);
  _exit(1);
}

static void *watch(void *argument)
{
  precis_watchdog *watchdog = argument;
  struct timespec end = after(watchdog->seconds + (watchdog->rank == 0 ? 0 : PATIENCE));
  pthread_mutex_lock(&watchdog->mutex);
  int error = 0;
  while (!watchdog->stopped && error != ETIMEDOUT)
    error = pthread_cond_timedwait(&watchdog->stop, &watchdog->mutex, &end);
  if (!watchdog->stopped)
    give_up(watchdog);
  pthread_mutex_unlock(&watchdog->mutex);
  return NULL;
}

int precis_watchdog_start(precis_watchdog *watchdog, double seconds, int rank, int ranks)
{
  atomic_store(&watchdog->phase, "starting");
  if (seconds <= 0)
    return 0;
  watchdog->rank = rank;
  watchdog->ranks = ranks;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&watchdog->stop, &attributes);
  pthread_condattr_destroy(&attributes);
  pthread_mutex_init(&watchdog->mutex, NULL);
  watchdog->seconds = seconds;
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

void precis_watchdog_hold(precis_watchdog *watchdog)
{
  if (watchdog->seconds > 0 && watchdog->rank == 0)
    pthread_mutex_lock(&watchdog->mutex);
}

void precis_watchdog_guard(precis_watchdog *watchdog, const char *path)
{
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
