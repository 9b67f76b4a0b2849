#include "tests/attention_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/attention_data.h"
#include "tests/attention_judge.h"

/* What a failed attend must leave alone. */
static const float UNTOUCHED = 777;

typedef struct running {
  MPI_Comm comm;
  int ranks, rank;
  precis_attention *attention;
  const attention_case *c;
  attention_data data;
  attention_judge judge;
  int64_t keys; /* appended so far */
  attention_outcome o;
} running;

int64_t attention_case_share(spread how, int64_t rows, int ranks, int rank)
{
  switch (how) {
  case SPREAD_LAST:
    return rank == ranks - 1 ? rows : 0;
  case SPREAD_RANDOM: { /* uneven, some shares empty: cuts at the squares, forth for odd ranks */
    int64_t from = rows * rank * rank / ranks / ranks,
            to = rows * (rank + 1) * (rank + 1) / ranks / ranks;
    return to - from;
  }
  case SPREAD_NOT_FIRST:
    if (ranks > 1)
      return rank == 0 ? 0 : rows * rank / (ranks - 1) - rows * (rank - 1) / (ranks - 1);
    return rows;
  case SPREAD_EVEN:
    break;
  }
  return rows * (rank + 1) / ranks - rows * rank / ranks;
}

static void keep_message(void *context, const char *text)
{
  attention_outcome *o = context;
  strncpy(o->why, text, sizeof o->why - 1);
}

/* Appends `part` keys, this rank its share of them, or all of them if it is the only one to. */
static int append(running *r, int64_t part, int only)
{
  const precis_problem *p = &r->data.problem;
  int64_t begin = r->keys, rows = only == r->rank ? part : 0;
  if (only < 0) {
    for (int before = 0; before < r->rank; before++)
      begin += attention_case_share(r->c->spread, part, r->ranks, before);
    rows = attention_case_share(r->c->spread, part, r->ranks, r->rank);
  }
  int status = precis_append(r->attention, rows, r->data.k + begin * p->kv_heads * p->dim,
                             r->data.v + begin * p->kv_heads * p->value_dim,
                             r->c->bias == BIAS_NONE ? NULL : r->data.bias + begin);
  r->keys += part;
  return status;
}

static int append_first(running *r)
{
  int appends = r->c->appends > 0 ? r->c->appends : 1, status = PRECIS_SUCCESS;
  int64_t keys = r->c->keys - r->c->later;
  for (int a = 0; a < appends && status == PRECIS_SUCCESS; a++)
    status = append(r, keys * (a + 1) / appends - keys * a / appends, -1);
  return status;
}

/* Results of all ranks, each adding its own to zeros. */
static void gather(const running *r, int64_t first, int64_t rows, const float *out,
                   const float *lse)
{
  const precis_problem *p = &r->data.problem;
  int64_t each = (int64_t)p->heads * p->value_dim, all = r->c->queries;
  if (r->c->out == NULL)
    return;
  memset(r->c->out, 0, (size_t)(all * each) * sizeof *out);
  memset(r->c->lse, 0, (size_t)(all * p->heads) * sizeof *lse);
  memcpy(r->c->out + first * each, out, (size_t)(rows * each) * sizeof *out);
  memcpy(r->c->lse + first * p->heads, lse, (size_t)(rows * p->heads) * sizeof *lse);
  MPI_Allreduce(MPI_IN_PLACE, r->c->out, (int)(all * each), MPI_FLOAT, MPI_SUM, r->comm);
  MPI_Allreduce(MPI_IN_PLACE, r->c->lse, (int)(all * p->heads), MPI_FLOAT, MPI_SUM, r->comm);
}

/* A report of a successful attend into the outcome. */
static void take(running *r, const precis_report *report)
{
  r->o.report = *report;
  r->o.miscounted +=
      report->predicted_bytes[report->move] != report->network_bytes + report->node_bytes ||
      report->forecast[report->move].network_bytes != report->network_bytes;
  r->o.by_summaries += report->move == PRECIS_MOVE_SUMMARIES;
}

static attention_answer answer_of(const running *r, int64_t first, int64_t rows)
{
  return (attention_answer){.comm = r->comm,
                            .attention = r->attention,
                            .data = &r->data,
                            .tol_of = r->c->tol_of,
                            .keys = r->keys,
                            .first = first,
                            .rows = rows};
}

/* An attend that succeeded. */
static void take_results(running *r, int64_t first, int64_t rows, const precis_results *results,
                         const precis_report *report)
{
  attention_answer answer = answer_of(r, first, rows);
  answer.out = results->out;
  answer.lse = results->lse;
  answer.bounds = results->bounds;
  answer.report = report;
  take(r, report);
  attention_judge_call(&r->judge, &answer, &r->o);
  gather(r, first, rows, results->out, results->lse);
}

static float *untouched(int64_t count)
{
  float *x = malloc((size_t)(count + 1) * sizeof *x);
  for (int64_t i = 0; i < count; i++)
    x[i] = UNTOUCHED;
  return x;
}

static int touched(int64_t count, const float *x)
{
  int any = 0;
  for (int64_t i = 0; i < count; i++)
    any |= x[i] != UNTOUCHED;
  return any;
}

static void attend(running *r)
{
  const attention_case *c = r->c;
  const precis_problem *p = &r->data.problem;
  int64_t first = 0, rows = attention_case_share(c->spread, c->queries, r->ranks, r->rank);
  for (int before = 0; before < r->rank; before++)
    first += attention_case_share(c->spread, c->queries, r->ranks, before);
  int64_t outs = rows * p->heads * p->value_dim, lses = rows * p->heads,
          position = c->first_position + first;
  const precis_results to = {untouched(outs), untouched(lses), untouched(lses)};
  precis_report report = {.size = sizeof report, .ranks = -1};
  r->o.status =
      precis_attend_results(r->attention, c->explicit_positions ? &position : NULL, rows,
                            r->data.q + first * p->heads * p->dim, &to, &report);
  if (r->o.status == PRECIS_SUCCESS)
    take_results(r, first, rows, &to, &report);
  else
    r->o.touched |= report.ranks != -1 || touched(lses, to.bounds) ||
                    (!c->in_place && (touched(outs, to.out) || touched(lses, to.lse)));
  if (r->o.status == PRECIS_ERR_TOLERANCE) {
    const attention_answer asked = answer_of(r, first, rows);
    r->o.rounding = attention_judge_rounding(&r->judge, &asked, c->tol);
  }
  free(to.out);
  free(to.lse);
  free(to.bounds);
}

/* What ranks have seen of their own rows alone. */
static void agree(running *r)
{
  attention_outcome *o = &r->o;
  double most[5] = {o->error, o->lse_error, o->used, o->computed_error, o->outputs_error};
  int any[3] = {o->bad_empty, o->broken, o->touched};
  for (int i = 0; i < 5; i++)
    most[i] = isnan(most[i]) ? INFINITY : most[i];
  MPI_Allreduce(MPI_IN_PLACE, most, 5, MPI_DOUBLE, MPI_MAX, r->comm);
  MPI_Allreduce(MPI_IN_PLACE, any, 3, MPI_INT, MPI_SUM, r->comm);
  o->error = most[0];
  o->lse_error = most[1];
  o->used = most[2];
  o->computed_error = most[3];
  o->outputs_error = most[4];
  o->bad_empty = any[0];
  o->broken = any[1];
  o->touched = any[2];
}

attention_outcome attention_case_run(MPI_Comm comm, const attention_case *c, precis_move move)
{
  running r = {.comm = comm, .c = c, .data = attention_data_make(c)};
  MPI_Comm_size(comm, &r.ranks);
  MPI_Comm_rank(comm, &r.rank);
  precis_options options = {.move = move,
                            .tol = c->tol,
                            .tol_of = c->tol_of,
                            .degree = c->degree,
                            .guarantee = c->guarantee,
                            .threads = c->own_threads   ? 0
                                       : c->threads > 0 ? c->threads
                                                        : 1,
                            .fast_memory_bytes = c->fast_memory > 0 ? c->fast_memory : 1 << 18,
                            .tile_rows = c->tile_rows,
                            .results_in_place = c->in_place,
                            .machine =
                                move == PRECIS_MOVE_AUTO ? getenv("PRECIS_TEST_MACHINE") : NULL,
                            .message = keep_message,
                            .context = &r.o};
  r.o.status = precis_create(comm, &c->problem, &options, &r.attention);
  if (r.o.status == PRECIS_SUCCESS)
    r.o.status = append_first(&r);
  if (r.o.status == PRECIS_SUCCESS)
    attend(&r);
  for (int64_t i = 0; i < c->later && r.o.status == PRECIS_SUCCESS; i++) {
    r.o.status = append(&r, 1, (int)(i % r.ranks));
    if (r.o.status == PRECIS_SUCCESS)
      attend(&r);
  }
  precis_destroy(&r.attention);
  attention_judge_free(&r.judge);
  attention_data_free(&r.data);
  agree(&r);
  return r.o;
}

int attention_case_good(const attention_case *c, const attention_outcome *o)
{
  /* Promises are kept with float32 proofs by the library's own arithmetic. */
  int within = c->tol == 0 || o->report.promise <= c->tol * (1 + 1e-12);
  return o->status == PRECIS_SUCCESS && o->broken == 0 && o->false_heads == 0 && !o->bad_empty &&
         o->miscounted == 0 && within;
}

/* Bounds of rounding are up to twice what it does, and not all that results are bounded by. */
int attention_case_hopeless(const attention_outcome *o)
{
  return o->status == PRECIS_ERR_TOLERANCE && o->rounding > .25 && !o->touched;
}
