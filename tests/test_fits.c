/* Polynomials of high degrees and their envelopes: that they hold, how tight they are, what prices
 * of rounding do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <time.h>

#include "src/proof/polynomial.h"
#include "src/proof/polynomial_proof.h"
#include "src/precis.h"
#include "tests/uniform.h"

enum { SIZE = PRECIS_DEGREE_MAX + 1, POINTS = 1000 };

static const double pi = 3.14159265358979323846;

/* Moments of a law on [-bound, bound], about as a row's are: relative to the mean of e^y. width is
 * that of a bell, beyond 1 it is nearly flat; lean moves it; ends adds weight there. */
static void make_moments(double bound, double width, double lean, double ends, double *moments)
{
  enum { STEPS = 2000 };
  double normaliser = 0;
  for (int m = 0; m < SIZE; m++)
    moments[m] = 0;
  for (int i = 0; i < STEPS; i++) {
    double u = cos(pi * (i + .5) / STEPS), y = bound * u, power = 1;
    double w = exp(-.5 * pow((u - lean) / width, 2)) * sqrt(1 - u * u) + ends * (i < 3);
    normaliser += w * exp(y);
    for (int m = 0; m < SIZE; m++, power *= y)
      moments[m] += w * power;
  }
  for (int m = 0; m < SIZE; m++)
    moments[m] /= normaliser;
}

/* Of the arcsine law, with mean 1 in place of that of e^y. */
static void arcsine_moments(double bound, double *moments)
{
  double power = 1;
  for (int m = 0; m < SIZE; m += 2) {
    moments[m] = power;
    power *= bound * bound * (m + 1) / (m + 2.);
    if (m + 1 < SIZE)
      moments[m + 1] = 0;
  }
}

/* |P - e^y| - E in long double, for the coefficients as they are. */
static long double excess_at(const precis_polynomial *f, double y)
{
  long double p = 0, e = 0;
  for (int k = SIZE - 1; k >= 0; k--) {
    p = p * y + f->a[k];
    e = e * y + f->e[k];
  }
  return fabsl(p - expl(y)) - e;
}

static double at_angle(const precis_polynomial *f, double angle)
{
  return fmax(-f->bound, fmin(f->bound, f->bound * cos(angle)));
}

/* The maximum between two angles, by golden sections. */
static long double peak(const precis_polynomial *f, double low, double high)
{
  const double part = .61803398874989485;
  for (int i = 0; i < 40; i++) {
    double left = high - part * (high - low), right = low + part * (high - low);
    if (excess_at(f, at_angle(f, left)) > excess_at(f, at_angle(f, right)))
      high = right;
    else
      low = left;
  }
  return excess_at(f, at_angle(f, (low + high) / 2));
}

/* The largest over Chebyshev's points, the ends, random points, and about every local maximum. */
static long double excess(const precis_polynomial *f, uint64_t *state)
{
  long double worst = fmaxl(excess_at(f, f->bound), excess_at(f, -f->bound));
  long double before = -HUGE_VALL, here = excess_at(f, f->bound);
  for (int i = 0; i < POINTS; i++) {
    long double next = excess_at(f, at_angle(f, pi * (i + 1) / POINTS));
    if (here >= before && here >= next)
      worst = fmaxl(worst, peak(f, pi * (i > 0 ? i - 1 : 0) / POINTS, pi * (i + 1) / POINTS));
    worst = fmaxl(worst, next);
    before = here;
    here = next;
  }
  for (int i = 0; i < POINTS; i++) {
    double u = 2 * uniform(state) - 1;
    worst = fmaxl(worst, excess_at(f, f->bound * (i % 2 ? u : u * u * u)));
  }
  return worst;
}

static void hold_everywhere(void **state)
{
  (void)state;
  uint64_t random = 7;
  for (int i = 0; i < 250; i++) {
    double bound = i % 8 == 0 ? 24 : .1 * pow(240, uniform(&random));
    int degree = 1 + (int)(24 * uniform(&random));
    int envelope = degree + (int)((25 - degree) * uniform(&random)) * (i % 3 > 0);
    double moments[SIZE], sizes[SIZE];
    make_moments(bound, .05 * pow(60, uniform(&random)), uniform(&random) - .5, i % 5 == 0,
                 moments);
    for (int m = 0; m < SIZE; m++)
      sizes[m] = moments[0] * pow(bound * uniform(&random), m);
    const precis_polynomial_prices prices = {sizes, 1e-5 * uniform(&random), i % 2 ? 1e-6 : 0};
    precis_polynomial f;
    assert_int_equal(
        precis_polynomial_fit_priced(degree, envelope, bound, moments, i % 4 ? NULL : &prices, &f),
        PRECIS_SUCCESS);
    assert_true(f.degree == degree && f.bound == bound);
    long double over = excess(&f, &random);
    if (over > 0)
      print_message("B %g, P%d E%d: %Lg over\n", bound, degree, envelope, over);
    assert_true(over <= 0);
  }
}

/* What is said of an envelope that is none is at least what it lacks, and hardly more. */
static void lacking(void **state)
{
  (void)state;
  uint64_t random = 11;
  for (int i = 0; i < 60; i++) {
    double bound = .1 * pow(240, uniform(&random)), moments[SIZE];
    int degree = 1 + (int)(24 * uniform(&random));
    make_moments(bound, .1 * pow(30, uniform(&random)), 0, 0, moments);
    precis_polynomial f, broken;
    assert_int_equal(precis_polynomial_fit(degree, degree, bound, moments, &f), PRECIS_SUCCESS);
    /* Rounding of a proof near the bound; and of this test. */
    double floor = 1e-13 * (precis_polynomial_magnitude(&f, bound) +
                            precis_polynomial_envelope_magnitude(&f, bound) + exp(bound));
    assert_true(precis_polynomial_lacking(&f, 0) <= 1e-3 * f.e[0] + floor);
    for (int k = 0; k <= degree; k++) {
      broken = f;
      if (k % 2)
        broken.a[k] *= 1 + 1e-3 * uniform(&random);
      else
        broken.e[k] -= fabs(broken.e[k]) * uniform(&random);
      double over = (double)excess(&broken, &random),
             said = precis_polynomial_lacking(&broken, 1e-3 * fmax(over, 0));
      assert_true(said >= over);
      assert_true(said <= 1.01 * fmax(over, 0) + floor);
    }
  }
  precis_polynomial nan = {.degree = 1, .envelope_degree = 2, .bound = 1, .a = {NAN, 1}};
  assert_true(precis_polynomial_lacking(&nan, 1e-3) == HUGE_VAL);
}

/* Where e^y and P cannot be told apart in double, E is what rounding makes of it and no more, at
 * the middle as at the ends. */
static void rounding_alone(void **state)
{
  (void)state;
  uint64_t random = 3;
  for (double bound = .1; bound < 7; bound *= 1.3) {
    double moments[SIZE];
    make_moments(bound, 1, 0, 0, moments);
    precis_polynomial f;
    int degree = bound < 2 ? 16 : 24;
    assert_int_equal(precis_polynomial_fit(degree, degree, bound, moments, &f), PRECIS_SUCCESS);
    assert_true(excess(&f, &random) <= 0);
    assert_true(precis_polynomial_envelope(&f, 0) < (bound < 5 ? 3e-13 : 1e-10));
    assert_true(precis_polynomial_envelope(&f, bound) < 1e-12 * exp(bound) + 1e-10 * (bound > 5));
  }
}

/* Bounds of what a P of degree n - 1 can reach, from Chebyshev's series of e^y, whose coefficients
 * are 2 I_k(B): none is uniformly closer than sqrt(sum_{k >= n} (2 I_k)^2 / 2), by the mean square
 * over the arcsine law; none has a smaller mean of |P - e^y| over that law than (2 / pi) 2 I_n,
 * since the sign of T_n is orthogonal to all that it might use, and its first harmonic is 4 / pi;
 * and the series cut off is within sum_{k >= n} 2 I_k. */
typedef struct reach {
  double uniform, mean, series;
} reach;

static reach reach_of(int n, double bound)
{
  reach r = {0, 0, 0};
  for (int k = n; k < n + 60; k++) {
    double term = 2, sum = 0;
    for (int i = 1; i <= k; i++)
      term *= bound / (2 * i);
    for (int i = 1; i < 100; i++) {
      sum += term;
      term *= bound * bound / 4 / ((double)i * (k + i));
    }
    r.mean = k == n ? 2 / pi * sum : r.mean;
    r.uniform += sum * sum / 2;
    r.series += sum;
  }
  r.uniform = sqrt(r.uniform);
  return r;
}

static void tight(void **state)
{
  (void)state;
  static const struct {
    double bound;
    int degree;
  } cases[] = {{1, 4},   {4, 8},   {8, 8},   {8, 12},  {10, 12}, {10, 16},
               {18, 16}, {18, 20}, {20, 20}, {20, 24}, {24, 20}, {24, 24}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double moments[SIZE], bound = cases[i].bound;
    int degree = cases[i].degree;
    reach r = reach_of(degree + 1, bound);
    precis_polynomial constant, f;
    arcsine_moments(bound, moments);
    assert_int_equal(precis_polynomial_fit(degree, 0, bound, moments, &constant), PRECIS_SUCCESS);
    assert_int_equal(precis_polynomial_fit(degree, degree, bound, moments, &f), PRECIS_SUCCESS);
    print_message(
        "B %2g, degree %2d: constant E %.3e, between %.3e and %.3e; mean E %.3e, at least "
        "%.3e\n",
        bound, degree, constant.objective, r.uniform, r.series, f.objective, r.mean);
    assert_true(constant.objective >= r.uniform * (1 - 1e-6));
    assert_true(constant.objective <= r.series * 1.001);
    assert_true(f.objective >= r.mean * (1 - 1e-6));
    assert_true(f.objective <= constant.objective * 1.001);
    assert_true(f.objective <= 2 * r.mean);
  }
}

static double total(const precis_polynomial *f, double bound, double unit, double price)
{
  return f->objective + price * unit *
                            (precis_polynomial_magnitude(f, bound) +
                             precis_polynomial_envelope_magnitude(f, bound));
}

/* Scores spread evenly over [-18, 18], as on a sphere: terms of the best P add up to many times
 * e^B, and heeding that is worth a lot. */
static void prices(void **state)
{
  (void)state;
  for (double bound = 6; bound <= 24; bound += 6)
    for (double price = 1e-13; price < 1e-3; price *= 100) {
      double moments[SIZE], sizes[SIZE];
      make_moments(bound, 3, 0, 0, moments);
      for (int m = 0; m < SIZE; m++)
        sizes[m] = moments[0] * pow(bound, m);
      const precis_polynomial_prices heeded = {sizes, price, price};
      precis_polynomial f, g;
      assert_int_equal(precis_polynomial_fit(20, 20, bound, moments, &f), PRECIS_SUCCESS);
      assert_int_equal(precis_polynomial_fit_priced(20, 20, bound, moments, &heeded, &g),
                       PRECIS_SUCCESS);
      double without = total(&f, bound, moments[0], price),
             with = total(&g, bound, moments[0], price);
      assert_true(f.objective <= g.objective * 1.001 + 1e-12 * moments[0] * exp(bound));
      assert_true(with <= without * 1.001);
      if (bound == 18 && price > 1e-6)
        assert_true(with < without / 5);
    }
  double moments[SIZE] = {1, 0, .1}, sizes[SIZE] = {1, 1, 1, 1};
  precis_polynomial f;
  const precis_polynomial_prices bad[] = {
      {NULL, 0, 0}, {sizes, -1, 0}, {sizes, 0, NAN}, {moments, INFINITY, 0}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(precis_polynomial_fit_priced(2, 2, 1, moments, &bad[i], &f),
                     PRECIS_ERR_ARGUMENT);
  sizes[2] = -1;
  const precis_polynomial_prices negative = {sizes, 1e-5, 0};
  assert_int_equal(precis_polynomial_fit_priced(2, 2, 1, moments, &negative, &f),
                   PRECIS_ERR_ARGUMENT);
}

/* Without fitting it is known about what a fit will reach. */
static void estimates(void **state)
{
  (void)state;
  uint64_t random = 5;
  double least = HUGE_VAL, most = 0;
  for (int i = 0; i < 150; i++) {
    double bound = .5 * pow(48, uniform(&random)), width = .1 * pow(30, uniform(&random));
    int degree = 1 + (int)(20 * uniform(&random)), envelope = degree + i % 3 * 2;
    double moments[SIZE];
    make_moments(bound, width, 0, 0, moments);
    precis_polynomial f;
    assert_int_equal(precis_polynomial_fit(degree, envelope, bound, moments, &f), PRECIS_SUCCESS);
    if (f.objective < 1e-11 * moments[0] * exp(bound))
      continue;
    double ratio = precis_polynomial_estimate(degree, envelope, bound, moments) / f.objective;
    least = fmin(least, ratio);
    most = fmax(most, ratio);
  }
  print_message("estimates are %.2g to %.3g times what fits reach\n", least, most);
  assert_true(least > .6 && most < 40);
}

static void take_time(void **state)
{
  (void)state;
  for (int degree = 8; degree <= 24; degree += 4) {
    double least = HUGE_VAL, moments[SIZE];
    for (int i = 0; i < 5; i++) {
      precis_polynomial f;
      make_moments(degree, i % 2 ? 3 : .2, 0, 0, moments);
      clock_t start = clock();
      assert_int_equal(precis_polynomial_fit(degree, degree, degree, moments, &f), PRECIS_SUCCESS);
      least = fmin(least, (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    print_message("degree %d: %.1f ms\n", degree, 1e3 * least);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hold_everywhere), cmocka_unit_test(lacking),
      cmocka_unit_test(rounding_alone),  cmocka_unit_test(tight),
      cmocka_unit_test(prices),          cmocka_unit_test(estimates),
      cmocka_unit_test(take_time),
  };
  return cmocka_run_group_tests_name("fits", tests, NULL, NULL);
}
