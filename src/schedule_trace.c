#include "src/schedule_trace.h"

#include <inttypes.h>
#include <stdlib.h>

#include "src/precis.h"
#include "src/schedule_build.h"

/* A message under way; peer -1: none. */
typedef struct flight {
  int peer, tag, sending;
} flight;

typedef struct trace {
  const precis_schedule *schedule;
  int rank;
  precis_trace_flops *scale;
  void *context;
  FILE *to;
  flight *flights; /* requests */
  int flying;
  double flops; /* not written yet */
} trace;

/* Work between two messages is one line. */
static void write_work(trace *t)
{
  if (t->flops > 0)
    fprintf(t->to, "%d compute %.0f\n", t->rank, t->flops);
  t->flops = 0;
}

static void start(trace *t, const precis_step *step)
{
  int sending = step->kind == PRECIS_STEP_SEND;
  t->flights[step->request] = (flight){step->peer, step->tag, sending};
  t->flying++;
  fprintf(t->to, "%d %s %d %d %" PRId64 "\n", t->rank, sending ? "isend" : "irecv", step->peer,
          step->tag, step->bytes);
}

static void wait_for(trace *t, const precis_step *step)
{
  flight *first = t->flights + step->request;
  int count = 0;
  for (int i = 0; i < step->requests; i++)
    count += first[i].peer >= 0;
  if (count > 1 && count == t->flying)
    fprintf(t->to, "%d waitall\n", t->rank);
  for (int i = 0; i < step->requests; i++) {
    if (first[i].peer >= 0 && !(count > 1 && count == t->flying))
      fprintf(t->to, "%d wait %d %d %d\n", t->rank, first[i].sending ? t->rank : first[i].peer,
              first[i].sending ? first[i].peer : t->rank, first[i].tag);
    first[i].peer = -1;
  }
  t->flying -= count;
}

/* A message each way at a time, with partners ever farther away. */
static void exchange(trace *t, const precis_step *step)
{
  enum { TAG = 99 };
  const precis_exchange_shape *x = step->exchange;
  int ranks = t->schedule->ranks, me = t->rank;
  write_work(t);
  for (int shift = 1; shift < ranks && step->bytes >= 0; shift++) {
    int right = (me + shift) % ranks, left = (me - shift + ranks) % ranks;
    int64_t in = precis_exchange_rows(x, left, me), out = precis_exchange_rows(x, me, right);
    if (in > 0)
      fprintf(t->to, "%d irecv %d %d %" PRId64 "\n", me, left, TAG, in * x->row_bytes);
    if (out > 0)
      fprintf(t->to, "%d isend %d %d %" PRId64 "\n", me, right, TAG, out * x->row_bytes);
    if (in > 0)
      fprintf(t->to, "%d wait %d %d %d\n", me, left, me, TAG);
    if (out > 0)
      fprintf(t->to, "%d wait %d %d %d\n", me, me, right, TAG);
  }
}

/* A mark is an empty message to each rank of the node, which a meeting waits for. */
static void mark_or_meet(trace *t, int meeting)
{
  enum { TAG = 98 };
  const precis_nodes *n = t->schedule->nodes;
  int node = n->node[t->rank];
  write_work(t);
  for (int l = 0; l < precis_nodes_size(n, node); l++) {
    int mate = precis_nodes_rank(n, node, l);
    if (mate == t->rank)
      continue;
    fprintf(t->to, "%d %s %d %d 0\n", t->rank, meeting ? "irecv" : "isend", mate, TAG);
    if (meeting)
      fprintf(t->to, "%d wait %d %d %d\n%d wait %d %d %d\n", t->rank, mate, t->rank, TAG, t->rank,
              t->rank, mate, TAG);
  }
}

static int write_step(void *context, const precis_step *step)
{
  trace *t = context;
  double flops = precis_schedule_flops(t->schedule, t->rank, step);
  switch (step->kind) {
  case PRECIS_STEP_SEND:
  case PRECIS_STEP_RECEIVE:
    write_work(t);
    start(t, step);
    break;
  case PRECIS_STEP_WAIT:
    write_work(t);
    wait_for(t, step);
    break;
  case PRECIS_STEP_EXCHANGE:
    exchange(t, step);
    break;
  case PRECIS_STEP_MARK:
  case PRECIS_STEP_MEET:
    mark_or_meet(t, step->kind == PRECIS_STEP_MEET);
    break;
  default:
    t->flops += t->scale != NULL ? t->scale(t->context, step, flops) : flops;
  }
  return 0;
}

int precis_schedule_trace(const precis_schedule *schedule, int rank, precis_trace_flops *scale,
                          void *context, FILE *to)
{
  trace t = {.schedule = schedule, .rank = rank, .scale = scale, .context = context, .to = to};
  t.flights = malloc(((size_t)schedule->requests + 1) * sizeof *t.flights);
  if (t.flights == NULL)
    return PRECIS_ERR_MEMORY;
  for (int i = 0; i < schedule->requests; i++)
    t.flights[i].peer = -1;
  fprintf(to, "%d init\n", rank);
  for (int64_t round = 0; round < schedule->rounds; round++)
    precis_schedule_visit(schedule, rank, round, write_step, &t);
  write_work(&t);
  fprintf(to, "%d finalize\n", rank);
  free(t.flights);
  return ferror(to) ? PRECIS_ERR_IO : PRECIS_SUCCESS;
}
