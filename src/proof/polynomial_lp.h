/* polynomial_lp.h - the linear program behind polynomial.h. What it finds still has to be proved. */
#ifndef PRECIS_SRC_PROOF_POLYNOMIAL_LP_H
#define PRECIS_SRC_PROOF_POLYNOMIAL_LP_H

#include <stdbool.h>

#include "src/proof/polynomial.h"

/* In u = y / bound, |u| <= 1: the p and e that minimise
 *
 *     sum_m e[m] moment[m] + sum_k |p[k]| p_price[k] + sum_m |e[m]| e_price[m]
 *
 * subject to |sum_k p[k] u^k - e^{bound u}| <= sum_m e[m] u^m. Every array is indexed by the power
 * of u. Prices are what rounding makes of large terms of alternating signs. */
typedef struct precis_minimax {
  int degree;                       /* of p */
  int envelope_degree;              /* of e */
  bool used[PRECIS_DEGREE_MAX + 1]; /* may e[m] differ from 0? True at even m */
  double bound;
  double moment[PRECIS_DEGREE_MAX + 1]; /* moment[0] = 1; at even m in (0, 1] */
  double p_price[PRECIS_DEGREE_MAX + 1], e_price[PRECIS_DEGREE_MAX + 1]; /* >= 0 */
  long double p[PRECIS_DEGREE_MAX + 1]; /* in: any approximation; out: the optimum */
  long double e[PRECIS_DEGREE_MAX + 1]; /* out */
} precis_minimax;

/* Local. The constraints hold with a little to spare, as far as double can tell on a fine grid; p
 * and e are written on success only. Errors: MEMORY; INTERNAL, where no finite optimum is found
 * (moments of no distribution). */
int precis_minimax_solve(precis_minimax *problem);

#endif
