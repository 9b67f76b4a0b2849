/* axes.h - common principal axes of queries and keys
 *
 * For an invertible M the scores <q, k> are those of q' = M q and k' = M^-T k. The M made here
 * gives both the same diagonal covariance, as balanced truncation does in control theory: where
 * their covariances share principal axes it is a rotation into these, then a stretching of each
 * axis that makes queries and keys equally long in it. So the few axes that carry most of the
 * scores come first, and max |q'| max |k'|, the bound on scores, is about as small as it can be.
 *
 * Matrices are dim x dim doubles, column by column of the map: entry c * dim + i is what
 * coordinate c contributes to axis i.
 *
 * Everything here is local and keeps no state. */
#ifndef PRECIS_SRC_SUMMARY_AXES_H
#define PRECIS_SRC_SUMMARY_AXES_H

#include <stdint.h>

/* Adds sum (x - center)(x - center)^T over `rows` rows of `stride` floats to sums, dim x dim, the
 * upper triangle (c <= i of c * dim + i) alone. */
void precis_axes_add_covariance(int dim, int64_t rows, const float *x, int64_t stride,
                                const double *center, double *sums);

/* Numbers of working space of the next. */
int64_t precis_axes_scratch(int dim);

/* The axes for two covariances (upper triangles, any units; neither need be regular: what is less
 * than 1e-6 of the mean variance counts as that). to_queries: M, to_keys: M^-T. spread: dim,
 * standard deviations of q' and k' squared, descending. Returns PRECIS_ERR_INTERNAL, with nothing
 * written that is of use, where no axes are found (an entry is not finite). */
int precis_axes_make(int dim, const double *query_covariance, const double *key_covariance,
                     double *to_queries, double *to_keys, double *spread, double *scratch);

/* |<q', k'> - <q, k>| <= precis_axes_error() |q| |k| for q' and k' of precis_axes_turn() before
 * they are rounded to float32, if |q| and |k| are computed in double. */
double precis_axes_error(int dim, const double *to_queries, const double *to_keys);

/* turned = map (x - center), in double. No aliasing. */
void precis_axes_turn(int dim, const double *map, const float *x, const double *center,
                      double *turned);

/* Squared norms of a turned row: lead[n] of its first n axes, trail[n] of the others, n = 0 .. dim;
 * each raised to what was there if that is more. */
void precis_axes_raise(int dim, const double *turned, double *lead, double *trail);

#endif
