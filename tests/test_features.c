/* Monomials: their order, their numbers, and recipes that make any run of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/summary/features.h"
#include "src/base/memory.h"

enum { TOKENS = 32 };

/* Deterministic, in [-1, 1). */
static float noise(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return (float)(int32_t)*state * 0x1p-31f;
}

static void counts_are_binomials(void **state)
{
  (void)state;
  enum { DIM = 40, DEGREE = PRECIS_FEATURES_DEGREE_MAX };
  int64_t pascal[DIM + 1][DEGREE + 1]; /* C(d + g, g) = C(d + g - 1, g) + C(d + g - 1, g - 1) */
  for (int d = 0; d <= DIM; d++)
    for (int g = 0; g <= DEGREE; g++)
      pascal[d][g] = d == 0 || g == 0 ? 1 : pascal[d - 1][g] + pascal[d][g - 1];
  for (int d = 1; d <= DIM; d++)
    for (int g = 0; g <= DEGREE; g++)
      assert_int_equal(precis_features_count(d, g), pascal[d][g]);
  assert_int_equal(precis_features_count(5, -1), 0);
  assert_int_equal(precis_features_count(64, 4), 814385);
  assert_int_equal(precis_features_count(256, 9), INT64_C(15481400876017505));
  assert_int_equal(precis_features_count(256, 12), -1);
}

/* a before b, of one degree, both ascending. */
static int before(const precis_monomial *a, const precis_monomial *b)
{
  for (int i = 0; i < a->degree; i++)
    if (a->variable[i] != b->variable[i])
      return a->variable[i] < b->variable[i];
  return 0;
}

static double power(double x, int n)
{
  double result = 1;
  while (n-- > 0)
    result *= x;
  return result;
}

/* A block's features, by the walk and by their numbers; returns the next one's. */
static int64_t walk_block(const precis_feature_set *set, precis_monomial *m, int64_t f)
{
  int block = m->block, a = set->block[block].lead, b = set->block[block].trail, place = 0;
  int64_t first = f;
  double orders = 0;
  while (m->block == block) {
    precis_monomial here = precis_monomial_at(set, f++), last = *m;
    assert_true(here.block == block && here.lead == a && here.degree == a + b);
    assert_true(m->lead == a && m->degree == a + b);
    for (int i = 0; i < m->degree; i++) {
      assert_int_equal(here.variable[i], m->variable[i]);
      assert_in_range(m->variable[i], i > 0 ? m->variable[i - 1] : 0, set->dim - 1);
      assert_true((i < a) == (m->variable[i] < set->lead));
    }
    orders += precis_monomial_orders(m);
    place = precis_monomial_next(set, m);
    if (m->block != block)
      break;
    assert_true(before(&last, m));
    assert_true(m->variable[place] != last.variable[place]);
    for (int i = 0; i < place; i++)
      assert_int_equal(m->variable[i], last.variable[i]);
  }
  assert_int_equal(place, 0);
  assert_int_equal(f - first, precis_feature_block_size(set, block));
  /* (x_1 + ... + x_d)^p at ones, of either kind. */
  assert_true(orders == power(set->lead, a) * power(set->dim - set->lead, b));
  return f;
}

static void walk_set(const precis_feature_set *set)
{
  assert_true(precis_feature_set_valid(set));
  precis_monomial m = precis_monomial_at(set, 0);
  int64_t f = 0;
  for (int b = 0; b < set->blocks; b++) {
    assert_int_equal(m.block, b);
    f = walk_block(set, &m, f);
    assert_int_equal(f, precis_feature_set_size(set, b + 1));
  }
  assert_int_equal(m.block, set->blocks);
}

static void walk_all(int dim, int degree)
{
  precis_feature_set set = precis_feature_set_full(dim, degree, degree);
  for (int p = 0; p <= degree; p++)
    assert_int_equal(precis_feature_set_size(&set, p + 1), precis_features_count(dim, p));
  assert_int_equal(precis_feature_set_degree(&set, set.blocks), degree);
  walk_set(&set);
}

static void order_is_graded(void **state)
{
  (void)state;
  walk_all(1, 12);
  walk_all(2, 12);
  walk_all(3, 7);
  walk_all(5, 5);
  walk_all(16, 3);
  walk_all(64, 2);
  walk_all(256, 1);
}

static const precis_feature_set sets[] = {
    {64, 6, 7, 9, {{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {0, 2}, {2, 1}, {1, 2}, {3, 0}}},
    {5, 2, 3, 6, {{0, 0}, {4, 0}, {0, 4}, {3, 3}, {1, 5}, {5, 1}}},
    {9, 8, 2, 4, {{0, 0}, {3, 1}, {0, 7}, {2, 2}}},
    {9, 1, 2, 4, {{0, 0}, {7, 3}, {12, 0}, {1, 1}}},
    {2, 1, 1, 3, {{0, 0}, {6, 6}, {1, 0}}},
};

static void blocks_are_ordered(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
    walk_set(&sets[i]);
}

static void bad_sets_are_refused(void **state)
{
  (void)state;
  static const precis_feature_set bad[] = {
      {4, 2, 1, 1, {{1, 0}}},         /* no constant first */
      {4, 2, 1, 2, {{0, 0}, {0, 0}}}, /* twice */
      {4, 4, 1, 2, {{0, 0}, {1, 1}}}, /* no trailing variables */
      {4, 0, 1, 1, {{0, 0}}},
      {4, 5, 1, 1, {{0, 0}}},
      {0, 0, 1, 1, {{0, 0}}},
      {257, 2, 1, 1, {{0, 0}}},
      {4, 2, 0, 1, {{0, 0}}},
      {4, 2, 2, 1, {{0, 0}}},
      {4, 2, 1, 2, {{0, 0}, {13, 12}}},
      {4, 2, 1, 33, {{0, 0}}},
      {256, 128, 1, 2, {{0, 0}, {6, 6}}},
      {256, 255, 1, 2, {{0, 0}, {12, 0}}},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(precis_feature_set_valid(&bad[i]));
  assert_int_equal(precis_feature_set_find(&sets[1], 3, 3), 3);
  assert_int_equal(precis_feature_set_find(&sets[1], 3, 2), -1);
}

static void far_features_are_found(void **state)
{
  (void)state;
  precis_feature_set set = precis_feature_set_full(64, 6, 6);
  int64_t first = precis_features_count(64, 5), last = precis_features_count(64, 6) - 1;
  precis_monomial a = precis_monomial_at(&set, first), b = precis_monomial_at(&set, last);
  assert_int_equal(a.degree, 6);
  assert_int_equal(b.degree, 6);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(a.variable[i], 0);
    assert_int_equal(b.variable[i], 63);
  }
}

typedef struct rows {
  float *factor, *prefix, *row;
} rows;

static rows make_inputs(int dim, int degree, uint32_t seed)
{
  rows r = {precis_memory_array((1 + dim) * TOKENS, sizeof(float)),
            precis_memory_array((1 + precis_chunk_prefixes(degree)) * TOKENS, sizeof(float)),
            precis_memory_array(PRECIS_CHUNK_FEATURES * TOKENS, sizeof(float))};
  assert_non_null(r.factor);
  assert_non_null(r.prefix);
  assert_non_null(r.row);
  for (int i = 0; i < (1 + dim) * TOKENS; i++)
    r.factor[i] = i < TOKENS ? 1 : noise(&seed);
  for (int t = 0; t < TOKENS; t++)
    r.prefix[t] = noise(&seed); /* weights */
  return r;
}

static void free_inputs(const rows *r)
{
  free(r->factor);
  free(r->prefix);
  free(r->row);
}

/* Features first .. first + features - 1, by a recipe of their own: TOKENS of each. */
static float *make(const precis_feature_set *set, const rows *r, int64_t first, int64_t features)
{
  int degree = precis_feature_set_degree(set, set->blocks);
  void *memory = precis_memory_array(precis_recipe_bytes(degree, features), 1);
  float *result = precis_memory_array(features * TOKENS, sizeof *result), *to = result;
  assert_non_null(memory);
  assert_non_null(result);
  precis_feature_recipe recipe = precis_recipe_make(set, first, features, memory);
  int64_t next = first;
  assert_in_range(recipe.chunks, 1, features / PRECIS_CHUNK_FEATURES + set->blocks);
  for (int64_t i = 0; i < recipe.chunks; i++) {
    const precis_feature_chunk *chunk = &recipe.chunk[i];
    assert_int_equal(chunk->first, next);
    assert_in_range(chunk->features, 1, PRECIS_CHUNK_FEATURES);
    assert_in_range(chunk->prefixes, 0, precis_chunk_prefixes(chunk->degree));
    precis_features_make(chunk, TOKENS, TOKENS, r->factor, r->prefix, r->row);
    memcpy(to, r->row, (size_t)chunk->features * TOKENS * sizeof *to);
    for (int f = 0; f < chunk->features; f++) {
      precis_monomial m = precis_monomial_at(set, next + f);
      assert_true(m.degree == chunk->degree && m.block == chunk->block);
      assert_true(chunk->orders[f] == (float)precis_monomial_orders(&m));
    }
    next += chunk->features;
    to += (int64_t)chunk->features * TOKENS;
  }
  assert_int_equal(next, first + features);
  free(memory);
  return result;
}

static void check_against_products(const precis_feature_set *set, const rows *r, const float *made)
{
  int64_t features = precis_feature_set_size(set, set->blocks);
  for (int64_t f = 0; f < features; f++) {
    precis_monomial m = precis_monomial_at(set, f);
    for (int t = 0; t < TOKENS; t++) {
      double product = r->prefix[t], error;
      for (int i = 0; i < m.degree; i++)
        product *= r->factor[(1 + m.variable[i]) * TOKENS + t];
      error = made[f * TOKENS + t] - product;
      product = product < 0 ? -product : product;
      /* One rounding a factor, and some air for what is close to underflow. */
      assert_true((error < 0 ? -error : error) <= 1.01 * m.degree * 0x1p-24 * product + 1e-42);
    }
  }
}

static void check_recipes(const precis_feature_set *set)
{
  int degree = precis_feature_set_degree(set, set->blocks);
  rows r = make_inputs(set->dim, degree, (uint32_t)(set->dim * 31 + degree));
  int64_t features = precis_feature_set_size(set, set->blocks);
  float *whole = make(set, &r, 0, features);
  check_against_products(set, &r, whole);
  uint32_t seed = 7;
  for (int trial = 0; trial < 20; trial++) {
    int64_t first = (int64_t)((noise(&seed) + 1) / 2 * (float)features), most;
    first = first < features ? first : features - 1;
    most = features - first;
    int64_t some = 1 + (int64_t)((noise(&seed) + 1) / 2 * (float)(most - 1));
    float *part = make(set, &r, first, some);
    assert_memory_equal(part, whole + first * TOKENS, (size_t)some * TOKENS * sizeof *part);
    free(part);
  }
  free(whole);
  free_inputs(&r);
}

/* A tile made on its own is bit by bit what the whole has there. */
static void recipes_make_monomials(void **state)
{
  (void)state;
  static const int cases[][2] = {{1, 0}, {1, 12}, {2, 12}, {3, 12}, {4, 12},  {5, 9},
                                 {8, 4}, {16, 3}, {32, 3}, {64, 2}, {100, 2}, {256, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    precis_feature_set set = precis_feature_set_full(cases[i][0], cases[i][1], cases[i][1]);
    check_recipes(&set);
  }
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
    check_recipes(&sets[i]);
}

static void transposes_odd_shapes(void **state)
{
  (void)state;
  enum { LD = 48, STRIDE = 23 };
  static const int dims[] = {1, 3, 4, 5, 8, 17}, counts[] = {1, 2, 4, 7, 31, 33};
  float x[LD * STRIDE], columns[STRIDE * LD];
  double doubles[STRIDE * LD], back[LD * STRIDE];
  uint32_t seed = 3;
  for (size_t i = 0; i < sizeof x / sizeof *x; i++)
    x[i] = noise(&seed);
  for (size_t a = 0; a < sizeof dims / sizeof *dims; a++)
    for (size_t b = 0; b < sizeof counts / sizeof *counts; b++) {
      int dim = dims[a], tokens = counts[b];
      memset(columns, 0x7f, sizeof columns);
      precis_features_load(dim, tokens, LD, x, STRIDE, LD, columns);
      for (int c = 0; c < dim; c++)
        for (int t = 0; t < LD; t++)
          assert_true(columns[c * LD + t] == (t < tokens ? x[t * STRIDE + c] : 0));
      for (int i = 0; i < LD * STRIDE; i++) {
        doubles[i] = i < dim * LD ? columns[i] : (double)INFINITY;
        back[i] = x[i];
      }
      precis_features_unload(dim, tokens, doubles, LD, STRIDE, back);
      for (int i = 0; i < LD * STRIDE; i++)
        assert_true(back[i] == (i / STRIDE < tokens && i % STRIDE < dim ? 2. * x[i] : x[i]));
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_are_binomials),   cmocka_unit_test(order_is_graded),
      cmocka_unit_test(blocks_are_ordered),     cmocka_unit_test(bad_sets_are_refused),
      cmocka_unit_test(far_features_are_found), cmocka_unit_test(recipes_make_monomials),
      cmocka_unit_test(transposes_odd_shapes),
  };
  return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
