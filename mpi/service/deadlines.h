/* deadlines.h - connections that take too long are cut off
 *
 * A client may send a byte now and then for ever, which no idle timeout notices. A thread looks at
 * all connections twice a second, and shuts the sockets of those whose time is over. */
#ifndef PRECIS_SERVICE_DEADLINES_H
#define PRECIS_SERVICE_DEADLINES_H

#include <pthread.h>

typedef struct precis_deadline {
  int socket;
  double until; /* CLOCK_MONOTONIC, seconds */
  struct precis_deadline *next;
} precis_deadline;

typedef struct precis_deadlines {
  pthread_mutex_t lock;
  pthread_cond_t stop;
  pthread_t thread;
  int stopped;
  precis_deadline *first;
} precis_deadlines;

/* Returns 0, or an errno. */
int precis_deadlines_start(precis_deadlines *deadlines);
void precis_deadlines_stop(precis_deadlines *deadlines);

/* A connection begins; NULL without memory. */
precis_deadline *precis_deadlines_add(precis_deadlines *deadlines, int socket, double seconds);
void precis_deadlines_remove(precis_deadlines *deadlines, precis_deadline *deadline);
/* From now on it has so many seconds; infinity: as long as it takes. */
void precis_deadlines_set(precis_deadlines *deadlines, precis_deadline *deadline, double seconds);

/* CLOCK_MONOTONIC in seconds. */
double precis_deadlines_now(void);

#endif
