/* Splitting by norm: bins, limits, and what is on either side of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/bulk.h"
#include "src/summary/outliers.h"
#include "src/precis.h"

static void bins(void **state)
{
  (void)state;
  for (int b = 0; b < PRECIS_NORM_BINS - 1; b++) {
    double edge = precis_outliers_edge(b);
    assert_int_equal(precis_outliers_bin(edge), b);
    assert_int_equal(precis_outliers_bin(nextafter(edge, 0)), b);
    assert_int_equal(precis_outliers_bin(nextafter(edge, INFINITY)), b + 1);
    assert_true(edge < precis_outliers_edge(b + 1));
  }
  assert_int_equal(precis_outliers_bin(0), 0);
  assert_int_equal(precis_outliers_bin(1e-300), 0);
  assert_int_equal(precis_outliers_bin(INFINITY), PRECIS_NORM_BINS - 1);
  assert_int_equal(precis_outliers_bin(1e300), PRECIS_NORM_BINS - 1);
  assert_true(precis_outliers_edge(PRECIS_NORM_BINS - 1) == INFINITY);
}

/* What is beyond each limit is what was counted, and never more than the level allows. */
static void check_levels(const double *rho, int64_t count)
{
  int64_t histogram[PRECIS_NORM_BINS] = {0};
  for (int64_t i = 0; i < count; i++)
    histogram[precis_outliers_bin(rho[i])]++;
  precis_levels levels = precis_outliers_levels(histogram);
  assert_true(levels.count >= 1 && levels.count <= PRECIS_LEVELS);
  assert_true(levels.rho[0] == INFINITY && levels.beyond[0] == 0);
  for (int l = 0; l < levels.count; l++) {
    int64_t beyond = 0, above = 0;
    for (int64_t i = 0; i < count; i++) {
      beyond += rho[i] > levels.rho[l];
      above += precis_outliers_level(&levels, rho[i]) < l;
    }
    assert_int_equal(beyond, levels.beyond[l]);
    assert_int_equal(above, beyond);
    assert_true(beyond <= count / 64);
    assert_true(l == 0 || levels.rho[l] < levels.rho[l - 1]);
  }
}

static void levels(void **state)
{
  (void)state;
  enum { MANY = 40000 };
  double *rho = malloc(MANY * sizeof *rho);
  for (int i = 0; i < MANY; i++)
    rho[i] = 1 + 0.5 * sin(i) + (i % 1000 == 7 ? 60 : 0) + (i % 9999 == 0 ? 1e6 : 0);
  check_levels(rho, MANY);
  check_levels(rho, 100);
  check_levels(rho, 1);
  check_levels(rho, 0);
  int64_t histogram[PRECIS_NORM_BINS] = {0};
  for (int i = 0; i < MANY; i++)
    histogram[precis_outliers_bin(rho[i])]++;
  precis_levels found = precis_outliers_levels(histogram);
  assert_true(found.rho[found.count - 1] < 1.7); /* the heavy ones are out of the way */
  for (int i = 0; i < MANY; i++)
    rho[i] = 1; /* nobody stands out */
  check_levels(rho, MANY);
  memset(histogram, 0, sizeof histogram);
  histogram[precis_outliers_bin(1)] = MANY;
  assert_int_equal(precis_outliers_levels(histogram).count, 1);
  free(rho);
}

enum { HEADS = 2, DIM = 3, WIDTH = 2, ROWS = 50 };

typedef struct room {
  float k[ROWS * HEADS * DIM], v[ROWS * HEADS * WIDTH], bias[ROWS];
  int64_t position[ROWS];
  double center[HEADS * DIM], unit[HEADS];
  precis_keys keys;
} room;

static void fill(room *r)
{
  for (int i = 0; i < ROWS * HEADS * DIM; i++)
    r->k[i] = (float)(sin(i * i + 1) * (i / (HEADS * DIM) % 10 == 3 ? 20 : 1));
  for (int i = 0; i < ROWS * HEADS * WIDTH; i++)
    r->v[i] = (float)i;
  for (int i = 0; i < ROWS; i++) {
    r->bias[i] = i % 7 == 2 ? -INFINITY : (float)i;
    r->position[i] = 3 * i;
  }
  for (int i = 0; i < HEADS * DIM; i++)
    r->center[i] = .1 * i;
  r->unit[0] = 1;
  r->unit[1] = 2;
  r->keys = (precis_keys){.kv_heads = HEADS,
                          .dim = DIM,
                          .value_dim = WIDTH,
                          .rows = ROWS,
                          .k = r->k,
                          .v = r->v,
                          .bias = r->bias,
                          .position = r->position};
}

static double rho_of(const room *r, int row)
{
  double most = 0;
  for (int g = 0; g < HEADS; g++) {
    double square = 0;
    for (int c = 0; c < DIM; c++) {
      double off = r->k[(row * HEADS + g) * DIM + c] - r->center[g * DIM + c];
      square += off * off;
    }
    most = fmax(most, sqrt(square) / r->unit[g]);
  }
  return most;
}

/* Every key is in the bulk or among the tokens, masked ones stay masked. */
static void check_split(const room *r, double limit)
{
  precis_split_keys split;
  assert_int_equal(precis_outliers_split(&r->keys, r->center, r->unit, limit, &split), 0);
  int64_t at = 0;
  for (int i = 0; i < ROWS; i++) {
    int masked = precis_keys_masked(&r->keys, i), out = !masked && rho_of(r, i) > limit;
    assert_int_equal(precis_keys_masked(&split.bulk, i), masked || out);
    if (!masked && !out)
      assert_true(split.bulk.bias[i] == (r->keys.bias ? r->bias[i] : 0));
    if (!out)
      continue;
    assert_memory_equal(split.tokens.k + at * HEADS * DIM, r->k + i * HEADS * DIM,
                        HEADS * DIM * sizeof(float));
    assert_memory_equal(split.tokens.v + at * HEADS * WIDTH, r->v + i * HEADS * WIDTH,
                        HEADS * WIDTH * sizeof(float));
    assert_true(split.tokens.bias[at] == (r->keys.bias ? r->bias[i] : 0));
    assert_int_equal(split.tokens.position[at], r->position[i]);
    at++;
  }
  assert_int_equal(split.tokens.rows, at);
  assert_ptr_equal(split.bulk.k, r->k);
  precis_outliers_free(&split);
}

static void splitting(void **state)
{
  (void)state;
  room r;
  fill(&r);
  const double limits[] = {0, 1, 2, 8, 1e9};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    r.keys.bias = r.bias;
    check_split(&r, limits[i]);
    r.keys.bias = NULL;
    check_split(&r, limits[i]);
  }
  r.keys.rows = 0;
  precis_split_keys split;
  assert_int_equal(precis_outliers_split(&r.keys, r.center, r.unit, 1, &split), 0);
  assert_int_equal(split.tokens.rows, 0);
  precis_outliers_free(&split);
}

static void norms(void **state)
{
  (void)state;
  room r;
  fill(&r);
  double rho[ROWS], sums[HEADS] = {0}, count = 0;
  precis_outliers_key_rho(&r.keys, r.center, r.unit, rho);
  for (int i = 0; i < ROWS; i++)
    if (precis_keys_masked(&r.keys, i))
      assert_true(rho[i] == 0);
    else
      assert_true(fabs(rho[i] / rho_of(&r, i) - 1) < 1e-11);
  precis_outliers_key_norms(&r.keys, r.center, 6, sums, &count);
  int expected = 0;
  for (int i = 0; i < ROWS; i += 2)
    expected += !precis_keys_masked(&r.keys, i);
  assert_true(count == expected && sums[0] > 0 && sums[1] > 0);
  assert_true(precis_outliers_rho(0, 0) == 0 && precis_outliers_rho(1, 0) == INFINITY);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bins),
      cmocka_unit_test(levels),
      cmocka_unit_test(splitting),
      cmocka_unit_test(norms),
  };
  return cmocka_run_group_tests_name("outliers", tests, NULL, NULL);
}
