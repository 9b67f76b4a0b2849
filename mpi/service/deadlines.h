/* deadlines.h - connections that take too long are cut off, and those of strangers do not keep
 * others out
 *
 * A client may send a byte now and then for ever, which no idle timeout notices. A thread looks at
 * all connections, and ends those whose time is over: with an answer where none was begun, and by
 * shutting the socket. Who has not shown the token yet is a stranger. Of strangers there are so
 * many at a time, and of one address fewer; when another one comes, the oldest has to go. */
#ifndef PRECIS_SERVICE_DEADLINES_H
#define PRECIS_SERVICE_DEADLINES_H

#include <netinet/in.h>
#include <pthread.h>

struct sockaddr;

typedef struct precis_deadline {
  int socket;
  int stranger, speaks; /* speaks: an answer has begun */
  double until;         /* CLOCK_MONOTONIC, seconds */
  struct in6_addr from; /* or zeros */
  struct precis_deadline *next;
} precis_deadline;

typedef struct precis_deadlines {
  pthread_mutex_t lock;
  pthread_cond_t stop;
  pthread_t thread;
  int stopped;
  int plain;                             /* not encrypted: an answer can be sent */
  int strangers_most, of_one_address;    /* at a time */
  int trusted_most, trusted, turned_out; /* turned_out: strangers that had to go for others */
  precis_deadline *first;                /* newest first */
} precis_deadlines;

/* plain to trusted_most are set. Returns 0, or an errno. */
int precis_deadlines_start(precis_deadlines *deadlines);
void precis_deadlines_stop(precis_deadlines *deadlines);

/* A connection begins, of a stranger, who has so many seconds; NULL without memory. address: whose
 * it is, or NULL. */
precis_deadline *precis_deadlines_add(precis_deadlines *deadlines, int socket,
                                      const struct sockaddr *address, double seconds);
void precis_deadlines_remove(precis_deadlines *deadlines, precis_deadline *deadline);
/* From now on it has so many seconds; infinity: as long as it takes. */
void precis_deadlines_set(precis_deadlines *deadlines, precis_deadline *deadline, double seconds);
/* No stranger any more. Returns 0 if there are as many others as may be. */
int precis_deadlines_trust(precis_deadlines *deadlines, precis_deadline *deadline);
/* An answer begins: from here on there is none from elsewhere; or it has ended. */
void precis_deadlines_speak(precis_deadlines *deadlines, precis_deadline *deadline, int speaks);

/* CLOCK_MONOTONIC in seconds. */
double precis_deadlines_now(void);

#endif
