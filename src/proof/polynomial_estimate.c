/* polynomial_estimate.c - about what a fit will reach, in microseconds
 *
 * On |y| <= r Chebyshev's series of e^y, cut off at degree n - 1, is sum_{k >= n} 2 I_k(r) T_k(y /
 * r) off, with the modified Bessel functions; the best P inside is off by about the root of the sum
 * of their squares. So for any r and any even m, a constant of that size plus c y^m is about an
 * envelope, if c y^m is no less than the series from r up to the bound; the smallest mean is taken.
 * With r = B it is the best constant, with small r and m = n the first term that Taylor's series
 * leaves out. */
#include <math.h>

#include "src/proof/polynomial.h"

enum { STEPS = 24 };

/* 2 I_n(r): its series has positive terms only. */
static double coefficient(int n, double r)
{
  double term = 2, sum = 0, quarter = r * r / 4;
  for (int k = 1; k <= n; k++)
    term *= r / (2 * k);
  for (int k = 1; term > 1e-4 * sum; k++) {
    sum += term;
    term *= quarter / ((double)k * (n + k));
  }
  return sum;
}

typedef struct remainder_sums {
  double inside, end; /* the constant, and the series at y / r = x */
} remainder_sums;

static remainder_sums sum_series(int n, double r, double x)
{
  double squares = 0, end = 0, angle = acosh(x), term = HUGE_VAL;
  for (int k = n; term > 1e-2 * end; k++) {
    double c = coefficient(k, r);
    squares += c * c;
    term = c * cosh(k * angle);
    end += term;
  }
  return (remainder_sums){sqrt(squares), end};
}

/* The least c with c x^m >= the series up to x, where its first term may be ahead of x^m. */
static double growth(int n, int m, double x, const remainder_sums *sums)
{
  double at = m > n ? m / sqrt((double)m * m - (double)n * n) : x;
  double most = sums->end / pow(x, m);
  return at < x ? fmax(most, sums->inside * cosh(n * acosh(at)) / pow(at, m)) : most;
}

/* The m-th moment of u = y / bound, m even, with the little weight everywhere that fits heed, too.
 */
static double moment(const double *moments, int m, double power)
{
  const double spread = 1e-13;
  double arcsine = 1;
  for (int i = 0; i < m; i += 2)
    arcsine *= (i + 1.) / (i + 2.);
  return moments[m] / power + spread * moments[0] * arcsine;
}

double precis_polynomial_estimate(int degree, int envelope_degree, double bound,
                                  const double *moments)
{
  const int n = degree + 1;
  double best = HUGE_VAL;
  for (int i = 0; i <= STEPS; i++) {
    double x = pow(50, (double)i / STEPS), power = 1, up = 1;
    const remainder_sums sums = sum_series(n, bound / x, x);
    for (int m = 0; m <= (i > 0 ? envelope_degree : 0);
         m += 2, power *= bound * bound, up *= x * x) {
      double outside = i > 0 ? growth(n, m, x, &sums) * up * moment(moments, m, power) : 0;
      best = fmin(best, sums.inside * moments[0] + outside);
    }
  }
  return best + 1e-13 * moments[0];
}
