/* polynomial.c - fits, proves and evaluates */
#include "src/proof/polynomial.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "src/proof/polynomial_lp.h"
#include "src/proof/polynomial_proof.h"
#include "src/precis.h"

enum { SIZE = PRECIS_DEGREE_MAX + 1 };

static const double bound_min = 1e-12; /* its 24th power is far from underflow */
/* Weight of the arcsine law on [-bound, bound] that is mixed into the moments: the first, or, where
 * there is no optimum with it, the next. */
static const double spreads[] = {1e-13, 1e-9, 1e-6, 1e-4};

static double horner(const double *c, int degree, double y)
{
  double sum = c[degree];
  for (int k = degree - 1; k >= 0; k--)
    sum = sum * y + c[k];
  return sum;
}

/* Rounded up: each term passes 49 roundings at most. */
static double magnitude(const double *c, int degree, double y)
{
  double sum = fabs(c[degree]);
  for (int k = degree - 1; k >= 0; k--)
    sum = sum * fabs(y) + fabs(c[k]);
  return sum * (1 + 64 * DBL_EPSILON);
}

double precis_polynomial_value(const precis_polynomial *f, double y)
{
  return horner(f->a, f->degree, y);
}

double precis_polynomial_envelope(const precis_polynomial *f, double y)
{
  return horner(f->e, f->envelope_degree, y);
}

double precis_polynomial_magnitude(const precis_polynomial *f, double y)
{
  return magnitude(f->a, f->degree, y);
}

double precis_polynomial_envelope_magnitude(const precis_polynomial *f, double y)
{
  return magnitude(f->e, f->envelope_degree, y);
}

/* Rounds p and e, in u = y / bound, to the coefficients of f, and widens E to make it an envelope
 * of them. Returns the cost by the moments of the fit, which unlike the caller's are sure to make
 * sense. */
static double finish(precis_polynomial *f, const precis_minimax *fit, const double *moments)
{
  long double power = 1;
  double cost = 0;

  for (int k = 0; k < SIZE; k++, power *= f->bound) {
    f->a[k] = (double)(fit->p[k] / power);
    f->e[k] = (double)(fit->e[k] / power);
  }
  precis_polynomial_allow_rounding(f);
  power = 1;
  for (int k = 0; k < SIZE; k++, power *= f->bound) {
    double e = (double)(f->e[k] * power);
    cost +=
        e * fit->moment[k] + fabs(e) * fit->e_price[k] + fabs((double)fit->p[k]) * fit->p_price[k];
  }
  double missing = precis_polynomial_lacking(f, 1e-7 * fabs(cost) + DBL_EPSILON);
  f->e[0] = nextafter(f->e[0] + missing, HUGE_VAL);
  f->objective = 0;
  for (int m = 0; m <= f->envelope_degree; m++)
    f->objective += f->e[m] * moments[m];
  return cost + missing;
}

/* The polynomial through e^{bound u} at Chebyshev's points, near enough to the best uniform
 * approximation; where double cannot tell Taylor's from it, Taylor's: its coefficients are free of
 * noise, which y^12 would need to be huge. */
static void interpolate(precis_minimax *fit, double remainder)
{
  const int n = fit->degree + 1;
  long double before[SIZE] = {0}, here[SIZE] = {1}; /* T_{k-1} and T_k */

  memset(fit->p, 0, sizeof fit->p);
  if (remainder < DBL_EPSILON) {
    long double term = 1;
    for (int k = 0; k < n; term *= fit->bound / ++k)
      fit->p[k] = term;
    return;
  }
  for (int k = 0; k < n; k++) {
    long double sum = 0, next[SIZE];
    for (int j = 0; j < n; j++) {
      long double angle = 3.14159265358979323846264338327950288L * (2 * j + 1) / (2 * n);
      sum += expl(fit->bound * cosl(angle)) * cosl(k * angle);
    }
    for (int i = 0; i < n; i++) {
      fit->p[i] += (k ? 2 : 1) * sum / n * here[i];
      next[i] = (k ? 2 : 1) * (i ? here[i - 1] : 0) - before[i];
    }
    memcpy(before, here, sizeof before);
    memcpy(here, next, (size_t)n * sizeof *next);
  }
}

/* Moments of u = y / bound, each brought into the range that |u| <= 1 and its neighbours allow. */
static void scale_moments(precis_minimax *fit, const double *moments, double spread)
{
  double power = 1, arcsine = 1; /* the m-th moment of 1 / (pi sqrt(1 - u^2)) */

  for (int m = 0; m <= fit->envelope_degree; m += 2) {
    double moment = fmin(moments[m] / moments[0] / power, 1);
    fit->moment[m] = m ? (1 - spread) * moment + spread * arcsine : 1;
    power *= fit->bound * fit->bound;
    arcsine *= (m + 1.) / (m + 2.);
  }
  power = fit->bound;
  for (int m = 1; m <= fit->envelope_degree; m += 2) {
    double most = fit->moment[m - 1];
    double moment = (1 - spread) * moments[m] / moments[0] / power;
    if (m < fit->envelope_degree)
      most = sqrt(most * fit->moment[m + 1]);
    fit->moment[m] = fit->used[m] ? fmax(-most, fmin(moment, most)) : 0;
    power *= fit->bound * fit->bound;
  }
}

/* No size is larger than where |y| = bound. */
static void scale_prices(precis_minimax *fit, double unit, const precis_polynomial_prices *prices)
{
  double power = 1;
  for (int m = 0; m < SIZE; m++, power *= fit->bound) {
    if (m <= fit->degree)
      fit->p_price[m] = prices->value * fmin(prices->sizes[m] / unit / power, 1);
    if (m <= fit->envelope_degree)
      fit->e_price[m] = prices->envelope * fmin(prices->sizes[m] / unit / power, 1);
  }
}

static bool prices_valid(int most, const precis_polynomial_prices *prices)
{
  bool good = prices->sizes != NULL && prices->value >= 0 && isfinite(prices->value) &&
              prices->envelope >= 0 && isfinite(prices->envelope);
  for (int m = 0; good && m <= most; m++)
    good = prices->sizes[m] >= 0 && isfinite(prices->sizes[m]);
  return good;
}

static bool valid(int degree, int envelope_degree, double bound, const double *moments)
{
  if (degree < 0 || degree > PRECIS_DEGREE_MAX || envelope_degree < 0 ||
      envelope_degree > PRECIS_DEGREE_MAX || !(bound > 0 && bound <= PRECIS_BOUND_MOST) || !moments)
    return false;
  for (int m = 0; m <= envelope_degree; m++)
    if (!isfinite(moments[m]) || (m % 2 == 0 && moments[m] < 0))
      return false;
  return moments[0] > 0;
}

/* The linear program; where the moments belong to no distribution it may have no optimum, and they
 * are heeded less, or fewer of them. */
static int optimise(precis_minimax *fit, const double *moments)
{
  int status = precis_minimax_solve(fit);

  for (size_t i = 1; i < sizeof spreads / sizeof *spreads && status == PRECIS_ERR_INTERNAL; i++) {
    scale_moments(fit, moments, spreads[i]);
    status = precis_minimax_solve(fit);
  }
  while (status == PRECIS_ERR_INTERNAL && fit->envelope_degree > 0) {
    fit->envelope_degree = (fit->envelope_degree - 1) / 2 * 2;
    status = precis_minimax_solve(fit);
  }
  return status;
}

/* The better of interpolation and of what the linear program finds. */
static int fit_best(precis_minimax *fit, const double *moments, precis_polynomial *best)
{
  precis_polynomial plain = {
      .degree = fit->degree, .envelope_degree = fit->envelope_degree, .bound = fit->bound};
  double remainder = 1;
  int status = PRECIS_ERR_INTERNAL;

  *best = plain;
  for (int k = 0; k <= fit->degree; k++)
    remainder *= fit->bound / (k + 1);
  interpolate(fit, remainder);
  double plain_cost = finish(&plain, fit, moments);
  /* Below the rounding of a proof there is nothing to gain. */
  if (ldexp(remainder, -fit->degree) > 128 * DBL_EPSILON)
    status = optimise(fit, moments);
  if (status != PRECIS_ERR_MEMORY &&
      (status != PRECIS_SUCCESS || !(finish(best, fit, moments) <= plain_cost)))
    *best = plain;
  return status == PRECIS_ERR_MEMORY ? status : PRECIS_SUCCESS;
}

int precis_polynomial_fit(int degree, int envelope_degree, double bound, const double *moments,
                          precis_polynomial *result)
{
  return precis_polynomial_fit_priced(degree, envelope_degree, bound, moments, NULL, result);
}

int precis_polynomial_fit_priced(int degree, int envelope_degree, double bound,
                                 const double *moments, const precis_polynomial_prices *prices,
                                 precis_polynomial *result)
{
  if (!result || !valid(degree, envelope_degree, bound, moments) ||
      (prices && !prices_valid(degree > envelope_degree ? degree : envelope_degree, prices)))
    return PRECIS_ERR_ARGUMENT;
  if (envelope_degree % 2 == 1 && envelope_degree > degree)
    envelope_degree--;
  bound = fmax(bound, bound_min);

  precis_minimax fit = {.degree = degree, .envelope_degree = envelope_degree, .bound = bound};
  precis_polynomial best;
  for (int m = 0; m <= envelope_degree; m++)
    fit.used[m] = m % 2 == 0 || m <= degree;
  scale_moments(&fit, moments, spreads[0]);
  if (prices != NULL)
    scale_prices(&fit, moments[0], prices);
  int status = fit_best(&fit, moments, &best);
  if (status == PRECIS_SUCCESS && !isfinite(best.e[0]))
    status = PRECIS_ERR_INTERNAL;
  if (status == PRECIS_SUCCESS)
    *result = best;
  return status;
}
