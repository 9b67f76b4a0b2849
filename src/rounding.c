#include "src/rounding.h"

#include <math.h>

#include "src/tile_rounding.h"

/* The rounding unit of float32, and n roundings in a row: n u / (1 - n u). */
static const double UNIT = 0x1p-24;

static double gamma_of(double n)
{
  return n * UNIT / (1 - n * UNIT);
}

/* A weight e^x is off by the relative error e^delta - 1 plus that of exp2, where delta bounds the
 * error of the score x:
 *  - scaled query, centred key and the product of dim terms: gamma(dim + 3) times the bound on |x|,
 *  - adding the bias and subtracting the reference: a rounding each, of at most twice the bound on
 * |x| plus |bias|. With weights off by w and sums by s, numerator and denominator are off by e = w
 * + s each relative to sum of weights times |v - center| <= range, so the quotient is off by 2 e /
 * (1 - e). (Higham, Accuracy and Stability of Numerical Algorithms, ch. 3: any order of summation
 * is within gamma(n - 1).) */
double precis_rounding_bound(const precis_rounding *r)
{
  double delta = gamma_of(PRECIS_TILE_SCORE_ROUNDINGS(r->dim) + 1) * r->score_most +
                 2 * UNIT * (2 * r->score_most + r->bias_most);
  double weights = expm1(delta) + PRECIS_EXP2_ERROR;
  double sums = gamma_of((double)r->sum_terms + r->roundings);
  double e = weights + sums;
  return e < 0.5 ? 2 * e / (1 - e) : INFINITY;
}
