#include "mpi/service/deadlines.h"

#include <math.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static const double LOOK_EVERY = 0.5;

double precis_deadlines_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* With the lock. */
static void look(precis_deadlines *d)
{
  double now = precis_deadlines_now();
  for (precis_deadline *x = d->first; x != NULL; x = x->next)
    if (now > x->until) {
      shutdown(x->socket, SHUT_RDWR);
      x->until = INFINITY;
    }
}

static void *watch(void *deadlines)
{
  precis_deadlines *d = deadlines;
  pthread_mutex_lock(&d->lock);
  while (!d->stopped) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(LOOK_EVERY * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&d->stop, &d->lock, &until);
    look(d);
  }
  pthread_mutex_unlock(&d->lock);
  return NULL;
}

int precis_deadlines_start(precis_deadlines *d)
{
  pthread_condattr_t monotonic;
  *d = (precis_deadlines){.first = NULL};
  pthread_mutex_init(&d->lock, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&d->stop, &monotonic);
  pthread_condattr_destroy(&monotonic);
  int error = pthread_create(&d->thread, NULL, watch, d);
  if (error != 0) {
    pthread_cond_destroy(&d->stop);
    pthread_mutex_destroy(&d->lock);
  }
  return error;
}

void precis_deadlines_stop(precis_deadlines *d)
{
  pthread_mutex_lock(&d->lock);
  d->stopped = 1;
  pthread_cond_signal(&d->stop);
  pthread_mutex_unlock(&d->lock);
  pthread_join(d->thread, NULL);
  pthread_cond_destroy(&d->stop);
  pthread_mutex_destroy(&d->lock);
}

precis_deadline *precis_deadlines_add(precis_deadlines *d, int socket, double seconds)
{
  precis_deadline *x = malloc(sizeof *x);
  if (x == NULL)
    return NULL;
  pthread_mutex_lock(&d->lock);
  *x = (precis_deadline){
      .socket = socket, .until = precis_deadlines_now() + seconds, .next = d->first};
  d->first = x;
  pthread_mutex_unlock(&d->lock);
  return x;
}

void precis_deadlines_remove(precis_deadlines *d, precis_deadline *deadline)
{
  pthread_mutex_lock(&d->lock);
  precis_deadline **at = &d->first;
  while (*at != deadline)
    at = &(*at)->next;
  *at = deadline->next;
  pthread_mutex_unlock(&d->lock);
  free(deadline);
}

void precis_deadlines_set(precis_deadlines *d, precis_deadline *deadline, double seconds)
{
  pthread_mutex_lock(&d->lock);
  deadline->until = precis_deadlines_now() + seconds;
  pthread_mutex_unlock(&d->lock);
}
