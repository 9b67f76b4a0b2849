#include "src/schedule/trace.h"

#include <inttypes.h>
#include <stdlib.h>

#include "src/precis.h"
#include "src/schedule/build.h"

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

/* As barriers are made: in turns, with mates ever farther away. */
static void meet(trace *t)
{
  enum { TAG = 100 };
  const precis_nodes *n = t->schedule->nodes;
  int node = n->node[t->rank], mates = precis_nodes_size(n, node), me = n->local[t->rank], turn = 0;
  write_work(t);
  for (int away = 1; away < mates; away *= 2, turn++) {
    int to = precis_nodes_rank(n, node, (me + away) % mates),
        from = precis_nodes_rank(n, node, (me - away + mates) % mates), tag = TAG + turn;
    fprintf(t->to, "%d irecv %d %d 0\n%d isend %d %d 0\n", t->rank, from, tag, t->rank, to, tag);
    fprintf(t->to, "%d wait %d %d %d\n%d wait %d %d %d\n", t->rank, from, t->rank, tag, t->rank,
            t->rank, to, tag);
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
    break;
  case PRECIS_STEP_MEET:
    meet(t);
    break;
  default:
    t->flops += t->scale != NULL ? t->scale(t->context, step, flops) : flops;
  }
  return 0;
}

/* Messages of one schedule have all ended when the next begins. */
static int write_schedule(trace *t, const precis_schedule *schedule)
{
  t->schedule = schedule;
  t->flights = malloc(((size_t)schedule->requests + 1) * sizeof *t->flights);
  if (t->flights == NULL)
    return PRECIS_ERR_MEMORY;
  for (int i = 0; i < schedule->requests; i++)
    t->flights[i].peer = -1;
  for (int64_t round = 0; round < schedule->rounds; round++)
    precis_schedule_visit(schedule, t->rank, round, write_step, t);
  write_work(t);
  free(t->flights);
  return PRECIS_SUCCESS;
}

int precis_schedule_trace(const precis_schedule *schedules, int count, int rank,
                          precis_trace_flops *scale, void *context, FILE *to)
{
  trace t = {.rank = rank, .scale = scale, .context = context, .to = to};
  int status = PRECIS_SUCCESS;
  fprintf(to, "%d init\n", rank);
  for (int i = 0; i < count && status == PRECIS_SUCCESS; i++)
    status = write_schedule(&t, &schedules[i]);
  fprintf(to, "%d finalize\n", rank);
  return status == PRECIS_SUCCESS && ferror(to) ? PRECIS_ERR_IO : status;
}
