#include "mpi/service/metrics.h"

#include <string.h>

void precis_metrics_create(precis_metrics *metrics)
{
  *metrics = (precis_metrics){.cut_off = 0};
  pthread_mutex_init(&metrics->lock, NULL);
}

void precis_metrics_free(precis_metrics *metrics)
{
  pthread_mutex_destroy(&metrics->lock);
}

/* With the lock. */
static precis_route_metrics *route_of(precis_metrics *metrics, const char *name)
{
  precis_route_metrics *last = &metrics->routes[PRECIS_METRICS_ROUTES - 1];
  for (precis_route_metrics *r = metrics->routes; r < last; r++) {
    if (r->name == NULL)
      r->name = name;
    if (strcmp(r->name, name) == 0)
      return r;
  }
  last->name = "other";
  return last;
}

void precis_metrics_reply(precis_metrics *metrics, const char *name, int code, double seconds)
{
  pthread_mutex_lock(&metrics->lock);
  precis_route_metrics *r = route_of(metrics, name);
  int i = 0;
  while (i < PRECIS_METRICS_CODES - 1 && r->codes[i] != 0 && r->codes[i] != code)
    i++;
  r->codes[i] = code;
  r->replies[i]++;
  if (code < 300)
    precis_histogram_add(&r->seconds, seconds);
  pthread_mutex_unlock(&metrics->lock);
}

void precis_metrics_cut_off(precis_metrics *metrics)
{
  pthread_mutex_lock(&metrics->lock);
  metrics->cut_off++;
  pthread_mutex_unlock(&metrics->lock);
}

void precis_metrics_attend(precis_metrics *metrics, const precis_report *report, int64_t rows,
                           int batched, int pieces)
{
  int bin = 0;
  while (bin < PRECIS_METRICS_BATCHES - 1 && batched > 1 << bin)
    bin++;
  pthread_mutex_lock(&metrics->lock);
  metrics->moves[report->move]++;
  metrics->queries += rows;
  metrics->batches[bin]++;
  metrics->batch_sum += batched;
  metrics->pieces += pieces;
  if (batched > 0) /* what a batch repaired is told to all of it */
    metrics->repaired += (double)report->rows_recomputed / batched;
  pthread_mutex_unlock(&metrics->lock);
}

void precis_metrics_append(precis_metrics *metrics, int64_t rows)
{
  pthread_mutex_lock(&metrics->lock);
  metrics->tokens += rows;
  pthread_mutex_unlock(&metrics->lock);
}

void precis_metrics_errand(precis_metrics *metrics, double queued, double synced)
{
  pthread_mutex_lock(&metrics->lock);
  precis_histogram_add(&metrics->queued, queued);
  if (synced > 0)
    precis_histogram_add(&metrics->synced, synced);
  pthread_mutex_unlock(&metrics->lock);
}

void precis_metrics_bytes(precis_metrics *metrics, int64_t received, int64_t sent)
{
  pthread_mutex_lock(&metrics->lock);
  metrics->received += received;
  metrics->sent += sent;
  pthread_mutex_unlock(&metrics->lock);
}
