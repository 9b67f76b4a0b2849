/* Summaries made and applied, against the polynomial attention that they stand for. */
#include "tests/summary_case.h"

#include "src/base/blas.h"
#include "src/precis.h"

static void check_problem(problem p)
{
  const precis_feature_kernel *kernels[4];
  sums want = naive(&p);
  for (int i = 0, count = precis_feature_kernels(kernels); i < count; i++) {
    sums got = clear_sums(&p);
    summarise(&p, kernels[i], &p.keys, &got);
    compare(&p, &got, &want, summarise_bound(&p));
    check_applied(&p, kernels[i], precis_apply_whole, &got);
    check_applied(&p, kernels[i], precis_apply_tile, &got);
    free_sums(&got);
  }
  free_sums(&want);
  release(&p);
}

static void check(const sizes *s)
{
  check_problem(create(s));
}

static void many_shapes(void **state)
{
  (void)state;
  static const sizes cases[] = {
      {1, 1, 0, 0, 5, 3, 1 << 20},       {1, 1, 12, 12, 1, 1, 1 << 20},
      {1, 33, 3, 4, 257, 40, 1 << 20},   {2, 1, 12, 12, 300, 65, 1 << 20},
      {3, 5, 4, 6, 255, 33, 1 << 20},    {4, 16, 5, 5, 256, 32, 1 << 20},
      {4, 2, 9, 12, 40, 20, 1 << 20},    {5, 17, 3, 6, 777, 1, 1 << 20},
      {8, 8, 4, 4, 513, 70, 1 << 20},    {16, 16, 3, 4, 100, 129, 1 << 20},
      {16, 33, 2, 3, 31, 31, 1 << 20},   {7, 64, 3, 3, 130, 17, 1 << 20},
      {33, 33, 2, 2, 17, 5, 1 << 20},    {64, 64, 2, 2, 65, 50, 1 << 20},
      {13, 80, 2, 4, 90, 15, 1 << 20},   {256, 256, 1, 1, 70, 9, 1 << 20},
      {256, 1, 1, 1, 300, 300, 1 << 20}, {20, 130, 2, 2, 20, 36, 1 << 20},
      {10, 29, 3, 3, 3, 2, 1 << 20},     {6, 15, 3, 3, 16, 16, 1 << 20},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check(&cases[i]);
}

/* Blocks of two degrees; among them one leading or one trailing variable, and chunks whose features
 * share no prefix. */
static void many_sets(void **state)
{
  (void)state;
  static const precis_feature_set sets[] = {
      {64, 6, 5, 7, {{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {0, 2}, {3, 0}}},
      {12,
       4,
       8,
       10,
       {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {0, 1}, {1, 1}, {2, 1}, {1, 2}, {2, 2}}},
      {9, 1, 4, 5, {{0, 0}, {5, 0}, {0, 3}, {1, 2}, {2, 2}}},
      {24, 23, 3, 4, {{0, 0}, {2, 1}, {1, 2}, {2, 2}}},
      {2, 1, 2, 4, {{0, 0}, {6, 6}, {1, 11}, {12, 0}}},
      {7, 3, 1, 3, {{0, 0}, {3, 2}, {0, 4}}},
      {1, 1, 1, 2, {{0, 0}, {3, 0}}},
  };
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    check_problem(create_of(&(sizes){sets[i].dim, 19, 0, 0, 300, 70, 1 << 20}, &sets[i]));
    check_problem(create_of(&(sizes){sets[i].dim, 1, 0, 0, 20, 33, 1 << 12}, &sets[i]));
  }
}

/* Caches so small, and so large, that every loop over tiles and blocks turns. */
static void many_memories(void **state)
{
  (void)state;
  static const int64_t bytes[] = {0, 1 << 12, 1 << 15, 1 << 18, INT64_C(1) << 40};
  for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
    check(&(sizes){12, 19, 3, 4, 150, 300, bytes[i]});
}

static void nothing_changes_nothing(void **state)
{
  (void)state;
  const precis_feature_kernel *kernels[4];
  problem p = create(&(sizes){5, 6, 2, 3, 4, 4, 1 << 16});
  for (int i = 0, count = precis_feature_kernels(kernels); i < count; i++) {
    sums s = clear_sums(&p);
    precis_weighted_keys none = {0};
    summarise(&p, kernels[i], &none, &s);
    for (int64_t f = 0; f < p.all_features; f++)
      assert_true(s.counts[f] == 0);
    problem without = p;
    without.s.queries = 0;
    outputs o = clear_outputs(&without);
    apply(&without, kernels[i], precis_apply_whole, &s, &o);
    apply(&without, kernels[i], precis_apply_tile, &s, &o);
    free_outputs(&o);
    without = p;
    without.features = without.all_features = 0;
    o = clear_outputs(&without);
    apply(&without, kernels[i], precis_apply_whole, &s, &o);
    apply(&without, kernels[i], precis_apply_tile, &s, &o);
    assert_true(o.den[0] == 0 && o.num[0] == 0);
    free_outputs(&o);
    free_sums(&s);
  }
  release(&p);
}

static void null_weights_are_ones(void **state)
{
  (void)state;
  problem p = create(&(sizes){6, 9, 2, 3, 270, 1, 1 << 18});
  free(p.w);
  p.w = NULL;
  p.keys.w = NULL;
  sums want = naive(&p), got = clear_sums(&p);
  summarise(&p, precis_feature_kernel_choose(), &p.keys, &got);
  compare(&p, &got, &want, summarise_bound(&p));
  free_sums(&got);
  free_sums(&want);
  release(&p);
}

/* Any run of features on its own equals that part of the whole: bit by bit where we do the sums
 * ourselves. */
static void tiles_equal_the_whole(void **state)
{
  (void)state;
  const precis_feature_kernel *kernels[4];
  problem p = create(&(sizes){9, 21, 4, 4, 300, 1, 1 << 16});
  uint32_t seed = 5;
  for (int i = 0, count = precis_feature_kernels(kernels); i < count; i++) {
    precis_summarise_shape shape = summarise_shape(&p, kernels[i], 0);
    char *scratch = array(precis_summarise_scratch(&shape), 1);
    sums whole = clear_sums(&p);
    precis_summarise_add(&shape, &p.keys, 0, p.features, whole.values, whole.counts,
                         whole.deviating, scratch);
    for (int trial = 0; trial < 10; trial++) {
      sums part = clear_sums(&p), want = naive(&p);
      int64_t first = (int64_t)(fabsf(noise(&seed)) * (float)p.features) % p.features;
      int64_t some =
          1 + (int64_t)(fabsf(noise(&seed)) * (float)(p.features - first)) % (p.features - first);
      int64_t dv = p.s.value_dim;
      precis_summarise_add(&shape, &p.keys, first, some, part.values, part.counts, part.deviating,
                           scratch);
      double tolerance = kernels[i] == &precis_feature_kernel_gemm ? 2 * summarise_bound(&p) : 0;
      assert_near(some * dv, part.values, whole.values + first * dv,
                  want.value_magnitudes + first * dv, tolerance);
      assert_near(some, part.counts, whole.counts + first, want.count_magnitudes + first,
                  tolerance);
      assert_near(some, part.deviating, whole.deviating + first, want.deviating_magnitudes + first,
                  tolerance);
      free_sums(&part);
      free_sums(&want);
    }
    free_sums(&whole);
    free(scratch);
  }
  release(&p);
}

/* A decoding caller appends one key at a time. */
static void one_at_a_time_equals_all_at_once(void **state)
{
  (void)state;
  const precis_feature_kernel *kernels[4];
  problem p = create(&(sizes){7, 13, 3, 4, 90, 1, 1 << 18});
  sums want = naive(&p);
  for (int i = 0, count = precis_feature_kernels(kernels); i < count; i++) {
    sums got = clear_sums(&p);
    for (int64_t j = 0; j < p.s.keys; j++) {
      precis_weighted_keys one = p.keys;
      one.keys = 1;
      one.k += j * one.k_stride;
      one.v += j * one.v_stride;
      one.w += j;
      one.deviation += j;
      summarise(&p, kernels[i], &one, &got);
    }
    compare(&p, &got, &want, summarise_bound(&p));
    free_sums(&got);
  }
  free_sums(&want);
  release(&p);
}

/* Two ranks with log-scales of their own: weights relative to 4 and to 1/2, brought to 4. */
static void merged_parts_equal_the_whole(void **state)
{
  (void)state;
  const precis_feature_kernel *kernel = precis_feature_kernel_choose();
  problem p = create(&(sizes){6, 11, 3, 4, 200, 1, 1 << 18});
  sums want = naive(&p), left = clear_sums(&p), right = clear_sums(&p);
  precis_weighted_keys a = p.keys, b = p.keys;
  a.keys = 77;
  b.keys -= 77;
  b.k += 77 * b.k_stride;
  b.v += 77 * b.v_stride;
  b.w += 77;
  b.deviation += 77;
  for (int64_t j = 0; j < p.s.keys; j++)
    p.w[j] = j < 77 ? p.w[j] / 4 : p.w[j] * 2;
  summarise(&p, kernel, &a, &left);
  summarise(&p, kernel, &b, &right);
  int64_t values = p.features * p.s.value_dim;
  float *wire = array(p.all_features, sizeof *wire);
  precis_summary_round(p.all_features, 1, right.counts, wire);
  precis_summary_merge(values, 4, left.values, .5, right.values);
  precis_summary_merge_wire(p.all_features, 4, left.counts, .5, wire);
  precis_summary_merge(p.all_features, 4, left.deviating, .5, right.deviating);
  compare(&p, &left, &want, summarise_bound(&p) + UNIT);
  free(wire);
  free_sums(&left);
  free_sums(&right);
  free_sums(&want);
  release(&p);
}

/* --- long sequences --- */

enum { PIECE = 1 << 16, LONG_DEGREE = 3, LONG_FEATURES = 10 };

/* Adds a piece of keys in double: features of two variables up to degree 3, in order. */
static void add_piece(const float *k, const float *v, double *values, double *counts)
{
  for (int64_t j = 0; j < PIECE; j++) {
    double x = k[2 * j], y = k[2 * j + 1];
    double phi[LONG_FEATURES] = {1,     x,         y,         x * x,     x * y,
                                 y * y, x * x * x, x * x * y, x * y * y, y * y * y};
    for (int f = 0; f < LONG_FEATURES; f++) {
      counts[f] += phi[f];
      values[f] += phi[f] * v[j];
    }
  }
}

static double worst_error(const double *x, const double *y)
{
  double worst = 0;
  for (int f = 0; f < LONG_FEATURES; f++)
    worst = fmax(worst, fabs(x[f] - y[f]) / y[f]);
  return worst;
}

/* All terms positive, so that a float32 accumulator would stop growing near 2^24. */
static void error_does_not_grow(void **state)
{
  (void)state;
  precis_summarise_shape shape;
  precis_feature_set set = precis_feature_set_full(2, LONG_DEGREE, LONG_DEGREE);
  assert_int_equal(precis_summarise_plan(&set, 1, 1 << 20, &shape), 0);
  char *scratch = array(precis_summarise_scratch(&shape), 1);
  float *k = array(2 * PIECE, sizeof *k), *v = array(PIECE, sizeof *v);
  double values[LONG_FEATURES] = {0}, counts[LONG_FEATURES] = {0};
  double true_values[LONG_FEATURES] = {0}, true_counts[LONG_FEATURES] = {0};
  uint32_t seed = 11;
  const double bound = (precis_summarise_roundings() + LONG_DEGREE + 1) * UNIT;
  for (int64_t done = 0; done < 1 << 24; done += PIECE) {
    for (int64_t j = 0; j < PIECE; j++) {
      k[2 * j] = .5f + .5f * noise(&seed);
      k[2 * j + 1] = .5f + .5f * noise(&seed);
      v[j] = .5f + .5f * noise(&seed);
    }
    precis_weighted_keys keys = {PIECE, k, 2, v, 1, NULL, NULL};
    precis_summarise_add(&shape, &keys, 0, LONG_FEATURES, values, counts, NULL, scratch);
    add_piece(k, v, true_values, true_counts);
    assert_true(worst_error(values, true_values) < bound);
    assert_true(worst_error(counts, true_counts) < bound);
  }
  /* Roundings of many blocks go either way: at the end there is far less than the bound, for
   * ever. */
  assert_true(worst_error(values, true_values) < bound / 20);
  assert_true(worst_error(counts, true_counts) < bound / 20);
  free(scratch);
  free(k);
  free(v);
}

static void plans_refuse_what_does_not_fit(void **state)
{
  (void)state;
  static const int bad[][3] = {{0, 1, 1},  {257, 1, 1}, {1, -1, 1},  {1, 257, 1},
                               {1, 1, -1}, {1, 1, PRECIS_FEATURES_DEGREE_MAX + 1},
                               {256, 1, 12}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    precis_summarise_shape s;
    precis_apply_shape a;
    precis_feature_set set = precis_feature_set_full(bad[i][0], bad[i][2], bad[i][2]);
    assert_int_equal(precis_summarise_plan(&set, bad[i][1], 1 << 20, &s), PRECIS_ERR_ARGUMENT);
    assert_int_equal(precis_apply_plan(&set, bad[i][1], 1 << 20, &a), PRECIS_ERR_ARGUMENT);
  }
}

/* A tile and what streams past it fit the fast memory they were planned for; words follow the
 * formulas. */
static void plans_fit_fast_memory(void **state)
{
  (void)state;
  const int64_t bytes = 1 << 20, words = bytes / 4;
  precis_summarise_shape s;
  precis_apply_shape a;
  precis_feature_set set = precis_feature_set_full(32, 3, 3);
  assert_int_equal(precis_summarise_plan(&set, 64, bytes, &s), 0);
  assert_int_equal(precis_apply_plan(&set, 64, bytes, &a), 0);
  assert_in_range(s.tile_features * 65 * 2, words / 4, words / 2);
  assert_in_range(s.key_block * (32 + 64), 1, words / 4);
  assert_in_range(a.tile_features * 65, words / 4, words / 2);
  assert_in_range(a.query_block * (32 + 2 * 64), words / 4, words / 2);
  int64_t r = precis_features_count(32, 3), tiles = (r + s.tile_features - 1) / s.tile_features;
  assert_true(precis_summarise_words(&s, 1000, r) == (double)(1000 * 96 * tiles + r * 65));
  tiles = (r + a.tile_features - 1) / a.tile_features;
  assert_true(precis_apply_tile_words(&a, 1000, r) ==
              (double)((1000 * 32 + 4000 * 67) * tiles + r * 65));
  int64_t blocks = (100000 + a.query_block - 1) / a.query_block;
  assert_true(precis_apply_whole_words(&a, 100000, r) ==
              (double)(100000 * (32 + 2 * 64) + blocks * r * 65));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(many_shapes),
      cmocka_unit_test(many_sets),
      cmocka_unit_test(many_memories),
      cmocka_unit_test(nothing_changes_nothing),
      cmocka_unit_test(null_weights_are_ones),
      cmocka_unit_test(tiles_equal_the_whole),
      cmocka_unit_test(one_at_a_time_equals_all_at_once),
      cmocka_unit_test(merged_parts_equal_the_whole),
      cmocka_unit_test(error_does_not_grow),
      cmocka_unit_test(plans_refuse_what_does_not_fit),
      cmocka_unit_test(plans_fit_fast_memory),
  };
  precis_blas_threads(1);
  return cmocka_run_group_tests_name("summary kernels", tests, NULL, NULL);
}
