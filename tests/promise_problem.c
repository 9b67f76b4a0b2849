#include "tests/promise_problem.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/summary/features.h"
#include "src/oracle/generate.h"
#include "src/base/problem.h"

/* What a problem may take: multiplications of the oracle, numbers of a summary. */
static const double PAIRS_MOST = 6e6;
static const int64_t NUMBERS_MOST = 60000;

const char *promise_kind_name(promise_kind kind)
{
  static const char *const names[PROMISE_KINDS] = {
      "plain",      "sinks",        "long keys",   "long queries", "long both",
      "bias",       "masks",        "common bias", "key offset",   "value offset",
      "far values", "small values", "cancelling",  "groups",       "few values",
      "equal rows", "limits",       "sharp",       "mixed heads",  "worst values"};
  return names[kind];
}

int promise_problem_allocate(promise_problem *p)
{
  const precis_problem *s = &p->problem;
  p->keys = p->queries = 0;
  for (int i = 0; i < p->steps; i++) {
    p->keys += p->step[i].keys;
    p->queries += p->step[i].queries;
  }
  p->q = calloc((size_t)(p->queries * s->heads * s->dim) + 1, sizeof *p->q);
  p->k = calloc((size_t)(p->keys * s->kv_heads * s->dim) + 1, sizeof *p->k);
  p->v = calloc((size_t)(p->keys * s->kv_heads * s->value_dim) + 1, sizeof *p->v);
  p->bias = calloc((size_t)p->keys + 1, sizeof *p->bias);
  return p->q && p->k && p->v && p->bias;
}

void promise_problem_free(promise_problem *p)
{
  free(p->q);
  free(p->k);
  free(p->v);
  free(p->bias);
}

static void throw_shape(dice *d, promise_problem *p)
{
  precis_problem *s = &p->problem;
  s->kv_heads = 1 + dice_of(d, 2);
  s->heads = s->kv_heads * (1 + dice_of(d, 3));
  if (p->kind == PROMISE_MIXED) {
    s->kv_heads = 2 + dice_of(d, 4);
    s->heads = s->kv_heads * (1 + dice_of(d, 2));
  }
  s->dim = (int)dice_between(d, 1, dice_chance(d, .6) ? 9 : 41);
  s->value_dim = (int)dice_between(d, 1, 17);
  s->causal = dice_chance(d, .4);
  s->scale = dice_chance(d, .2) ? dice_sign(d) * dice_between(d, .5, 1.5) / sqrt(s->dim) : 0;
  precis_problem_settle(s, NULL);
  p->spread = (spread)dice_of(d, 4);
}

static void throw_steps(dice *d, int sequence, promise_problem *p)
{
  double all = PAIRS_MOST / (p->problem.heads * (p->problem.dim + p->problem.value_dim));
  double most = sqrt(all / (sequence ? 4 : 1));
  most = most < 500 ? most : 500;
  p->steps = sequence ? 2 + dice_of(d, PROMISE_STEPS - 2) : 1;
  int decode = dice_chance(d, .4);
  for (int i = 0; i < p->steps; i++) {
    promise_step *s = &p->step[i];
    int first = i == 0;
    s->keys = (int64_t)dice_between(d, dice_chance(d, .1) ? 1 : 20, most);
    s->queries = (int64_t)dice_between(d, dice_chance(d, .2) ? 1 : 20, most);
    if (p->kind == PROMISE_MIXED && s->queries < 150)
      s->queries += 150;
    if (!first && decode) {
      s->keys = 1 + dice_of(d, 3);
      s->queries = s->keys;
    } else if (!first && dice_chance(d, .4)) {
      s->keys = 0;
    }
    if (p->problem.causal && s->keys > 0 && dice_chance(d, .6))
      s->queries = s->keys;
    s->explicit_position = dice_chance(d, .1);
    s->position = dice_of(d, 200) - 40;
  }
}

/* Few keys, each of which gets a column of its own first. */
static void shrink_steps(promise_problem *p)
{
  for (int i = 0; i < p->steps; i++) {
    promise_step *s = &p->step[i];
    s->keys = s->keys > 240 / p->steps ? 240 / p->steps : s->keys;
    s->queries = s->queries > 60 ? 60 : s->queries;
  }
  p->problem.dim = 1 + p->problem.dim % 4;
}

/* What is asked for: summaries with a degree and no tolerance, summaries within a tolerance,
 * whatever keeps one, an exact move. */
static void throw_wish(dice *d, promise_problem *p)
{
  const precis_problem *s = &p->problem;
  int wish = dice_of(d, 6), degree = 1 + dice_of(d, 8);
  int columns = p->kind == PROMISE_WORST ? 240 : s->value_dim + 1;
  while (degree > 1 && precis_features_count(s->dim, degree) * columns > NUMBERS_MOST)
    degree--;
  int large = precis_features_count(s->dim, 3) * columns > NUMBERS_MOST;
  precis_options *o = &p->options;
  *o = (precis_options){.threads = 1 + dice_chance(d, .1),
                        .fast_memory_bytes = (int64_t)dice_between(d, 4096, 1 << 20)};
  o->tol_of = (precis_unit)(dice_chance(d, .7) ? 0 : 1 + dice_of(d, 2));
  o->degree = wish <= 1 || large || dice_chance(d, .4) ? degree : 0;
  o->tol = wish <= 1 || wish == 5 ? 0 : dice_between(d, 1e-4, dice_chance(d, .5) ? 1 : .1);
  o->move = wish <= 3   ? PRECIS_MOVE_SUMMARIES
            : wish == 4 ? PRECIS_MOVE_AUTO
                        : (precis_move)(PRECIS_MOVE_TILES + dice_of(d, 3));
  if (o->move != PRECIS_MOVE_AUTO && o->move != PRECIS_MOVE_SUMMARIES)
    o->degree = 0;
  o->results_in_place = dice_chance(d, .2);
}

/* Whatever keeps a tolerance, in calls that are large enough for plans by head. */
static void want_a_mixture(dice *d, promise_problem *p)
{
  p->options.move = PRECIS_MOVE_AUTO;
  p->options.degree = 0;
  p->options.tol = dice_between(d, 1e-3, .3);
  p->options.machine = getenv("PRECIS_TEST_MACHINE");
}

static void make_numbers(dice *d, promise_problem *p)
{
  precis_recipe recipe = {.kind = p->kind == PROMISE_SINKS ? PRECIS_KIND_SINKS
                                  : dice_chance(d, .3)     ? PRECIS_KIND_UNIT
                                                           : PRECIS_KIND_GAUSS,
                          .problem = p->problem,
                          .spread = dice_between(d, .02, dice_chance(d, .8) ? .5 : 2),
                          .decay = dice_chance(d, .2) ? dice_between(d, .2, 2) : 0,
                          .signal = dice_chance(d, .3) ? 0 : dice_between(d, .3, 30),
                          .seed = d->stream.seed * 100003 + (uint64_t)d->stream.row};
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, 0, p->queries, p->q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, 0, p->keys, p->k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, p->keys, p->v);
}

/* Rows [first, end) of head h: longer by a factor, and moved. */
static void change_rows(int64_t first, int64_t end, int heads, int h, int dim, double factor,
                        const double *by, float *x)
{
  for (int64_t i = first; i < end; i++)
    for (int c = 0; c < dim; c++) {
      float *at = &x[(i * heads + h) * dim + c];
      *at = (float)(factor * *at + by[c]);
    }
}

/* From step to step each head's rows grow or shrink and drift, as a walk. */
static void drift_rows(dice *d, promise_problem *p, int queries)
{
  int heads = queries ? p->problem.heads : p->problem.kv_heads, dim = p->problem.dim;
  double pace = dice_chance(d, .7) ? dice_between(d, 1, 3) : dice_between(d, 3, 30),
         drift = dice_chance(d, .5) ? dice_between(d, .01, 1) : 0;
  for (int h = 0; h < heads; h++) {
    double factor = 1, by[PRECIS_DIM_MAX] = {0};
    int64_t at = 0;
    for (int i = 0; i < p->steps; i++) {
      int64_t rows = queries ? p->step[i].queries : p->step[i].keys;
      change_rows(at, at + rows, heads, h, dim, factor, by, queries ? p->q : p->k);
      at += rows;
      factor *= pow(pace, 2 * dice_uniform(d) - 1);
      for (int c = 0; c < dim; c++)
        by[c] += drift * dice_normal(d);
    }
  }
}

int promise_problem_throw(uint64_t seed, int64_t number, int sequence, promise_problem *p)
{
  dice d = {.stream = {.seed = seed, .tensor = sequence ? 11 : 10, .row = number}};
  *p = (promise_problem){.kind = (promise_kind)(number % PROMISE_KINDS)};
  snprintf(p->name, sizeof p->name, "%s %lld, seed %llu", sequence ? "sequence" : "problem",
           (long long)number, (unsigned long long)seed);
  throw_shape(&d, p);
  throw_steps(&d, sequence, p);
  if (p->kind == PROMISE_WORST)
    shrink_steps(p);
  throw_wish(&d, p);
  if (p->kind == PROMISE_MIXED)
    want_a_mixture(&d, p);
  if (!promise_problem_allocate(p))
    return 0;
  make_numbers(&d, p);
  if (sequence && dice_chance(&d, .8))
    drift_rows(&d, p, 1);
  if (sequence && dice_chance(&d, .6))
    drift_rows(&d, p, 0);
  promise_problem_spoil(&d, p->kind, p);
  if (dice_chance(&d, .3))
    promise_problem_spoil(&d, (promise_kind)dice_of(&d, PROMISE_WORST), p);
  return 1;
}
