/* contract.h - what an error is measured in (precis_unit in precis.h), by its definition
 *
 * Deviations of the columns of values, in one pass over keys that may come in pieces and from
 * several places, and distances in their norm. Nothing here allocates or fails. */
#ifndef PRECIS_SRC_ORACLE_CONTRACT_H
#define PRECIS_SRC_ORACLE_CONTRACT_H

#include <stdint.h>

#include "src/precis.h"

/* A head whose R is below this share of the largest |v_j - mean of v| is constant: it has no
 * signal to measure an error by. */
#define PRECIS_CONSTANT_SHARE 0x1p-18

/* Of the columns of all kv heads, over the keys that are not masked; arrays are the caller's. */
typedef struct precis_moments {
  int64_t columns;
  double top;          /* the largest bias; weights are e^{b - top} */
  long double weight;  /* sum of the weights */
  long double *mean;   /* weighted */
  long double *square; /* weighted sum of (v - mean)^2 */
  double *low, *high;  /* the smallest and largest value */
} precis_moments;

void precis_moments_clear(precis_moments *moments);

/* More keys: v is count x columns, bias is count or NULL. */
void precis_moments_add(precis_moments *moments, int64_t count, const float *v, const float *bias);

/* into += from, over disjoint keys. */
void precis_moments_merge(const precis_moments *from, precis_moments *into);

/* sigma of a column; 0 if it is constant, or there are no keys. */
double precis_moments_deviation(const precis_moments *moments, int64_t column);

/* Largest minus smallest value; 0 without keys. */
double precis_moments_range(const precis_moments *moments, int64_t column);

/* |a - b| = sqrt(sum_c ((a_c - b_c) / sigma_c)^2), columns with sigma 0 left out. */
double precis_contract_distance(int value_dim, const double *a, const double *b,
                                const double *sigma);

/* The largest distance of a value of a kv head from their mean, over unmasked keys: raises *most.
 * v is count x columns, `mean` (in double) and `sigma` belong to the columns of the head, of which
 * `first` is the first. */
void precis_contract_raise(int64_t count, int64_t columns, int64_t first, int value_dim,
                           const float *v, const float *bias, const double *mean,
                           const double *sigma, double *most);

/* What an error of a column is divided by in PRECIS_UNIT_RANGE: its range, or the size of its one
 * value. */
double precis_contract_range_unit(double low, double high);

#endif
