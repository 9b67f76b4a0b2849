/* terms.h - what all rows of one call have in common where results are finished and proved
 *
 * Made for each call from the keys that it meets, never stored beyond it. */
#ifndef PRECIS_SRC_TOKENS_TERMS_H
#define PRECIS_SRC_TOKENS_TERMS_H

#include <stdint.h>

#include "src/tokens/norm.h"
#include "src/precis.h"

typedef struct precis_terms {
  const precis_problem *problem;
  /* Subtracted before float32 sees keys and values: kv_heads x dim, kv_heads x value_dim; borrowed.
   * Deviations of keys and certificates are about the same centre of the values. */
  const double *k_center, *v_center;
  const double *per; /* kv_heads x value_dim: of the norm, see norm.h; borrowed */
  int largest;
  /* Powers of two, kv_heads x value_dim: centred values times these are of a size about 1, so that
   * no column leaves the range of float32 in products and sums. */
  const double *fold;
  /* Of exact parts: */
  const double *key_radius; /* kv_heads: no |k - k_center| is larger; borrowed */
  double bias_center;       /* subtracted from biases */
  double bias_reach;        /* no |bias - bias_center| is larger, masks apart */
  double log_keys;          /* log of the number of keys */
  int sum_terms;            /* most terms of a sum in float32 */
  int roundings;            /* of partials to float32 on their way */
} precis_terms;

static inline precis_norm precis_terms_norm(const precis_terms *terms, int kv_head)
{
  int columns = terms->problem->value_dim;
  return (precis_norm){columns, terms->largest, terms->per + (int64_t)kv_head * columns};
}

#endif
