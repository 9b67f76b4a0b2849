/* certificate.h - what is proved of one row
 *
 * With P in place of e^y, E(y) >= |P(y) - e^y|, Z the divisor that was used (exact parts included),
 * e_N and e_Z what rounding did to numerator and divisor, and a centre mu of the values,
 *
 *   Z (out - true) = sum_j w_j (P(y_j) - e^{y_j}) (v_j - true) + e_N - e_Z (true - mu)
 *
 * over any set of visible keys. In any norm |.|, with the deviation of a key d_j >= |v_j - mu|,
 *
 *   |v_j - true| <= d_j + |out - mu| + |out - true|      |true - mu| <= |out - mu| + |out - true|
 *
 * so that, with t = (sum_j w_j E(y_j) + |e_Z|) / Z and u = (sum_j w_j E(y_j) d_j + |e_N|) / Z,
 *
 *   |out - true| <= (u + t |out - mu|) / (1 - t)      |lse - true| <= -log(1 - t)
 *
 * for t < 1 and Z > 0. Where all d_j >= d > 0, t <= u / d, since E >= 0: features that E alone
 * needs are kept with deviations only. Exact parts, which only round, join with E = e e^y: see
 * rounding.h. */
#ifndef PRECIS_SRC_PROOF_CERTIFICATE_H
#define PRECIS_SRC_PROOF_CERTIFICATE_H

#include <stdint.h>

#include "src/precis.h"

typedef struct precis_certificate {
  double error;     /* in the norm; infinity where nothing is proved */
  double lse_error; /* natural log */
} precis_certificate;

/* Error mass of a row: sum_j w_j E(y_j), and the same with deviations. */
typedef struct precis_error_mass {
  double all;       /* over Z: t */
  double deviating; /* over Z: u */
} precis_error_mass;

/* Sums of weights of keys, and the same with deviations. */
typedef struct precis_weight_mass {
  double all, deviating;
} precis_weight_mass;

/* Masses of a row from sums and what rounding may do for each unit of weight (of e_N and e_Z alike,
 * the former with deviations). least: of the deviations, where sums.all lacks the features that E
 * alone needs; 0 where it has all. */
precis_error_mass precis_certificate_mass(const precis_error_mass *sums, double rounding,
                                          const precis_weight_mass *weights, double least);

/* mass: not over Z. away: |out - mu|, NAN or infinity where the output is not finite. */
precis_certificate precis_certificate_make(const precis_error_mass *mass, double normaliser,
                                           double away);

/* What rows are to keep, when their outputs are not known yet. In PRECIS_UNIT_OUTPUTS a row whose
 * scores spread more than those of others has more to say, and may be off by as much more. */
typedef struct precis_goal {
  precis_unit unit;
  double error; /* of a row with scores as they are in the mean: in the norm, or of lse */
  double away;  /* about |out - mu| */
} precis_goal;

/* The same for a part of the error. */
static inline precis_goal precis_goal_times(precis_goal goal, double factor)
{
  goal.error *= factor;
  return goal;
}

/* The certificate of a row of this mass (not over Z) and normaliser over what it may be: above 1 the
 * row is likely to miss the goal. spread: of its scores, over the mean of all rows'. */
double precis_certificate_ratio(const precis_error_mass *mass, double normaliser, double spread,
                                const precis_goal *goal);

/* How many roundings of float32 lie between keys and results. */
typedef struct precis_summary_rounding {
  int degree;        /* highest of any feature in use */
  int summed;        /* of additions on the way into S: precis_summarise_roundings() */
  int wire;          /* roundings of sums to float32 on their way */
  int64_t additions; /* when applied: precis_apply_roundings() */
} precis_summary_rounding;

/* What rounding may do to the sums of a row for each unit of the sum of weights of the keys in the
 * summary: gamma (sum |a| |y|^.. + sum |e| |y|^..), from the magnitudes of polynomial.h or
 * bivariate.h at the row's bounds of |y|. */
double precis_certificate_rounding(const precis_summary_rounding *rounding, double magnitude,
                                   double envelope_magnitude);

#endif
