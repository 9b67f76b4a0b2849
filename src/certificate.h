/* certificate.h - what is proved of one row
 *
 * With P in place of e^y, E(y) >= |P(y) - e^y|, Z the computed normaliser (exact parts included)
 * and t = sum_j w_j E(y_j) / Z,
 *
 *   out - true = sum_j w_j (P(y_j) - e^{y_j}) (v_j - true) / Z
 *   |out_c - true_c| <= t / (1 - t) max(most_c - out_c, out_c - least_c)
 *   |lse - true| <= -log(1 - t)
 *
 * for t < 1 and Z > 0, over any set of visible keys; `most` and `least` bound the values. Rounding
 * in float32 joins t: see precis_certificate_rounding(). */
#ifndef PRECIS_SRC_CERTIFICATE_H
#define PRECIS_SRC_CERTIFICATE_H

#include <stdint.h>

typedef struct precis_certificate {
  double error;     /* in units of each column's range; infinity where nothing is proved */
  double lse_error; /* natural log */
} precis_certificate;

/* t: error mass over Z. most, least: value_dim; columns of range 0 are exact. */
precis_certificate precis_certificate_make(double t, int value_dim, const float *out,
                                           const double *most, const double *least);

/* Whether a row of error mass t over Z is likely to keep tol, when its output is not known yet: one
 * in the middle of the values is half their range from either end, and most are near it. */
int precis_certificate_likely(double t, double tol);

/* How many roundings of float32 lie between keys and results. */
typedef struct precis_summary_rounding {
  int degree;        /* highest of any feature in use */
  int key_block;     /* keys in a float32 sum */
  int wire;          /* roundings of sums to float32 on their way */
  int64_t additions; /* when applied: of a term, see precis_apply_roundings() */
} precis_summary_rounding;

/* What rounding may add to the error mass of a row, in units of the sum of weights W of the keys in
 * the summary: 4 gamma sum |a| |y|^.. + gamma sum |e| |y|^.., from the magnitudes of
 * polynomial.h or bivariate.h at the row's bounds of |y|. */
double precis_certificate_rounding(const precis_summary_rounding *rounding, double magnitude,
                                   double envelope_magnitude);

#endif
