/* plan_sweep.c - precis plan --sweep: where summaries win, and by how much */
#include <inttypes.h>
#include <stdio.h>

#include "src/cli/json.h"
#include "src/cli/plan.h"
#include "src/base/problem.h"

static const int dims[] = {3, 8, 16, 32, 64};
static const double spreads[] = {.05, .1, .15, .2, .25, .3, .35, .4, .45, .5, .55, .6},
                    tols[] = {1e-1, 1e-2, 1e-3};
static const int64_t shares[] = {100,    316,    1000,    3162,    10000,   31623,
                                 100000, 316228, 1000000, 3162278, 10000000};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One point of the map. */
typedef struct point {
  int dim;
  double spread, tol;
  int64_t share; /* tokens a rank */
  const precis_paper_plan *plan;
  const precis_candidate *summary; /* NULL: none keeps the tolerance */
} point;

static double exact_seconds(const precis_paper_plan *plan)
{
  return plan->predicted[precis_model_choose(plan->predicted)].seconds;
}

static void print_point(const point *p, json_t *rows)
{
  double exact = exact_seconds(p->plan),
         seconds = p->plan->predicted[PRECIS_MOVE_SUMMARIES].seconds,
         gain = p->summary ? exact / seconds : 0;
  const char *move = precis_move_name(p->plan->move);
  int degree = p->summary ? p->summary->degree : 0,
      envelope = p->summary ? p->summary->envelope_degree : 0;
  if (rows != NULL) {
    json_array_append_new(
        rows, json_pack("{s:i, s:f, s:f, s:I, s:s, s:f, s:f, s:f, s:i, s:i}", "dim", p->dim,
                        "spread", p->spread, "tol", p->tol, "tokens_per_rank", (json_int_t)p->share,
                        "move", move, "gain", gain, "summaries_seconds", p->summary ? seconds : 0,
                        "exact_seconds", exact, "degree", degree, "envelope_degree", envelope));
    return;
  }
  printf("%d,%g,%g,%" PRId64 ",%s,%.4g,%.4g,%.4g,%d,%d\n", p->dim, p->spread, p->tol, p->share,
         move, gain, p->summary ? seconds : 0, exact, degree, envelope);
}

/* All shares of one problem: fits once, for the largest, whose scores reach farthest. */
static int sweep_shares(precis_cli *cli, precis_paper *paper, json_t *rows)
{
  precis_paper_fits fits;
  paper->keys = paper->queries = shares[COUNT(shares) - 1] * paper->ranks;
  int status = precis_paper_fit_all(paper, &fits);
  for (size_t i = 0; i < COUNT(shares) && status == PRECIS_SUCCESS; i++) {
    precis_paper_plan plan;
    paper->keys = paper->queries = shares[i] * paper->ranks;
    status = precis_paper_make(paper, &fits, &plan, &cli->why);
    if (status != PRECIS_SUCCESS)
      break;
    point p = {
        paper->problem.dim, paper->spread, paper->tol,
        shares[i],          &plan,         plan.fit < 0 ? NULL : &fits.fit[plan.fit].candidate};
    print_point(&p, rows);
  }
  return status;
}

static int sweep(precis_cli *cli, const precis_paper *from, json_t *rows)
{
  const precis_settings *s = &cli->settings;
  int status = PRECIS_SUCCESS;
  for (size_t d = 0; d < COUNT(dims); d++)
    for (size_t i = 0; i < COUNT(spreads); i++)
      for (size_t t = 0; t < COUNT(tols) && status == PRECIS_SUCCESS; t++) {
        precis_paper paper = *from;
        paper.problem = (precis_problem){.heads = s->shape.heads > 0 ? (int)s->shape.heads : 8,
                                         .kv_heads = (int)s->shape.kv_heads,
                                         .dim = dims[d],
                                         .causal = s->shape.causal};
        paper.spread = spreads[i];
        paper.tol = tols[t];
        status = precis_problem_settle(&paper.problem, &cli->why);
        if (status == PRECIS_SUCCESS)
          status = sweep_shares(cli, &paper, rows);
      }
  return status;
}

int precis_plan_sweep(precis_cli *cli, const precis_paper *paper, precis_draft *json)
{
  if (cli->settings.files.json == NULL) {
    printf("dim,spread,tol,tokens_per_rank,move,gain,summaries_seconds,exact_seconds,degree,"
           "envelope_degree\n");
    return sweep(cli, paper, NULL);
  }
  json_t *rows = json_array();
  int status = sweep(cli, paper, rows);
  if (status == PRECIS_SUCCESS)
    return precis_json_save(cli,
                            json_pack("{s:i, s:i, s:o}", "ranks", paper->ranks, "ranks_per_node",
                                      paper->ranks_per_node, "points", rows),
                            json);
  json_decref(rows);
  precis_draft_discard(json);
  return status;
}
