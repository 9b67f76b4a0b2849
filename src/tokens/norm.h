/* norm.h - how large a difference of values is
 *
 *   2-norm    |x| = sqrt(sum_c (x_c per_c)^2)   per_c = 1 / sigma_c: precis_unit's norm
 *   largest   |x| = max_c |x_c| per_c           per_c = 1 / (largest - smallest value)
 *
 * per_c is 0 for columns that are constant, which are left out. What is proved of a row holds in
 * any norm. Results are nowhere below the true ones, whatever the rounding. */
#ifndef PRECIS_SRC_TOKENS_NORM_H
#define PRECIS_SRC_TOKENS_NORM_H

#include <stdint.h>

typedef struct precis_norm {
  int columns;
  int largest;       /* nonzero: the largest column, else the 2-norm */
  const double *per; /* columns; borrowed */
} precis_norm;

/* |x - from|; NAN where x holds a value that is not finite. */
double precis_norm_distance(const precis_norm *norm, const float *x, const double *from);

/* The same for a vector in double. */
double precis_norm_distance_double(const precis_norm *norm, const double *x, const double *from);

/* |x - from| of `rows` vectors, `stride` floats from one to the next, into to[i * to_stride],
 * rounded up to float32. */
void precis_norm_distances(const precis_norm *norm, int64_t rows, const float *x, int64_t stride,
                           const double *from, float *to, int64_t to_stride);

/* |x| of x rounded to float32, a bound on what that rounding does: half a unit in the last place of
 * each column. */
double precis_norm_rounding(const precis_norm *norm, const float *x);

/* The least c with |x| in `to` <= c |x| in `from` for every x that is 0 where `from` leaves columns
 * out; infinity if `to` has a column that `from` leaves out. */
double precis_norm_conversion(const precis_norm *from, const precis_norm *to);

/* A power of two that brings a column's deviation, or its range where there is none, to 1 .. 2; 1 for
 * columns that are constant. */
double precis_norm_fold(double deviation, double range);

#endif
