/* warden.h - a thread of rank 0 that computes nothing, and so sees in time what an operator wants
 *
 * After TERM or INT new requests are refused at once; those in flight have FINISH seconds, then the
 * queue is closed; the ranks have END seconds in all, then the job is aborted, whatever they do. */
#ifndef PRECIS_SERVICE_WARDEN_H
#define PRECIS_SERVICE_WARDEN_H

#include <pthread.h>
#include <stdatomic.h>

#include "mpi/service/http.h"

typedef struct precis_warden {
  precis_http *http;
  pthread_t thread;
  atomic_int dismissed;
  int closed; /* the queue */
} precis_warden;

/* http: with log, queue and options; started or not. Returns 0, or an errno. */
int precis_warden_start(precis_warden *warden, precis_http *http);
void precis_warden_stop(precis_warden *warden);

#endif
