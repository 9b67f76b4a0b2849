/* metrics.h - what the service counts about itself */
#ifndef PRECIS_SERVICE_METRICS_H
#define PRECIS_SERVICE_METRICS_H

#include <pthread.h>
#include <stdint.h>

#include "mpi/service/histogram.h"
#include "src/precis.h"

enum {
  PRECIS_METRICS_ROUTES = 16,
  PRECIS_METRICS_CODES = 24,
  PRECIS_METRICS_BATCHES = 8, /* of up to 1, 2, 4, ... attends */
  PRECIS_METRICS_CONTEXTS = 100
};

typedef struct precis_route_metrics {
  const char *name; /* NULL: none yet */
  int codes[PRECIS_METRICS_CODES];
  int64_t replies[PRECIS_METRICS_CODES]; /* with each code */
  precis_histogram seconds;              /* of those that went well */
} precis_route_metrics;

typedef struct precis_metrics {
  pthread_mutex_t lock; /* of all below */
  precis_route_metrics routes[PRECIS_METRICS_ROUTES];
  int64_t moves[PRECIS_MOVES]; /* attends */
  int64_t cut_off;             /* requests that did not end */
  int64_t tokens, queries;     /* appended, answered */
  int64_t batches[PRECIS_METRICS_BATCHES], batch_sum, pieces;
  double repaired;
  int64_t received, sent; /* bytes of bodies */
  precis_histogram queued, synced;
} precis_metrics;

void precis_metrics_create(precis_metrics *metrics);
void precis_metrics_free(precis_metrics *metrics);

/* A request was answered. name: static text. */
void precis_metrics_reply(precis_metrics *metrics, const char *name, int code, double seconds);
void precis_metrics_cut_off(precis_metrics *metrics);
void precis_metrics_attend(precis_metrics *metrics, const precis_report *report, int64_t rows,
                           int batched, int pieces);
/* Seconds that it waited, and until it was on record (0: it is not). */
void precis_metrics_errand(precis_metrics *metrics, double queued, double synced);
void precis_metrics_bytes(precis_metrics *metrics, int64_t received, int64_t sent);
void precis_metrics_append(precis_metrics *metrics, int64_t rows);

typedef struct precis_context_gauges {
  char id[32];
  int64_t tokens, appends, attends;
} precis_context_gauges;

/* What else there is to tell. */
typedef struct precis_gauges {
  int ranks, ready, shown; /* shown: of the contexts */
  precis_context_gauges context[PRECIS_METRICS_CONTEXTS];
  const int64_t *rank_bytes;
  int64_t contexts, tokens, queued, active, memory_limit;
  double uptime;
} precis_gauges;

/* Prometheus's text format, malloc'ed; NULL without memory. */
char *precis_metrics_text(precis_metrics *metrics, const precis_gauges *gauges);

#endif
