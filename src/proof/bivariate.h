/* bivariate.h - a polynomial in y1 and y2 in place of e^(y1 + y2), and the envelope that proves how
 * close it is
 *
 *     A(y1, y2) = sum_b a_b y1^lead_b y2^trail_b over the blocks b of a feature set with values
 *     E(y1, y2) = sum_b e_b y1^lead_b y2^trail_b over all its blocks
 *     |A(y1, y2) - e^(y1 + y2)| <= E(y1, y2)
 *     for all |y1| <= lead_bound, |y2| <= trail_bound, |y1| + |y2| <= bound
 *
 * What polynomial.h is for y, with scores split into their parts in the leading and in the trailing
 * axes: where few axes carry most of the scores, high powers of y1 alone are many fewer features
 * than high powers of y. A and E come together from one linear program that minimises sum_b e_b
 * mu_b for given moments mu_b of the scores. The moments steer, they are never relied upon: the
 * inequality is proved afterwards for the coefficients as they stand here in double, over the whole
 * domain, the rounding of the proof included. (It trusts exp() to 2 ulp and arithmetic to round to
 * nearest.)
 *
 * A full set has y1 = y, block p is the power p, and trail_bound does not matter: polynomial.h fits
 * it.
 *
 * Errors are PRECIS_ERR_ codes. Everything here is local, keeps no state and may run in many
 * threads at once. */
#ifndef PRECIS_SRC_PROOF_BIVARIATE_H
#define PRECIS_SRC_PROOF_BIVARIATE_H

#include "src/summary/feature_set.h"
#include "src/proof/polynomial.h"

/* Of sets with trailing variables: no power is higher, and no bound larger. */
enum { PRECIS_BIVARIATE_DEGREE_MAX = 12, PRECIS_BIVARIATE_BOUND_MOST = 8 };

/* Where A and E are to hold, natural units. */
typedef struct precis_bivariate_domain {
  double bound, lead_bound, trail_bound;
} precis_bivariate_domain;

typedef struct precis_bivariate {
  precis_feature_set set;
  precis_bivariate_domain domain;
  double a[PRECIS_BLOCKS_MAX]; /* 0 from set.value_blocks on */
  double e[PRECIS_BLOCKS_MAX];
  double objective; /* sum_b e[b] mean[b] of the moments */
} precis_bivariate;

/* For each block: means of y1^lead y2^trail, and of its magnitude. As in polynomial.h the mean for
 * a row i is sum_j w_j y1^.. y2^.. / sum_j w_j e^y, averaged over the rows of longest queries. Any
 * unit: only ratios matter. size[0] > 0, |mean| <= size; a size of 0 is taken for a very small one.
 */
typedef struct precis_bivariate_moments {
  double mean[PRECIS_BLOCKS_MAX], size[PRECIS_BLOCKS_MAX];
} precis_bivariate_moments;

/* The largest bound that a set can be fitted for. */
static inline double precis_bivariate_bound_most(const precis_feature_set *set)
{
  return set->lead < set->dim ? PRECIS_BIVARIATE_BOUND_MOST : PRECIS_BOUND_MOST;
}

/* Fits a valid set that has trailing variables, or a full one. 0 < bound <= the above; lead_bound
 * and trail_bound > 0 (what exceeds bound does no harm). What is minimised is the objective plus
 * 1e-6 of what E is on average over the domain, and it is met to about 1%. Takes 5 to 15 ms.
 * Deterministic as precis_polynomial_fit(). Errors: ARGUMENT; MEMORY; INTERNAL (nothing could be
 * proved). *result is written on success. */
int precis_bivariate_fit(const precis_feature_set *set, const precis_bivariate_domain *domain,
                         const precis_bivariate_moments *moments, precis_bivariate *result);

/* Whether a domain lies in that of the fit. */
int precis_bivariate_covers(const precis_bivariate *fit, const precis_bivariate_domain *domain);

/* The same for a polynomial in y: a full set of so many variables. */
precis_bivariate precis_bivariate_of(const precis_polynomial *fit, int dim);

/* A and E. */
double precis_bivariate_value(const precis_bivariate *f, double y1, double y2);
double precis_bivariate_envelope(const precis_bivariate *f, double y1, double y2);

/* sum_b |a_b| |y1|^.. |y2|^.. and the same of e, rounded up: times a rounding unit, what evaluating
 * them may be off by. */
double precis_bivariate_magnitude(const precis_bivariate *f, double y1, double y2);
double precis_bivariate_envelope_magnitude(const precis_bivariate *f, double y1, double y2);

/* What E lacks: an upper bound of max(0, |A - e^(y1 + y2)| - E) over the domain, sharp to .1% and
 * tolerance where that can be had. Infinity where nothing can be said, or a power exceeds
 * PRECIS_BIVARIATE_DEGREE_MAX. Adding it to e[0] makes E an envelope. */
double precis_bivariate_lacking(const precis_bivariate *f, double tolerance);

#endif
