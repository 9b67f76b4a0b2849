/* rounding.h - how far float32 can take an exact move from the truth
 *
 * Exact moves approximate nothing but round: this is the error that they promise. */
#ifndef PRECIS_SRC_ROUNDING_H
#define PRECIS_SRC_ROUNDING_H

#include <stdint.h>

typedef struct precis_rounding {
  int dim;
  double score_most; /* |scale| max|q| max|k - center|, natural units */
  double bias_most;  /* max |bias|, finite ones */
  int64_t sum_terms; /* most terms in one float32 sum of weights */
  int roundings;     /* of partials to float32 on their way */
} precis_rounding;

/* A bound on |out - true| / (largest - smallest value of the column), for every row and column,
 * before out is rounded to float32. */
double precis_rounding_bound(const precis_rounding *rounding);

#endif
