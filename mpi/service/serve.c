#include "mpi/service/service.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mpi/service/errands_unit.h"
#include "mpi/service/hold.h"
#include "mpi/service/http.h"
#include "mpi/service/link.h"
#include "mpi/service/merger.h"
#include "mpi/service/pieces.h"
#include "mpi/service/restore.h"
#include "mpi/service/folder.h"
#include "mpi/service/signals.h"
#include "mpi/service/warden.h"
#include "src/base/size.h"

enum { PIECE_ROWS = 64 };
static const double LOOK_EVERY = 0.1, MERGE_EVERY = 0.002, PING_EVERY = 1, PIECE_SECONDS = .1;

/* Threads of HTTP come and go, and hand blocks to each other: by glibc's own settings memory that
 * nobody uses any more would pile up in the arenas of all of them. */
static void keep_memory_small(void)
{
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 1 << 17);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}

/* A context keeps files without names open, see src/tokens/strip.h, and a client a connection. */
static void allow_files(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/* Of rank 0. */
typedef struct desk {
  precis_contexts contexts;
  precis_context *earlier; /* contexts of an earlier job */
  precis_queue queue;
  precis_http http;
  precis_journal journal;
  precis_errands errands;
  precis_warden warden;
  precis_merger merger;
} desk;

static void close_desk(desk *d)
{
  if (d->errands.journal != NULL)
    precis_journal_close(&d->journal);
  while (d->earlier != NULL) {
    precis_context *next = d->earlier->next;
    precis_contexts_release(&d->contexts, d->earlier);
    d->earlier = next;
  }
  precis_queue_free(&d->queue);
  precis_contexts_free(&d->contexts);
}

/* Tests have small pieces of small attends. */
static void limit_pieces(precis_errands *e)
{
  const char *text = getenv("PRECIS_PIECE_ROWS");
  if (text != NULL && precis_size_parse("PRECIS_PIECE_ROWS", text, 1, 1 << 20, &e->piece_rows,
                                        NULL) == PRECIS_SUCCESS)
    e->piece_seconds = 0;
}

static int open_desk(precis_world *world, const precis_service_options *options, precis_hold *hold,
                     desk *d, precis_message *why)
{
  int status = precis_contexts_create(options, world->ranks, &d->contexts);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_queue_create(&d->queue);
  d->errands = (precis_errands){.hold = hold,
                                .contexts = &d->contexts,
                                .queue = &d->queue,
                                .log = &options->log,
                                .piece_seconds = PIECE_SECONDS,
                                .piece_rows = PIECE_ROWS * (int64_t)world->ranks,
                                .pace = 1};
  limit_pieces(&d->errands);
  d->http = (precis_http){.options = options,
                          .log = &options->log,
                          .loaded = &hold->loaded,
                          .silence = &hold->silence,
                          .hosts = hold->hosts,
                          .ranks = world->ranks,
                          .nodes = world->nodes,
                          .contexts = &d->contexts,
                          .queue = &d->queue};
  if (options->data != NULL) {
    status = precis_journal_open(options->data, &options->log, &d->journal, why);
    if (status == PRECIS_SUCCESS) {
      d->errands.journal = &d->journal;
      d->journal.skip_damaged = options->skip_damaged;
      status = precis_journal_read(&d->journal, &d->contexts, &d->earlier, why);
      for (const precis_context *c = d->earlier; c != NULL; c = c->next)
        d->http.to_load += c->tokens;
    }
  }
  if (status != PRECIS_SUCCESS)
    close_desk(d);
  return status;
}

static void announce(const desk *d, const precis_service_options *options)
{
  printf("precis: serving at %s, process %ld, %s%s\n", d->http.listener.text, (long)getpid(),
         options->no_token ? "no token" : "token in ",
         options->no_token ? "" : options->token_file);
  fflush(stdout);
}

/* Errands that nobody waits for and that come when all is over. */
static void sweep(desk *d)
{
  for (precis_errand *e; (e = precis_queue_take(&d->queue, 0)) != NULL;) {
    precis_stage_end(&d->contexts, e->stage, 0);
    precis_queue_finish(&d->queue, e, PRECIS_SUCCESS, NULL);
  }
}

/* NULL: there is none, or it is the turn of a piece. */
static precis_errand *next_errand(desk *d, double seconds)
{
  return precis_pieces_due(&d->errands) ? NULL : precis_queue_take(&d->queue, seconds);
}

/* The warden closes the queue; once it is empty then, no thread waits for an errand any more. */
static int work(desk *d)
{
  double heard = precis_deadlines_now();
  int merging = 0;
  for (;;) {
    int closed = precis_queue_is_closed(&d->queue);
    int pieces = precis_pieces_any(&d->errands);
    precis_errand *errand = next_errand(d, pieces ? 0 : merging ? MERGE_EVERY : LOOK_EVERY);
    int status = errand   ? precis_errands_run(&d->errands, errand)
                 : pieces ? precis_pieces_step(&d->errands)
                          : PRECIS_SUCCESS;
    if (errand != NULL || pieces)
      heard = precis_deadlines_now();
    else if (!closed)
      status = precis_errands_refresh(&d->errands);
    if (status == PRECIS_SUCCESS && precis_deadlines_now() - heard > PING_EVERY) {
      status = precis_errands_ping(&d->errands);
      heard = precis_deadlines_now();
    }
    if (status != PRECIS_SUCCESS || (errand == NULL && closed && !pieces))
      return status;
    merging = precis_merger_step(&d->merger);
  }
}

/* Contexts of the last job. */
static int load(desk *d, precis_message *why)
{
  int status = precis_restore(&d->errands, d->earlier, why);
  d->earlier = NULL;
  if (status == PRECIS_SUCCESS && d->errands.journal != NULL && !precis_signals_stop())
    status = precis_journal_settle(&d->journal, &d->contexts, why);
  if (status == PRECIS_SUCCESS && d->errands.journal != NULL)
    status = precis_merger_create(&d->merger, &d->journal, &d->contexts);
  return status;
}

static int serve(const precis_service_options *options, desk *d, precis_message *why)
{
  int status = precis_http_start(&d->http, why);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_log_write(&options->log, PRECIS_LOG_INFO, "start", NULL,
                   "listening at %s, %d ranks on %d nodes", d->http.listener.text, d->http.ranks,
                   d->http.nodes);
  status = load(d, why);
  if (status == PRECIS_SUCCESS && !precis_signals_stop()) {
    atomic_store(&d->http.ready, 1);
    announce(d, options);
  }
  if (status == PRECIS_SUCCESS)
    status = work(d);
  /* Where MPI has failed, threads wait for errands that nobody carries out. */
  if (status != PRECIS_ERR_MPI) {
    precis_http_stop(&d->http);
    precis_merger_end(&d->merger);
    sweep(d);
    for (precis_context *c = d->contexts.first; c != NULL; c = c->next)
      if (c->slot >= 0)
        precis_errands_unit_keep(&d->errands, c, 1);
  }
  return status;
}

/* The others follow until they are told to stop. */
static int lead(precis_world *world, const precis_service_options *options, desk *d,
                precis_message *why)
{
  const precis_order stop = {.kind = PRECIS_ORDER_STOP};
  int status = serve(options, d, why);
  if (status != PRECIS_ERR_MPI &&
      precis_link_tell_all(world, &d->errands.hold->silence, &stop) != PRECIS_SUCCESS)
    status = PRECIS_ERR_MPI;
  if (status != PRECIS_ERR_MPI) {
    close_desk(d);
    if (status == PRECIS_SUCCESS) /* else there is one line, that says why */
      precis_log_write(&options->log, PRECIS_LOG_INFO, "stop", NULL, "all is done");
  }
  return status;
}

static int follow(precis_world *world, precis_hold *hold)
{
  for (;;) {
    precis_order order;
    int status = precis_link_hear(world, &order);
    if (status != PRECIS_SUCCESS)
      return status;
    status = precis_hold_obey(hold, &order, NULL);
    if (status == PRECIS_ERR_MPI || order.kind == PRECIS_ORDER_STOP)
      return status; /* what else fails is a client's to hear */
  }
}

/* All is open. From the first signal on the warden sees to it that the job ends. */
static int run(precis_world *world, const precis_service_options *options, precis_hold *hold,
               desk *d, precis_message *why)
{
  int error = d ? precis_warden_start(&d->warden, &d->http) : 0;
  int status = precis_world_agree(world, error ? PRECIS_ERR_MEMORY : PRECIS_SUCCESS, why);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_signals_catch(world->rank);
  status = d ? lead(world, options, d, why) : follow(world, hold);
  if (status == PRECIS_ERR_MPI)
    MPI_Abort(world->comm, 1);
  status = precis_world_agree(world, status, why);
  if (d != NULL)
    precis_warden_stop(&d->warden);
  precis_signals_release();
  return status;
}

int precis_service_run(precis_world *world, const precis_service_options *options,
                       precis_message *why)
{
  precis_hold hold;
  int status = precis_hold_create(world, options, &hold);
  desk *d = NULL;
  if (status != PRECIS_SUCCESS) {
    *why = hold.why;
    return status;
  }
  keep_memory_small();
  allow_files();
  if (world->rank == 0) {
    d = calloc(1, sizeof *d);
    status = d ? open_desk(world, options, &hold, d, why) : PRECIS_ERR_MEMORY;
  }
  status = precis_world_agree(world, status, why);
  if (status == PRECIS_SUCCESS && options->data != NULL)
    status = precis_folder_compare(world, options->data, d ? &d->journal : NULL, why);
  if (status == PRECIS_SUCCESS)
    status = run(world, options, &hold, d, why);
  free(d);
  precis_hold_free(&hold);
  return status;
}
