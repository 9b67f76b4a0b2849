#include "src/certificate.h"

#include <math.h>

precis_certificate precis_certificate_make(double t, int value_dim, const float *out,
                                           const double *most, const double *least)
{
  precis_certificate certificate = {INFINITY, INFINITY};
  double reach = 0;
  if (!(t >= 0 && t < 1))
    return certificate;
  for (int c = 0; c < value_dim; c++) {
    if (!isfinite(out[c])) /* sums in float32 may have overflowed */
      return certificate;
    double range = most[c] - least[c];
    if (!isfinite(out[c])) /* the range of float32 was exceeded */
      return certificate;
    if (!(range > 0))
      continue;
    double up = (most[c] - out[c]) / range, down = (out[c] - least[c]) / range;
    reach = up > reach ? up : reach;
    reach = down > reach ? down : reach;
  }
  certificate.error = t / (1 - t) * reach;
  certificate.lse_error = -log1p(-t);
  return certificate;
}

/* A term w phi(k) v coef phi(q) of degree p passes these roundings: of k' and q' (p each), of
 * products in the monomials (p - 1 each), of the weight and its product (2), of the value and its
 * product (2), of S, the coefficient, p!/alpha! and their products (6), of sums: key_block in the
 * summary, `wire` on the way, `additions` when applied. Errors of y itself, from k' and q', are
 * among them as they enter each monomial. So |error| <= gamma(n) times the sum of magnitudes, and
 * that is at most W max|v| sum_p |a_p| (|q'| |k'|)^p, since sum_alpha p!/alpha! |q^alpha k^alpha| =
 * (sum_c |q_c k_c|)^p; in blocks the same of leading and trailing variables apart, (|q1'| |k1'|)^a
 * (|q2'| |k2'|)^b. Rows that were turned into axes are rounded to float32 once, after that.
 * Numerator and normaliser each contribute, the values' half range at least doubles in the
 * certificate: 4 covers all. */
double precis_certificate_rounding(const precis_summary_rounding *r, double magnitude,
                                   double envelope_magnitude)
{
  const double unit = 0x1p-24;
  double n = 4.0 * r->degree + 16 + r->key_block + r->wire + (double)r->additions;
  double gamma = n * unit < 0.5 ? n * unit / (1 - n * unit) : INFINITY;
  return gamma * (4 * magnitude + envelope_magnitude);
}

int precis_certificate_likely(double t, double tol)
{
  const double reach = 0.6;
  return t < 1 && t / (1 - t) * reach <= tol;
}
