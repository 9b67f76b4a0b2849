#include "mpi/service/service.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mpi/service/errands.h"
#include "mpi/service/hold.h"
#include "mpi/service/http.h"
#include "mpi/service/link.h"
#include "mpi/service/restore.h"

/* After the signal: what is in flight gets so long, then it is cut off; the job ends or is ended.
 */
static const double FINISH_SECONDS = 7, END_SECONDS = 9.5, LOOK_EVERY = 0.1;

/* What a handler of signals can reach. */
static volatile sig_atomic_t asked_to_stop;

static void ask_to_stop(int number)
{
  (void)number;
  asked_to_stop = 1;
}

/* Launchers send signals to all ranks: rank 0 ends the job for all. */
static void catch_signals(int rank)
{
  struct sigaction action = {.sa_handler = rank == 0 ? ask_to_stop : SIG_IGN};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
}

static void release_signals(void)
{
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
}

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

/* A context keeps files without names open, see src/strip.h, and a client a connection. */
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
} desk;

static void close_desk(desk *d)
{
  if (d->errands.journal != NULL)
    precis_journal_close(&d->journal);
  precis_queue_free(&d->queue);
  precis_contexts_free(&d->contexts);
}

static int open_desk(precis_world *world, const precis_service_options *options, precis_hold *hold,
                     desk *d, precis_message *why)
{
  int status = precis_contexts_create(options, world->ranks, &d->contexts);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_queue_create(&d->queue);
  d->errands = (precis_errands){hold, &d->contexts, &d->queue, NULL};
  d->http = (precis_http){.options = options,
                          .ranks = world->ranks,
                          .nodes = world->nodes,
                          .contexts = &d->contexts,
                          .queue = &d->queue};
  if (options->data != NULL) {
    status = precis_journal_open(options->data, &d->journal, why);
    if (status == PRECIS_SUCCESS) {
      d->errands.journal = &d->journal;
      status = precis_journal_read(&d->journal, &d->contexts, &d->earlier, why);
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

/* Once the queue is closed and empty, no thread waits for an errand any more. */
static int work(desk *d)
{
  double refused = 0;
  for (int closed = 0;;) {
    precis_errand *errand = precis_queue_take(&d->queue, LOOK_EVERY);
    int status = errand ? precis_errands_run(&d->errands, errand) : PRECIS_SUCCESS;
    if (status != PRECIS_SUCCESS || (errand == NULL && closed))
      return status;
    if (asked_to_stop && refused == 0) {
      precis_http_refuse(&d->http, END_SECONDS);
      refused = precis_deadlines_now();
    }
    if (refused > 0 && !closed &&
        (d->http.active == 0 || precis_deadlines_now() - refused > FINISH_SECONDS)) {
      precis_queue_close(&d->queue);
      closed = 1;
    }
  }
}

static int serve(const precis_service_options *options, desk *d, precis_message *why)
{
  int status = precis_http_start(&d->http, why);
  if (status != PRECIS_SUCCESS)
    return status;
  announce(d, options);
  status = work(d);
  /* Where MPI has failed, threads wait for errands that nobody carries out. */
  if (status == PRECIS_SUCCESS) {
    precis_http_stop(&d->http);
    sweep(d);
  }
  return status;
}

/* The others follow until they are told to stop. */
static int lead(precis_world *world, const precis_service_options *options, desk *d,
                precis_message *why)
{
  const precis_order stop = {.kind = PRECIS_ORDER_STOP};
  int status = precis_restore(&d->errands, d->earlier, why);
  if (status == PRECIS_SUCCESS)
    status = serve(options, d, why);
  if (status != PRECIS_ERR_MPI && precis_link_tell_all(world, &stop) != PRECIS_SUCCESS)
    status = PRECIS_ERR_MPI;
  if (status != PRECIS_ERR_MPI)
    close_desk(d);
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
  catch_signals(world->rank);
  keep_memory_small();
  allow_files();
  if (world->rank == 0) {
    d = calloc(1, sizeof *d);
    status = d ? open_desk(world, options, &hold, d, why) : PRECIS_ERR_MEMORY;
  }
  status = precis_world_agree(world, status, why);
  if (status == PRECIS_SUCCESS) {
    status = d ? lead(world, options, d, why) : follow(world, &hold);
    if (status == PRECIS_ERR_MPI)
      MPI_Abort(world->comm, 1);
    status = precis_world_agree(world, status, why);
  }
  free(d);
  precis_hold_free(&hold);
  release_signals();
  return status;
}
