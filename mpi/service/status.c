/* status.c - what the status page shows */
#include <math.h>

#include "mpi/service/routes.h"

static json_t *seconds_or_null(double seconds)
{
  return isfinite(seconds) ? json_real(seconds) : json_null();
}

static json_t *edges(void)
{
  json_t *list = json_array();
  for (int i = 0; i < PRECIS_HISTOGRAM_BINS; i++)
    json_array_append_new(list, seconds_or_null(precis_histogram_edge(i)));
  return list;
}

static json_t *route_of(const precis_route_metrics *r)
{
  const precis_histogram *h = &r->seconds;
  json_t *bins = json_array();
  for (int i = 0; i < PRECIS_HISTOGRAM_BINS; i++)
    json_array_append_new(bins, json_integer(h->bins[i]));
  return json_pack("{s:s, s:I, s:o, s:o, s:o}", "name", r->name, "count", (json_int_t)h->count,
                   "p50", seconds_or_null(precis_histogram_quantile(h, 0.5)), "p99",
                   seconds_or_null(precis_histogram_quantile(h, 0.99)), "bins", bins);
}

/* With the lock of the metrics, like the next ones. Refusals and failures, by route and status. */
static json_t *errors_of(const precis_metrics *m)
{
  json_t *list = json_array();
  for (const precis_route_metrics *r = m->routes; r < m->routes + PRECIS_METRICS_ROUTES; r++)
    for (int i = 0; r->name != NULL && i < PRECIS_METRICS_CODES && r->codes[i] != 0; i++)
      if (r->codes[i] >= 400)
        json_array_append_new(list, json_pack("{s:s, s:i, s:I}", "route", r->name, "status",
                                              r->codes[i], "count", (json_int_t)r->replies[i]));
  return list;
}

static json_t *limits_of(const precis_service_options *o)
{
  return json_pack("{s:I, s:I, s:I, s:I, s:i}", "contexts", (json_int_t)o->contexts_most,
                   "context_tokens", (json_int_t)o->tokens_most, "query_bytes",
                   (json_int_t)o->query_bytes_most, "connections", (json_int_t)o->connections_most,
                   "queued", PRECIS_QUEUE_ERRANDS);
}

static json_t *routes_of(const precis_metrics *m)
{
  json_t *list = json_array();
  for (int i = 0; i < PRECIS_METRICS_ROUTES; i++)
    if (m->routes[i].name != NULL)
      json_array_append_new(list, route_of(&m->routes[i]));
  return list;
}

static json_t *moves_of(const precis_metrics *m)
{
  json_t *moves = json_object();
  for (int i = PRECIS_MOVE_TILES; i < PRECIS_MOVES; i++)
    json_object_set_new(moves, precis_move_name((precis_move)i), json_integer(m->moves[i]));
  return moves;
}

static json_t *rank_bytes(precis_contexts *contexts)
{
  json_t *list = json_array();
  pthread_mutex_lock(&contexts->lock);
  for (int r = 0; r < contexts->ranks; r++)
    json_array_append_new(list, json_integer(contexts->bytes[r]));
  pthread_mutex_unlock(&contexts->lock);
  return list;
}

void precis_route_status(precis_request *request)
{
  precis_http *h = request->http;
  json_t *contexts = precis_contexts_list(h->contexts), *bytes = rank_bytes(h->contexts);
  pthread_mutex_lock(&h->metrics.lock);
  json_t *routes = routes_of(&h->metrics), *moves = moves_of(&h->metrics),
         *errors = errors_of(&h->metrics);
  pthread_mutex_unlock(&h->metrics.lock);
  precis_reply_json(
      &request->reply, 200,
      json_pack("{s:s, s:i, s:i, s:f, s:b, s:I, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                "precis", precis_version(), "ranks", h->ranks, "nodes", h->nodes, "uptime",
                precis_deadlines_now() - h->started, "stopping", (int)h->stopping, "queued",
                (json_int_t)precis_queue_length(h->queue), "attending", (int)h->attending,
                "memory_limit", (json_int_t)h->options->memory_limit, "rank_bytes", bytes, "limits",
                limits_of(h->options), "errors", errors, "contexts", contexts, "moves", moves,
                "routes", routes, "edges", edges()));
}
