#include "tests/attention_judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/oracle/contract.h"
#include "src/oracle/oracle.h"
#include "src/base/problem.h"

/* The oracle's own units, against those that the library found in double: relative, and what is left
 * of errors that are 0. */
static const double SLACK = 1 + 1e-9, GRAIN = 1e-13;

typedef struct judging {
  const attention_answer *x;
  const precis_problem *p;
  precis_oracle oracle;
  precis_head_report *heads;
  double *mean_signal;         /* heads: R */
  double *average, *farthest; /* heads: mean and max of |o_i - m_i| of this call */
  attention_outcome *o;
} judging;

void attention_judge_free(attention_judge *judge)
{
  free(judge->mean_query);
  free(judge->sum);
  free(judge->rows);
  *judge = (attention_judge){0};
}

static void must(int good, const char *what)
{
  if (!good) {
    fprintf(stderr, "attention_judge: %s\n", what);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
}

/* Positions of the call's queries. */
static int64_t *positions_of(const attention_data *d, int64_t keys, int64_t first, int64_t queries)
{
  int64_t *position = malloc((size_t)(queries + 1) * sizeof *position);
  must(position != NULL, "no memory");
  for (int64_t i = 0; i < queries; i++)
    position[i] = d->c->explicit_positions ? d->c->first_position + first + i : i + keys - queries;
  return position;
}

static void make_oracle(const attention_judge *judge, judging *j)
{
  const attention_answer *x = j->x;
  const attention_data *d = x->data;
  int64_t call[2] = {x->rows > 0 ? -x->first : INT64_MIN, 0}, queries = x->rows;
  MPI_Allreduce(MPI_IN_PLACE, &call[0], 1, MPI_INT64_T, MPI_MAX, x->comm);
  MPI_Allreduce(MPI_IN_PLACE, &queries, 1, MPI_INT64_T, MPI_SUM, x->comm);
  int64_t first = queries > 0 ? -call[0] : 0;
  int64_t *rows = malloc((size_t)(x->rows + 1) * sizeof *rows),
          *position = positions_of(d, x->keys, first, queries);
  must(rows != NULL, "no memory");
  for (int64_t i = 0; i < x->rows; i++)
    rows[i] = x->first - first + i;
  const precis_oracle_case c = {.problem = &d->problem,
                                .queries = queries,
                                .keys = x->keys,
                                .q = d->q + first * d->problem.heads * d->problem.dim,
                                .k = d->k,
                                .v = d->v,
                                .bias = d->c->bias == BIAS_NONE ? NULL : d->bias,
                                .position = position,
                                .mean_query = judge->mean_query,
                                .count = x->rows,
                                .rows = rows};
  must(precis_oracle_make(&c, &j->oracle) == PRECIS_SUCCESS, "no oracle");
  free(rows);
  free(position);
}

/* R, with this call's rows, and the mean query if this is the first call. */
static void remember(attention_judge *judge, judging *j)
{
  const precis_problem *p = j->p;
  int heads = p->heads;
  double *sums = calloc((size_t)heads * 3, sizeof *sums), *most = sums + 2 * heads;
  for (int h = 0; h < heads; h++) {
    sums[h] = j->oracle.signal[h];
    sums[heads + h] = (double)j->oracle.visible[h];
    for (int64_t i = 0; i < j->x->rows; i++)
      most[h] = fmax(most[h], j->oracle.distance[i * heads + h]);
  }
  MPI_Allreduce(MPI_IN_PLACE, sums, 2 * heads, MPI_DOUBLE, MPI_SUM, j->x->comm);
  MPI_Allreduce(MPI_IN_PLACE, most, heads, MPI_DOUBLE, MPI_MAX, j->x->comm);
  if (judge->sum == NULL) {
    judge->sum = calloc((size_t)heads, sizeof *judge->sum);
    judge->rows = calloc((size_t)heads, sizeof *judge->rows);
  }
  if (judge->mean_query == NULL && sums[heads] > 0) {
    size_t bytes = (size_t)heads * (size_t)p->dim * sizeof *judge->mean_query;
    judge->mean_query = malloc(bytes);
    memcpy(judge->mean_query, j->oracle.mean_query, bytes);
  }
  for (int h = 0; h < heads; h++) {
    judge->sum[h] += sums[h];
    judge->rows[h] += sums[heads + h];
    j->mean_signal[h] = judge->rows[h] > 0 ? judge->sum[h] / judge->rows[h] : 0;
    j->average[h] = sums[heads + h] > 0 ? sums[h] / sums[heads + h] : 0;
    j->farthest[h] = most[h];
  }
  free(sums);
}

/* Heads are reported to be worth no more than they are, and the report has the worst of them. */
static void check_heads(judging *j)
{
  const precis_report *r = j->x->report;
  double outputs = 0, range = 0, lse = 0, signal = INFINITY, trivial = INFINITY;
  int constant = 0, good = 1;
  for (int h = 0; h < j->p->heads; h++) {
    const precis_head_report *head = &j->heads[h];
    double most = fmax(j->mean_signal[h], j->farthest[h]);
    good &= head->mean_signal <= j->mean_signal[h] * SLACK + GRAIN;
    good &= head->trivial_error <= (most > 0 ? j->farthest[h] / most : 0) * SLACK + GRAIN;
    /* Twice the share, of deviations from a centre in the midst of the values, which are at most twice
     * those from their weighted mean. One that is constant and not said to be promises nothing. */
    good &= !head->constant || j->average[h] == 0 ||
            precis_oracle_constant(&j->oracle, h, j->average[h] / 4);
    range = fmax(range, head->promise_range);
    lse = fmax(lse, head->lse_promise);
    constant += head->constant;
    if (head->constant)
      continue;
    good &= head->promise_outputs_rms <= head->promise_outputs * SLACK;
    outputs = fmax(outputs, head->promise_outputs);
    signal = fmin(signal, head->mean_signal);
    trivial = fmin(trivial, head->trivial_error);
  }
  good &= r->promise_outputs == outputs && r->promise_range == range && r->lse_promise == lse &&
          r->constant_heads == constant && r->promise_outputs_rms <= outputs * SLACK;
  good &= constant == j->p->heads || (r->mean_signal == signal && r->trivial_error == trivial);
  good &= r->estimate || r->promise == (j->x->tol_of == PRECIS_UNIT_RANGE ? range
                                        : j->x->tol_of == PRECIS_UNIT_LSE ? lse
                                                                          : outputs);
  if (!good)
    for (int h = 0; h < j->p->heads; h++)
      fprintf(stderr,
              "head %d%s: R %.9g of %.9g, trivial %.9g of %.9g / %.9g, promises %.3g (%.3g) %.3g %.3g\n",
              h, j->heads[h].constant ? " (constant)" : "", j->heads[h].mean_signal,
              j->mean_signal[h], j->heads[h].trivial_error, j->farthest[h], j->mean_signal[h],
              j->heads[h].promise_outputs, j->heads[h].promise_outputs_rms,
              j->heads[h].promise_range, j->heads[h].lse_promise);
  j->o->false_heads += !good;
}

static double larger(double a, double b)
{
  return b > a || isnan(b) ? b : a; /* of which NaN is the largest */
}

/* Beyond half a unit in the last place of each output, over the range of its column. */
static double computed_error(const judging *j, int64_t at, int head, const float *out)
{
  int dv = j->p->value_dim, first = precis_problem_kv_head(j->p, head) * dv;
  double most = 0;
  for (int c = 0; c < dv; c++) {
    double want = j->oracle.out[at * dv + c],
           error = fabs(out[c] - want) - fabs(want) * 0x1p-24,
           unit = precis_contract_range_unit(j->oracle.low[first + c], j->oracle.high[first + c]);
    most = larger(most, error / unit);
  }
  return most;
}

static void check_row(judging *j, int64_t i, int head)
{
  const attention_answer *x = j->x;
  const precis_report *r = x->report;
  const precis_head_report *h = &j->heads[head];
  attention_outcome *o = j->o;
  int64_t at = i * j->p->heads + head, dv = j->p->value_dim;
  const float *out = x->out + at * dv;
  precis_oracle_error e =
      precis_oracle_judge(&j->oracle, i, head, j->mean_signal[head], out, x->lse[at]);
  if (j->oracle.lse[at] == -INFINITY) {
    for (int c = 0; c < dv; c++)
      o->bad_empty |= out[c] != 0;
    o->bad_empty |= x->lse[at] != -INFINITY || (x->bounds && x->bounds[at] != 0);
    return;
  }
  double mine = x->tol_of == PRECIS_UNIT_LSE     ? e.lse
                : x->tol_of == PRECIS_UNIT_RANGE ? e.range
                                                 : e.absolute,
         judged = x->tol_of == PRECIS_UNIT_OUTPUTS ? (h->constant ? 0 : e.outputs) : mine;
  int good = e.range <= h->promise_range * SLACK + GRAIN && e.lse <= h->lse_promise + GRAIN;
  good &= h->constant || e.outputs <= h->promise_outputs * SLACK + GRAIN;
  good &= x->bounds == NULL || mine <= x->bounds[at] * SLACK + GRAIN;
  o->broken += !good;
  o->error = larger(o->error, e.range);
  o->outputs_error = larger(o->outputs_error, h->constant ? 0 : e.outputs);
  o->computed_error = larger(o->computed_error, computed_error(j, at, head, out));
  o->lse_error = larger(o->lse_error, e.lse);
  o->used = larger(o->used, judged > 0 ? judged / r->promise : 0);
}

void attention_judge_call(attention_judge *judge, const attention_answer *x, attention_outcome *o)
{
  int heads = x->data->problem.heads;
  judging j = {.x = x,
               .p = &x->data->problem,
               .heads = calloc((size_t)heads, sizeof *j.heads),
               .mean_signal = calloc((size_t)heads, sizeof *j.mean_signal),
               .average = calloc((size_t)heads, sizeof *j.average),
               .farthest = calloc((size_t)heads, sizeof *j.farthest),
               .o = o};
  make_oracle(judge, &j);
  remember(judge, &j);
  j.heads[0].size = sizeof *j.heads;
  must(precis_attention_heads(x->attention, j.heads) == PRECIS_SUCCESS, "no heads");
  check_heads(&j);
  for (int64_t i = 0; i < x->rows * heads; i++)
    check_row(&j, i / heads, (int)(i % heads));
  precis_oracle_free(&j.oracle);
  free(j.heads);
  free(j.mean_signal);
  free(j.average);
  free(j.farthest);
}

/* As the norms of precis_unit have it. */
static double rounding_of(const judging *j, int64_t i, int head)
{
  int64_t dv = j->p->value_dim, first = precis_problem_kv_head(j->p, head) * dv,
          at = i * j->p->heads + head;
  double squares = 0, range = 0;
  for (int c = 0; c < dv; c++) {
    double half = fabs(j->oracle.out[at * dv + c]) * 0x1p-24, sigma = j->oracle.sigma[first + c];
    squares += sigma > 0 ? half * half / (sigma * sigma) : 0;
    range = fmax(range, half / precis_contract_range_unit(j->oracle.low[first + c],
                                                          j->oracle.high[first + c]));
  }
  if (j->x->tol_of != PRECIS_UNIT_OUTPUTS)
    return j->x->tol_of == PRECIS_UNIT_RANGE ? range : 0;
  double signal = j->mean_signal[head];
  return precis_oracle_constant(&j->oracle, head, signal)
             ? 0
             : sqrt(squares) / fmax(signal, j->oracle.distance[at]);
}

double attention_judge_rounding(attention_judge *judge, const attention_answer *x, double tol)
{
  int heads = x->data->problem.heads;
  double most = 0;
  judging j = {.x = x,
               .p = &x->data->problem,
               .mean_signal = calloc((size_t)heads, sizeof *j.mean_signal),
               .average = calloc((size_t)heads, sizeof *j.average),
               .farthest = calloc((size_t)heads, sizeof *j.farthest)};
  make_oracle(judge, &j);
  remember(judge, &j);
  for (int64_t i = 0; i < x->rows * heads; i++)
    if (j.oracle.lse[i] > -INFINITY)
      most = fmax(most, rounding_of(&j, i / heads, (int)(i % heads)) / tol);
  MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX, x->comm);
  precis_oracle_free(&j.oracle);
  free(j.mean_signal);
  free(j.average);
  free(j.farthest);
  return most;
}
