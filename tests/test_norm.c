/* Norms of differences of values: never below the true ones, and hardly above. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/tokens/norm.h"
#include "tests/uniform.h"

enum { MOST = 256 };

static long double true_norm(const precis_norm *norm, const long double *x)
{
  long double square = 0, most = 0;
  for (int c = 0; c < norm->columns; c++) {
    square += norm->per[c] * x[c] * norm->per[c] * x[c];
    most = fmaxl(most, fabsl(norm->per[c] * x[c]));
  }
  return norm->largest ? most : sqrtl(square);
}

/* Numbers of very different sizes, some columns left out. */
static void throw_numbers(uint64_t *state, int columns, float *x, double *from, double *per)
{
  for (int c = 0; c < columns; c++) {
    from[c] = normal(state) * exp(5 * normal(state));
    x[c] = (float)(from[c] + normal(state) * exp(8 * normal(state)));
    per[c] = uniform(state) < .1 ? 0 : exp(3 * normal(state));
  }
}

static void distances_are_safe(void **state)
{
  (void)state;
  uint64_t random = 5;
  float x[MOST], to[3];
  double from[MOST], per[MOST], wide[MOST];
  long double difference[MOST];
  for (int i = 0; i < 4000; i++) {
    precis_norm norm = {1 + (int)(uniform(&random) * MOST), i % 2, per};
    throw_numbers(&random, norm.columns, x, from, per);
    for (int c = 0; c < norm.columns; c++) {
      difference[c] = (long double)x[c] - from[c];
      wide[c] = x[c];
    }
    long double want = true_norm(&norm, difference), most = want * (1 + 0x1p-40L);
    double single = precis_norm_distance(&norm, x, from),
           other = precis_norm_distance_double(&norm, wide, from);
    assert_true(single >= want && single <= most && other >= want && other <= most);
    precis_norm_distances(&norm, 1, x, norm.columns, from, to + 1, 1);
    assert_true(to[1] >= want && to[1] <= want * (1 + 0x1p-20L));
  }
}

/* Rows apart, results apart, nothing between them touched. */
static void strides(void **state)
{
  (void)state;
  enum { ROWS = 7, COLUMNS = 3, STRIDE = 5, APART = 2 };
  uint64_t random = 8;
  float x[ROWS * STRIDE], to[ROWS * APART];
  double from[COLUMNS] = {1, -2, 3}, per[COLUMNS] = {1, .5, 0};
  const precis_norm norm = {COLUMNS, 0, per};
  for (int i = 0; i < ROWS * STRIDE; i++)
    x[i] = (float)normal(&random);
  for (int i = 0; i < ROWS * APART; i++)
    to[i] = -7;
  precis_norm_distances(&norm, ROWS, x, STRIDE, from, to, APART);
  for (int i = 0; i < ROWS; i++) {
    double want = hypot(x[i * STRIDE] - 1, (x[i * STRIDE + 1] + 2) / 2);
    assert_true(fabs(to[i * APART] / want - 1) < 1e-6 && to[i * APART + 1] == -7);
  }
}

/* Wherever the value that is not finite stands, left out or not. */
static void not_finite(void **state)
{
  (void)state;
  enum { COLUMNS = 19 };
  const float bad[] = {NAN, INFINITY, -INFINITY};
  double from[COLUMNS] = {0}, per[COLUMNS];
  for (int largest = 0; largest < 2; largest++)
    for (int i = 0; i < 3; i++)
      for (int c = 0; c < COLUMNS; c++) {
        float x[COLUMNS] = {0};
        for (int k = 0; k < COLUMNS; k++)
          per[k] = k % 3 ? 1 : 0;
        x[c] = bad[i];
        assert_true(isnan(precis_norm_distance(&(precis_norm){COLUMNS, largest, per}, x, from)));
      }
}

/* What rounding a double to float32 does, subnormal ones included, is within its bound; a tenth of
 * the bound would not do. */
static void rounding(void **state)
{
  (void)state;
  uint64_t random = 3;
  double used = 0;
  for (int i = 0; i < 4000; i++) {
    float x[MOST];
    double per[MOST];
    long double off[MOST];
    precis_norm norm = {1 + (int)(uniform(&random) * 8), i % 2, per};
    for (int c = 0; c < norm.columns; c++) {
      double value = normal(&random) * (i % 3 ? exp(9 * normal(&random)) : 1e-43);
      x[c] = (float)value;
      off[c] = (long double)value - x[c];
      per[c] = exp(normal(&random));
    }
    double bound = precis_norm_rounding(&norm, x);
    long double want = true_norm(&norm, off);
    assert_true(want <= bound);
    used = fmax(used, (double)want / bound);
  }
  assert_true(used > .5);
}

/* Of any x the one norm is at most c times the other, and there is an x of which it is. */
static void check_conversion(uint64_t *random, int from_largest, int to_largest)
{
  double per[2][MOST];
  long double x[MOST], used = 0;
  int columns = 1 + (int)(uniform(random) * 12);
  for (int c = 0; c < columns; c++) {
    per[0][c] = exp(2 * normal(random));
    per[1][c] = uniform(random) < .2 ? 0 : exp(2 * normal(random));
    per[0][c] = per[1][c] == 0 && uniform(random) < .5 ? 0 : per[0][c];
  }
  const precis_norm from = {columns, from_largest, per[0]}, to = {columns, to_largest, per[1]};
  double factor = precis_norm_conversion(&from, &to);
  for (int i = 0; i <= columns; i++) { /* each column alone, and all at once */
    for (int c = 0; c < columns; c++)
      x[c] = per[0][c] > 0 && (i == c || i == columns) ? 1 / (long double)per[0][c] : 0;
    long double a = true_norm(&from, x), b = true_norm(&to, x);
    assert_true(b <= factor * a);
    used = a > 0 && factor > 0 ? fmaxl(used, b / (factor * a)) : used;
  }
  assert_true(factor == 0 || used > 1 - 1e-9L);
}

static void conversion(void **state)
{
  (void)state;
  uint64_t random = 4;
  for (int i = 0; i < 4000; i++)
    check_conversion(&random, i % 2, i / 2 % 2);
  const double some[] = {1, 0}, others[] = {1, 1}, none[] = {0, 0};
  const precis_norm lacks = {2, 0, some}, has = {2, 1, others}, empty = {2, 0, none};
  assert_true(precis_norm_conversion(&lacks, &has) == INFINITY);
  assert_true(precis_norm_conversion(&has, &lacks) < 1.001);
  assert_true(precis_norm_conversion(&has, &empty) == 0);
}

static void folds(void **state)
{
  (void)state;
  for (double x = 1e-40; x < 1e38; x *= 3.3) {
    double fold = precis_norm_fold(x, 7), of_range = precis_norm_fold(0, x), mantissa;
    int exponent;
    mantissa = frexp(fold, &exponent);
    assert_true(mantissa == .5 && fold * x >= 1 && fold * x < 2 && of_range == fold);
  }
  assert_true(precis_norm_fold(0, 0) == 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(distances_are_safe), cmocka_unit_test(strides), cmocka_unit_test(not_finite),
      cmocka_unit_test(rounding),           cmocka_unit_test(conversion), cmocka_unit_test(folds),
  };
  return cmocka_run_group_tests_name("norm", tests, NULL, NULL);
}
