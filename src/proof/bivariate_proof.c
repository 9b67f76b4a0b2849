/* bivariate_proof.c - what an envelope in two variables lacks, by cells
 *
 * G = sign (e^(y1 + y2) - A) - E is bounded over a cell |y1 - c1| <= h1, |y2 - c2| <= h2 by its
 * Taylor coefficients at the centre: the parabolas in each variable have a known maximum, all other
 * terms are taken by their size. A cell is halved, across the variable that matters more, until its
 * bound is hardly worse than what some point lacks anyway. */
#include <float.h>
#include <math.h>

#include "src/proof/bivariate.h"

#ifdef __FAST_MATH__
#error "the proof counts roundings: not with -ffast-math"
#endif

enum {
  SIZE = PRECIS_BIVARIATE_DEGREE_MAX + 1,
  LEAST = 4,          /* Taylor coefficients of e^y in use, whatever the blocks */
  DEPTH = 48,         /* halvings of a cell, either way */
  PATIENCE = 1 << 12, /* cells, after which the tolerance doubles */
  STACK = DEPTH + 2
};

typedef struct cell {
  double c1, h1, c2, h2;
  int depth;
} cell;

typedef struct proof {
  const precis_bivariate *f;
  int sign, n1, n2;               /* powers 0 .. n - 1 */
  double coefficient[SIZE][SIZE]; /* -sign A - E */
  double magnitude[SIZE][SIZE];   /* |A| + |E| */
} proof;

static proof prepare(const precis_bivariate *f, int sign)
{
  proof p = {.f = f, .sign = sign, .n1 = LEAST, .n2 = LEAST};
  for (int b = 0; b < f->set.blocks; b++) {
    int i = f->set.block[b].lead, j = f->set.block[b].trail;
    p.n1 = i + 1 > p.n1 ? i + 1 : p.n1;
    p.n2 = j + 1 > p.n2 ? j + 1 : p.n2;
    p.coefficient[i][j] = -sign * f->a[b] - f->e[b];
    p.magnitude[i][j] = fabs(f->a[b]) + fabs(f->e[b]);
  }
  return p;
}

/* The polynomial's Taylor coefficients at (c1, c2). */
static void shift(const proof *p, double c1, double c2, double g[SIZE][SIZE])
{
  for (int i = 0; i < p->n1; i++)
    for (int j = 0; j < p->n2; j++)
      g[i][j] = p->coefficient[i][j];
  for (int i = 0; i < p->n1 - 1; i++)
    for (int k = p->n1 - 2; k >= i; k--)
      for (int j = 0; j < p->n2; j++)
        g[k][j] += c1 * g[k + 1][j];
  for (int j = 0; j < p->n2 - 1; j++)
    for (int k = p->n2 - 2; k >= j; k--)
      for (int i = 0; i < p->n1; i++)
        g[i][k] += c2 * g[i][k + 1];
}

static double magnitude(const proof *p, double r1, double r2)
{
  double sum = 0;
  for (int i = p->n1 - 1; i >= 0; i--) {
    double row = 0;
    for (int j = p->n2 - 1; j >= 0; j--)
      row = row * r2 + p->magnitude[i][j];
    sum = sum * r1 + row;
  }
  return sum;
}

/* The most that b x + c x^2 reaches for |x| <= h. */
static double parabola(double b, double c, double h)
{
  if (c < 0 && fabs(b) < -2 * c * h)
    return b * b / (-4 * c);
  return fabs(b) * h + c * h * h;
}

/* h^n / n! */
static double remainder_of(double h, int n)
{
  double term = 1;
  for (int i = 1; i <= n; i++)
    term *= h / i;
  return term;
}

/* An upper bound of G over the cell, rounding included; *limit is what a very small cell at its
 * centre would give; across[] tells how much each variable adds.
 *
 * Beyond the powers in use e^(y1 + y2) has at most e^(c1 + h1 + c2 + h2) (h1^n1 / n1! + h2^n2 /
 * n2!) (Lagrange, in one variable after the other).
 *
 * Rounding, with u = 2^-53: a term passes through 1 sum a + e, at most 24 operations of each shift,
 * the exponential's (4, 2 ulp granted to exp; 24 divisions; 1 sum) and the powers' 26, and at most
 * 171 additions: below 256 u to first order, times the sum of magnitudes. 256 epsilon = 512 u
 * leaves room for all that is not first order, and for the rounding of this sum itself. */
static double cell_bound(const proof *p, const cell *x, double *limit, double across[2])
{
  double g[SIZE][SIZE], outer = exp(fabs(x->c1) + x->h1 + fabs(x->c2) + x->h2);
  double term1 = p->sign * exp(x->c1 + x->c2), rest = 0, power1 = 1;
  shift(p, x->c1, x->c2, g);
  across[0] = across[1] = 0;
  for (int i = 0; i < p->n1; i++) {
    double term = term1, power = power1;
    for (int j = 0; j < p->n2; j++) {
      g[i][j] += term;
      double part = fabs(g[i][j]) * power;
      across[0] += i * part;
      across[1] += j * part;
      if (i + j > 2 || (i == 1 && j == 1))
        rest += part;
      term /= j + 1;
      power *= x->h2;
    }
    term1 /= i + 1;
    power1 *= x->h1;
  }
  double tail1 = outer * remainder_of(x->h1, p->n1), tail2 = outer * remainder_of(x->h2, p->n2);
  across[0] += tail1 * p->n1;
  across[1] += tail2 * p->n2;
  double rounding =
      256 * DBL_EPSILON * (magnitude(p, fabs(x->c1) + x->h1, fabs(x->c2) + x->h2) + outer) +
      DBL_MIN;
  *limit = g[0][0] + rounding;
  return g[0][0] + parabola(g[1][0], g[2][0], x->h1) + parabola(g[0][1], g[0][2], x->h2) + rest +
         tail1 + tail2 + rounding;
}

static double nearest(double c, double h)
{
  return fmax(fabs(c) - h, 0);
}

/* Whether no point of the cell is in the domain, whatever the rounding. */
static int outside(const proof *p, const cell *x)
{
  return nearest(x->c1, x->h1) + nearest(x->c2, x->h2) > p->f->domain.bound * (1 + 1e-12);
}

/* Whether the centre is in the domain for sure, so that what G is there counts. */
static int inside(const proof *p, const cell *x)
{
  return fabs(x->c1) + fabs(x->c2) <= p->f->domain.bound;
}

/* The halves of a cell; both a little too wide, so that no rounding leaves a gap between them. */
static void halve(const cell *x, int first_variable, cell halves[2])
{
  for (int i = 0; i < 2; i++) {
    halves[i] = *x;
    halves[i].depth++;
    double *c = first_variable ? &halves[i].c1 : &halves[i].c2,
           *h = first_variable ? &halves[i].h1 : &halves[i].h2;
    *h *= .5;
    *c += i ? *h : -*h;
    *h = *h * (1 + 4 * DBL_EPSILON) + 4 * DBL_EPSILON * fabs(*c);
  }
}

static double lacking(const proof *p, double tolerance)
{
  const precis_bivariate_domain *d = &p->f->domain;
  cell stack[STACK] = {{0, d->lead_bound, 0, d->trail_bound, 0}};
  double proved = 0, known = 0;
  int count = 1, work = 0;
  while (count > 0) {
    cell x = stack[--count];
    double limit, across[2];
    if (outside(p, &x))
      continue;
    double bound = cell_bound(p, &x, &limit, across);
    if (!isfinite(bound))
      return HUGE_VAL;
    if (inside(p, &x))
      known = fmax(known, limit);
    if (bound > known * 1.001 + tolerance && x.depth < DEPTH) {
      if (++work % PATIENCE == 0)
        tolerance *= 2;
      halve(&x, across[0] >= across[1], stack + count);
      count += 2;
      continue;
    }
    proved = fmax(proved, bound);
  }
  return proved;
}

double precis_bivariate_lacking(const precis_bivariate *f, double tolerance)
{
  if (precis_feature_set_degree(&f->set, f->set.blocks) > PRECIS_BIVARIATE_DEGREE_MAX)
    return HUGE_VAL;
  proof above = prepare(f, 1), below = prepare(f, -1);
  return fmax(lacking(&above, tolerance), lacking(&below, tolerance));
}
