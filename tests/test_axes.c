/* Common principal axes of queries and keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/axes.h"
#include "src/base/memory.h"
#include "src/precis.h"
#include "tests/uniform.h"

enum { ROWS = 1000, DIM_MOST = 40 };

/* Rows of variances (1 + c)^-decay, turned by the same reflections for every call of a seed. */
static float *make_rows(int dim, double decay, uint64_t seed, const double *center)
{
  float *x = precis_memory_array(ROWS * dim, sizeof *x);
  double mirror[3][DIM_MOST], row[DIM_MOST];
  uint64_t state = 5;
  assert_non_null(x);
  for (int m = 0; m < 3; m++) {
    double square = 0;
    for (int c = 0; c < dim; c++) {
      mirror[m][c] = normal(&state);
      square += mirror[m][c] * mirror[m][c];
    }
    for (int c = 0; c < dim; c++)
      mirror[m][c] /= sqrt(square);
  }
  for (int j = 0; j < ROWS; j++) {
    for (int c = 0; c < dim; c++)
      row[c] = pow(1 + c, -decay / 2) * normal(&seed);
    for (int m = 0; m < 3; m++) {
      double dot = 0;
      for (int c = 0; c < dim; c++)
        dot += mirror[m][c] * row[c];
      for (int c = 0; c < dim; c++)
        row[c] -= 2 * dot * mirror[m][c];
    }
    for (int c = 0; c < dim; c++)
      x[j * dim + c] = (float)(row[c] + center[c]);
  }
  return x;
}

typedef struct axes {
  int dim;
  double center[DIM_MOST], spread[DIM_MOST];
  float *q, *k;
  double *to_queries, *to_keys, *query_covariance, *key_covariance;
} axes;

static axes make(int dim, double query_decay, double key_decay)
{
  axes a = {.dim = dim};
  int64_t size = (int64_t)dim * dim;
  for (int c = 0; c < dim; c++)
    a.center[c] = c - 3;
  a.q = make_rows(dim, query_decay, 7, a.center);
  a.k = make_rows(dim, key_decay, 8, a.center);
  a.to_queries = calloc((size_t)size, sizeof(double));
  a.to_keys = calloc((size_t)size, sizeof(double));
  a.query_covariance = calloc((size_t)size, sizeof(double));
  a.key_covariance = calloc((size_t)size, sizeof(double));
  precis_axes_add_covariance(dim, ROWS, a.q, dim, a.center, a.query_covariance);
  precis_axes_add_covariance(dim, ROWS, a.k, dim, a.center, a.key_covariance);
  double *scratch = precis_memory_array(precis_axes_scratch(dim), sizeof *scratch);
  assert_non_null(scratch);
  assert_int_equal(precis_axes_make(dim, a.query_covariance, a.key_covariance, a.to_queries,
                                    a.to_keys, a.spread, scratch),
                   0);
  free(scratch);
  return a;
}

static void release(axes *a)
{
  void *arrays[] = {a->q, a->k, a->to_queries, a->to_keys, a->query_covariance, a->key_covariance};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
}

static void covariance_is_a_sum(void **state)
{
  (void)state;
  enum { DIM = 3, STRIDE = 5 };
  const float x[2 * STRIDE] = {1, 2, 4, 99, 99, -1, 0, 3, 99, 99};
  const double center[DIM] = {1, 1, 1};
  double sums[DIM * DIM] = {100};
  precis_axes_add_covariance(DIM, 2, x, STRIDE, center, sums);
  const double want[DIM * DIM] = {104, 2, -4, 0, 2, 1, 0, 0, 13};
  for (int i = 0; i < DIM * DIM; i++)
    assert_true(sums[i] == want[i]);
}

/* Turned rows have the same scores, and both the covariance diag(spread). */
static void check_axes(const axes *a)
{
  int dim = a->dim;
  double queries[DIM_MOST * DIM_MOST] = {0}, keys[DIM_MOST * DIM_MOST] = {0};
  double error = precis_axes_error(dim, a->to_queries, a->to_keys);
  assert_true(error > 0 && error < 1e-9);
  for (int j = 0; j < ROWS; j++) {
    double q[DIM_MOST], k[DIM_MOST];
    long double plain = 0, turned = 0, q_square = 0, k_square = 0;
    precis_axes_turn(dim, a->to_queries, a->q + j * dim, a->center, q);
    precis_axes_turn(dim, a->to_keys, a->k + j * dim, a->center, k);
    for (int c = 0; c < dim; c++) {
      long double x = a->q[j * dim + c] - a->center[c], y = a->k[j * dim + c] - a->center[c];
      plain += x * y;
      q_square += x * x;
      k_square += y * y;
      turned += (long double)q[c] * k[c];
      for (int i = 0; i < dim; i++) {
        queries[c * dim + i] += q[c] * q[i];
        keys[c * dim + i] += k[c] * k[i];
      }
    }
    assert_true(fabsl(turned - plain) <= error * sqrtl(q_square * k_square));
  }
  for (int c = 0; c < dim; c++) {
    assert_true(c == 0 || a->spread[c] <= a->spread[c - 1]);
    for (int i = 0; i < dim; i++) {
      double want = i == c ? a->spread[c] : 0, unit = sqrt(a->spread[c] * a->spread[i]);
      /* The floor under variances is seen where they are small. */
      assert_true(fabs(queries[c * dim + i] - want) < 1e-3 * unit);
      assert_true(fabs(keys[c * dim + i] - want) < 1e-3 * unit);
    }
  }
}

static void axes_are_balanced(void **state)
{
  (void)state;
  static const struct {
    int dim;
    double query, key;
  } cases[] = {{1, 0, 0}, {2, 1, 0}, {8, 0, 0}, {40, 1, 1}, {40, 0, 1}, {33, 2, -1}, {16, 1.5, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    axes a = make(cases[i].dim, cases[i].query, cases[i].key);
    check_axes(&a);
    release(&a);
  }
}

/* Where both decay like 1/i the axes do, where one alone decays like 1/i they do like its root. */
static void axes_decay(void **state)
{
  (void)state;
  for (int both = 0; both < 2; both++) {
    axes a = make(40, both, 1);
    for (int c = 0; c < 40; c++) {
      double want = ROWS * (both ? 1. / (1 + c) : 1 / sqrt(1 + c));
      assert_true(a.spread[c] > .7 * want && a.spread[c] < 1.3 * want);
    }
    release(&a);
  }
}

/* Constant coordinates, and none that vary: nothing is divided by 0. */
static void singular_covariances(void **state)
{
  (void)state;
  enum { DIM = 4 };
  double some[DIM * DIM] = {2, 1, 0, 0, 0, 3, 0, 0}, none[DIM * DIM] = {0}, bad[DIM * DIM] = {NAN};
  double m[DIM * DIM], n[DIM * DIM], spread[DIM], scratch[DIM * (3 * DIM + 40)];
  assert_true(precis_axes_scratch(DIM) <= DIM * (3 * DIM + 40));
  const double *pairs[3][2] = {{some, none}, {none, some}, {none, none}};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(precis_axes_make(DIM, pairs[i][0], pairs[i][1], m, n, spread, scratch), 0);
    assert_true(precis_axes_error(DIM, m, n) < 1e-9);
  }
  assert_int_equal(precis_axes_make(DIM, bad, some, m, n, spread, scratch), PRECIS_ERR_INTERNAL);
  assert_int_equal(precis_axes_make(DIM, some, bad, m, n, spread, scratch), PRECIS_ERR_INTERNAL);
  double huge[DIM * DIM] = {1e300, 0, 0, 0, 0, 1e300, 0, 0, 0, 0, 1e300, 0, 0, 0, 0, 1e300};
  (void)precis_axes_make(DIM, huge, huge, m, n, spread, scratch); /* fails or not, but ends */
}

static void norms_of_both_ends(void **state)
{
  (void)state;
  const double x[3] = {3, -4, 12}, y[3] = {5, 0, 0};
  double lead[4] = {0}, trail[4] = {0};
  precis_axes_raise(3, x, lead, trail);
  precis_axes_raise(3, y, lead, trail);
  const double leads[4] = {0, 25, 25, 169}, trails[4] = {169, 160, 144, 0};
  for (int n = 0; n <= 3; n++)
    assert_true(lead[n] == leads[n] && trail[n] == trails[n]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(covariance_is_a_sum), cmocka_unit_test(axes_are_balanced),
      cmocka_unit_test(axes_decay),          cmocka_unit_test(singular_covariances),
      cmocka_unit_test(norms_of_both_ends),
  };
  return cmocka_run_group_tests_name("axes", tests, NULL, NULL);
}
