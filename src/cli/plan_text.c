/* plan_text.c - a plan on paper, for people */
#include <inttypes.h>

#include "src/cli/plan.h"
#include "src/cli/quantity.h"

static void print_problem(const precis_plan_answer *a, FILE *stream)
{
  const precis_paper *p = &a->paper;
  const precis_problem *problem = &p->problem;
  int nodes = (p->ranks + p->ranks_per_node - 1) / p->ranks_per_node;
  fprintf(stream, "problem    %s queries, %s keys, %d head%s",
          precis_count_text((double)p->queries).text, precis_count_text((double)p->keys).text,
          problem->heads, problem->heads == 1 ? "" : "s");
  if (problem->kv_heads != problem->heads)
    fprintf(stream, " sharing %d of keys and values", problem->kv_heads);
  fprintf(stream, ", d %d", problem->dim);
  if (problem->value_dim != problem->dim)
    fprintf(stream, ", values %d", problem->value_dim);
  fprintf(stream, "%s\n", problem->causal ? ", causal" : "");
  fprintf(stream, "machine    %d rank%s on %d node%s, %g thread%s each, rates: %s\n", p->ranks,
          p->ranks == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s", p->rates.threads,
          p->rates.threads == 1 ? "" : "s", a->machine ? a->machine : "nominal, not measured");
  if (!(p->tol > 0))
    return;
  fprintf(stream, "scores     deviation %g, |y| <= %.3g%s\n", p->spread, a->plan.bound,
          p->bound > 0 ? "" : " as may be expected");
  fprintf(stream, "values     follow the keys %g times as much as not: a row's query changes about "
                  "%.2g deviations (R)\n",
          p->signal, precis_paper_mean_signal(p));
  fprintf(stream, "tolerance  ");
  if (precis_plan_tol(a) > 0)
    fprintf(stream, "%g of %s (--tol-of %s)\n", precis_plan_tol(a),
            p->tol_of == PRECIS_UNIT_RANGE ? "each column's value range"
            : p->tol_of == PRECIS_UNIT_LSE ? "1 in lse"
                                           : "what a row's query changes",
            precis_unit_name(p->tol_of));
  else
    fprintf(stream, "none\n");
}

static void print_move(const precis_plan_answer *a, precis_move move, FILE *stream)
{
  const precis_prediction *p = &a->plan.predicted[move];
  if (!(p->seconds > 0))
    return;
  fprintf(stream, "%c %-10s %9s %9s %9s %9s %11s %11s %9s %11s\n", move == a->plan.move ? '*' : ' ',
          precis_move_name(move), precis_seconds_text(p->seconds).text,
          precis_seconds_text(p->compute).text,
          precis_seconds_text(p->survey + p->plan + p->passes).text,
          precis_seconds_text(p->wire).text, precis_bytes_text(p->bytes.network).text,
          precis_bytes_text(p->bytes.node).text, precis_count_text(p->fast_memory_words).text,
          precis_bytes_text(p->peak_bytes).text);
}

static void print_summary(const precis_plan_answer *a, FILE *stream)
{
  const precis_candidate *c = precis_plan_summary(a);
  if (c == NULL)
    return;
  fprintf(stream,
          "summary    degree %d, envelope %d, %" PRId64 " features with values and %" PRId64
          " counts a head; ",
          c->degree, c->envelope_degree, c->features, c->count_features);
  if (a->plan.failing > 0)
    fprintf(stream, "%.2g of the rows to repair\n", a->plan.failing);
  else
    fprintf(stream, "no rows to repair\n");
}

/* "summaries win from 1.2e+06 keys to 3.4e+09 keys, all else equal" */
static void print_crossing(const precis_paper_crossing *c, int64_t now, const char *what,
                           FILE *stream)
{
  fprintf(stream, "crossing   ");
  if (c->from == 0) {
    fprintf(stream, "summaries win with no number of %s\n", what);
    return;
  }
  fprintf(stream, "summaries win from %s %s", precis_count_text((double)c->from).text, what);
  if (c->until > 0)
    fprintf(stream, " up to %s", precis_count_text((double)c->until).text);
  fprintf(stream, ", all else equal (here: %s)\n", precis_count_text((double)now).text);
}

void precis_plan_print(const precis_plan_answer *a, FILE *stream)
{
  print_problem(a, stream);
  fprintf(stream, "plan       %s\n", a->plan.why);
  print_summary(a, stream);
  if (a->paper.tol > 0) {
    print_crossing(&a->keys, a->paper.keys, "keys", stream);
    print_crossing(&a->ranks, a->paper.ranks, "ranks", stream);
  }
  fprintf(stream, "\n  %-10s %9s %9s %9s %9s %11s %11s %9s %11s\n", "move", "total", "compute",
          "passes", "wait", "network", "in nodes", "words", "memory/rank");
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_SUMMARIES; move++)
    print_move(a, move, stream);
  fprintf(stream,
          "\nBytes and words (4 bytes, through fast memory) are sums over the ranks; * is what "
          "would run.\n");
}
