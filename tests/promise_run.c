#include "tests/promise_run.h"

#include "src/precis_more.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/promise_judge.h"

typedef struct running {
  MPI_Comm comm;
  int ranks, rank;
  const promise_problem *p;
  promise_tally *tally;
  precis_attention *attention;
  int64_t keys, queries;        /* appended, attended to so far */
  double *signal, *mean_signal; /* heads: sum of |o - m|, and R */
  int64_t *visible;             /* heads: rows in the sum */
  double *mean_query;           /* frozen */
  int frozen;
  float *last; /* outputs of the last attend of all ranks, if wanted */
  char why[200];
} running;

static void keep_message(void *context, const char *text)
{
  running *r = context;
  snprintf(r->why, sizeof r->why, "%s", text);
}

/* Where this rank's share of rows begins; *rows of them. */
static int64_t share_of(const running *r, int64_t all, int64_t *rows)
{
  int64_t first = 0;
  for (int before = 0; before < r->rank; before++)
    first += attention_case_share(r->p->spread, all, r->ranks, before);
  *rows = attention_case_share(r->p->spread, all, r->ranks, r->rank);
  return first;
}

static int append(running *r, int64_t keys)
{
  const precis_problem *s = &r->p->problem;
  int64_t rows, at = r->keys + share_of(r, keys, &rows);
  int status = PRECIS_SUCCESS;
  if (keys > 0)
    status = precis_append(r->attention, rows, r->p->k + at * s->kv_heads * s->dim,
                           r->p->v + at * s->kv_heads * s->value_dim,
                           r->p->has_bias ? r->p->bias + at : NULL);
  r->keys += keys;
  return status;
}

/* R of every head, this call's rows included. */
static void take_signal(running *r, const precis_oracle *o)
{
  int heads = r->p->problem.heads, seen = 0;
  for (int h = 0; h < heads; h++) {
    double signal = o->signal[h];
    int64_t visible = o->visible[h];
    MPI_Allreduce(MPI_IN_PLACE, &signal, 1, MPI_DOUBLE, MPI_SUM, r->comm);
    MPI_Allreduce(MPI_IN_PLACE, &visible, 1, MPI_INT64_T, MPI_SUM, r->comm);
    r->signal[h] += signal;
    r->visible[h] += visible;
    r->mean_signal[h] = r->visible[h] > 0 ? r->signal[h] / (double)r->visible[h] : 0;
    seen |= visible > 0;
  }
  if (!r->frozen && seen)
    memcpy(r->mean_query, o->mean_query,
           (size_t)(heads * r->p->problem.dim) * sizeof *r->mean_query);
  r->frozen |= seen;
}

typedef struct results {
  float *out, *lse, *bounds;
  precis_report report;
} results;

static int attend(running *r, const promise_step *step, int64_t first, int64_t rows, results *to)
{
  const precis_problem *s = &r->p->problem;
  const float *q = r->p->q + (r->queries + first) * s->heads * s->dim;
  int64_t position = step->position + first;
  precis_results places = {to->out, to->lse, to->bounds};
  return precis_attend_results(r->attention, step->explicit_position ? &position : NULL, rows, q,
                               &places, &to->report);
}

static int judge(running *r, int step, int64_t first, int64_t rows, const results *from)
{
  const promise_step *now = &r->p->step[step];
  int64_t *row = malloc((size_t)(rows + 1) * sizeof *row),
          *position = malloc((size_t)(now->queries + 1) * sizeof *position);
  for (int64_t i = 0; i < rows; i++)
    row[i] = first + i;
  for (int64_t i = 0; i < now->queries; i++)
    position[i] = now->position + i;
  precis_oracle_case c = {.problem = &r->p->problem,
                          .queries = now->queries,
                          .keys = r->keys,
                          .q = r->p->q + r->queries * r->p->problem.heads * r->p->problem.dim,
                          .k = r->p->k,
                          .v = r->p->v,
                          .bias = r->p->has_bias ? r->p->bias : NULL,
                          .position = now->explicit_position ? position : NULL,
                          .mean_query = r->frozen ? r->mean_query : NULL,
                          .count = rows,
                          .rows = row};
  precis_oracle oracle;
  int status = precis_oracle_make(&c, &oracle), broken = status != PRECIS_SUCCESS;
  take_signal(r, &oracle);
  promise_call call = {r->p,      step,         first,         rows,          from->out,
                       from->lse, from->bounds, &from->report, r->mean_signal};
  broken |= promise_judge(&call, &oracle, r->tally) > 0;
  precis_oracle_free(&oracle);
  free(row);
  free(position);
  return broken;
}

static void keep_outputs(const running *r, int step, int64_t first, int64_t rows, const float *out)
{
  int64_t width = (int64_t)r->p->problem.heads * r->p->problem.value_dim,
          queries = r->p->step[step].queries;
  if (r->last == NULL || step < r->p->steps - 1)
    return;
  memset(r->last, 0, (size_t)(queries * width) * sizeof *out);
  memcpy(r->last + first * width, out, (size_t)(rows * width) * sizeof *out);
  MPI_Allreduce(MPI_IN_PLACE, r->last, (int)(queries * width), MPI_FLOAT, MPI_SUM, r->comm);
}

/* The last call promised no more, and took no more, than it has to. */
static int is_thrifty(const running *r, int step, const precis_report *report)
{
  const promise_problem *p = r->p;
  double rows = (double)p->step[step].queries * p->problem.heads,
         recomputed = (double)report->rows_recomputed / rows;
  int good = step < p->steps - 1 || ((p->promise_most == 0 || report->promise <= p->promise_most) &&
                                     (p->recomputed_most == 0 || recomputed <= p->recomputed_most));
  if (!good && r->rank == 0)
    fprintf(stderr, "%s: promise %.4g, at most %.4g needed; share recomputed %.4g, %.4g needed\n",
            p->name, report->promise, p->promise_most, recomputed, p->recomputed_most);
  return good;
}

/* A tolerance that cannot be kept is said to be so, as are summaries that cannot be used. */
static int may_decline(const promise_problem *p, int status)
{
  int asked = p->options.tol > 0 || p->options.move == PRECIS_MOVE_SUMMARIES;
  return status == PRECIS_ERR_TOLERANCE && asked && !p->must_succeed;
}

/* One step; returns whether all was as promised on this rank, and in *status how it ended. */
static int run_step(running *r, int step, int *status)
{
  const promise_step *now = &r->p->step[step];
  const precis_problem *s = &r->p->problem;
  int64_t rows, first = share_of(r, now->queries, &rows);
  results to = {.out = malloc((size_t)(rows * s->heads * s->value_dim + 1) * sizeof(float)),
                .lse = malloc((size_t)(rows * s->heads + 1) * sizeof(float)),
                .bounds = malloc((size_t)(rows * s->heads + 1) * sizeof(float)),
                .report = PRECIS_REPORT_INIT};
  int good = 1;
  *status = append(r, now->keys);
  if (*status == PRECIS_SUCCESS)
    *status = attend(r, now, first, rows, &to);
  r->tally->calls += r->rank == 0;
  if (*status == PRECIS_SUCCESS) {
    r->tally->summaries += r->rank == 0 && to.report.move == PRECIS_MOVE_SUMMARIES;
    r->tally->mixed += r->rank == 0 && precis_attention_groups(r->attention) > 1;
    r->tally->exact += r->rank == 0 && to.report.move != PRECIS_MOVE_SUMMARIES;
    good = !judge(r, step, first, rows, &to);
    good &= is_thrifty(r, step, &to.report);
    keep_outputs(r, step, first, rows, to.out);
  } else {
    r->tally->declined += r->rank == 0;
    good = may_decline(r->p, *status);
  }
  if (!good && *status != PRECIS_SUCCESS) {
    if (r->rank == 0)
      fprintf(stderr, "%s (%s), step %d: status %d, %s\n", r->p->name,
              promise_kind_name(r->p->kind), step, *status, r->why);
  }
  r->queries += now->queries;
  free(to.out);
  free(to.lse);
  free(to.bounds);
  return good;
}

int promise_run_keeping(MPI_Comm comm, const promise_problem *p, float *last, promise_tally *tally)
{
  running r = {.comm = comm, .p = p, .tally = tally, .last = last};
  int heads = p->problem.heads, good, status;
  MPI_Comm_size(comm, &r.ranks);
  MPI_Comm_rank(comm, &r.rank);
  r.signal = calloc((size_t)heads, sizeof *r.signal);
  r.mean_signal = calloc((size_t)heads, sizeof *r.mean_signal);
  r.visible = calloc((size_t)heads, sizeof *r.visible);
  r.mean_query = calloc((size_t)(heads * p->problem.dim), sizeof *r.mean_query);
  precis_options options = p->options;
  options.message = keep_message;
  options.context = &r;
  tally->problems += r.rank == 0;
  status = precis_create(comm, &p->problem, &options, &r.attention);
  good = status == PRECIS_SUCCESS;
  for (int step = 0; step < p->steps && status == PRECIS_SUCCESS; step++)
    good &= run_step(&r, step, &status);
  precis_destroy(&r.attention);
  MPI_Allreduce(MPI_IN_PLACE, &good, 1, MPI_INT, MPI_MIN, comm);
  free(r.signal);
  free(r.mean_signal);
  free(r.visible);
  free(r.mean_query);
  return good;
}

int promise_run(MPI_Comm comm, const promise_problem *p, promise_tally *tally)
{
  return promise_run_keeping(comm, p, NULL, tally);
}

void promise_tally_agree(MPI_Comm comm, promise_tally *t)
{
  int64_t sums[] = {t->problems, t->calls,     t->rows,  t->broken,
                    t->declined, t->summaries, t->exact, t->mixed};
  double most[] = {t->used, t->used_range, t->used_lse, t->tol_used};
  for (int i = 0; i < 4; i++)
    most[i] = isnan(most[i]) ? INFINITY : most[i];
  MPI_Allreduce(MPI_IN_PLACE, sums, 8, MPI_INT64_T, MPI_SUM, comm);
  MPI_Allreduce(MPI_IN_PLACE, most, 4, MPI_DOUBLE, MPI_MAX, comm);
  *t = (promise_tally){sums[0], sums[1], sums[2], sums[3], sums[4], sums[5],
                       sums[6], sums[7], most[0], most[1], most[2], most[3]};
}
