#include "tests/promise_judge.h"

#include <math.h>
#include <stdio.h>

#include "src/base/problem.h"

/* The oracle is off too: by the rounding of its own sums, far below what float32 can show. */
static const double RELATIVE = 1 + 1e-6, LSE_SLACK = 1e-11;

enum { SAID_MOST = 4 };

/* In the norm: of sums in double over values that lie off 0. */
static double slack_of(const precis_oracle *o, int head)
{
  int dv = o->problem.value_dim;
  int64_t first = (int64_t)precis_problem_kv_head(&o->problem, head) * dv;
  double squares = 0;
  for (int c = 0; c < dv; c++)
    if (o->sigma[first + c] > 0) {
      double size = fmax(fabs(o->low[first + c]), fabs(o->high[first + c]));
      squares += pow(size / o->sigma[first + c], 2);
    }
  return 0x1p-46 * sqrt(squares);
}

/* A share of a promise, or of tol; nothing is nothing, of nothing too. */
static double share(double error, double promise)
{
  return error <= 0 ? 0 : error / promise;
}

static void raise(double *most, double value)
{
  *most = value > *most || isnan(value) ? value : *most;
}

typedef struct verdict {
  precis_oracle_error error;
  double own; /* in the unit of the row's own bound: norm of precis_unit, of ranges, or of lse */
  double bound, unit;
  const char *broken; /* NULL: all is as promised */
} verdict;

/* tol in the unit of this problem; heads with hardly any signal may count as constant. */
static int tol_broken(const promise_call *c, const precis_oracle *o, int head, const verdict *v,
                      double slack, promise_tally *tally)
{
  const precis_options *options = &c->problem->options;
  double signal = c->mean_signal[head];
  if (options->tol == 0 || options->guarantee != PRECIS_GUARANTEE_BOUND)
    return 0;
  double error = options->tol_of == PRECIS_UNIT_RANGE ? v->error.range
                 : options->tol_of == PRECIS_UNIT_LSE ? v->error.lse
                                                      : share(v->error.absolute - slack, v->unit);
  if (options->tol_of == PRECIS_UNIT_OUTPUTS &&
      (c->bounds == NULL ||
       signal <= 0x1p-14 * o->largest[precis_problem_kv_head(&o->problem, head)]))
    return 0;
  if (options->tol_of != PRECIS_UNIT_OUTPUTS && c->bounds == NULL)
    return 0;
  raise(&tally->tol_used, error > 1e-12 ? error / options->tol : 0);
  return !(error <= options->tol * RELATIVE + 1e-12);
}

static verdict judge_row(const promise_call *c, const precis_oracle *o, int64_t i, int head,
                         promise_tally *tally)
{
  int64_t at = i * o->problem.heads + head;
  const precis_report *r = c->report;
  verdict v = {.error = precis_oracle_judge(o, i, head, c->mean_signal[head],
                                            c->out + at * o->problem.value_dim, c->lse[at]),
               .bound = c->bounds ? (double)c->bounds[at] : INFINITY,
               .unit = fmax(c->mean_signal[head], o->distance[at])};
  double slack = slack_of(o, head), absolute = fmax(v.error.absolute - slack, 0),
         lse = fmax(v.error.lse - LSE_SLACK, 0), range = fmax(v.error.range - 1e-13, 0);
  double promise_range = c->bounds ? r->promise_range : r->promise;
  precis_unit unit = c->problem->options.tol_of;
  v.own = unit == PRECIS_UNIT_RANGE ? range : unit == PRECIS_UNIT_LSE ? lse : absolute;
  raise(&tally->used, share(v.own, v.bound));
  raise(&tally->used_range, share(range, promise_range));
  raise(&tally->used_lse, share(lse, r->lse_promise));
  if (!(v.own <= v.bound * RELATIVE))
    v.broken = "its own bound";
  else if (!(range <= promise_range * RELATIVE))
    v.broken = "promise_range";
  else if (!(lse <= r->lse_promise * RELATIVE))
    v.broken = "lse_promise";
  else if (c->bounds && !precis_oracle_constant(o, head, c->mean_signal[head]) &&
           r->constant_heads == 0 && !(absolute <= r->promise_outputs * v.unit * RELATIVE))
    v.broken = "promise_outputs";
  else if (tol_broken(c, o, head, &v, slack, tally))
    v.broken = "tol";
  return v;
}

static void describe(const promise_call *c, const precis_oracle *o, int64_t i, int head,
                     const verdict *v)
{
  const promise_problem *p = c->problem;
  const precis_problem *s = &p->problem;
  const precis_report *r = c->report;
  fprintf(stderr,
          "%s (%s), step %d of %d, row %lld, head %d: beyond %s\n"
          "  error %.6g, own %.6g of bound %.6g, R %.6g, |o - m| %.6g; of range %.6g of %.6g; of "
          "lse %.6g of "
          "%.6g (lse %.9g); promise %.6g, outputs %.6g, R at least %.6g, constant heads %d, tol "
          "%.6g of unit "
          "%d\n"
          "  heads %d/%d, dim %d/%d, causal %d, scale %g, queries %lld, keys %lld in all, move %s "
          "degree %d: %s, degrees %d %d, B %.4g, outliers %lld %lld, recomputed %lld; %s\n",
          p->name, promise_kind_name(p->kind), c->step, p->steps, (long long)(c->first + i), head,
          v->broken, v->error.absolute, v->own, v->bound, c->mean_signal[head],
          o->distance[i * s->heads + head], v->error.range,
          c->bounds ? r->promise_range : r->promise, v->error.lse, r->lse_promise,
          o->lse[i * s->heads + head], r->promise, r->promise_outputs, r->mean_signal,
          r->constant_heads, p->options.tol, (int)p->options.tol_of, s->heads, s->kv_heads, s->dim,
          s->value_dim, s->causal, s->scale, (long long)p->step[c->step].queries,
          (long long)p->keys, precis_move_name(p->options.move), p->options.degree,
          precis_move_name(r->move), r->degree, r->envelope_degree, r->bound,
          (long long)r->outlier_keys, (long long)r->outlier_queries, (long long)r->rows_recomputed,
          r->why);
}

/* R as reported, the smallest of the heads, is not above the true one of any head that has a signal
 * beyond doubt. */
static int signal_broken(const promise_call *c, const precis_oracle *o)
{
  int broken = 0;
  for (int head = 0; head < o->problem.heads && c->bounds; head++) {
    double signal = c->mean_signal[head],
           most = o->largest[precis_problem_kv_head(&o->problem, head)];
    if (signal <= 0x1p-14 * most || c->report->mean_signal <= signal * RELATIVE)
      continue;
    broken = 1;
    fprintf(stderr, "%s (%s), step %d of %d, head %d: R is %.6g, reported is at least %.6g\n",
            c->problem->name, promise_kind_name(c->problem->kind), c->step, c->problem->steps, head,
            signal, c->report->mean_signal);
  }
  return broken;
}

int64_t promise_judge(const promise_call *c, const precis_oracle *o, promise_tally *tally)
{
  int64_t broken = c->rows > 0 && signal_broken(c, o);
  for (int64_t i = 0; i < c->rows; i++)
    for (int head = 0; head < o->problem.heads; head++) {
      verdict v = judge_row(c, o, i, head, tally);
      if (v.broken != NULL && broken++ < SAID_MOST)
        describe(c, o, i, head, &v);
    }
  tally->rows += c->rows * o->problem.heads;
  tally->broken += broken;
  return broken;
}
