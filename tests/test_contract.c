/* The unit of the promise: against sums written out by hand and plain loops, and what must not
 * pass for an answer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/oracle/contract.h"
#include "src/oracle/generate.h"
#include "src/oracle/oracle.h"
#include "src/base/problem.h"
#include "src/oracle/reference.h"
#include "tests/uniform.h"

enum { KEYS = 90, QUERIES = 70, DIM = 5, DV = 3, HEADS = 4, KV_HEADS = 2 };

/* Values 1, 3 and 8 with weights 1, 2 and 1: mean 15/4, variance 1/4 sum w (v - 15/4)^2 = 107/16.
 * The masked one plays no part, the second column is constant. */
static void deviations_by_hand(void **state)
{
  (void)state;
  const float v[] = {1, 7, 3, 7, 50, 9, 8, 7}, two = (float)log(2);
  const float bias[] = {300, 300 + two, -3e38f, 300};
  long double mean[2], square[2];
  double low[2], high[2];
  precis_moments m = {.columns = 2, .mean = mean, .square = square, .low = low, .high = high};
  precis_moments_clear(&m);
  precis_moments_add(&m, 4, v, bias);
  /* 300 + log 2 is rounded to float32, by up to 2^-16 */
  assert_true(fabsl(mean[0] - 3.75L) < 1e-4L);
  assert_true(fabs(precis_moments_deviation(&m, 0) - sqrt(107. / 16)) < 1e-4);
  assert_true(precis_moments_deviation(&m, 1) == 0);
  assert_true(precis_moments_range(&m, 0) == 7 && precis_moments_range(&m, 1) == 0);
  precis_moments_clear(&m);
  assert_true(precis_moments_deviation(&m, 0) == 0 && precis_moments_range(&m, 0) == 0);
}

/* Parts in any order give what the whole gives. */
static void moments_merge(void **state)
{
  (void)state;
  uint64_t seed = 3;
  float v[KEYS * 2], bias[KEYS];
  long double sums[4][2];
  double ranges[4][2];
  precis_moments whole = {.columns = 2,
                          .mean = sums[0],
                          .square = sums[1],
                          .low = ranges[0],
                          .high = ranges[1]},
                 part = {.columns = 2,
                         .mean = sums[2],
                         .square = sums[3],
                         .low = ranges[2],
                         .high = ranges[3]};
  for (int j = 0; j < KEYS; j++) {
    v[2 * j] = (float)(1e4 + normal(&seed));
    v[2 * j + 1] = (float)normal(&seed);
    bias[j] = uniform(&seed) < .3 ? -INFINITY : (float)(30 * normal(&seed));
  }
  precis_moments_clear(&whole);
  precis_moments_add(&whole, KEYS, v, bias);
  double want[2] = {precis_moments_deviation(&whole, 0), precis_moments_deviation(&whole, 1)};
  for (int cut = 0; cut <= KEYS; cut += 9) {
    precis_moments_clear(&whole);
    precis_moments_add(&whole, cut, v, bias);
    precis_moments_clear(&part);
    precis_moments_add(&part, KEYS - cut, v + cut * 2, bias + cut);
    precis_moments_merge(&part, &whole);
    for (int c = 0; c < 2; c++)
      assert_true(fabs(precis_moments_deviation(&whole, c) / want[c] - 1) < 1e-10);
  }
}

typedef struct fixture {
  precis_problem problem;
  float q[QUERIES * HEADS * DIM], k[KEYS * KV_HEADS * DIM], v[KEYS * KV_HEADS * DV], bias[KEYS];
  precis_oracle_case c;
  precis_oracle oracle;
} fixture;

static fixture *make(int causal, int has_bias, double spread)
{
  fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  f->problem = (precis_problem){
      .heads = HEADS, .kv_heads = KV_HEADS, .dim = DIM, .value_dim = DV, .causal = causal};
  assert_int_equal(precis_problem_settle(&f->problem, NULL), PRECIS_SUCCESS);
  precis_recipe recipe = {.spread = spread, .problem = f->problem, .seed = 5};
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, 0, QUERIES, f->q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, 0, KEYS, f->k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, KEYS, f->v);
  for (int j = 0; j < KEYS; j++)
    f->bias[j] = j % 3 == 0 || j < 30 ? -2e37f : (float)(.1 * (j % 7));
  f->c = (precis_oracle_case){.problem = &f->problem,
                              .queries = QUERIES,
                              .keys = KEYS,
                              .q = f->q,
                              .k = f->k,
                              .v = f->v,
                              .bias = has_bias ? f->bias : NULL,
                              .count = QUERIES};
  assert_int_equal(precis_oracle_make(&f->c, &f->oracle), PRECIS_SUCCESS);
  return f;
}

static void drop(fixture *f)
{
  precis_oracle_free(&f->oracle);
  free(f);
}

/* m_i in two passes over what the row sees, with the mean of those queries that see a key. */
static void check_anchor(const fixture *f, int64_t row, int head)
{
  int64_t seen = f->problem.causal ? row + KEYS - QUERIES + 1 : KEYS;
  int first = f->c.bias && f->problem.causal ? 31 - (KEYS - QUERIES) : 0;
  double x[KEYS], most = -INFINITY, l = 0, o[DV] = {0};
  for (int64_t j = 0; j < seen; j++) {
    x[j] = f->c.bias && f->bias[j] < -1e37 ? -INFINITY : f->c.bias ? f->bias[j] : 0;
    for (int c = 0; c < DIM; c++) {
      double mean = 0;
      for (int i = first; i < QUERIES; i++)
        mean += f->q[(i * HEADS + head) * DIM + c] / (double)(QUERIES - first);
      x[j] += f->problem.scale * mean * f->k[(j * KV_HEADS + head / 2) * DIM + c];
    }
    most = fmax(most, x[j]);
  }
  for (int64_t j = 0; j < seen && most > -INFINITY; j++) {
    l += exp(x[j] - most);
    for (int c = 0; c < DV; c++)
      o[c] += exp(x[j] - most) * f->v[(j * KV_HEADS + head / 2) * DV + c];
  }
  const double *got = f->oracle.anchor + (row * HEADS + head) * DV;
  for (int c = 0; c < DV; c++)
    assert_true(fabs(got[c] - (l > 0 ? o[c] / l : 0)) < 1e-12);
}

static void anchors(void **state)
{
  (void)state;
  for (int causal = 0; causal < 2; causal++)
    for (int has_bias = 0; has_bias < 2; has_bias++) {
      fixture *f = make(causal, has_bias, 1);
      for (int64_t row = 0; row < QUERIES; row += 3)
        for (int head = 0; head < HEADS; head++)
          check_anchor(f, row, head);
      /* Key 30 is masked, so that 31 is the first to be seen. */
      int blind = causal && has_bias ? 31 - (KEYS - QUERIES) : 0;
      for (int head = 0; head < HEADS; head++)
        assert_int_equal(f->oracle.visible[head], QUERIES - blind);
      drop(f);
    }
}

/* Some rows, in any order, are those of the whole; an earlier call's mean query is kept. */
static void some_rows(void **state)
{
  (void)state;
  fixture *f = make(1, 1, .5);
  static const int64_t rows[] = {69, 3, 40, 40, 12}, position[QUERIES] = {0};
  precis_oracle_case c = f->c;
  precis_oracle some;
  c.count = 5;
  c.rows = rows;
  c.mean_query = f->oracle.mean_query;
  assert_int_equal(precis_oracle_make(&c, &some), PRECIS_SUCCESS);
  for (int i = 0; i < 5; i++)
    for (int head = 0; head < HEADS; head++) {
      int64_t at = i * HEADS + head, whole = rows[i] * HEADS + head;
      assert_true(some.distance[at] == f->oracle.distance[whole]);
      assert_true(some.lse[at] == f->oracle.lse[whole]);
      assert_memory_equal(some.anchor + at * DV, f->oracle.anchor + whole * DV,
                          DV * sizeof(double));
    }
  precis_oracle_free(&some);
  c.position = position; /* all see key 0 alone, which is masked */
  c.mean_query = NULL;
  assert_int_equal(precis_oracle_make(&c, &some), PRECIS_SUCCESS);
  assert_true(some.visible[0] == 0 && some.lse[7] == -INFINITY && some.mean_query[3] == 0);
  precis_oracle_free(&some);
  drop(f);
}

/* The largest error over the rows of answers that know nothing of a row's own query. */
static double worst_of(const fixture *f, const double *answer, int64_t stride)
{
  double worst = INFINITY;
  for (int head = 0; head < HEADS; head++) {
    double most = 0, signal = f->oracle.signal[head] / (double)f->oracle.visible[head];
    for (int64_t i = 0; i < QUERIES; i++) {
      float out[DV];
      for (int c = 0; c < DV; c++)
        out[c] = answer ? (float)answer[i * stride + head * DV + c] : 0;
      if (f->oracle.lse[i * HEADS + head] > -INFINITY)
        most = fmax(most, precis_oracle_judge(&f->oracle, i, head, signal, out, 0).outputs);
    }
    worst = fmin(worst, most);
  }
  return worst;
}

/* Zeros, m_i, any row's own answer for all: none is better than about 1, however small scores are.
 */
static void no_constant_passes(void **state)
{
  (void)state;
  for (int causal = 0; causal < 2; causal++)
    for (double spread = 1e-3; spread < 10; spread *= 10) {
      fixture *f = make(causal, 0, spread);
      assert_true(worst_of(f, NULL, 0) > .9);
      assert_true(fabs(worst_of(f, f->oracle.anchor, HEADS * DV) - 1) < 1e-3);
      assert_true(worst_of(f, f->oracle.out + 9 * HEADS * DV, 0) > .9);
      for (int head = 0; head < HEADS; head++)
        assert_false(precis_oracle_constant(&f->oracle, head, f->oracle.signal[head] / QUERIES));
      /* What float32 holds of the truth has only the rounding of the outputs as its error. */
      double rounding = DV * 4 * 0x1p-24 * HEADS * QUERIES / f->oracle.signal[0];
      assert_true(worst_of(f, f->oracle.out, HEADS * DV) < 4 * rounding);
      drop(f);
    }
}

/* Equal queries have no signal. */
static void constant_heads(void **state)
{
  (void)state;
  fixture *f = make(0, 0, 1);
  for (int i = HEADS * DIM; i < QUERIES * HEADS * DIM; i++)
    f->q[i] = f->q[i % (HEADS * DIM)];
  precis_oracle same;
  assert_int_equal(precis_oracle_make(&f->c, &same), PRECIS_SUCCESS);
  for (int head = 0; head < HEADS; head++)
    assert_true(precis_oracle_constant(&same, head, same.signal[head] / QUERIES));
  precis_oracle_free(&same);
  drop(f);
}

/* Two keys whose scores are near 1e10 and differ by log 3: in double they would be 1e-6 apart from
 * that. */
static void large_scores(void **state)
{
  (void)state;
  precis_problem p = {.heads = 1, .kv_heads = 1, .dim = 2, .value_dim = 1, .scale = 1};
  const float q[] = {1e5f, 1}, k[] = {1e5f, 0, 1e5f, 1.0986123f}, v[] = {0, 1};
  precis_oracle_case c = {
      .problem = &p, .queries = 1, .keys = 2, .q = q, .k = k, .v = v, .count = 1};
  precis_oracle o;
  assert_int_equal(precis_oracle_make(&c, &o), PRECIS_SUCCESS);
  assert_true(fabs(o.out[0] - .75) < 1e-8);
  precis_oracle_free(&o);
}

/* Channels of 2^60 that cancel and leave log 3. */
static void cancelling_channels(void **state)
{
  (void)state;
  precis_problem p = {.heads = 1, .kv_heads = 1, .dim = 3, .value_dim = 1, .scale = 1};
  const float q[] = {0x1p30f, 1, -0x1p30f}, v[] = {0, 1},
              k[] = {0x1p30f, 0, 0x1p30f, 0x1p30f, 1.0986123f, 0x1p30f};
  precis_oracle_case c = {
      .problem = &p, .queries = 1, .keys = 2, .q = q, .k = k, .v = v, .count = 1};
  precis_oracle o;
  assert_int_equal(precis_oracle_make(&c, &o), PRECIS_SUCCESS);
  assert_true(fabs(o.out[0] - .75) < 1e-8 && fabs(o.lse[0] - log(4)) < 1e-7);
  precis_oracle_free(&o);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(deviations_by_hand),
                                     cmocka_unit_test(moments_merge),
                                     cmocka_unit_test(anchors),
                                     cmocka_unit_test(some_rows),
                                     cmocka_unit_test(no_constant_passes),
                                     cmocka_unit_test(constant_heads),
                                     cmocka_unit_test(large_scores),
                                     cmocka_unit_test(cancelling_channels)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
