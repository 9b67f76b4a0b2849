/* polynomial.c - fits, proves and evaluates */
#include "src/polynomial.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "src/minimax_lp.h"
#include "src/precis.h"

#ifdef __FAST_MATH__
#error "the proof counts roundings: not with -ffast-math"
#endif

enum {
  SIZE = PRECIS_DEGREE_MAX + 1,
  FINEST = 1 << 24,  /* cells of the finest subdivision in a proof */
  COARSEST = 32,     /* of the first */
  WORK_MAX = 1 << 13 /* halvings, after which the rest is taken as it is */
};

static const double bound_min = 1e-20; /* its twelfth power is far from underflow */
/* Weight of the arcsine law on [-bound, bound] that is mixed into the moments. */
static const double spread = 1e-9;

static double horner(const double *c, int degree, double y)
{
  double sum = c[degree];
  for (int k = degree - 1; k >= 0; k--)
    sum = sum * y + c[k];
  return sum;
}

static double magnitude(const double *c, int degree, double y)
{
  double sum = fabs(c[degree]);
  for (int k = degree - 1; k >= 0; k--)
    sum = sum * fabs(y) + fabs(c[k]);
  return sum;
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

/* An upper bound of G(y) = sign (e^y - P(y)) - E(y) over |y - c| <= h, rounding included; *limit is
 * what a very small cell at c would give.
 *
 * With g_k the Taylor coefficients of G at c: g_0 .. g_2 make a parabola, whose maximum is known;
 * the others are taken by their size. P and E end at degree 12, and what e^y has beyond is at most
 * e^{c+h} h^13 / 13! (Lagrange).
 *
 * Rounding, with u = 2^-53: a term of g_k h^k that stems from P and E passes through 1 sum a + e,
 * 24 operations of the shift to c, 1 sum with e^y; one that stems from e^y through 4 (2 ulp granted
 * to exp), 12 divisions, 1 sum; both through 13 operations of the power and 22 to add up, 61 at
 * most. So the error is below 64 u, to first order, times sum_k (|a_k| + |e_k|) (|c| + h)^k +
 * e^{|c| + h}. 64 epsilon = 128 u leaves room for all that is not first order, and for the rounding
 * of this sum itself. */
static double cell_bound(const precis_polynomial *f, int sign, double c, double h, double *limit)
{
  double g[SIZE], size = 0, rest = 0, power = 1, exponential = exp(c), outer = exp(fabs(c) + h);

  for (int k = SIZE - 1; k >= 0; k--) {
    g[k] = -sign * f->a[k] - f->e[k];
    size = size * (fabs(c) + h) + fabs(f->a[k]) + fabs(f->e[k]);
  }
  for (int i = 0; i < SIZE - 1; i++)
    for (int k = SIZE - 2; k >= i; k--)
      g[k] += c * g[k + 1];
  for (int k = 0; k < SIZE; k++) {
    g[k] += sign * exponential;
    exponential /= k + 1;
    if (k > 2)
      rest += fabs(g[k]) * power;
    power *= h;
  }
  rest += outer * power / 6227020800.; /* 13! */

  double top = g[0] + fabs(g[1]) * h + g[2] * h * h;
  if (g[2] < 0 && fabs(g[1]) < -2 * g[2] * h)
    top = g[0] - g[1] * g[1] / (4 * g[2]);
  double rounding = 64 * DBL_EPSILON * (size + outer) + DBL_MIN;
  *limit = g[0] + rounding;
  return top + rest + rounding;
}

/* An upper bound of what E lacks: max(0, G) over [-bound, bound], sharp to .1% and tolerance. A
 * cell is halved until its bound is hardly worse than what some point lacks anyway. */
static double lacking(const precis_polynomial *f, int sign, double tolerance)
{
  double proved = 0, known = 0;
  int32_t at = 0, width = FINEST / COARSEST, work = 0;

  while (at < FINEST) {
    /* Exact but for the last multiplication, which the wider h makes good. */
    double c = f->bound * ((2. * at + width) / FINEST - 1), limit;
    double h = f->bound * ((double)width / FINEST + DBL_EPSILON);
    double bound = cell_bound(f, sign, c, h, &limit);
    if (!isfinite(bound))
      return HUGE_VAL;
    known = fmax(known, limit);
    if (bound > known * 1.001 + tolerance && width > 1 && work++ < WORK_MAX) {
      width /= 2;
      continue;
    }
    proved = fmax(proved, bound);
    at += width;
    while (width < FINEST / COARSEST && at % (2 * width) == 0)
      width *= 2;
  }
  return proved;
}

/* Rounds p and e, in u = y / bound, to the coefficients of f, and raises e[0] to make E an envelope
 * of them. Returns the cost by the moments of the fit, which unlike the caller's are sure to make
 * sense. */
static double finish(precis_polynomial *f, const precis_minimax *fit, const double *moments)
{
  long double power = 1;
  double cost = 0;

  for (int k = 0; k < SIZE; k++, power *= f->bound) {
    f->a[k] = (double)(fit->p[k] / power);
    f->e[k] = (double)(fit->e[k] / power);
    cost += (double)fit->e[k] * fit->moment[k];
  }
  double tolerance = 1e-7 * fabs(cost) + DBL_EPSILON;
  double missing = fmax(lacking(f, -1, tolerance), lacking(f, 1, tolerance));
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
static void scale_moments(precis_minimax *fit, const double *moments)
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

/* The linear program; where the moments belong to no distribution it has no optimum, and fewer are
 * heeded. */
static int optimise(precis_minimax *fit)
{
  int status = precis_minimax_solve(fit);

  while (status == PRECIS_ERR_INTERNAL && fit->envelope_degree > 0) {
    fit->envelope_degree = (fit->envelope_degree - 1) / 2 * 2;
    status = precis_minimax_solve(fit);
  }
  return status;
}

int precis_polynomial_fit(int degree, int envelope_degree, double bound, const double *moments,
                          precis_polynomial *result)
{
  if (!result || !valid(degree, envelope_degree, bound, moments))
    return PRECIS_ERR_ARGUMENT;
  if (envelope_degree % 2 == 1 && envelope_degree > degree)
    envelope_degree--;
  bound = fmax(bound, bound_min);

  precis_minimax fit = {.degree = degree, .envelope_degree = envelope_degree, .bound = bound};
  precis_polynomial plain = {.degree = degree, .envelope_degree = envelope_degree, .bound = bound};
  precis_polynomial best = plain;
  double remainder = 1;

  for (int k = 0; k <= degree; k++)
    remainder *= bound / (k + 1);
  for (int m = 0; m <= envelope_degree; m++)
    fit.used[m] = m % 2 == 0 || m <= degree;
  scale_moments(&fit, moments);
  interpolate(&fit, remainder);
  double plain_cost = finish(&plain, &fit, moments);
  int status = PRECIS_ERR_INTERNAL;
  /* Below the rounding of a proof there is nothing to gain. */
  if (ldexp(remainder, -degree) > 16 * DBL_EPSILON)
    status = optimise(&fit);
  if (status == PRECIS_ERR_MEMORY)
    return status;
  if (status != PRECIS_SUCCESS || !(finish(&best, &fit, moments) <= plain_cost))
    best = plain;
  if (!isfinite(best.e[0]))
    return PRECIS_ERR_INTERNAL;
  *result = best;
  return PRECIS_SUCCESS;
}
