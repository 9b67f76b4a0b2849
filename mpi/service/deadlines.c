#include "mpi/service/deadlines.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static const double LOOK_EVERY = 0.25;

double precis_deadlines_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* With the lock, like all statics here that take deadlines. What does not fit into the buffers of
 * the system is not sent. */
static void cut(const precis_deadlines *d, precis_deadline *x)
{
  static const char body[] =
      "{\n  \"error\": {\n    \"status\": 408,\n    \"field\": \"request\",\n"
      "    \"message\": \"the request did not come in time\"\n  }\n}";
  char text[512];
  int bytes = snprintf(text, sizeof text,
                       "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                       strlen(body), body);
  if (d->plain && !x->speaks &&
      send(x->socket, text, (size_t)bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    x->speaks = 1; /* it is gone already */
  shutdown(x->socket, SHUT_RDWR);
  x->until = INFINITY;
}

static void look(precis_deadlines *d)
{
  double now = precis_deadlines_now();
  for (precis_deadline *x = d->first; x != NULL; x = x->next)
    if (now > x->until)
      cut(d, x);
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
  d->stopped = d->trusted = 0;
  d->first = NULL;
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

static struct in6_addr address_of(const struct sockaddr *from)
{
  struct in6_addr address = {0};
  if (from != NULL && from->sa_family == AF_INET6)
    address = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
  if (from != NULL && from->sa_family == AF_INET)
    memcpy(&address, &((const struct sockaddr_in *)(const void *)from)->sin_addr,
           sizeof(struct in_addr));
  return address;
}

/* If there are more than `most` strangers, of that address or (NULL) of any, the oldest is cut. */
static void turn_out(precis_deadlines *d, const struct in6_addr *from, int most)
{
  precis_deadline *oldest = NULL;
  int count = 0;
  for (precis_deadline *x = d->first; x != NULL; x = x->next)
    if (x->stranger && !isinf(x->until) &&
        (from == NULL || memcmp(&x->from, from, sizeof *from) == 0)) {
      count++;
      oldest = x;
    }
  if (count > most) {
    cut(d, oldest);
    d->turned_out++;
  }
}

precis_deadline *precis_deadlines_add(precis_deadlines *d, int socket,
                                      const struct sockaddr *address, double seconds)
{
  precis_deadline *x = malloc(sizeof *x);
  if (x == NULL)
    return NULL;
  pthread_mutex_lock(&d->lock);
  *x = (precis_deadline){.socket = socket,
                         .stranger = 1,
                         .until = precis_deadlines_now() + seconds,
                         .from = address_of(address),
                         .next = d->first};
  d->first = x;
  turn_out(d, &x->from, d->of_one_address);
  turn_out(d, NULL, d->strangers_most);
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
  d->trusted -= !deadline->stranger;
  pthread_mutex_unlock(&d->lock);
  free(deadline);
}

void precis_deadlines_set(precis_deadlines *d, precis_deadline *deadline, double seconds)
{
  pthread_mutex_lock(&d->lock);
  /* One that was cut stays so. */
  if (!isinf(deadline->until) || !deadline->stranger)
    deadline->until = precis_deadlines_now() + seconds;
  pthread_mutex_unlock(&d->lock);
}

int precis_deadlines_trust(precis_deadlines *d, precis_deadline *deadline)
{
  pthread_mutex_lock(&d->lock);
  int room = !deadline->stranger || d->trusted < d->trusted_most;
  if (room && deadline->stranger) {
    deadline->stranger = 0;
    d->trusted++;
  }
  pthread_mutex_unlock(&d->lock);
  return room;
}

void precis_deadlines_speak(precis_deadlines *d, precis_deadline *deadline, int speaks)
{
  pthread_mutex_lock(&d->lock);
  deadline->speaks = speaks;
  pthread_mutex_unlock(&d->lock);
}
