/* report_text.c - the report for people */
#include <inttypes.h>
#include <math.h>

#include "src/cli/quantity.h"
#include "src/cli/report.h"

double precis_report_gflops(const precis_run_report *r)
{
  return r->attend.seconds_total > 0 ? r->flops / r->attend.seconds_total * 1e-9 : 0;
}

double precis_report_tokens_per_second(const precis_run_report *r)
{
  return r->attend.seconds_total > 0 ? (double)r->attend.queries / r->attend.seconds_total : 0;
}

static const char *plural(int64_t count)
{
  return count == 1 ? "" : "s";
}

static void print_problem(const precis_run_report *r, FILE *stream)
{
  const precis_problem *p = &r->problem;
  fprintf(stream, "problem    %" PRId64 " quer%s, %" PRId64 " key%s, %d head%s", r->queries,
          r->queries == 1 ? "y" : "ies", r->attend.keys, plural(r->attend.keys), p->heads,
          plural(p->heads));
  if (p->kv_heads != p->heads)
    fprintf(stream, " sharing %d of keys and values", p->kv_heads);
  fprintf(stream, ", d %d", p->dim);
  if (p->value_dim != p->dim)
    fprintf(stream, ", values %d", p->value_dim);
  fprintf(stream, ", scale %.4g%s\n", p->scale, p->causal ? ", causal" : "");
}

/* What was expected of this move, and of the others. */
static void print_forecast(const precis_report *a, FILE *stream)
{
  const precis_forecast *own = &a->forecast[a->move];
  fprintf(stream, "predicted  %s, %s at most on any rank", precis_seconds_text(own->seconds).text,
          precis_bytes_text(own->peak_bytes).text);
  const char *before = "; instead: ";
  for (int move = PRECIS_MOVE_TILES; move < PRECIS_MOVES; move++) {
    if (move == (int)a->move || !(a->forecast[move].seconds > 0))
      continue;
    fprintf(stream, "%s%s %s", before, precis_move_name((precis_move)move),
            precis_seconds_text(a->forecast[move].seconds).text);
    before = ", ";
  }
  fputc('\n', stream);
}

static void print_summary(const precis_report *a, FILE *stream)
{
  if (a->move != PRECIS_MOVE_SUMMARIES)
    return;
  fprintf(stream, "summary    degree %d", a->degree);
  if (a->envelope_degree > 0)
    fprintf(stream, ", envelope %d", a->envelope_degree);
  fprintf(stream, ", %" PRId64 " features with values", a->features);
  if (a->count_features > 0)
    fprintf(stream, " and %" PRId64 " counts", a->count_features);
  fprintf(stream, ", |y| <= %.3g\n", a->bound);
  if (a->outlier_keys > 0 || a->outlier_queries > 0)
    fprintf(stream, "outliers   %" PRId64 " keys and %" PRId64 " queries, exact\n", a->outlier_keys,
            a->outlier_queries);
}

static const char *unit_words(precis_unit unit)
{
  return unit == PRECIS_UNIT_RANGE ? "each column's value range (--tol-of range)"
         : unit == PRECIS_UNIT_LSE ? "1 in lse (--tol-of lse)"
                                   : "what a row's query changes (--tol-of outputs)";
}

/* The promise in the other units; there is none of outputs where no row changes. */
static void print_units(const precis_run_report *r, precis_unit unit, FILE *stream)
{
  const precis_report *a = &r->attend;
  const char *before = "";
  fputs("           ", stream);
  if (a->constant_heads < r->problem.heads) {
    if (unit != PRECIS_UNIT_OUTPUTS)
      fprintf(stream, "%.2g of what a row's query changes, ", a->promise_outputs);
    fprintf(stream, "%.2g as root mean square", a->promise_outputs_rms);
    before = ", ";
  }
  if (unit != PRECIS_UNIT_RANGE) {
    fprintf(stream, "%s%.2g of the value range", before, a->promise_range);
    before = ", ";
  }
  if (unit != PRECIS_UNIT_LSE)
    fprintf(stream, "%slse within %.2g", before, a->lse_promise);
  fputc('\n', stream);
}

static void print_promise(const precis_run_report *r, FILE *stream)
{
  const precis_report *a = &r->attend;
  precis_unit unit = (precis_unit)r->settings->want.tol_of;
  if (a->estimate)
    fprintf(stream, "estimate   error about %.2g of %s, measured on some rows, not proved\n",
            a->promise, unit_words(unit));
  else
    fprintf(stream, "promise    error at most %.2g of %s, proved for every row\n", a->promise,
            unit_words(unit));
  if (!a->estimate)
    print_units(r, unit, stream);
  if (a->mean_signal > 0)
    fprintf(
        stream,
        "worth      a row's query changes %.2g deviations of the values (R); to answer as for the "
        "mean query everywhere would be wrong by %.2g\n",
        a->mean_signal, a->trivial_error);
  if (a->constant_heads > 0)
    fprintf(stream, "constant   %d head%s whose rows do not change with the query, exact\n",
            a->constant_heads, plural(a->constant_heads));
  if (a->rows_recomputed > 0)
    fprintf(stream, "repair     %" PRId64 " row%s recomputed exactly, %s moved for %s\n",
            a->rows_recomputed, plural(a->rows_recomputed), precis_bytes_text(a->repair_bytes).text,
            a->rows_recomputed == 1 ? "it" : "them");
}

static void print_heads(const precis_run_report *r, FILE *stream)
{
  for (int h = 0; r->heads != NULL && h < r->problem.heads; h++) {
    const precis_head_report *head = &r->heads[h];
    fprintf(stream, "head %-5d ", h);
    if (head->constant)
      fputs("constant, ", stream);
    else
      fprintf(stream, "error at most %.2g, %.2g as root mean square; R %.2g, trivial %.2g; ",
              head->promise_outputs, head->promise_outputs_rms, head->mean_signal,
              head->trivial_error);
    fprintf(stream, "%.2g of the value range, lse within %.2g; %" PRId64 " recomputed\n",
            head->promise_range, head->lse_promise, head->rows_recomputed);
  }
}

/* Nothing of a run in one go. */
static void print_batches(const precis_batches_report *b, FILE *stream)
{
  if (b->count < 2 && b->resumed_rows == 0 && b->again == 0)
    return;
  fprintf(stream, "batches    %" PRId64 " of at most %" PRId64 " quer%s", b->count, b->largest,
          b->largest == 1 ? "y" : "ies");
  const char *before = ": ";
  for (int move = PRECIS_MOVE_TILES; move < PRECIS_MOVES; move++)
    if (b->rows[move] > 0) {
      fprintf(stream, "%s%" PRId64 " by %s", before, b->rows[move],
              precis_move_name((precis_move)move));
      before = ", ";
    }
  if (b->again > 0)
    fprintf(stream, "; %" PRId64 " again, by the R of all rows", b->again);
  if (b->resumed_rows > 0)
    fprintf(stream, "; %" PRId64 " were done before, by a run that was interrupted",
            b->resumed_rows);
  fputc('\n', stream);
}

static void print_seconds(const precis_run_report *r, FILE *stream)
{
  const precis_report *a = &r->attend;
  fprintf(stream, "seconds    read %.3f, survey %.3f, plan %.3f, ", r->seconds_read,
          a->seconds_survey, a->seconds_plan);
  if (a->move == PRECIS_MOVE_SUMMARIES)
    fprintf(stream, "summarise %.3f, apply %.3f, ", a->seconds_summarise, a->seconds_apply);
  fprintf(stream, "exact %.3f, wait %.3f, ", a->seconds_exact, a->seconds_wait);
  if (r->measured.rows > 0)
    fprintf(stream, "verify %.3f, ", r->seconds_verify);
  fprintf(stream, "write %.3f, total %.3f\n", r->seconds_write, r->seconds_total);
}

static void print_measured(const precis_verify_result *m, FILE *stream)
{
  if (m->rows == 0)
    return;
  fputs("measured   error ", stream);
  if (isfinite(m->mean_signal))
    fprintf(stream, "%.2g of what a row's query changes, ", m->max_error_outputs);
  fprintf(stream,
          "%.2g of the value range, %.2g relative, over %" PRId64
          " row%s against double precision\n",
          m->max_error_range, m->relative_error, m->rows, plural(m->rows));
}

static void print_warning(void *stream, const char *text)
{
  fprintf(stream, "warning    %s\n", text);
}

void precis_report_print(const precis_run_report *r, FILE *stream)
{
  const precis_report *a = &r->attend;
  print_problem(r, stream);
  fprintf(stream, "machine    %d rank%s on %d node%s, %d thread%s each, fast memory %s, %s\n",
          a->ranks, plural(a->ranks), a->nodes, plural(a->nodes), a->threads, plural(a->threads),
          precis_bytes_text(a->fast_memory_bytes).text, r->cpu);
  if (r->machines != NULL)
    precis_topo_warn(r->machines, a->ranks, print_warning, stream);
  fprintf(stream, "move       %s\n", a->why);
  print_batches(&r->batches, stream);
  print_forecast(a, stream);
  print_summary(a, stream);
  fprintf(stream, "moved      %s between nodes, %s inside, %" PRId64 " message%s\n",
          precis_bytes_text(a->network_bytes).text, precis_bytes_text(a->node_bytes).text,
          a->messages, plural(a->messages));
  print_promise(r, stream);
  print_heads(r, stream);
  print_measured(&r->measured, stream);
  print_seconds(r, stream);
  fprintf(stream, "rate       %.1f GFLOP/s, %.0f queries a second\n", precis_report_gflops(r),
          precis_report_tokens_per_second(r));
  fprintf(stream, "memory     %s at most on any rank\n", precis_bytes_text(r->peak_bytes).text);
}
