/* Polynomials, their envelopes, and the certificates they make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/proof/polynomial.h"
#include "src/precis.h"
#include "tests/uniform.h"

enum { SIZE = PRECIS_DEGREE_MAX + 1 };

/* Moments of the uniform distribution on [low, high]. */
static void box_moments(double low, double high, double *moments)
{
  for (int m = 0; m < SIZE; m++)
    moments[m] = (pow(high, m + 1) - pow(low, m + 1)) / ((high - low) * (m + 1));
}

/* Largest |P - e^y| - E over random points, Chebyshev's points and the ends, in long double. */
static long double excess(const precis_polynomial *f, int points)
{
  uint64_t state = 1;
  long double worst = -HUGE_VALL;

  for (int i = 0; i <= 2 * points; i++) {
    double y = i <= points ? f->bound * cos(3.14159265358979323846 * i / points)
                           : f->bound * pow(2 * uniform(&state) - 1, 3);
    long double p = 0, e = 0;
    for (int k = SIZE - 1; k >= 0; k--) {
      p = p * y + f->a[k];
      e = e * y + f->e[k];
    }
    worst = fmaxl(worst, fabsl(p - expl(y)) - e);
  }
  return worst;
}

static void fit(int degree, int envelope_degree, double bound, const double *moments,
                precis_polynomial *f)
{
  assert_int_equal(precis_polynomial_fit(degree, envelope_degree, bound, moments, f),
                   PRECIS_SUCCESS);
  assert_true(excess(f, 400) <= 0);
  assert_true(f->degree == degree && f->envelope_degree <= envelope_degree);
  for (int k = 0; k < SIZE; k++) {
    assert_true(isfinite(f->a[k]) && isfinite(f->e[k]));
    assert_true(k <= degree || f->a[k] == 0);
    assert_true((k <= f->envelope_degree && (k % 2 == 0 || k <= degree)) || f->e[k] == 0);
  }
}

static void holds(void **state)
{
  (void)state;
  static const double bounds[] = {1e-6, .01, .3, 1, 2.5, 5, 8};
  static const int degrees[] = {0, 1, 2, 3, 4, 6, 9, 12};
  static const int envelopes[] = {0, 1, 2, 3, 4, 6, 9, 12};
  static const double widths[] = {1, .2, .01};
  precis_polynomial f;
  double moments[SIZE];

  for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++)
    for (size_t i = 0; i < sizeof degrees / sizeof *degrees; i++)
      for (size_t j = 0; j < sizeof envelopes / sizeof *envelopes; j++) {
        double width = widths[(b + i + j) % 3] * bounds[b];
        box_moments(-width, j % 2 ? width : width / 2, moments);
        fit(degrees[i], envelopes[j], bounds[b], moments, &f);
        assert_true(f.objective < 2 * exp(f.bound));
      }
}

/* Without an envelope to speak of this is best uniform approximation: errors for e^x on [-1, 1] as
 * in Meinardus, "Approximation of Functions" (1967). The rest was computed by another program
 * (HiGHS) on a grid of 2,401 points. */
static void optimal(void **state)
{
  (void)state;
  static const struct {
    double bound, low, high;
    int degree, envelope_degree;
    double objective;
  } known[] = {
      {1, -1, 1, 0, 0, 1.175201},       {1, -1, 1, 1, 0, .2788016},
      {1, -1, 1, 2, 0, .04501737},      {1, -1, 1, 3, 0, .005528366},
      {1, -1, 1, 4, 0, .0005466664},    {.1, -.05, .05, 2, 4, 3.586800e-6},
      {.5, -.3, .3, 1, 2, 1.718288e-2}, {1, -.5, .5, 2, 2, 1.338795e-2},
      {2, -.6, .6, 2, 4, 6.376606e-3},  {2, -.3, .6, 2, 5, 4.409894e-3},
      {2, -2, 2, 12, 4, 2.932618e-10},  {3, -.8, .8, 3, 3, 5.318031e-2},
      {3, -.4, .8, 3, 3, 3.350290e-2},  {3, -.8, .8, 3, 4, 3.155726e-3},
      {3.5, -1, 1, 4, 4, 3.462293e-3},  {3.5, -1, 1, 4, 6, 3.943450e-4},
      {3.5, -.5, 1, 5, 5, 3.516213e-4}, {5, -2, 2, 8, 10, 4.591087e-6},
      {8, -2, 2, 6, 6, 6.467877e-3},    {8, -3, 3, 2, 12, 1.102401},
      {8, -4, 4, 12, 12, 1.249372e-5},
  };
  precis_polynomial f;
  double moments[SIZE];

  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    box_moments(known[i].low, known[i].high, moments);
    fit(known[i].degree, known[i].envelope_degree, known[i].bound, moments, &f);
    assert_true(fabs(f.objective / known[i].objective - 1) < 1e-3);
    assert_true(excess(&f, 20000) <= 0);
  }
}

static void degenerate(void **state)
{
  (void)state;
  static const double sets[][SIZE] = {
      {1},                                                                 /* all scores 0 */
      {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},                             /* all at 1 */
      {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},                             /* at 1 and -1 */
      {1, .5, 0, 3, 1e-9, -7, .3, 2, 0, -1e5, 0, 1, 5},                    /* of no distribution */
      {1, 0, 1e6, 0, 1e12, 0, 1e18, 0, 1e24, 0, 1e30, 0, 1e36},            /* beyond the bound */
      {1, 0, 1e-6, 0, 1e-12, 0, 1e-18, 0, 1e-24, 0, 1e-30, 0, 1e-36},      /* tiny */
      {1e300, 0, 1e300, 0, 1e300, 0, 1e300, 0, 1e300, 0, 1e300, 0, 1e300}, /* huge */
      {1e-300, 0, 1e300},
  };
  static const double bounds[] = {1e-300, 1e-6, 1, 8, 24};
  static const int degrees[] = {0, 3, 12, 24};
  precis_polynomial f;

  for (size_t s = 0; s < sizeof sets / sizeof *sets; s++)
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++)
      for (int i = 0; i < 16; i++)
        fit(degrees[i / 4], degrees[i % 4], bounds[b], sets[s], &f);
  /* All scores 0: E vanishes there, but for rounding and for what keeps the program finite. */
  fit(3, 4, 4, sets[0], &f);
  assert_true(f.e[0] < 1e-6);
  /* Far beyond the bound counts as at the bound: the best constant is not far off. */
  fit(3, 4, 1, sets[4], &f);
  assert_true(precis_polynomial_envelope(&f, 1) < .0056 && precis_polynomial_envelope(&f, 0) < .01);
}

static void arguments(void **state)
{
  (void)state;
  double moments[SIZE] = {1, 0, .1, 0, .03}, wrong[SIZE];
  precis_polynomial f = {.degree = 77};

  assert_int_equal(precis_polynomial_fit(-1, 2, 1, moments, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(25, 2, 1, moments, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(2, -1, 1, moments, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(2, 25, 1, moments, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(2, 2, 0, moments, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(2, 2, -1, moments, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(2, 2, 24.1, moments, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(2, 2, NAN, moments, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(2, 2, 1, NULL, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_polynomial_fit(2, 2, 1, moments, NULL), PRECIS_ERR_ARGUMENT);
  static const struct {
    int m;
    double value;
  } bad[] = {{0, 0}, {0, -1}, {0, NAN}, {1, INFINITY}, {2, -.1}, {2, NAN}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    memcpy(wrong, moments, sizeof wrong);
    wrong[bad[i].m] = bad[i].value;
    assert_int_equal(precis_polynomial_fit(2, 2, 1, wrong, &f), PRECIS_ERR_ARGUMENT);
  }
  assert_int_equal(f.degree, 77);
}

static void same_again(void **state)
{
  (void)state;
  precis_polynomial first, again, other;
  double moments[SIZE], scaled[SIZE];

  for (int degree = 0; degree < SIZE; degree++) {
    int envelope_degree = 5 * degree % SIZE;
    box_moments(-.7, .6, moments);
    for (int m = 0; m < SIZE; m++)
      scaled[m] = 1024 * moments[m];
    fit(degree, envelope_degree, 3, moments, &first);
    fit(4, 6, 2, moments, &other);
    fit(degree, envelope_degree, 3, moments, &again);
    assert_memory_equal(&first, &again, sizeof first);
    fit(degree, envelope_degree, 3, scaled, &again);
    assert_memory_equal(first.a, again.a, sizeof first.a);
    assert_memory_equal(first.e, again.e, sizeof first.e);
  }
}

static void values(void **state)
{
  (void)state;
  const precis_polynomial f = {
      .degree = 2, .envelope_degree = 3, .bound = 3, .a = {1, -2, 3}, .e = {4, -5, 6, -7}};

  assert_true(precis_polynomial_value(&f, -2) == 17);
  assert_true(precis_polynomial_magnitude(&f, -2) >= 17);
  assert_true(precis_polynomial_magnitude(&f, 2) < 17 * (1 + 1e-12));
  assert_true(precis_polynomial_envelope(&f, 2) == -38);
  assert_true(precis_polynomial_envelope_magnitude(&f, -2) >= 94);
  assert_true(precis_polynomial_envelope_magnitude(&f, 2) < 94 * (1 + 1e-12));
}

/* An odd envelope degree needs a P of that degree, and then it helps. */
static void odd(void **state)
{
  (void)state;
  precis_polynomial f;
  double moments[SIZE];

  box_moments(-1, 1, moments);
  fit(2, 5, 3, moments, &f);
  assert_true(f.envelope_degree == 4 && f.e[1] != 0 && f.e[3] == 0);
  fit(3, 2, 3, moments, &f);
  double even = f.objective;
  fit(3, 3, 3, moments, &f);
  assert_true(f.envelope_degree == 3 && f.e[3] > 0 && f.objective < .97 * even);
}

enum { KEYS = 8192, ROWS = 512, POWERS = 5, LONGEST = 8 };

typedef struct row {
  double length, weight, power[POWERS]; /* |q|, sum_j e^y, sum_j y^m */
} row;

static int by_length(const void *a, const void *b)
{
  const row *p = a, *q = b;
  return (p->length < q->length) - (p->length > q->length);
}

/* count vectors of standard deviation `deviation`, centered; returns the longest. */
static double gauss(uint64_t *state, int count, int dim, double deviation, double *x)
{
  double longest = 0;

  for (int i = 0; i < count * dim; i++)
    x[i] = deviation * normal(state);
  for (int c = 0; c < dim; c++) {
    double mean = 0;
    for (int i = 0; i < count; i++)
      mean += x[i * dim + c] / count;
    for (int i = 0; i < count; i++)
      x[i * dim + c] -= mean;
  }
  for (int i = 0; i < count; i++) {
    double square = 0;
    for (int c = 0; c < dim; c++)
      square += x[i * dim + c] * x[i * dim + c];
    longest = fmax(longest, sqrt(square));
  }
  return longest;
}

static row sum_row(const double *q, const double *k, int dim)
{
  row r = {0};

  for (int c = 0; c < dim; c++)
    r.length += q[c] * q[c];
  for (int j = 0; j < KEYS; j++) {
    double y = 0, power = 1;
    for (int c = 0; c < dim; c++)
      y += q[c] * k[j * dim + c];
    r.weight += exp(y);
    for (int m = 0; m < POWERS; m++, power *= y)
      r.power[m] += power;
  }
  return r;
}

/* The largest certificate of any row, with moments from the first `longest` rows. */
static double certificate(int degree, int envelope_degree, double bound, const row *rows,
                          int longest, double *predicted)
{
  precis_polynomial f;
  double moments[POWERS] = {0}, largest = 0;

  for (int i = 0; i < longest; i++)
    for (int m = 0; m < POWERS; m++)
      moments[m] += rows[i].power[m] / rows[i].weight / longest;
  fit(degree, envelope_degree, bound, moments, &f);
  for (int i = 0; i < ROWS; i++) {
    double error = 0, weight = 0;
    for (int m = 0; m < POWERS; m++) {
      error += f.e[m] * rows[i].power[m];
      weight += f.a[m] * rows[i].power[m];
    }
    largest = fmax(largest, error / weight);
  }
  *predicted = f.objective;
  return largest;
}

static void compare(double bound, const row *rows, const double *expected)
{
  static const int degrees[][2] = {{2, 2}, {2, 4}, {3, 3}, {3, 4}, {4, 4}};

  for (int c = 0; c < 5; c++) {
    int degree = degrees[c][0], envelope_degree = degrees[c][1];
    double predicted, all = certificate(degree, envelope_degree, bound, rows, ROWS, &predicted);
    double t = certificate(degree, envelope_degree, bound, rows, LONGEST, &predicted);
    print_message("  P%d E%d: %.1e expected, %.2e; %.2e predicted, %.2e by moments of all rows\n",
                  degree, envelope_degree, expected[c], t, predicted, all);
    assert_true(fabs(t / expected[c] - 1) < .2);
    assert_true(t < 1.01 * all);
    assert_true(predicted < 1.05 * t && t < 1.5 * predicted);
  }
}

/* Largest certificates for Gaussian queries and keys against a typical draw. They hang on the
 * longest of the queries: most seeds move them by less than 30%, and 8,192 queries in place of 512
 * make them 1.1 to 2 times as large. */
static void certificates(void **state)
{
  (void)state;
  static const struct {
    int dim;
    double deviation, expected[5];
  } cases[] = {
      {16, .25, {7.8e-2, 1.2e-2, 2.4e-2, 3.0e-3, 9.6e-4}},
      {32, .18, {2.9e-2, 4.0e-3, 7.2e-3, 5.7e-4, 1.7e-4}},
      {64, .25, {8.7e-2, 7.6e-3, 3.2e-2, 1.9e-3, 7.1e-4}},
  };
  double *k = malloc(sizeof *k * KEYS * 64), *q = malloc(sizeof *q * ROWS * 64);
  row *rows = malloc(sizeof *rows * ROWS);
  assert_true(k && q && rows);

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t seed = 5;
    int dim = cases[i].dim;
    double bound = gauss(&seed, KEYS, dim, 1, k);
    bound *= gauss(&seed, ROWS, dim, cases[i].deviation / sqrt(dim), q);
    for (int r = 0; r < ROWS; r++)
      rows[r] = sum_row(q + r * dim, k, dim);
    qsort(rows, ROWS, sizeof *rows, by_length);
    print_message("d %d, B %.2f\n", dim, bound);
    compare(bound, rows, cases[i].expected);
  }
  free(rows);
  free(q);
  free(k);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(holds),     cmocka_unit_test(optimal),      cmocka_unit_test(degenerate),
      cmocka_unit_test(arguments), cmocka_unit_test(same_again),   cmocka_unit_test(values),
      cmocka_unit_test(odd),       cmocka_unit_test(certificates),
  };
  return cmocka_run_group_tests_name("polynomial", tests, NULL, NULL);
}
