/* The exact tile, its exponential and partials, against the oracle in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "src/exp2.h"
#include "src/generate.h"
#include "src/memory.h"
#include "src/partial.h"
#include "src/problem.h"
#include "src/reference.h"
#include "src/rounding.h"
#include "src/softmax.h"
#include "src/tile.h"

static void exponential(void **state)
{
  (void)state;
  double worst = 0;
  for (double x = -124.9; x < 126; x += 0.00097) {
    double want = exp2((float)x), error = fabs(precis_exp2((float)x) - want) / want;
    worst = error > worst ? error : worst;
  }
  assert_true(worst < 2e-7);
  assert_true(precis_exp2(0) == 1);
  assert_true(precis_exp2(-INFINITY) < 1e-37f && precis_exp2(-1e30f) < 1e-37f);
}

/* Rows in pieces, with the reference moving up, masked keys and nothing at all. */
static void softmax(void **state)
{
  (void)state;
  float m = -INFINITY, l = 0, masked[] = {-INFINITY, -INFINITY, -INFINITY};
  float none[] = {1, 2, 3};
  assert_true(precis_softmax_row(none, 3, masked, &m, &l) == 1);
  assert_true(m == -INFINITY && l == 0 && none[0] == 0 && none[2] == 0);
  double sum = 0;
  for (int piece = 0; piece < 6; piece++) {
    float s[37];
    for (int j = 0; j < 37; j++) {
      s[j] = (float)(piece * 9 + j % 5);
      sum += exp2(s[j]);
    }
    precis_softmax_row(s, 37, NULL, &m, &l);
  }
  assert_true(fabs(m + log2(l) - log2(sum)) < 1e-5);
}

typedef struct shape {
  int dim, value_dim, queries, keys, causal, bias;
  int64_t fast;
  int in_two;
} shape;

/* As precis_tile_attend(), the keys in two additions. Moves `visible` on to the second. */
static void attend_in_two(const precis_tile_shape *plan, const precis_tile *tile, int rows,
                          const float *q, double scale, int64_t *visible, precis_partial *partial,
                          float *scratch)
{
  int64_t half = tile->keys / 2;
  precis_tile first = *tile, second = {.keys = tile->keys - half,
                                       .k = tile->k + half * plan->dim,
                                       .v = tile->v + half * plan->value_dim,
                                       .bias = tile->bias ? tile->bias + half : NULL};
  first.keys = half;
  precis_tile_begin(plan, rows, q, plan->dim, scale, scratch);
  precis_tile_add(plan, &first, rows, visible, scratch);
  for (int i = 0; i < rows && visible != NULL; i++)
    visible[i] = visible[i] > half ? visible[i] - half : 0;
  precis_tile_add(plan, &second, rows, visible, scratch);
  precis_tile_end(plan, rows, partial, scratch);
}

static int64_t seen_by(const shape *s, int query)
{
  return s->causal ? (int64_t)query * 31 % (s->keys + 1) : s->keys;
}

/* Scratch of exactly the promised size, partials of exactly the rows, so that sanitizers see every
 * overstep. */
static void check_shape(const shape *s)
{
  precis_problem p = {.heads = 1, .kv_heads = 1, .dim = s->dim, .value_dim = s->value_dim,
                      .scale = 1 / sqrt(s->dim), .causal = s->causal};
  precis_recipe recipe = {.problem = p, .spread = 1, .seed = 3};
  float *q = malloc((size_t)(s->queries * s->dim) * sizeof *q),
        *k = malloc((size_t)(s->keys * s->dim) * sizeof *k);
  float *v = malloc((size_t)(s->keys * s->value_dim) * sizeof *v),
        *bias = malloc((size_t)s->keys * sizeof *bias);
  float *bias_log2 = malloc((size_t)s->keys * sizeof *bias);
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, 0, s->queries, q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, 0, s->keys, k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, s->keys, v);
  for (int j = 0; j < s->keys; j++) {
    bias[j] = j % 7 == 3 ? -INFINITY : (float)(j % 11) / 4;
    bias_log2[j] = (float)(bias[j] * 1.44269504088896340736);
  }
  precis_tile_shape plan = precis_tile_plan(s->dim, s->value_dim, s->fast);
  int64_t *visible = malloc((size_t)s->queries * sizeof *visible);
  for (int i = 0; i < s->queries; i++)
    visible[i] = seen_by(s, i);
  precis_tile tile = {s->keys, k, v, s->bias ? bias_log2 : NULL};
  precis_partial partial;
  assert_int_equal(precis_partial_create(&partial, s->queries, s->value_dim), 0);
  float *scratch = precis_memory_array(precis_tile_scratch(&plan), sizeof *scratch);
  for (int i = 0; i < s->queries; i += plan.query_block) {
    int rows = s->queries - i < plan.query_block ? s->queries - i : plan.query_block;
    precis_partial at = precis_partial_at(&partial, i, s->value_dim);
    int64_t *from = s->causal ? visible + i : NULL;
    double scale = p.scale * 1.44269504088896340736;
    if (s->in_two)
      attend_in_two(&plan, &tile, rows, q + i * s->dim, scale, from, &at, scratch);
    else
      precis_tile_attend(&plan, &tile, rows, q + i * s->dim, s->dim, scale, from, &at, scratch);
  }
  float out[PRECIS_DIM_MAX], lse;
  double zero[PRECIS_DIM_MAX] = {0}, want[PRECIS_DIM_MAX], want_lse;
  for (int i = 0; i < s->queries; i++) {
    precis_reference_keys keys = {seen_by(s, i), k, v, s->bias ? bias : NULL};
    precis_reference_attend(&p, 0, q + i * s->dim, &keys, want, &want_lse);
    assert_int_equal(precis_partial_finish(&partial, i, s->value_dim, zero, 0, out, &lse), 0);
    for (int c = 0; c < s->value_dim; c++)
      assert_true(fabs(out[c] - want[c]) <= 5e-6 * 8);
    assert_true(want_lse == lse || fabs(want_lse - lse) < 1e-5);
  }
  free(scratch);
  precis_partial_free(&partial);
  free(visible);
  free(bias_log2);
  free(bias);
  free(v);
  free(k);
  free(q);
}

static void shapes(void **state)
{
  (void)state;
  const shape list[] = {
      {64, 64, 300, 700, 0, 0, 1 << 20, 0}, {64, 64, 300, 700, 1, 1, 1 << 16, 0},
      {1, 1, 5, 9, 1, 0, 1 << 12, 0},       {16, 40, 129, 513, 1, 0, 1 << 18, 0},
      {256, 256, 20, 50, 0, 1, 1 << 10, 0}, {7, 3, 1, 1, 0, 0, 1 << 20, 0},
      {32, 32, 1, 3000, 0, 0, 1 << 22, 0},  {64, 64, 300, 700, 1, 1, 1 << 16, 1},
      {16, 8, 50, 1, 0, 0, 1 << 20, 1},
  };
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    check_shape(&list[i]);
}

/* What travels merges to the same as what stays. */
static void partials(void **state)
{
  (void)state;
  enum { ROWS = 3, DV = 2 };
  precis_partial a, b;
  float wire[ROWS * (DV + 2)];
  assert_int_equal(precis_partial_create(&a, ROWS, DV), 0);
  assert_int_equal(precis_partial_create(&b, ROWS, DV), 0);
  assert_int_equal(precis_partial_words(ROWS, DV), ROWS * (DV + 2));
  const float o[] = {3, -1};
  precis_partial_merge(&a, 0, DV, 100.25f, 2, o);
  precis_partial_merge(&b, 0, DV, 90, 4, o);
  precis_partial_merge(&b, 1, DV, -3, 1, o);
  precis_partial_pack(&b, ROWS, DV, wire);
  precis_partial_merge_packed(&a, ROWS, DV, wire);
  assert_true(fabs(a.l[0] * exp2(a.m[0] - 100.25) - (2 + 4 * exp2(-10.25))) < 1e-6);
  assert_true(fabs(a.o[DV] / a.l[1] - 3) < 1e-6 && a.m[2] == -INFINITY);
  precis_partial_free(&a);
  precis_partial_free(&b);
}

static void rounding(void **state)
{
  (void)state;
  precis_rounding r = {.dim = 64, .score_most = 10, .sum_terms = 600};
  double small = precis_rounding_bound(&r);
  r.score_most = 1000;
  assert_true(small > 1e-5 && small < 1e-3 && precis_rounding_bound(&r) > small);
  r.score_most = 1e30;
  assert_true(precis_rounding_bound(&r) == INFINITY);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exponential), cmocka_unit_test(softmax),  cmocka_unit_test(shapes),
      cmocka_unit_test(partials),    cmocka_unit_test(rounding),
  };
  return cmocka_run_group_tests_name("tile", tests, NULL, NULL);
}
