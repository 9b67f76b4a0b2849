/* service.h - precis serve: contexts that stay on the ranks of a job, and queries over HTTP
 *
 * Rank 0 runs HTTP on threads of their own (http.h). They check what comes in and put errands into
 * a queue (queue.h), from which the one thread that calls MPI takes them (errands.h). It tells all
 * ranks what to do by short orders (link.h), and all do it (hold.h). Between orders ranks sleep. */
#ifndef PRECIS_SERVICE_SERVICE_H
#define PRECIS_SERVICE_SERVICE_H

#include <stdint.h>

#include "mpi/service/log.h"
#include "mpi/world/world.h"
#include "src/base/message.h"

/* Equal on every rank. Strings are the caller's and must last. */
typedef struct precis_service_options {
  const char *listen;                    /* "127.0.0.1:8470", "[::1]:0", "unix:PATH" */
  const char *data;                      /* folder in which contexts outlive the job; NULL: none */
  int skip_damaged;                      /* of its contexts those that are damaged are left out */
  const char *token_file;                /* read, or made with a new token */
  int no_token;                          /* nobody is asked for one */
  int insecure;                          /* may listen to other machines without TLS */
  const char *tls_certificate, *tls_key; /* PEM files, both or none; NULL: not encrypted */
  const char *machine;                   /* rates to plan with, or NULL */
  int threads;                           /* a rank computes with; 0: OpenMP's choice */
  int64_t memory_limit;                  /* bytes that contexts may take on a rank; 0: none */
  int64_t contexts_most, tokens_most;    /* in all; of a context */
  int64_t query_bytes_most;              /* of an attend's queries, and of its results */
  int connections_most;
  double request_seconds; /* that the sending of a request may take */
  precis_log log;
} precis_service_options;

/* Collective. Serves until SIGTERM or SIGINT, then finishes what is in flight. Prints one line on
 * standard output when all is loaded. Errors: ARGUMENT, IO, MEMORY, MPI. */
int precis_service_run(precis_world *world, const precis_service_options *options,
                       precis_message *why);

#endif
