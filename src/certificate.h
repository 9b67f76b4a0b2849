/* certificate.h - what is proved of one row
 *
 * With P in place of e^y, E(y) >= |P(y) - e^y|, Z the computed normaliser (exact parts included)
 * and t = sum_j w_j E(y_j) / Z,
 *
 *   out - true = sum_j w_j (P(y_j) - e^{y_j}) (v_j - true) / Z
 *   |out_c - true_c| <= t / (1 - t) max(most_c - out_c, out_c - least_c)
 *   |lse - true| <= -log(1 - t)
 *
 * for t < 1 and Z > 0, over any set of visible keys; `most` and `least` bound the values. That
 * takes all values for as far from the truth as any. Most lie near the centre: with the deviation
 * of a key, d_j >= |v_jc - center_c| / (most_c - least_c) for all columns c, and
 * u = sum_j w_j E(y_j) d_j / Z,
 *
 *   |v_jc - true_c| <= |v_jc - center_c| + |out_c - center_c| + |out_c - true_c|
 *   |out_c - true_c| <= (u (most_c - least_c) + t |out_c - center_c|) / (1 - t)
 *
 * which is half as much for Gaussian values, and less where values are mostly small. Either holds,
 * so that the smaller is promised. Where all d_j >= d > 0, t <= u / d, since E >= 0: features that
 * E alone needs are kept with deviations only. Rounding in float32 joins t and u: see
 * precis_certificate_rounding(). */
#ifndef PRECIS_SRC_CERTIFICATE_H
#define PRECIS_SRC_CERTIFICATE_H

#include <stdint.h>

typedef struct precis_certificate {
  double error;     /* in units of each column's range; infinity where nothing is proved */
  double lse_error; /* natural log */
} precis_certificate;

/* Error mass of a row: sum_j w_j E(y_j), and the same with deviations. */
typedef struct precis_error_mass {
  double all;       /* over Z: t */
  double deviating; /* over Z: u; infinity where deviations are not known */
} precis_error_mass;

/* Masses of a row from sums and what rounding may add to them, for each unit of the sum of weights.
 * least: of the deviations, where sums.all lacks the features that E alone needs; 0 where it has
 * all. */
precis_error_mass precis_certificate_mass(const precis_error_mass *sums,
                                          const precis_error_mass *rounding, double weights,
                                          double least);

/* The largest and the smallest value of each column, and the centre that deviations are from. */
typedef struct precis_value_range {
  int value_dim;
  const double *most, *least, *center; /* value_dim */
  const double *per_range;             /* value_dim: see precis_certificate_per_range() */
} precis_value_range;

/* 1 / (most - least), or 0 for a column of range 0, which is exact. */
static inline double precis_certificate_per_range(double most, double least)
{
  return most > least ? 1 / (most - least) : 0;
}

/* mass: over Z. */
precis_certificate precis_certificate_make(const precis_error_mass *mass,
                                           const precis_value_range *values, const float *out);

/* Whether a row of this mass (not over Z) and normaliser is likely to keep tol, when its output is
 * not known yet: one in the middle of the values is half their range from either end, and most are
 * near it. */
int precis_certificate_likely(const precis_error_mass *mass, double normaliser, double tol);

/* How many roundings of float32 lie between keys and results. */
typedef struct precis_summary_rounding {
  int degree;        /* highest of any feature in use */
  int summed;        /* of additions on the way into S: precis_summarise_roundings() */
  int wire;          /* roundings of sums to float32 on their way */
  int64_t additions; /* when applied: precis_apply_roundings() */
} precis_summary_rounding;

/* What rounding may add to the error mass of a row, in units of the sum of weights W of the keys in
 * the summary: 4 gamma sum |a| |y|^.. + gamma sum |e| |y|^.., with deviations 1 in place of 4, from
 * the magnitudes of polynomial.h or bivariate.h at the row's bounds of |y|. */
precis_error_mass precis_certificate_rounding(const precis_summary_rounding *rounding,
                                              double magnitude, double envelope_magnitude);

#endif
