/* http.h - HTTP on threads of its own: connections, limits, who may come in
 *
 * A thread a connection, which may wait for the ranks. No MPI here. */
#ifndef PRECIS_SERVICE_HTTP_H
#define PRECIS_SERVICE_HTTP_H

#include <stdatomic.h>
#include <stdint.h>

#include "mpi/service/contexts.h"
#include "mpi/service/deadlines.h"
#include "mpi/service/hold.h"
#include "mpi/service/listen.h"
#include "mpi/service/metrics.h"
#include "mpi/service/queue.h"
#include "mpi/service/service.h"
#include "mpi/service/tls.h"
#include "mpi/service/token.h"

struct MHD_Daemon;

enum { PRECIS_HTTP_EARLIER = 8 };

typedef struct precis_http {
  const precis_service_options *options;
  const precis_log *log;
  int ranks, nodes;
  _Atomic int64_t *loaded;       /* tokens of contexts of an earlier job that are there again */
  int64_t to_load;               /* ... of so many */
  const precis_silence *silence; /* or NULL */
  const precis_host *hosts;      /* of the ranks */
  precis_contexts *contexts;
  precis_queue *queue;
  precis_listener listener;
  pthread_mutex_t token_lock; /* of tokens */
  precis_tokens tokens;       /* none: nobody is asked for one */
  precis_tls tls;
  precis_metrics metrics;
  precis_deadlines deadlines;
  struct MHD_Daemon *daemon;
  struct MHD_Daemon *earlier[PRECIS_HTTP_EARLIER]; /* finish what came before a reload */
  double started;
  atomic_int ready;       /* all is loaded; before, requests are refused */
  atomic_int stopping;    /* new requests are refused */
  atomic_int active;      /* requests that have begun and are not answered in full */
  atomic_int attending;   /* attends whose queries are all there and whose results are not */
  _Atomic int64_t flight; /* bytes of queries and results */
} precis_http;

/* options to contexts and queue are set. Opens what it listens at, reads or makes the
 * token, starts. Errors: those of these, IO. */
int precis_http_start(precis_http *http, precis_message *why);
/* Reads token and certificate again; what cannot be read stays as it was. Connections that are open
 * stay. */
void precis_http_reload(precis_http *http);
/* Cuts off what is left. No thread may wait in the queue any more. */
void precis_http_stop(precis_http *http);

#endif
