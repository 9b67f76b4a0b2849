#include "src/exact/rounding.h"

#include <math.h>

#include "src/exact/tile_rounding.h"
#include "src/base/weaken.h"

static const double UNIT = 0x1p-24, UNIT_DOUBLE = 0x1p-53;

/* n roundings in a row: n u / (1 - n u). */
static double gamma_of(double n, double unit)
{
  return n * unit < 0.5 ? n * unit / (1 - n * unit) : INFINITY;
}

/* Of the biases that matter to a row: keys more than this below the row's largest score have, all
 * together, less than e^-17 of its weight (their number times e^-(log keys + 17)), whatever becomes
 * of them. */
static double bias_of(const precis_terms *t, double bound, double score)
{
  const double margin = 17;
  double near = fabs(score) + bound + t->log_keys + margin;
  return t->bias_reach < near ? t->bias_reach : near;
}

static double far_weight(const precis_terms *t, double bias)
{
  return t->bias_reach > bias ? 0x1p-24 : 0;
}

/* A weight e^x is off by the relative error e^delta - 1 plus that of exp2, where delta bounds the
 * error of the score x:
 *  - scaled query, centred key and the product of dim terms: gamma(dim + 3) times the bound on |x|,
 *  - where there are biases or very large scores, the bias, its addition and subtracting the
 * reference: a rounding each, of at most twice the bound on |x| plus |bias|.
 * Sums pass sum_terms roundings, partials on their way `roundings` more, centred values and
 * products two. (Higham, Accuracy and Stability of Numerical Algorithms, ch. 3: any order of
 * summation is within gamma(n - 1).) */
double precis_rounding_exact(const precis_terms *t, int g, double query_norm, double score)
{
  const precis_problem *p = t->problem;
  double bound = fabs(p->scale) * query_norm * t->key_radius[g], bias = bias_of(t, bound, score);
  double delta = gamma_of(PRECIS_TILE_SCORE_ROUNDINGS(p->dim) + 1, UNIT) * bound;
  if (t->bias_reach > 0 || bound > PRECIS_TILE_REFERENCE / 2)
    delta += 3 * UNIT * (2 * bound + bias);
  delta = precis_weaken(PRECIS_BOUND_SCORE_ROUNDING, delta);
  double weights = expm1(delta) + PRECIS_EXP2_ERROR + far_weight(t, bias) +
                   exp(t->log_keys) * 0x1p-60;
  double sums = precis_weaken(PRECIS_BOUND_SUM_ROUNDING, gamma_of((double)t->sum_terms + t->roundings + 2, UNIT) * (1 + weights)),
         e = weights + sums;
  return e < 0.5 ? e / (1 - e) : INFINITY;
}

/* Sums are as long as there are keys; on their way partials lose 2^-47, see precise.h. */
double precis_rounding_double(const precis_terms *t, int g, double query_norm, double score)
{
  const precis_problem *p = t->problem;
  double bound = fabs(p->scale) * query_norm * t->key_radius[g], bias = bias_of(t, bound, score);
  double delta =
      gamma_of(p->dim + 3, UNIT_DOUBLE) * bound + 4 * UNIT_DOUBLE * (2 * bound + bias);
  double weights = expm1(delta) + 4 * UNIT_DOUBLE + far_weight(t, bias) * 0x1p-24;
  double e = weights + gamma_of(exp(t->log_keys) + 4, UNIT_DOUBLE) +
             gamma_of(64. * t->roundings, UNIT_DOUBLE);
  e = precis_weaken(PRECIS_BOUND_DOUBLE_ROUNDING, e);
  return e < 0.5 ? e / (1 - e) : INFINITY;
}

double precis_rounding_lse(const precis_problem *problem, double size)
{
  return precis_weaken(PRECIS_BOUND_LSE_ROUNDING, (problem->dim + 8) * UNIT_DOUBLE * size);
}
