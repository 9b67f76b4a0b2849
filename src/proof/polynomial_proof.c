/* polynomial_proof.c - bounds by cells
 *
 * G(y) = sign (e^y - P(y)) - E(y) is bounded over a cell by its Taylor coefficients at the centre.
 * A cell is halved until its bound is hardly worse than what some point lacks anyway. Everything is
 * in u = y / 2^s, |u| <= 1, for the smallest such s: no coefficient is rounded by that, and no
 * power over- or underflows. */
#include "src/proof/polynomial_proof.h"

#include <float.h>
#include <math.h>
#include <stdint.h>

#ifdef __FAST_MATH__
#error "the proof counts roundings: not with -ffast-math"
#endif

enum {
  SIZE = PRECIS_DEGREE_MAX + 1,
  LEAST = 13,        /* Taylor coefficients of e^y in use, whatever the degrees */
  FINEST = 1 << 24,  /* cells of the finest subdivision */
  COARSEST = 32,     /* of the first */
  WORK_MAX = 1 << 13 /* halvings, after which the rest is taken as it is */
};

/* Of a bound, in DBL_EPSILON times the sum of magnitudes: see cell_bound(). */
static const double roundings = 128;

typedef struct proof {
  int size;            /* Taylor coefficients */
  double scale, bound; /* 2^s, and the bound in u */
  double g[SIZE];      /* -sign P - E */
  double magnitude[SIZE];
} proof;

static proof prepare(const precis_polynomial *f, int sign)
{
  int shift, most = f->degree > f->envelope_degree ? f->degree : f->envelope_degree;
  proof p = {.size = most + 1 > LEAST ? most + 1 : LEAST, .bound = frexp(f->bound, &shift)};
  p.scale = ldexp(1, shift);
  for (int k = 0; k < p.size; k++) {
    double a = ldexp(f->a[k], k * shift), e = ldexp(f->e[k], k * shift);
    p.g[k] = -sign * a - e;
    p.magnitude[k] = fabs(a) + fabs(e);
  }
  return p;
}

/* Taylor coefficients of -sign P - E at c. */
static void expand(const proof *p, double c, double *g)
{
  for (int k = 0; k < p->size; k++)
    g[k] = p->g[k];
  for (int i = 0; i < p->size - 1; i++)
    for (int k = p->size - 2; k >= i; k--)
      g[k] += c * g[k + 1];
}

/* The most that g_0 + g_1 x + g_2 x^2 reaches for |x| <= h. */
static double parabola(const double *g, double h)
{
  if (g[2] < 0 && fabs(g[1]) < -2 * g[2] * h)
    return g[0] - g[1] * g[1] / (4 * g[2]);
  return g[0] + fabs(g[1]) * h + g[2] * h * h;
}

/* An upper bound of G over |u - c| <= h, rounding included; *limit is what a very small cell at c
 * would give.
 *
 * With g_k the Taylor coefficients of G at c: g_0 .. g_2 make a parabola, whose maximum is known;
 * the others are taken by their size. What e^y has beyond the n powers in use is at most e^{y} (2^s
 * h)^n / n! at the upper end of the cell (Lagrange).
 *
 * Rounding, with u = 2^-53: a term of g_k h^k that stems from P and E passes through 1 sum a + e,
 * 48 operations of the shift to c, 1 sum with e^y; one that stems from e^y through 4 (2 ulp granted
 * to exp), 24 divisions, 1 sum; both through 25 operations of the power, at most 28 to add up and
 * of the parabola: 103 at most. So the error is below 128 u, to first order, times sum_k (|a_k| +
 * |e_k|) (|c| + h)^k + e^{|c| + h}. 128 epsilon = 256 u leaves room for all that is not first
 * order, and for the rounding of this sum itself. What is lost below DBL_MIN adds up to less. */
static double cell_bound(const proof *p, int sign, double c, double h, double *limit)
{
  double g[SIZE], size = 0, rest = 0, power = 1, last = 1;
  double exponential = exp(p->scale * c), outer = exp(p->scale * (fabs(c) + h));

  for (int k = p->size - 1; k >= 0; k--)
    size = size * (fabs(c) + h) + p->magnitude[k];
  expand(p, c, g);
  for (int k = 0; k < p->size; k++) {
    g[k] += sign * exponential;
    exponential *= p->scale / (k + 1);
    last *= p->scale * h / (k + 1);
    if (k > 2)
      rest += fabs(g[k]) * power;
    power *= h;
  }
  rest += outer * last;
  double rounding = roundings * DBL_EPSILON * (size + outer) + DBL_MIN;
  *limit = g[0] + rounding;
  return parabola(g, h) + rest + rounding;
}

static double lacking(const precis_polynomial *f, int sign, double tolerance)
{
  const proof p = prepare(f, sign);
  double proved = 0, known = 0;
  int32_t at = 0, width = FINEST / COARSEST, work = 0;

  while (at < FINEST) {
    /* Exact but for the last multiplication, which the wider h makes good. */
    double c = p.bound * ((2. * at + width) / FINEST - 1), limit;
    double h = p.bound * ((double)width / FINEST + DBL_EPSILON);
    double bound = cell_bound(&p, sign, c, h, &limit);
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

double precis_polynomial_lacking(const precis_polynomial *f, double tolerance)
{
  return fmax(lacking(f, -1, tolerance), lacking(f, 1, tolerance));
}

/* An odd power is below the mean of its neighbours, each with half the share that makes both equal
 * where terms go like those of e^y; the last one has none above. */
static void cover(int m, double magnitude, double bound, int top, double *more)
{
  if (m > top)
    more[top] += magnitude * pow(bound, m - top);
  else if (m % 2 == 0)
    more[m] += magnitude;
  else if (m + 1 > top)
    more[m - 1] += magnitude * bound;
  else {
    double ratio = sqrt(m * (m + 1.));
    more[m - 1] += magnitude * ratio / 2;
    more[m + 1] += magnitude / ratio / 2;
  }
}

void precis_polynomial_allow_rounding(precis_polynomial *f)
{
  const double enough = 1.25;
  double more[SIZE] = {0}, term = 1, beyond = exp(f->bound);
  int top = f->envelope_degree / 2 * 2;

  for (int m = 0; m < SIZE; m++) {
    cover(m, fabs(f->a[m]) + fabs(f->e[m]) + term, f->bound, top, more);
    beyond -= term * pow(f->bound, m);
    term /= m + 1;
  }
  /* What e^y has beyond grows faster than the highest power. */
  more[top] += fmax(beyond, 0) / pow(f->bound, top);
  for (int m = 0; m <= top; m += 2)
    f->e[m] += enough * roundings * DBL_EPSILON * more[m];
}
