/* The service's HTTP, without ranks behind it: whatever a client sends, the server stays up.
 * Errands are taken and done with, or fail, by turns. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mpi/service/http.h"
#include "tests/fuzz.h"

typedef struct desk {
  precis_service_options options;
  precis_contexts contexts;
  precis_queue queue;
  precis_http http;
  _Atomic int64_t loaded;
  pthread_t clerk;
  char listen[96];
} desk;

static void *work(void *context)
{
  desk *d = context;
  for (int turn = 0;; turn++) {
    precis_errand *e = precis_queue_take(&d->queue, 1);
    if (e == NULL)
      continue;
    int ends = e->kind == PRECIS_ERRAND_COMMIT || e->kind == PRECIS_ERRAND_DROP,
        good = turn % 4 != 0 || e->kind == PRECIS_ERRAND_CREATE;
    if (e->kind == PRECIS_ERRAND_DESTROY)
      precis_contexts_delist(&d->contexts, e->context);
    if (e->kind == PRECIS_ERRAND_DESTROY || (e->kind == PRECIS_ERRAND_FORK && !good))
      precis_contexts_vacate(&d->contexts, e->context);
    if (e->kind == PRECIS_ERRAND_CREATE || (e->kind == PRECIS_ERRAND_FORK && good))
      precis_contexts_enlist(&d->contexts, e->context);
    if (ends)
      precis_stage_end(&d->contexts, e->stage, e->kind == PRECIS_ERRAND_COMMIT && good);
    precis_queue_finish(&d->queue, e, good ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  }
  return NULL;
}

/* One context, always of the same name. */
static void add_context(desk *d)
{
  const precis_spec spec = {.problem = {2, 1, 4, 3, 1, 0.5}};
  const precis_owner nobody = {.name = ""};
  precis_context *c;
  precis_message why;
  if (precis_contexts_make(&d->contexts, &spec, &nobody, NULL, &c, &why) != PRECIS_SUCCESS)
    abort();
  strcpy(c->id, "c0");
  precis_contexts_enlist(&d->contexts, c);
  precis_contexts_release(&d->contexts, c);
}

static desk *open_desk(void)
{
  desk *d = calloc(1, sizeof *d);
  precis_message why;
  if (d == NULL)
    abort();
  snprintf(d->listen, sizeof d->listen, "unix:/tmp/precis-fuzz-%ld", (long)getpid());
  d->options = (precis_service_options){.listen = d->listen,
                                        .no_token = 1,
                                        .log = {.form = PRECIS_LOG_NONE},
                                        .contexts_most = 50,
                                        .tokens_most = 1000,
                                        .query_bytes_most = 1 << 16,
                                        .connections_most = 8,
                                        .request_seconds = 10};
  d->http = (precis_http){.options = &d->options,
                          .log = &d->options.log,
                          .loaded = &d->loaded,
                          .ready = 1,
                          .ranks = 1,
                          .nodes = 1,
                          .contexts = &d->contexts,
                          .queue = &d->queue};
  precis_queue_create(&d->queue);
  if (precis_contexts_create(&d->options, 1, &d->contexts) != PRECIS_SUCCESS ||
      pthread_create(&d->clerk, NULL, work, d) != 0 ||
      precis_http_start(&d->http, &why) != PRECIS_SUCCESS)
    abort();
  return d;
}

static int dial(const desk *d)
{
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  strcpy(name.sun_path, d->listen + strlen("unix:"));
  int file = socket(AF_UNIX, SOCK_STREAM, 0);
  if (file < 0 || connect(file, (struct sockaddr *)&name, sizeof name) != 0)
    abort(); /* the server is gone */
  return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  static desk *d;
  char answer[4096];
  ssize_t got, all = 0;
  if (d == NULL)
    d = open_desk();
  precis_context *c = precis_contexts_find(&d->contexts, "c0");
  if (c == NULL)
    add_context(d);
  else
    precis_contexts_release(&d->contexts, c);
  int file = dial(d);
  for (size_t at = 0; at < bytes;) {
    ssize_t sent = send(file, data + at, bytes - at, MSG_NOSIGNAL);
    if (sent <= 0)
      break;
    at += (size_t)sent;
  }
  shutdown(file, SHUT_WR);
  while ((got = recv(file, answer + (all == 0 ? 0 : 12), sizeof answer - 12, 0)) > 0)
    all += got;
  if (all >= 12)
    assert(memcmp(answer, "HTTP/1.", 7) == 0);
  close(file);
  return 0;
}
