#include "src/cli/bench_moves.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/cli/json.h"
#include "src/oracle/generate.h"
#include "src/base/problem.h"
#include "src/base/share.h"

enum { REPEATS = 7, MOVES = PRECIS_MOVES - 1 };

/* Long enough to measure, short enough to wait for. */
typedef struct shape {
  const char *name;
  int64_t queries, keys;
  precis_problem problem;
  double spread;
} shape;

static const shape shapes[] = {
    {"prefill", 2048, 2048, {.heads = 8, .kv_heads = 2, .dim = 64}, .2},
    {"narrow", 8192, 8192, {.heads = 2, .dim = 16}, .2},
    {"causal", 4096, 4096, {.heads = 8, .kv_heads = 4, .dim = 32, .causal = 1}, .2},
    {"decode", 16, 65536, {.heads = 8, .dim = 16}, .2},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Summaries of one degree: who forces the move without it has more of them studied than a plan
 * would. */
static const double TOL = 2e-2;
enum { DEGREE = 2 };

typedef struct result {
  const shape *shape;
  precis_move move;
  int ran;              /* else: why not */
  precis_report report; /* of the fastest repetition */
} result;

typedef struct tokens {
  int64_t rows, keys; /* of this rank */
  float *q, *k, *v, *out;
} tokens;

static void release(tokens *t)
{
  free(t->q);
  free(t->k);
  free(t->v);
  free(t->out);
}

/* This rank's share of a shape. */
static int make(precis_cli *cli, const shape *s, precis_problem *p, tokens *t)
{
  int ranks = cli->world.ranks, rank = cli->world.rank;
  *p = s->problem;
  int status = precis_problem_settle(p, &cli->why);
  *t = (tokens){.rows = precis_share_rows(s->queries, ranks, rank),
                .keys = precis_share_rows(s->keys, ranks, rank)};
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "queries", t->rows, (int64_t)p->heads * p->dim, &t->q);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "keys", t->keys, (int64_t)p->kv_heads * p->dim, &t->k);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "values", t->keys, (int64_t)p->kv_heads * p->value_dim, &t->v);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "outputs", t->rows, (int64_t)p->heads * p->value_dim, &t->out);
  if (status != PRECIS_SUCCESS)
    return status;
  const precis_recipe recipe = {
      .kind = PRECIS_KIND_GAUSS, .problem = *p, .spread = s->spread, .seed = 1};
  int64_t first = precis_share_first(s->queries, ranks, rank);
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, first, t->rows, t->q);
  first = precis_share_first(s->keys, ranks, rank);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, first, t->keys, t->k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, first, t->keys, t->v);
  return PRECIS_SUCCESS;
}

static void keep_message(void *context, const char *text)
{
  precis_message_set(context, PRECIS_SUCCESS, "%s", text);
}

/* A first call of a new handle: nothing is surveyed, no summary is kept. */
static int attend(precis_cli *cli, const precis_problem *p, precis_move move, const tokens *t,
                  precis_report *report)
{
  const precis_options options = {.move = move,
                                  .tol = move == PRECIS_MOVE_SUMMARIES ? TOL : 0,
                                  .degree = move == PRECIS_MOVE_SUMMARIES ? DEGREE : 0,
                                  .threads = (int)cli->settings.machine.threads,
                                  .fast_memory_bytes = cli->settings.machine.fast_memory,
                                  .machine = cli->settings.machine.rates,
                                  .message = keep_message,
                                  .context = &cli->why};
  precis_attention *attention = NULL;
  int status = precis_create(cli->world.comm, p, &options, &attention);
  if (status == PRECIS_SUCCESS)
    status = precis_append(attention, t->keys, t->k, t->v, NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_attend(attention, t->rows, t->q, t->out, NULL, report);
  precis_destroy(&attention);
  return status;
}

static int run_shape(precis_cli *cli, const shape *s, result *results)
{
  tokens t;
  precis_problem p;
  int64_t repeats = cli->settings.bench.repeats > 0 ? cli->settings.bench.repeats : REPEATS;
  int status = make(cli, s, &p, &t);
  for (int m = 0; m < MOVES && status == PRECIS_SUCCESS; m++) {
    result *r = &results[m];
    *r = (result){.shape = s, .move = (precis_move)(PRECIS_MOVE_TILES + m)};
    for (int64_t i = 0; i < repeats && status == PRECIS_SUCCESS; i++) {
      precis_report report = PRECIS_REPORT_INIT;
      status = attend(cli, &p, r->move, &t, &report);
      if (status == PRECIS_SUCCESS && (!r->ran || report.seconds_total < r->report.seconds_total)) {
        r->report = report;
        r->ran = 1;
      }
    }
    if (status == PRECIS_ERR_TOLERANCE) /* no summary that is good enough: nothing to compare */
      status = PRECIS_SUCCESS;
  }
  release(&t);
  return status;
}

static void print_text(const precis_cli *cli, const result *results)
{
  printf("%d ranks on %d nodes, rates: %s\n\n", cli->world.ranks, cli->world.nodes,
         cli->settings.machine.rates ? cli->settings.machine.rates : "nominal");
  printf("%-8s %-10s %10s %10s %6s   %14s %14s %6s\n", "shape", "move", "predicted", "measured",
         "ratio", "bytes, pred.", "bytes, counted", "ratio");
  for (const result *r = results; r < results + SHAPES * MOVES; r++) {
    const precis_forecast *f = &r->report.forecast[r->move];
    int64_t predicted = f->network_bytes + f->node_bytes,
            counted = r->report.network_bytes + r->report.node_bytes;
    if (!r->ran) {
      printf("%-8s %-10s tolerance %g not met\n", r->shape->name, precis_move_name(r->move), TOL);
      continue;
    }
    printf("%-8s %-10s %8.4f s %8.4f s %6.2f   %14" PRId64 " %14" PRId64 " %6.2f\n", r->shape->name,
           precis_move_name(r->move), f->seconds, r->report.seconds_total,
           f->seconds / r->report.seconds_total, predicted, counted,
           counted > 0 ? (double)predicted / (double)counted : 1);
  }
}

static json_t *side(double seconds, int64_t network_bytes, int64_t node_bytes)
{
  return json_pack("{s:o, s:o, s:o}", "seconds", precis_json_number(seconds), "network_bytes",
                   precis_json_integer(network_bytes), "node_bytes",
                   precis_json_integer(node_bytes));
}

static json_t *object_of(const precis_cli *cli, const result *results)
{
  json_t *rows = json_array();
  for (const result *r = results; r < results + SHAPES * MOVES; r++) {
    const precis_forecast *f = &r->report.forecast[r->move];
    if (!r->ran)
      continue;
    json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:i, s:i}", "shape", r->shape->name, "move",
                            precis_move_name(r->move), "queries", (json_int_t)r->shape->queries,
                            "keys", (json_int_t)r->shape->keys, "heads", r->shape->problem.heads,
                            "dim", r->shape->problem.dim);
    json_object_set_new(row, "predicted", side(f->seconds, f->network_bytes, f->node_bytes));
    json_object_set_new(
        row, "measured",
        side(r->report.seconds_total, r->report.network_bytes, r->report.node_bytes));
    json_object_set_new(row, "ratio", precis_json_number(f->seconds / r->report.seconds_total));
    json_array_append_new(rows, row);
  }
  return json_pack("{s:i, s:i, s:o}", "ranks", cli->world.ranks, "nodes", cli->world.nodes, "moves",
                   rows);
}

int precis_bench_moves(precis_cli *cli)
{
  result results[SHAPES * MOVES] = {{0}};
  precis_draft json = {0};
  precis_cli_phase(cli, "measuring moves");
  int status = cli->world.rank == 0 ? precis_json_open(cli, &json) : PRECIS_SUCCESS;
  status = precis_cli_agree(cli, status);
  for (int i = 0; i < SHAPES && status == PRECIS_SUCCESS; i++)
    status = run_shape(cli, &shapes[i], results + (ptrdiff_t)i * MOVES);
  if (status == PRECIS_SUCCESS && cli->world.rank == 0) {
    if (cli->settings.files.json != NULL)
      status = precis_json_save(cli, object_of(cli, results), &json);
    if (status == PRECIS_SUCCESS && precis_json_leaves_stdout(cli))
      print_text(cli, results);
  }
  precis_draft_discard(&json);
  return precis_cli_agree(cli, status);
}
