#include "mpi/service/warden.h"

#include <mpi.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "mpi/service/signals.h"

static const double FINISH_SECONDS = 6, END_SECONDS = 8, LOOK_EVERY = 0.1;

enum { ABORT_MOST = 1 }; /* seconds that MPI may take for it */

/* What a rank computes cannot be interrupted. Should MPI hang as well, SIGALRM ends this rank, and
 * the launcher the rest. */
static void give_up(const precis_http *h)
{
  alarm(ABORT_MOST);
  precis_log_write(h->log, PRECIS_LOG_ERROR, "stop", NULL,
                   "the work in hand did not end within %.0f seconds of the signal: aborted",
                   END_SECONDS);
  MPI_Abort(MPI_COMM_WORLD, 1);
  _exit(1);
}

/* `since`: the signal came. */
static void see_to_the_end(precis_warden *w, double since)
{
  precis_http *h = w->http;
  double waited = precis_deadlines_now() - since;
  if (!w->closed && (atomic_load(&h->active) == 0 || waited > FINISH_SECONDS)) {
    precis_queue_close(h->queue);
    w->closed = 1;
  }
  if (waited > END_SECONDS)
    give_up(h);
}

static void *watch(void *warden)
{
  precis_warden *w = warden;
  precis_http *h = w->http;
  double since = 0;
  while (!atomic_load(&w->dismissed)) {
    nanosleep(&(struct timespec){.tv_nsec = (long)(LOOK_EVERY * 1e9)}, NULL);
    if (precis_signals_stop() && since == 0) {
      since = precis_deadlines_now();
      precis_log_write(h->log, PRECIS_LOG_INFO, "stop", NULL, "new requests are refused");
      atomic_store(&h->stopping, 1);
    }
    if (since > 0)
      see_to_the_end(w, since);
    if (precis_signals_reload())
      precis_http_reload(h);
  }
  return NULL;
}

int precis_warden_start(precis_warden *w, precis_http *http)
{
  w->http = http;
  w->closed = 0;
  atomic_store(&w->dismissed, 0);
  return pthread_create(&w->thread, NULL, watch, w);
}

void precis_warden_stop(precis_warden *w)
{
  atomic_store(&w->dismissed, 1);
  pthread_join(w->thread, NULL);
}
