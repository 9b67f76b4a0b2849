#include "src/proof/certificate.h"

#include <math.h>

#include "src/base/weaken.h"

precis_certificate precis_certificate_make(const precis_error_mass *mass, double normaliser,
                                           double away)
{
  precis_certificate certificate = {INFINITY, INFINITY};
  double t = mass->all / normaliser, u = mass->deviating / normaliser;
  if (!(normaliser > 0 && t >= 0 && t < 1))
    return certificate;
  double error = (u + t * away) / (1 - t);
  certificate.error = isnan(error) ? INFINITY : error;
  certificate.lse_error = -log1p(-t);
  return certificate;
}

/* A term w phi(k) v coef phi(q) of degree p passes these roundings: of k' and q' (p each), of
 * products in the monomials (p - 1 each), of the weight and its product (2), of the value and its
 * product (2), of S, the coefficient, p!/alpha! and their products (6), of sums: `summed` in the
 * summary, `wire` on the way, `additions` when applied. Errors of y itself, from k' and q', are
 * among them as they enter each monomial. So |error| <= gamma(n) times the sum of magnitudes, and
 * that is at most sum_j w_j |v_j - mu| sum_p |a_p| (|q'| |k'|)^p, since sum_alpha p!/alpha!
 * |q^alpha k^alpha| = (sum_c |q_c k_c|)^p; in blocks the same of leading and trailing variables
 * apart, (|q1'| |k1'|)^a (|q2'| |k2'|)^b. (In the norm the vector of the columns' magnitudes is no
 * larger than the sum of the vectors' norms.) Rows that were turned into axes are rounded to
 * float32 once, after that. A sum of w_j E(y_j) d_j passes what one of w_j E(y_j) does, a product
 * more. */
double precis_certificate_rounding(const precis_summary_rounding *r, double magnitude,
                                   double envelope_magnitude)
{
  const double unit = 0x1p-24;
  double n = 4.0 * r->degree + 16 + r->summed + r->wire + (double)r->additions;
  double gamma = n * unit < 0.5 ? n * unit / (1 - n * unit) : INFINITY;
  return precis_weaken(PRECIS_BOUND_FEATURE_ROUNDING, gamma * (magnitude + envelope_magnitude));
}

precis_error_mass precis_certificate_mass(const precis_error_mass *sums, double rounding,
                                          const precis_weight_mass *weights, double least)
{
  double deviating = precis_weaken(PRECIS_BOUND_ENVELOPE, fmax(sums->deviating, 0)) +
                     weights->deviating * rounding;
  double all = least > 0 ? deviating / least
                         : precis_weaken(PRECIS_BOUND_ENVELOPE, fmax(sums->all, 0));
  return (precis_error_mass){all + weights->all * rounding, deviating};
}

double precis_certificate_ratio(const precis_error_mass *mass, double normaliser, double spread,
                                const precis_goal *goal)
{
  precis_certificate likely = precis_certificate_make(mass, normaliser, goal->away);
  /* Rows of one spread differ in what they have to say. */
  const double less = 0.92;
  double more = goal->unit == PRECIS_UNIT_OUTPUTS ? fmax(1, less * spread) : 1,
         error = goal->unit == PRECIS_UNIT_LSE ? likely.lse_error : likely.error;
  return error == 0 ? 0 : goal->error > 0 ? error / (goal->error * more) : INFINITY;
}
