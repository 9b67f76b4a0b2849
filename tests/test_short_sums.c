/* Sums of terms that are all rounded the same way, which is the worst that a chain of additions can
 * do: kernels keep what feature_kernel.h says of their roundings, for any number of terms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/summary/apply.h"
#include "src/base/blas.h"
#include "src/base/memory.h"
#include "src/summary/summarise.h"

enum { VALUES = 19, KEYS = 1 << 14, QUERIES = 70 };

static const double UNIT = 0x1p-24; /* of a rounding to float32 */

static void *array(int64_t count, size_t size)
{
  void *memory = precis_memory_array(count, size);
  assert_non_null(memory);
  return memory;
}

/* From terms / 2 of them on, a float32 sum of these loses all but half a unit of its last place at
 * every addition: terms / 4 roundings in all. */
static float worst_term(int64_t terms)
{
  return (float)(1 + ldexp((double)terms, -25) - 0x1p-23);
}

static float *all_equal(int64_t count, double x)
{
  float *made = array(count, sizeof *made);
  for (int64_t i = 0; i < count; i++)
    made[i] = (float)x;
  return made;
}

/* |sum - n x| in roundings of n x. */
static double roundings(double sum, int64_t n, float x)
{
  return fabs(sum / ((double)n * x) - 1) / UNIT;
}

/* Chains of 512 would not pass what follows. */
static void long_chains_are_seen(void **state)
{
  (void)state;
  for (int64_t n = 512; n <= KEYS; n *= 2) {
    float x = worst_term(n), sum = 0;
    for (int64_t i = 0; i < n; i++)
      sum += x;
    assert_true(roundings(sum, n, x) > .24 * (double)n);
    assert_true(roundings(sum, n, x) > 1.25 * precis_summarise_roundings());
    assert_true(roundings(sum, n, x) > 1.25 * precis_apply_roundings());
  }
}

/* --- keys --- */

typedef struct key_sums {
  double values[VALUES], counts[1], deviating[1];
} key_sums;

/* One feature: the sum of the weights. */
static key_sums add_keys(const precis_feature_kernel *kernel, int values, int64_t n, float *w,
                         float *v, float *deviation)
{
  precis_summarise_shape shape;
  const precis_feature_set set = precis_feature_set_full(1, 0, 0);
  assert_int_equal(precis_summarise_plan(&set, values, 1 << 20, &shape), 0);
  shape.kernel = kernel;
  shape.deviations = values > 0;
  void *scratch = array(precis_summarise_scratch(&shape), 1);
  const precis_weighted_keys keys = {n, v, 1, v, VALUES, w, deviation};
  key_sums sums = {0};
  precis_summarise_add(&shape, &keys, 0, 1, sums.values, sums.counts, sums.deviating, scratch);
  free(scratch);
  return sums;
}

static void check_keys(const precis_feature_kernel *kernel, int64_t n, float x)
{
  float *ones = all_equal(n, 1), *term = all_equal(n, x), *v = all_equal(n * VALUES, x);
  const double bound = 1.01 * precis_summarise_roundings();
  key_sums sums = add_keys(kernel, VALUES, n, ones, v, term);
  for (int c = 0; c < VALUES; c++)
    assert_true(roundings(sums.values[c], n, x) <= bound);
  assert_true(roundings(sums.deviating[0], n, x) <= bound);
  sums = add_keys(kernel, VALUES, n, term, v, ones);
  assert_true(roundings(sums.counts[0], n, x) <= bound);
  sums = add_keys(kernel, 0, n, term, v, NULL);
  assert_true(roundings(sums.counts[0], n, x) <= bound);
  free(ones);
  free(term);
  free(v);
}

static void sums_over_keys(void **state)
{
  (void)state;
  const precis_feature_kernel *kernels[4];
  for (int i = 0, count = precis_feature_kernels(kernels); i < count; i++)
    for (int64_t aim = 32; aim <= KEYS; aim *= 2) {
      check_keys(kernels[i], KEYS, worst_term(aim));
      check_keys(kernels[i], aim - 1, worst_term(aim));
    }
}

/* --- features --- */

/* Monomials of degree 2 occur once or twice in a product of two: their entries are halved, exactly,
 * so that at queries of ones all terms are x. */
static float *entries(const precis_feature_set *set, int64_t features, int columns, float x)
{
  float *made = array(features * columns, sizeof *made);
  precis_monomial m = precis_monomial_at(set, 0);
  for (int64_t f = 0; f < features; f++, precis_monomial_next(set, &m))
    for (int c = 0; c < columns; c++)
      made[f * columns + c] = (float)(x / precis_monomial_orders(&m));
  return made;
}

typedef struct query_sums {
  double num[QUERIES * VALUES], den[QUERIES], env[QUERIES], deviating[QUERIES];
} query_sums;

typedef struct one_way {
  const precis_feature_kernel *kernel;
  int values, whole;
  int64_t each; /* features of a call */
} one_way;

static void apply(const precis_feature_set *set, int64_t features, const one_way *way, float x,
                  query_sums *sums)
{
  precis_apply_shape shape;
  assert_int_equal(precis_apply_plan(set, way->values, 1 << 20, &shape), 0);
  int group = precis_feature_kernel_group(way->kernel, way->values);
  shape.kernel = way->kernel;
  shape.deviations = way->values > 0;
  shape.query_block = (shape.query_block + group - 1) / group * group;
  void *scratch = array(precis_apply_scratch(&shape), 1);
  float *values = entries(set, features, VALUES, x), *counts = entries(set, features, 1, x),
        *q = all_equal((int64_t)QUERIES * set->dim, 1);
  const double ones[PRECIS_BLOCKS_MAX] = {1, 1, 1};
  const precis_apply_coefficients coefficients = {ones, ones};
  const precis_query_rows rows = {QUERIES, q,         set->dim,  sums->num,
                                  VALUES,  sums->den, sums->env, sums->deviating};
  for (int64_t first = 0; first < features; first += way->each) {
    int64_t some = features - first < way->each ? features - first : way->each;
    const precis_summary_tile tile = {first, some, values + first * VALUES, counts + first,
                                      counts + first};
    (way->whole ? precis_apply_whole : precis_apply_tile)(&shape, &coefficients, &tile, &rows,
                                                          scratch);
  }
  free(values);
  free(counts);
  free(q);
  free(scratch);
}

static void check_features(const precis_feature_set *set, int64_t features, const one_way *way,
                           float x)
{
  const double bound = 1.01 * precis_apply_roundings();
  query_sums *sums = calloc(1, sizeof *sums);
  assert_non_null(sums);
  apply(set, features, way, x, sums);
  for (int i = 0; i < QUERIES; i++) {
    assert_true(roundings(sums->den[i], features, x) <= bound);
    assert_true(roundings(sums->env[i], features, x) <= bound);
    if (way->values > 0)
      assert_true(roundings(sums->deviating[i], features, x) <= bound);
    for (int c = 0; c < way->values; c++)
      assert_true(roundings(sums->num[i * VALUES + c], features, x) <= bound);
  }
  free(sums);
}

static void sums_over_features(void **state)
{
  (void)state;
  const precis_feature_kernel *kernels[4];
  const precis_feature_set set = precis_feature_set_full(180, 2, 2);
  int64_t features = precis_feature_set_size(&set, set.blocks);
  for (int i = 0, count = precis_feature_kernels(kernels); i < count; i++)
    for (int64_t aim = 64; aim <= features; aim *= 2)
      for (int kind = 0; kind < 4; kind++) {
        const one_way way = {kernels[i], kind % 2 ? VALUES : 0, kind / 2, features};
        check_features(&set, features, &way, worst_term(aim));
        check_features(&set, aim, &way, worst_term(aim));
      }
}

/* A feature a call: a tile adds to sums of others. */
static void sums_over_tiles(void **state)
{
  (void)state;
  const precis_feature_kernel *kernels[4];
  const precis_feature_set set = precis_feature_set_full(180, 2, 2);
  for (int i = 0, count = precis_feature_kernels(kernels); i < count; i++)
    for (int64_t tiles = 512; tiles <= 2048; tiles *= 2)
      for (int kind = 0; kind < 4; kind++) {
        const one_way way = {kernels[i], kind % 2 ? VALUES : 0, kind / 2, 1};
        check_features(&set, tiles, &way, worst_term(tiles));
      }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(long_chains_are_seen),
      cmocka_unit_test(sums_over_keys),
      cmocka_unit_test(sums_over_features),
      cmocka_unit_test(sums_over_tiles),
  };
  precis_blas_threads(1);
  return cmocka_run_group_tests_name("short sums", tests, NULL, NULL);
}
