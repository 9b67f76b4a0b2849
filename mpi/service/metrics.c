#include "mpi/service/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
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

void precis_metrics_attend(precis_metrics *metrics, precis_move move, int64_t rows)
{
  pthread_mutex_lock(&metrics->lock);
  metrics->moves[move]++;
  metrics->queries += rows;
  pthread_mutex_unlock(&metrics->lock);
}

void precis_metrics_append(precis_metrics *metrics, int64_t rows)
{
  pthread_mutex_lock(&metrics->lock);
  metrics->tokens += rows;
  pthread_mutex_unlock(&metrics->lock);
}

static void head(FILE *f, const char *name, const char *type, const char *help)
{
  fprintf(f, "# HELP precis_%s %s\n# TYPE precis_%s %s\n", name, help, name, type);
}

static void single(FILE *f, const char *name, const char *type, const char *help, double value)
{
  head(f, name, type, help);
  fprintf(f, "precis_%s %.15g\n", name, value);
}

static void print_routes(FILE *f, const precis_metrics *m)
{
  head(f, "requests_total", "counter", "Requests that were answered.");
  for (const precis_route_metrics *r = m->routes; r < m->routes + PRECIS_METRICS_ROUTES; r++)
    for (int i = 0; r->name != NULL && i < PRECIS_METRICS_CODES && r->codes[i] != 0; i++)
      fprintf(f, "precis_requests_total{route=\"%s\",code=\"%d\"} %" PRId64 "\n", r->name,
              r->codes[i], r->replies[i]);
  head(f, "request_seconds", "histogram", "From a request's head to its answer, if it went well.");
  for (const precis_route_metrics *r = m->routes; r < m->routes + PRECIS_METRICS_ROUTES; r++) {
    int64_t below = 0;
    for (int b = 0; r->name != NULL && b < PRECIS_HISTOGRAM_BINS; b++) {
      char edge[24] = "+Inf";
      if (isfinite(precis_histogram_edge(b)))
        snprintf(edge, sizeof edge, "%g", precis_histogram_edge(b));
      below += r->seconds.bins[b];
      fprintf(f, "precis_request_seconds_bucket{route=\"%s\",le=\"%s\"} %" PRId64 "\n", r->name,
              edge, below);
    }
    if (r->name != NULL)
      fprintf(f,
              "precis_request_seconds_sum{route=\"%s\"} %.9g\n"
              "precis_request_seconds_count{route=\"%s\"} %" PRId64 "\n",
              r->name, r->seconds.sum, r->name, r->seconds.count);
  }
}

char *precis_metrics_text(precis_metrics *m, const precis_gauges *g)
{
  char *text = NULL;
  size_t bytes = 0;
  FILE *f = open_memstream(&text, &bytes);
  if (f == NULL)
    return NULL;
  single(f, "uptime_seconds", "gauge", "Since the service began.", g->uptime);
  single(f, "ranks", "gauge", "Of the MPI job.", g->ranks);
  single(f, "contexts", "gauge", "That there are.", (double)g->contexts);
  single(f, "tokens", "gauge", "In all contexts.", (double)g->tokens);
  single(f, "queued_errands", "gauge", "That wait for the ranks.", (double)g->queued);
  single(f, "active_requests", "gauge", "That are being received, worked on or answered.",
         (double)g->active);
  single(f, "memory_limit_bytes", "gauge", "For a rank's contexts; 0: none.",
         (double)g->memory_limit);
  head(f, "rank_bytes", "gauge", "Held by the contexts of a rank.");
  for (int r = 0; r < g->ranks; r++)
    fprintf(f, "precis_rank_bytes{rank=\"%d\"} %" PRId64 "\n", r, g->rank_bytes[r]);
  pthread_mutex_lock(&m->lock);
  single(f, "appended_tokens_total", "counter", "Keys and values taken in.", (double)m->tokens);
  single(f, "queries_total", "counter", "Queries answered.", (double)m->queries);
  single(f, "requests_cut_off_total", "counter", "Requests that did not end.", (double)m->cut_off);
  head(f, "attends_total", "counter", "Attends by the move that ran.");
  for (int i = PRECIS_MOVE_TILES; i < PRECIS_MOVES; i++)
    fprintf(f, "precis_attends_total{move=\"%s\"} %" PRId64 "\n", precis_move_name((precis_move)i),
            m->moves[i]);
  print_routes(f, m);
  pthread_mutex_unlock(&m->lock);
  return fclose(f) == 0 ? text : NULL;
}
