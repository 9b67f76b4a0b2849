/* watch.c - how the service is */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mpi/service/openapi_text.h"
#include "mpi/service/page_text.h"
#include "mpi/service/routes.h"

static const char *phase_of(const precis_http *h)
{
  return h->stopping ? "stopping" : h->ready ? "ready" : "starting";
}

/* That it is alive, for whoever restarts it. */
void precis_route_health(precis_request *request)
{
  const precis_http *h = request->http;
  precis_reply_json(&request->reply, h->stopping ? 503 : 200,
                    json_pack("{s:s, s:s}", "status",
                              h->stopping ? "stopping"
                              : h->ready  ? "ok"
                                          : "starting",
                              "precis", precis_version()));
}

/* Seconds for which a rank has not been heard that rank 0 waits for; *rank: which. 0: none. */
static double silent_for(const precis_http *h, int *rank)
{
  *rank = h->silence ? atomic_load(&h->silence->rank) : -1;
  if (*rank < 0)
    return 0;
  return precis_deadlines_now() - 1e-3 * (double)atomic_load(&h->silence->since_ms);
}

/* That it takes requests, for whoever sends them. */
void precis_route_ready(precis_request *request)
{
  static const double SILENCE = 2;
  precis_http *h = request->http;
  char why[160] = "";
  int rank, ready = h->ready && !h->stopping;
  double silent = silent_for(h, &rank);
  if (silent > SILENCE) {
    ready = 0;
    snprintf(why, sizeof why, "rank %d on %s has not answered for %.0f s", rank,
             h->hosts[rank].text, silent);
  }
  precis_reply_json(&request->reply, ready ? 200 : 503,
                    json_pack("{s:s, s:s, s:I, s:I}", "status",
                              why[0] != '\0' && !h->stopping ? "waiting" : phase_of(h), "why", why,
                              "tokens_loaded", (json_int_t)atomic_load(h->loaded), "tokens_to_load",
                              (json_int_t)h->to_load));
}

static precis_gauges gauges_of(precis_http *h, int64_t *bytes)
{
  precis_gauges g = {.ranks = h->ranks,
                     .ready = h->ready && !h->stopping,
                     .rank_bytes = bytes,
                     .queued = precis_queue_length(h->queue),
                     .active = h->active,
                     .memory_limit = h->options->memory_limit,
                     .uptime = precis_deadlines_now() - h->started};
  pthread_mutex_lock(&h->contexts->lock);
  memcpy(bytes, h->contexts->bytes, (size_t)h->ranks * sizeof *bytes);
  for (const precis_context *c = h->contexts->first; c != NULL; c = c->next) {
    g.contexts++;
    g.tokens += c->tokens;
  }
  /* Oldest first: the newest are at the end. */
  int64_t skipped = g.contexts - PRECIS_METRICS_CONTEXTS;
  for (const precis_context *c = h->contexts->first; c != NULL; c = c->next) {
    if (skipped-- > 0)
      continue;
    precis_context_gauges *to = &g.context[g.shown++];
    *to =
        (precis_context_gauges){.tokens = c->tokens, .appends = c->appends, .attends = c->attends};
    strcpy(to->id, c->id);
  }
  pthread_mutex_unlock(&h->contexts->lock);
  return g;
}

void precis_route_counters(precis_request *request)
{
  precis_http *h = request->http;
  int64_t *bytes = calloc((size_t)h->ranks, sizeof *bytes);
  char *text = NULL;
  if (bytes != NULL) {
    precis_gauges gauges = gauges_of(h, bytes);
    text = precis_metrics_text(&h->metrics, &gauges);
  }
  free(bytes);
  if (text == NULL)
    precis_reply_error(&request->reply, 507, "metrics", "out of memory");
  else
    precis_reply_bytes(&request->reply, "text/plain; version=0.0.4; charset=utf-8", text,
                       strlen(text));
}

void precis_route_openapi(precis_request *request)
{
  request->reply.code = 200;
  request->reply.type = "application/json";
  request->reply.text = precis_openapi_text;
}

/* Copies the page, with this in the places that are kept for it. */
static char *fill_in(const char *nonce)
{
  static const char place[] = "@NONCE@";
  char *page = malloc(sizeof precis_page_text + 8 * strlen(nonce)), *to = page;
  const char *from = precis_page_text;
  for (const char *at; page != NULL && (at = strstr(from, place)) != NULL;) {
    memcpy(to, from, (size_t)(at - from));
    to = stpcpy(to + (at - from), nonce);
    from = at + strlen(place);
  }
  if (page != NULL)
    strcpy(to, from);
  return page;
}

/* Holds nothing but itself: what it shows it asks for, with the token. Only its own script runs. */
void precis_route_page(precis_request *request)
{
  uint64_t number[2];
  precis_reply *reply = &request->reply;
  int random = getrandom(number, sizeof number, 0) == sizeof number;
  snprintf(reply->nonce, sizeof reply->nonce, "%016" PRIx64 "%016" PRIx64, number[0], number[1]);
  char *page = random ? fill_in(reply->nonce) : NULL;
  if (page == NULL)
    precis_reply_error(reply, 507, "page", "out of memory");
  else
    precis_reply_bytes(reply, "text/html; charset=utf-8", page, strlen(page));
}
