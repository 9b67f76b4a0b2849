/* apply.h - a summary applied to queries, for one head
 *
 * With y1 and y2 the inner products over the leading and the trailing variables (feature_set.h), P
 * = sum a_b y1^.. y2^.. and E = sum e_b y1^.. y2^.. over the blocks b of the set, and S of
 * summarise.h, a query gathers
 *
 *   num[c] += sum_j w_j P(y_j) v_jc = sum_f a_b(f) orders_f phi_f(q) S[f][c]
 *   den    += sum_j w_j P(y_j)      = sum_f a_b(f) orders_f phi_f(q) count[f]
 *   env    += sum_j w_j E(y_j)      = sum_f e_b(f) orders_f phi_f(q) count[f]
 *
 * with orders_f of features.h and b(f) the block of f. For a full set y1 = y, and b(f) is a degree.
 * env of counts with deviations, sum_j w_j d_j E(y_j), is gathered along with it.
 *
 * den and env share sum_f orders_f phi_f(q) count[f] over each block, so that E costs nothing
 * more in P's blocks, one number with deviations, and one number a feature beyond (a tile with
 * value_dim 0). */
#ifndef PRECIS_SRC_SUMMARY_APPLY_H
#define PRECIS_SRC_SUMMARY_APPLY_H

#include <stdint.h>

#include "src/summary/feature_kernel.h"

/* Block sizes and the form of the kernel, fixed once for a problem and a fast memory. */
typedef struct precis_apply_shape {
  precis_feature_set set;
  int value_dim;         /* 0: only counts */
  int deviations;        /* counts come twice; 0 as planned, may be set to 1 if there are values */
  int degree;            /* the highest of a feature */
  int64_t query_block;   /* n_b, queries that stay in fast memory with their sums: whole groups */
  int64_t tile_features; /* r_b, rows of S that stay there */
  int64_t stream_features; /* rows of S at a time that pass by queries that stay */
  const precis_feature_kernel *kernel;
} precis_apply_shape;

/* ARGUMENT as precis_summarise_plan(). */
int precis_apply_plan(const precis_feature_set *set, int value_dim, int64_t fast_memory_bytes,
                      precis_apply_shape *shape);

/* Rows first .. first + features - 1 of S. */
typedef struct precis_summary_tile {
  int64_t first, features;
  const float *values;    /* features x value_dim; ignored where value_dim is 0 */
  const float *counts;    /* features */
  const float *deviating; /* features: counts with deviations; ignored where the shape has none */
} precis_summary_tile;

/* Queries of one head, centred and scaled so that y is the inner product with the keys as
 * summarised. */
typedef struct precis_query_rows {
  int64_t rows;
  const float *q; /* rows x dim, q_stride floats apart */
  int64_t q_stride;
  double *num; /* rows x value_dim, num_stride doubles apart; ignored where value_dim is 0 */
  int64_t num_stride;
  double *den, *env; /* rows */
  double *deviating; /* rows; ignored where the shape has no deviations */
} precis_query_rows;

/* Coefficients of each block of the set, which is a degree of a full set. */
typedef struct precis_apply_coefficients {
  const double *a, *e;
} precis_apply_coefficients;

/* Either way: adds to num, den and env, which the caller has cleared before the first tile. Any
 * number of queries and features, also none.
 *   scratch  precis_apply_scratch() bytes, aligned to 64 bytes
 * No aliasing. A term passes precis_apply_roundings() of additions, however many features there are
 * and however they are cut into calls; besides a rounding for each of: S's entry, a_b, orders and
 * the two products of these; d factors of phi(q); the product with S. Kernel: never fails,
 * allocates or communicates; the caller has set BLAS to one thread. */

/* Feature-stationary, for tiles that arrive one by one: all queries against rows of S that stay
 * in fast memory.
 * I/O for n queries: (n d + 4 n (d_v + 3)) ceil(features / r_b) + features (d_v + 1) words of
 * a float, two of them a double; one more of d_v with deviations. */
void precis_apply_tile(const precis_apply_shape *shape,
                       const precis_apply_coefficients *coefficients,
                       const precis_summary_tile *tile, const precis_query_rows *queries,
                       void *scratch);

/* Query-stationary, for an S that is all there: n_b queries stay in fast memory and S streams past.
 * I/O for n queries: n (d + 2 d_v) + ceil(n / n_b) r (d_v + 1). */
void precis_apply_whole(const precis_apply_shape *shape,
                        const precis_apply_coefficients *coefficients,
                        const precis_summary_tile *tile, const precis_query_rows *queries,
                        void *scratch);

/* The formulas above, in 4-byte words. */
double precis_apply_tile_words(const precis_apply_shape *shape, int64_t queries, int64_t features);
double precis_apply_whole_words(const precis_apply_shape *shape, int64_t queries, int64_t features);

/* Bytes of working space of one call of either. */
int64_t precis_apply_scratch(const precis_apply_shape *shape);

#endif
