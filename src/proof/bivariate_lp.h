/* bivariate_lp.h - the linear program behind bivariate.h. What it finds still has to be proved. */
#ifndef PRECIS_SRC_PROOF_BIVARIATE_LP_H
#define PRECIS_SRC_PROOF_BIVARIATE_LP_H

#include "src/proof/bivariate.h"

/* In u1 = y1 / lead_bound and u2 = y2 / trail_bound: the a and e that minimise sum_b e[b] mean[b]
 * subject to |A - e^(y1 + y2)| <= E. Arrays are indexed by block. */
typedef struct precis_bivariate_lp {
  const precis_feature_set *set;
  precis_bivariate_domain domain; /* lead_bound, trail_bound <= bound */
  double mean[PRECIS_BLOCKS_MAX], size[PRECIS_BLOCKS_MAX];
  double a[PRECIS_BLOCKS_MAX]; /* in: any approximation; out: the optimum */
  double e[PRECIS_BLOCKS_MAX]; /* out */
} precis_bivariate_lp;

/* Local. The constraints hold with a little to spare on a fine grid; a and e are written on success
 * only. Errors: MEMORY; INTERNAL, where no optimum is found or there is nothing to gain. */
int precis_bivariate_lp_solve(precis_bivariate_lp *problem);

#endif
