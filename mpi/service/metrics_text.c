/* metrics_text.c - Prometheus's text format */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "mpi/service/metrics.h"

static void head(FILE *f, const char *name, const char *type, const char *help)
{
  fprintf(f, "# HELP precis_%s %s\n# TYPE precis_%s %s\n", name, help, name, type);
}

static void single(FILE *f, const char *name, const char *type, const char *help, double value)
{
  head(f, name, type, help);
  fprintf(f, "precis_%s %.15g\n", name, value);
}

/* labels: `route="attend",` with the comma, or "". */
static void print_histogram(FILE *f, const char *name, const char *labels,
                            const precis_histogram *h)
{
  int64_t below = 0;
  int bare = labels[0] == '\0';
  for (int b = 0; b < PRECIS_HISTOGRAM_BINS; b++) {
    char edge[24] = "+Inf";
    if (isfinite(precis_histogram_edge(b)))
      snprintf(edge, sizeof edge, "%g", precis_histogram_edge(b));
    below += h->bins[b];
    fprintf(f, "precis_%s_bucket{%sle=\"%s\"} %" PRId64 "\n", name, labels, edge, below);
  }
  fprintf(f, "precis_%s_sum%s%s%s %.9g\n", name, bare ? "" : "{", labels, bare ? "" : "}", h->sum);
  fprintf(f, "precis_%s_count%s%s%s %" PRId64 "\n", name, bare ? "" : "{", labels, bare ? "" : "}",
          h->count);
}

static void print_routes(FILE *f, const precis_metrics *m)
{
  head(f, "requests_total", "counter", "Requests that were answered, by route and status.");
  for (const precis_route_metrics *r = m->routes; r < m->routes + PRECIS_METRICS_ROUTES; r++)
    for (int i = 0; r->name != NULL && i < PRECIS_METRICS_CODES && r->codes[i] != 0; i++)
      fprintf(f, "precis_requests_total{route=\"%s\",code=\"%d\"} %" PRId64 "\n", r->name,
              r->codes[i], r->replies[i]);
  head(f, "request_seconds", "histogram",
       "Seconds from the head of a request to its answer, of requests that went well.");
  for (const precis_route_metrics *r = m->routes; r < m->routes + PRECIS_METRICS_ROUTES; r++) {
    char label[64];
    if (r->name == NULL)
      continue;
    snprintf(label, sizeof label, "route=\"%s\",", r->name);
    print_histogram(f, "request_seconds", label, &r->seconds);
  }
}

static void print_batches(FILE *f, const precis_metrics *m)
{
  int64_t below = 0;
  head(f, "attend_batch_size", "histogram",
       "Attends that ran in one go with others, by how many these were.");
  for (int b = 0; b < PRECIS_METRICS_BATCHES; b++) {
    below += m->batches[b];
    if (b == PRECIS_METRICS_BATCHES - 1)
      fprintf(f, "precis_attend_batch_size_bucket{le=\"+Inf\"} %" PRId64 "\n", below);
    else
      fprintf(f, "precis_attend_batch_size_bucket{le=\"%d\"} %" PRId64 "\n", 1 << b, below);
  }
  fprintf(f,
          "precis_attend_batch_size_sum %" PRId64 "\nprecis_attend_batch_size_count %" PRId64 "\n",
          m->batch_sum, below);
}

static void print_work(FILE *f, const precis_metrics *m)
{
  single(f, "appended_tokens_total", "counter", "Tokens that were appended to contexts.",
         (double)m->tokens);
  single(f, "queries_total", "counter", "Queries that were answered.", (double)m->queries);
  single(f, "rows_repaired_total", "counter",
         "Rows of a head that missed their tolerance and were computed exactly.",
         (double)m->repaired);
  single(f, "attend_pieces_total", "counter", "Pieces in which long attends were done.",
         (double)m->pieces);
  single(f, "received_bytes_total", "counter", "Bytes of bodies of requests.", (double)m->received);
  single(f, "sent_bytes_total", "counter", "Bytes of bodies of answers.", (double)m->sent);
  single(f, "requests_cut_off_total", "counter",
         "Requests whose connection ended before their answer did.", (double)m->cut_off);
  head(f, "attends_total", "counter", "Attends that were answered, by the move that ran.");
  for (int i = PRECIS_MOVE_TILES; i < PRECIS_MOVES; i++)
    fprintf(f, "precis_attends_total{move=\"%s\"} %" PRId64 "\n", precis_move_name((precis_move)i),
            m->moves[i]);
  print_batches(f, m);
  head(f, "queue_seconds", "histogram",
       "Seconds that work of a request waited until the ranks began with it.");
  print_histogram(f, "queue_seconds", "", &m->queued);
  head(f, "fsync_seconds", "histogram",
       "Seconds until the line of an append was safe on disk, after its segments.");
  print_histogram(f, "fsync_seconds", "", &m->synced);
  print_routes(f, m);
}

static void print_contexts(FILE *f, const precis_gauges *g)
{
  head(f, "context_tokens", "gauge", "Tokens of a context; of the newest hundred.");
  for (int i = 0; i < g->shown; i++)
    fprintf(f, "precis_context_tokens{context=\"%s\"} %" PRId64 "\n", g->context[i].id,
            g->context[i].tokens);
  head(f, "context_calls_total", "counter",
       "Appends to a context, and attends to it; of the newest hundred.");
  for (int i = 0; i < g->shown; i++)
    fprintf(f,
            "precis_context_calls_total{context=\"%s\",call=\"append\"} %" PRId64 "\n"
            "precis_context_calls_total{context=\"%s\",call=\"attend\"} %" PRId64 "\n",
            g->context[i].id, g->context[i].appends, g->context[i].id, g->context[i].attends);
}

static void print_gauges(FILE *f, const precis_gauges *g)
{
  head(f, "build_info", "gauge", "Version of the program that serves; always 1.");
  fprintf(f, "precis_build_info{version=\"%s\"} 1\n", precis_version());
  single(f, "uptime_seconds", "gauge", "Seconds since the service began.", g->uptime);
  single(f, "ready", "gauge", "Whether the service takes requests: 1, or 0.", g->ready);
  single(f, "ranks", "gauge", "Ranks of the MPI job.", g->ranks);
  single(f, "contexts", "gauge", "Contexts that there are.", (double)g->contexts);
  single(f, "tokens", "gauge", "Tokens in all contexts.", (double)g->tokens);
  single(f, "queued_errands", "gauge", "Pieces of work that wait for the ranks.",
         (double)g->queued);
  single(f, "active_requests", "gauge", "Requests that are being received, worked on or answered.",
         (double)g->active);
  single(f, "memory_limit_bytes", "gauge", "Limit of the bytes of a rank's contexts; 0: none.",
         (double)g->memory_limit);
  head(f, "rank_bytes", "gauge", "Bytes that the contexts of a rank take.");
  for (int r = 0; r < g->ranks; r++)
    fprintf(f, "precis_rank_bytes{rank=\"%d\"} %" PRId64 "\n", r, g->rank_bytes[r]);
  print_contexts(f, g);
}

char *precis_metrics_text(precis_metrics *m, const precis_gauges *g)
{
  char *text = NULL;
  size_t bytes = 0;
  FILE *f = open_memstream(&text, &bytes);
  if (f == NULL)
    return NULL;
  print_gauges(f, g);
  pthread_mutex_lock(&m->lock);
  print_work(f, m);
  pthread_mutex_unlock(&m->lock);
  return fclose(f) == 0 ? text : NULL;
}
