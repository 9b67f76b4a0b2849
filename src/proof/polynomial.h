/* polynomial.h - a polynomial in place of e^y, and the envelope that proves how close it is
 *
 *     P(y) = sum_p a_p y^p    E(y) = sum_m e_m y^m    |P(y) - e^y| <= E(y) for all real |y| <= B
 *
 * so that the error mass of a row, sum_j w_j |P(y_ij) - e^{y_ij}|, is at most sum_j w_j E(y_ij):
 * again a polynomial of the scores, which needs the weights and keys but no values. P and E come
 * together from one linear program that minimises sum_m e_m mu_m for given moments mu_m of the
 * scores. The moments steer, they are never relied upon: the inequality is proved afterwards for
 * the coefficients as they stand here in double, over the whole interval, the rounding of the proof
 * included. (It trusts exp() to 2 ulp and arithmetic to round to nearest.) In the manner of the
 * polynomial method of Alman and Song, "Fast Attention Requires Bounded Entries", arXiv 2302.13214;
 * envelope, program and proof are our own.
 *
 * Errors are PRECIS_ERR_ codes. Everything here is local, keeps no state and may run in many
 * threads at once. */
#ifndef PRECIS_SRC_PROOF_POLYNOMIAL_H
#define PRECIS_SRC_PROOF_POLYNOMIAL_H

#include "src/base/problem.h"

enum { PRECIS_BOUND_MOST = 24 };

typedef struct precis_polynomial {
  int degree;                      /* of P */
  int envelope_degree;             /* of E */
  double bound;                    /* B */
  double a[PRECIS_DEGREE_MAX + 1]; /* 0 above degree */
  double e[PRECIS_DEGREE_MAX + 1]; /* 0 above envelope_degree, and at odd m > degree */
  double objective;                /* sum_m e[m] moments[m] */
} precis_polynomial;

/* Fits P of the given degree (0..24) and E of the given envelope_degree (0..24) on [-bound, bound],
 * 0 < bound <= PRECIS_BOUND_MOST.
 *
 * E has every even power up to its degree, and the odd ones up to the degree of P, which cost
 * nothing: their features are in the summary for P's sake. An odd envelope_degree above degree is
 * lowered by one.
 *
 *   moments   mu_0 .. mu_envelope_degree, odd ones included (0 where they are unknown): finite,
 *             mu_0 > 0, even ones >= 0. Any unit: only ratios matter, and the objective is in it.
 *
 * Which moments: for the rows i that the plan is to certify (those it leaves to repair or calls
 * outliers are not among them), average over the eight or so of largest |q_i - c_q|
 *
 *     mu_m = sum_j w_j y_ij^m / sum_j w_j e^{y_ij},
 *
 * over all keys or some hundreds of them. They make the largest sum_j w_j E(y_ij) / Z_i of all rows
 * as small as minimising that maximum itself would, and objective predicts it to some 10 to 30%
 * from below. Moments over all pairs make it 5 to 25% larger, moments weighted with e^y no smaller.
 *
 * What is minimised is the objective plus 1e-13 mu_0 times the mean of E over the interval (by the
 * arcsine law), lest a term be free: far below what float32 makes of E. It is met to a few 1e-4, or
 * to the mean of 1e-13 e^|y| where that is more: what rounding of the coefficients and of the proof
 * takes. Moments that no distribution on [-bound, bound] can have are heeded as far as possible;
 * the worst that happens is the best constant E. A bound below 1e-12 counts as 1e-12.
 *
 * Deterministic: equal arguments give equal bits wherever the same libraries run on the same kind
 * of processor. Ranks that may differ in that should fit on one and send the result. Takes 3 to 6
 * ms up to degree 8, 9 at degree 12, 12 at 16, 20 at 20, 30 at 24; twice that with prices.
 *
 * Errors: ARGUMENT; MEMORY; INTERNAL (nothing could be proved; not known to happen). *result is
 * written on success. */
int precis_polynomial_fit(int degree, int envelope_degree, double bound, const double *moments,
                          precis_polynomial *result);

/* What rounding makes of the sums that a row is computed by, so that its price is heeded. At high
 * degrees terms are of alternating signs and many times what they add up to: where B = 18, the best
 * P of degree 20 has terms 75 times e^B, and one that is 15 times as far off 3 times.
 *
 *   sizes     what moments are of y^m, of the largest that rounding may take |y|^m for, 0 ..
 *             max(degree, envelope_degree): sum_j w_j (|q_i| |k_j|)^m / sum_j w_j e^{y_ij}
 *   value, envelope
 *             an error of this many times sum_p |a_p| sizes_p and sum_m |e_m| sizes_m is made, in
 *             the unit of sum_m e_m mu_m
 */
typedef struct precis_polynomial_prices {
  const double *sizes;
  double value, envelope;
} precis_polynomial_prices;

/* Minimises the sum of all three: as above, where prices are NULL. objective is the first of them.
 * Errors also: ARGUMENT for prices or sizes that are negative or not finite. */
int precis_polynomial_fit_priced(int degree, int envelope_degree, double bound,
                                 const double *moments, const precis_polynomial_prices *prices,
                                 precis_polynomial *result);

/* About what the objective of a fit will be, without fitting, rounding apart: not a bound. Fits are
 * hardly ever worse. They are up to twice as good where scores are spread over the bound, and 5 to
 * 20 times where few are near it. Same arguments, moments >= 0 at even powers. */
double precis_polynomial_estimate(int degree, int envelope_degree, double bound,
                                  const double *moments);

/* P(y) and E(y), by Horner's rule in double. */
double precis_polynomial_value(const precis_polynomial *f, double y);
double precis_polynomial_envelope(const precis_polynomial *f, double y);

/* sum_p |a_p| |y|^p and sum_m |e_m| |y|^m, rounded up: times a rounding unit, what evaluating them
 * may be off by. */
double precis_polynomial_magnitude(const precis_polynomial *f, double y);
double precis_polynomial_envelope_magnitude(const precis_polynomial *f, double y);

#endif
