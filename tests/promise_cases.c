#include "tests/promise_cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/problem.h"
#include "tests/promise_rows.h"

/* Each case sets the shape, then allocates, then fills. */
typedef struct named_case {
  const char *name;
  int (*make)(dice *d, promise_problem *p, double parameter);
  double parameter;
} named_case;

static int begin(promise_problem *p, int heads, int dim, int value_dim, double scale)
{
  p->problem = (precis_problem){
      .heads = heads, .kv_heads = heads, .dim = dim, .value_dim = value_dim, .scale = scale};
  p->options.threads = 1;
  return precis_problem_settle(&p->problem, NULL) == PRECIS_SUCCESS && promise_problem_allocate(p);
}

enum { UNIT_DIM = 8, UNIT_DV = 4 };

/* Values are signs; those of column 0 of head 1 follow the first axis of the keys. */
static void fill_signs(dice *d, promise_problem *p)
{
  for (int64_t i = 0; i < p->keys * 2 * UNIT_DV; i++)
    p->v[i] = (float)dice_sign(d);
  for (int64_t j = 0; j < p->keys; j++)
    p->v[(j * 2 + 1) * UNIT_DV] = (float)rows_sign(p->k[(j * 2 + 1) * UNIT_DIM]);
}

/* Head 0: short rows, some of length 1, a few of length 100; they set the limit of both heads. */
static void shorten_head_0(float *x, int64_t half, const int64_t *middle, int middles,
                           const int64_t *outer, int outers)
{
  for (int64_t i = 0; i < 2 * half; i++)
    rows_scale(x + i * 2 * UNIT_DIM, UNIT_DIM, .05);
  for (int i = 0; i < middles; i++)
    for (int64_t side = 0; side < 2 * half; side += half)
      rows_scale(x + (side + middle[i]) * 2 * UNIT_DIM, UNIT_DIM, 20);
  for (int i = 0; i < outers; i++)
    for (int64_t side = 0; side < 2 * half; side += half)
      rows_scale(x + (side + outer[i]) * 2 * UNIT_DIM, UNIT_DIM, 2000);
}

/* A later call's queries lie between the first call's radius of their head and the limit that heads
 * have in common: they were clipped, without a new fit. */
static int kept_query_limit(dice *d, promise_problem *p, double longer)
{
  static const int64_t middle[] = {1, 5, 9, 13, 17, 21, 25, 29, 33, 37}, outer[] = {101, 105};
  enum { N = 512, MORE = 64 };
  p->steps = 2;
  p->step[0] = (promise_step){.keys = 2000, .queries = N};
  p->step[1] = (promise_step){.queries = MORE};
  p->options.move = PRECIS_MOVE_SUMMARIES;
  p->options.degree = longer < 0 ? 5 : 4;
  p->options.tol = longer < 0 ? .1 : 0;
  p->options.tol_of = PRECIS_UNIT_RANGE;
  if (!begin(p, 2, UNIT_DIM, UNIT_DV, 1))
    return 0;
  rows_fill_units(d, p->keys, 2, UNIT_DIM, p->k);
  rows_fill_units(d, p->queries, 2, UNIT_DIM, p->q);
  for (int64_t i = 1; i < N / 2; i++)
    for (int h = 0; h < 2; h++)
      rows_oppose(p->q, 2, h, UNIT_DIM, i, i + N / 2);
  shorten_head_0(p->q, N / 2, middle, 10, outer, 2);
  fill_signs(d, p);
  for (int64_t i = N; i < N + MORE; i++) {
    float *q = p->q + i * 2 * UNIT_DIM;
    rows_scale(q, UNIT_DIM, .05);
    memset(q + UNIT_DIM, 0, UNIT_DIM * sizeof *q);
    q[UNIT_DIM] = (float)fabs(longer);
  }
  return 1;
}

/* The same for keys that are appended. */
static int kept_key_limit(dice *d, promise_problem *p, double longer)
{
  enum { N = 256, M = 4096, MORE = 400, LAST = 64 };
  int64_t middle[80], outer[] = {501};
  p->steps = 2;
  p->step[0] = (promise_step){.keys = M, .queries = N};
  p->step[1] = (promise_step){.keys = MORE, .queries = LAST};
  p->options = (precis_options){
      .move = PRECIS_MOVE_SUMMARIES, .degree = 4, .tol = .1, .tol_of = PRECIS_UNIT_RANGE};
  if (!begin(p, 2, UNIT_DIM, UNIT_DV, 1))
    return 0;
  rows_fill_units(d, p->queries, 2, UNIT_DIM, p->q);
  rows_fill_units(d, p->keys, 2, UNIT_DIM, p->k);
  for (int64_t j = 0; j < M / 2; j++)
    for (int h = 0; h < 2; h++)
      rows_oppose(p->k, 2, h, UNIT_DIM, j, j + M / 2);
  for (int i = 0; i < 80; i++)
    middle[i] = i / 2 * 10 + (i % 2 ? 7 : 1);
  shorten_head_0(p->k, M / 2, middle, 80, outer, 1);
  for (int64_t j = M; j < M + MORE; j++) {
    float *k = p->k + j * 2 * UNIT_DIM;
    rows_scale(k, UNIT_DIM, .05);
    memset(k + UNIT_DIM, 0, UNIT_DIM * sizeof *k);
    k[UNIT_DIM] = (float)(j < M + MORE / 2 ? longer : -longer);
  }
  fill_signs(d, p);
  for (int64_t i = N; i < N + LAST; i++) {
    float *q = p->q + i * 2 * UNIT_DIM;
    rows_scale(q, UNIT_DIM, .1);
    memset(q + UNIT_DIM, 0, UNIT_DIM * sizeof *q);
    q[UNIT_DIM] = .99f;
  }
  return 1;
}

/* Two keys that are nearest to the queries' direction, with opposite values. */
static void nearest_two(dice *d, promise_problem *p, float *u)
{
  float w[UNIT_DIM];
  rows_unit(d, UNIT_DIM, 1, u);
  for (int i = 0; i < 2; i++) {
    rows_unit(d, UNIT_DIM, 1, w);
    rows_make_normal(u, UNIT_DIM, w);
    for (int c = 0; c < UNIT_DIM; c++) {
      p->k[i * UNIT_DIM + c] = (float)(.9 * u[c] + (i ? -.4 : .4) * w[c]);
      if (c < UNIT_DV)
        p->v[i * UNIT_DV + c] = i ? -1 : 1;
    }
  }
}

/* A few very long queries were answered exactly, but their rounding was in no promise. */
static int outlier_query_rounding(dice *d, promise_problem *p, double longest)
{
  static const double share[] = {1, -1, .9, -.9, .8, -.8, .7, -.7};
  float u[UNIT_DIM];
  p->steps = 1;
  p->step[0] = (promise_step){.keys = 1024, .queries = 4096};
  p->options = (precis_options){.move = longest < 0 ? PRECIS_MOVE_AUTO : PRECIS_MOVE_SUMMARIES,
                                .degree = longest < 0 ? 0 : 6,
                                .tol = 1e-2,
                                .tol_of = PRECIS_UNIT_RANGE};
  if (!begin(p, 1, UNIT_DIM, UNIT_DV, 1))
    return 0;
  rows_fill_units(d, p->queries, 1, UNIT_DIM, p->q);
  rows_fill_units(d, p->keys, 1, UNIT_DIM, p->k);
  rows_scale(p->k, (int)p->keys * UNIT_DIM, .5);
  rows_fill_uniform(d, p->keys * UNIT_DV, 1, p->v);
  nearest_two(d, p, u);
  for (int i = 0; i < 8; i++)
    for (int c = 0; c < UNIT_DIM; c++)
      p->q[(5 + 512 * i) * UNIT_DIM + c] = (float)(u[c] * fabs(longest) * share[i]);
  return 1;
}

/* A kept summary charged exact parts with the rounding of the call that built it. */
static int kept_exact_rounding(dice *d, promise_problem *p, double longest)
{
  enum { N = 256, M = 4096, LAST = 64 };
  float u[UNIT_DIM], w[2][UNIT_DIM];
  p->steps = 2;
  p->step[0] = (promise_step){.keys = M, .queries = N};
  p->step[1] = (promise_step){.keys = 4, .queries = LAST};
  p->options = (precis_options){
      .move = PRECIS_MOVE_SUMMARIES, .degree = 4, .tol = 1e-2, .tol_of = PRECIS_UNIT_RANGE};
  if (!begin(p, 1, UNIT_DIM, UNIT_DV, 1))
    return 0;
  rows_fill_units(d, p->queries, 1, UNIT_DIM, p->q);
  rows_fill_units(d, p->keys, 1, UNIT_DIM, p->k);
  rows_fill_uniform(d, p->keys * UNIT_DV, 1, p->v);
  for (int64_t i = 0; i < N / 2; i++)
    rows_oppose(p->q, 1, 0, UNIT_DIM, i, i + N / 2);
  for (int64_t j = 0; j < M / 2; j++)
    rows_oppose(p->k, 1, 0, UNIT_DIM, j, j + M / 2);
  rows_scale(p->k + 11 * UNIT_DIM, UNIT_DIM, 50);
  rows_scale(p->k + (M / 2 + 11) * UNIT_DIM, UNIT_DIM, 50);
  rows_unit(d, UNIT_DIM, 1, u);
  rows_unit(d, UNIT_DIM, 1, w[0]);
  rows_unit(d, UNIT_DIM, 1, w[1]);
  rows_make_normal(u, UNIT_DIM, w[0]);
  rows_make_normal(u, UNIT_DIM, w[1]);
  rows_make_normal(w[0], UNIT_DIM, w[1]);
  for (int i = 0; i < 4; i++)
    for (int c = 0; c < UNIT_DIM; c++) {
      p->k[(M + i) * UNIT_DIM + c] =
          (float)((i < 2 ? 1 : -1) * (longest * w[i % 2][c] + 12 * u[c]));
      if (c < UNIT_DV)
        p->v[(M + i) * UNIT_DV + c] = i % 2 ? -1 : 1;
    }
  for (int64_t i = N; i < N + LAST; i++) {
    double along = 1e-3 * dice_normal(d);
    for (int c = 0; c < UNIT_DIM; c++)
      p->q[i * UNIT_DIM + c] = (float)(u[c] + along * (w[0][c] + w[1][c]));
  }
  return 1;
}

/* 64 queries, 1,000 keys and values within 1: what several cases begin with. */
static int thousand_keys(dice *d, promise_problem *p)
{
  p->steps = 1;
  p->step[0] = (promise_step){.keys = 1000, .queries = 64};
  if (!begin(p, 1, 8, 4, 0))
    return 0;
  rows_fill_normal(d, p->queries * 8, .3, p->q);
  rows_fill_normal(d, p->keys * 8, 1, p->k);
  rows_fill_uniform(d, p->keys * 4, 1, p->v);
  return 1;
}

/* Float32 cannot hold results to a relative error there. By summaries if the size is negative. */
static int subnormal_values(dice *d, promise_problem *p, double size)
{
  p->options.move = size < 0 ? PRECIS_MOVE_SUMMARIES : PRECIS_MOVE_AUTO;
  p->options.degree = size < 0 ? 6 : 0;
  if (!thousand_keys(d, p))
    return 0;
  for (int64_t i = 0; i < p->keys * 4; i++)
    p->v[i] = (float)(p->v[i] * fabs(size));
  return 1;
}

static int one_subnormal_column(dice *d, promise_problem *p, double size)
{
  p->options =
      (precis_options){.move = PRECIS_MOVE_SUMMARIES, .tol = .05, .tol_of = PRECIS_UNIT_RANGE};
  if (!thousand_keys(d, p))
    return 0;
  for (int64_t i = 0; i < p->keys * 4; i += 4)
    p->v[i] = (float)(p->v[i] * size);
  return 1;
}

/* lse adds <q, centre of keys> in double, where channels of 2^50 cancel. */
static int lse_offset(dice *d, promise_problem *p, double summaries)
{
  p->steps = 1;
  p->step[0] = (promise_step){.keys = 50, .queries = 4};
  p->options.move = summaries > 0 ? PRECIS_MOVE_SUMMARIES : PRECIS_MOVE_AUTO;
  p->options.degree = (int)summaries;
  if (!begin(p, 1, 4, 2, 1))
    return 0;
  rows_fill_normal(d, p->keys * 2, 1, p->v);
  for (int64_t j = 0; j < p->keys; j++) {
    float k[] = {0x1p30f, .3f, 0x1p30f, (float)(1e-6 * dice_normal(d))};
    memcpy(p->k + j * 4, k, sizeof k);
  }
  for (int i = 0; i < 4; i++) {
    float length = (float)(0x1p20 * (1 + dice_uniform(d))),
          q[] = {length, (float)(1 + i), -length, (float)(1 + i)};
    memcpy(p->q + (int64_t)i * 4, q, sizeof q);
  }
  return 1;
}

static int three_equal_keys(dice *d, promise_problem *p, double summaries)
{
  static const float q[] = {0x1p30f, 1, -0x1p30f}, k[] = {0x1p30f, .3f, 0x1p30f};
  p->steps = 1;
  p->step[0] = (promise_step){.keys = 3, .queries = 1};
  p->options.move = summaries > 0 ? PRECIS_MOVE_SUMMARIES : PRECIS_MOVE_AUTO;
  p->options.degree = (int)summaries;
  if (!begin(p, 1, 3, 2, 1))
    return 0;
  rows_fill_normal(d, 6, 1, p->v);
  memcpy(p->q, q, sizeof q);
  for (int j = 0; j < 3; j++)
    memcpy(p->k + (int64_t)j * 3, k, sizeof k);
  return 1;
}

/* Two long queries and two long keys: the rounding of the longest query meeting the longest key was
 * charged to every row, and repaired rows promised more than tol. */
static int loose_outliers(dice *d, promise_problem *p, double longer)
{
  p->steps = 1;
  p->step[0] = (promise_step){.keys = 4096, .queries = 2048};
  p->options = (precis_options){
      .move = PRECIS_MOVE_SUMMARIES, .degree = 4, .tol = 1e-2, .tol_of = PRECIS_UNIT_RANGE};
  p->must_succeed = 1;
  p->promise_most = 1e-2;
  p->recomputed_most = .05;
  if (!begin(p, 1, UNIT_DIM, UNIT_DV, 1))
    return 0;
  rows_fill_units(d, p->queries, 1, UNIT_DIM, p->q);
  rows_fill_units(d, p->keys, 1, UNIT_DIM, p->k);
  rows_fill_uniform(d, p->keys * UNIT_DV, 1, p->v);
  rows_scale(p->q + 5 * UNIT_DIM, UNIT_DIM, longer);
  rows_oppose(p->q, 1, 0, UNIT_DIM, 5, 1029);
  rows_scale(p->k + 11 * UNIT_DIM, UNIT_DIM, longer);
  rows_oppose(p->k, 1, 0, UNIT_DIM, 11, 2111);
  return 1;
}

/* A finite mask on some keys costs nothing, and one common bias can be taken out. */
static int bias_promise(dice *d, promise_problem *p, double bias)
{
  p->has_bias = p->must_succeed = 1;
  p->options.tol_of = PRECIS_UNIT_RANGE;
  p->promise_most = 1e-3;
  if (!thousand_keys(d, p))
    return 0;
  for (int64_t j = 0; j < p->keys; j++)
    p->bias[j] = bias > 0 || j % 3 == 0 ? (float)bias : 0;
  return 1;
}

static const named_case cases[] = {
    {"kept-query-limit", kept_query_limit, 6},
    {"kept-query-limit within tol", kept_query_limit, -10},
    {"kept-key-limit", kept_key_limit, 8},
    {"outlier-query-rounding", outlier_query_rounding, 1e6},
    {"outlier-query-auto", outlier_query_rounding, -1e6},
    {"kept-exact-rounding", kept_exact_rounding, 1e5},
    {"subnormal-values 1e-44", subnormal_values, 1e-44},
    {"subnormal-values 1e-43", subnormal_values, 1e-43},
    {"subnormal-values 1e-42", subnormal_values, 1e-42},
    {"subnormal-values 1e-41", subnormal_values, 1e-41},
    {"subnormal-values 1e-44 by summaries", subnormal_values, -1e-44},
    {"subnormal-values 1e-42 by summaries", subnormal_values, -1e-42},
    {"one subnormal column", one_subnormal_column, 1e-44},
    {"lse-offset", lse_offset, 0},
    {"lse-offset by summaries", lse_offset, 4},
    {"lse-offset, equal keys", three_equal_keys, 0},
    {"lse-offset, equal keys by summaries", three_equal_keys, 2},
    {"loose-outliers 30", loose_outliers, 30},
    {"promise-over-tol", loose_outliers, 100},
    {"bias-promise -1e4", bias_promise, -1e4},
    {"bias-promise -1e6", bias_promise, -1e6},
    {"bias-promise -1e9", bias_promise, -1e9},
    {"bias-promise 1e6 on all", bias_promise, 1e6}};

int promise_case_count(void)
{
  return (int)(sizeof cases / sizeof *cases);
}

int promise_case_make(int i, promise_problem *p)
{
  dice d = {.stream = {.seed = 1, .tensor = 12, .row = i}};
  *p = (promise_problem){.kind = PROMISE_PLAIN};
  snprintf(p->name, sizeof p->name, "%s", cases[i].name);
  return cases[i].make(&d, p, cases[i].parameter);
}
