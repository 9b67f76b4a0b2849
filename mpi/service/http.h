/* http.h - HTTP on threads of its own: connections, limits, who may come in
 *
 * A thread a connection, which may wait for the ranks. No MPI here. */
#ifndef PRECIS_SERVICE_HTTP_H
#define PRECIS_SERVICE_HTTP_H

#include <stdatomic.h>
#include <stdint.h>

#include "mpi/service/contexts.h"
#include "mpi/service/deadlines.h"
#include "mpi/service/listen.h"
#include "mpi/service/metrics.h"
#include "mpi/service/queue.h"
#include "mpi/service/service.h"
#include "mpi/service/tls.h"
#include "mpi/service/token.h"

struct MHD_Daemon;

typedef struct precis_http {
  const precis_service_options *options;
  int ranks, nodes;
  precis_contexts *contexts;
  precis_queue *queue;
  precis_listener listener;
  precis_token token;
  precis_tls tls;
  precis_metrics metrics;
  precis_deadlines deadlines;
  struct MHD_Daemon *daemon;
  double started;
  atomic_int stopping;    /* new requests are refused */
  atomic_int active;      /* requests that have begun and are not answered in full */
  _Atomic int64_t flight; /* bytes of queries and results */
} precis_http;

/* options, ranks, nodes, contexts and queue are set. Opens what it listens at, reads or makes the
 * token, starts. Errors: those of these, IO. */
int precis_http_start(precis_http *http, precis_message *why);
/* New requests get a 503 from now on, and the job has so many seconds to end. */
void precis_http_refuse(precis_http *http, double seconds);
/* Cuts off what is left. No thread may wait in the queue any more. */
void precis_http_stop(precis_http *http);

#endif
