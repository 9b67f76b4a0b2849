#include "src/certificate.h"

#include <math.h>

#include "src/clones.h"

/* How far a row is from the ends and from the centre of the values, in ranges: maxima over the
 * columns. NAN where an output is not finite: the range of float32 was exceeded. */
typedef struct place {
  double reach, away;
} place;

PRECIS_CLONES
static place find(const precis_value_range *values, const float *restrict out)
{
  const double *restrict most = values->most, *restrict least = values->least,
                         *restrict center = values->center, *restrict per = values->per_range;
  double reach = 0, away = 0, nothing = 0;
#pragma omp simd reduction(max : reach, away) reduction(+ : nothing)
  for (int c = 0; c < values->value_dim; c++) {
    double up = most[c] - out[c], down = out[c] - least[c], from = fabs(out[c] - center[c]);
    double farther = (up > down ? up : down) * per[c], aside = from * per[c];
    reach = farther > reach ? farther : reach;
    away = aside > away ? aside : away;
    nothing += out[c] * 0.0;
  }
  return (place){reach + nothing, away + nothing};
}

precis_certificate precis_certificate_make(const precis_error_mass *mass,
                                           const precis_value_range *values, const float *out)
{
  precis_certificate certificate = {INFINITY, INFINITY};
  double t = mass->all;
  place at = find(values, out);
  if (!(t >= 0 && t < 1) || isnan(at.reach))
    return certificate;
  /* Without columns of some range both are nothing. */
  double by_deviation = at.reach > 0 ? mass->deviating + t * at.away : 0;
  certificate.error = fmin(t * at.reach, by_deviation) / (1 - t);
  certificate.lse_error = -log1p(-t);
  return certificate;
}

/* A term w phi(k) v coef phi(q) of degree p passes these roundings: of k' and q' (p each), of
 * products in the monomials (p - 1 each), of the weight and its product (2), of the value and its
 * product (2), of S, the coefficient, p!/alpha! and their products (6), of sums: `summed` in the
 * summary, `wire` on the way, `additions` when applied. Errors of y itself, from k' and q', are
 * among them as they enter each monomial. So |error| <= gamma(n) times the sum of magnitudes, and
 * that is at most W max|v| sum_p |a_p| (|q'| |k'|)^p, since sum_alpha p!/alpha! |q^alpha k^alpha| =
 * (sum_c |q_c k_c|)^p; in blocks the same of leading and trailing variables apart, (|q1'| |k1'|)^a
 * (|q2'| |k2'|)^b. Rows that were turned into axes are rounded to float32 once, after that.
 * Numerator and normaliser each contribute, the values' half range at least doubles in the
 * certificate: 4 covers all. With deviations, by which centred values are at most the range, the
 * numerator contributes to u and the normaliser times the distance from the centre, which t is
 * multiplied with. A sum of w_j E(y_j) d_j passes what one of w_j E(y_j) does, a product more. */
precis_error_mass precis_certificate_rounding(const precis_summary_rounding *r, double magnitude,
                                              double envelope_magnitude)
{
  const double unit = 0x1p-24;
  double n = 4.0 * r->degree + 16 + r->summed + r->wire + (double)r->additions;
  double gamma = n * unit < 0.5 ? n * unit / (1 - n * unit) : INFINITY;
  return (precis_error_mass){gamma * (4 * magnitude + envelope_magnitude),
                             gamma * (magnitude + envelope_magnitude)};
}

precis_error_mass precis_certificate_mass(const precis_error_mass *sums,
                                          const precis_error_mass *rounding, double weights,
                                          double least)
{
  double deviating = fmax(sums->deviating, 0) + weights * rounding->deviating;
  double all = least > 0 ? deviating / least : fmax(sums->all, 0);
  return (precis_error_mass){all + weights * rounding->all, deviating};
}

int precis_certificate_likely(const precis_error_mass *mass, double normaliser, double tol)
{
  const double reach = 0.6, away = 0.05;
  double t = mass->all / normaliser, u = mass->deviating / normaliser;
  return normaliser > 0 && t < 1 && fmin(t * reach, u + t * away) / (1 - t) <= tol;
}
