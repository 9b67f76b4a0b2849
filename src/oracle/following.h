/* following.h - values that follow the keys: a smooth function of a key for each column
 *
 *   f_c = a y_c + b (cos y_c' - mean of it) / deviation of it        a^2 + b^2 = 1
 *
 * with y_c the key along a random direction, in units of its deviation along it, and c' the next
 * column: a linear map and a gentle nonlinearity. y is normal where keys are, and the two terms,
 * one odd and one even, are then uncorrelated: f has mean 0 and deviation 1. */
#ifndef PRECIS_SRC_ORACLE_FOLLOWING_H
#define PRECIS_SRC_ORACLE_FOLLOWING_H

#include <stdint.h>

/* a above: what small scores bring out, as attention to them is linear in the keys. */
#define PRECIS_FOLLOWING_LINEAR .92

/* The directions of a kv head, value_dim x dim; axis i of its keys has deviation[i]. */
void precis_following_directions(uint64_t seed, uint32_t kv_head, int dim, int value_dim,
                                 const double *deviation, double *direction);

/* f of a key, value_dim numbers. */
void precis_following_value(int dim, int value_dim, const double *direction, const double *key,
                            double *f);

#endif
