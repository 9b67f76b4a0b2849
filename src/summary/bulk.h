/* bulk.h - keys and queries of one key/value head made ready for a summary
 *
 * With c the centre of the keys and c_q a centre of the queries of the head's group,
 *
 *   x_ij = s <q_i, c> + log w_j + y_ij    log w_j = s <c_q, k_j - c> + b_j    y_ij = <q'_i, k'_j>
 *   k'_j = 2^-e (k_j - c)                 q'_i = 2^e s (q_i - c_q)
 *
 * where the power of two makes both radii about the square root of the bound on |y|, lest monomials
 * overflow. In axes of axes.h k' is 2^-e N (k_j - c) and q'_i is 2^e s M (q_i - c_q).
 *
 * The deviation of a key is how far its values are from their centre: see certificate.h. */
#ifndef PRECIS_SRC_SUMMARY_BULK_H
#define PRECIS_SRC_SUMMARY_BULK_H

#include <stdint.h>

#include "src/tokens/keys.h"
#include "src/tokens/norm.h"
#include "src/precis.h"

typedef struct precis_bulk {
  int kv_head;
  const double *k_center;             /* dim, of this head */
  const double *v_center;             /* value_dim */
  precis_norm norm;                   /* of deviations */
  const double *fold;                 /* value_dim: see terms.h */
  double least_deviation;             /* smaller ones are raised to it */
  const double *q_center;             /* dim */
  double scale;                       /* s */
  int exponent;                       /* e */
  int lead;                           /* leading axes, of 1 .. dim */
  const double *to_queries, *to_keys; /* M and N, dim x dim as in axes.h; both NULL: none */
} precis_bulk;

/* Of a query; norms are nowhere below the true ones. */
typedef struct precis_bulk_norms {
  double offset;      /* s <q, c>, what centring the keys took from its scores */
  double plain;       /* |q - c_q| */
  double lead, trail; /* of M (q - c_q) in the leading and in the other axes */
} precis_bulk_norms;

/* e for |k - c| <= key_radius and s |q - c_q| <= query_radius. */
int precis_bulk_exponent(double key_radius, double query_radius);

/* log w of rows [first, first + rows) into log_weight: -infinity for masked keys. Returns the
 * largest, -infinity for none. */
double precis_bulk_weights(const precis_bulk *bulk, const precis_keys *keys, int64_t first,
                           int64_t rows, double *log_weight);

/* k' and v, centred and folded, of the same rows, rows x dim and rows x value_dim; masked rows are zero. In axes
 * O(dim^2) a row. */
void precis_bulk_keys(const precis_bulk *bulk, const precis_keys *keys, int64_t first, int64_t rows,
                      float *k, float *v);

/* Deviations of the same rows, nowhere below the true ones; 0 for masked ones. */
void precis_bulk_deviations(const precis_bulk *bulk, const precis_keys *keys, int64_t first,
                            int64_t rows, float *deviation);

/* What deviations are raised to, where their mean is this: half of it, so that it costs little and
 * certificate.h has something to divide by. */
double precis_bulk_least_deviation(double mean);

/* w = e^(log_weight - log_scale), at most 1 where log_scale is not below the largest. */
void precis_bulk_scale_weights(int64_t rows, const double *log_weight, double log_scale, float *w);

/* q' of `rows` queries for all heads of the group: rows x group x dim; q points at the first head
 * of the group in rows of q_stride floats. norms: rows x group. */
void precis_bulk_queries(const precis_bulk *bulk, int dim, int group, int64_t rows, const float *q,
                         int64_t q_stride, float *to, precis_bulk_norms *norms);

/* The sums of `rows` queries of a group into sums[dim] (added to), and the largest |q - center| of
 * them. */
void precis_bulk_query_sums(int dim, int group, int64_t rows, const float *q, int64_t q_stride,
                            double *sums);
double precis_bulk_query_radius(int dim, int group, int64_t rows, const float *q, int64_t q_stride,
                                const double *center);

/* Largest squared norms in axes, for every number of leading ones: [n], n = 0 .. dim, of the first
 * n and of the other axes, raised to if they are more. Of queries times s; of keys, masked ones
 * left out. bulk->lead and exponent do not matter, axes must be there. */
void precis_bulk_query_reach(const precis_bulk *bulk, int dim, int group, int64_t rows,
                             const float *q, int64_t q_stride, double *lead, double *trail);
void precis_bulk_key_reach(const precis_bulk *bulk, const precis_keys *keys, int64_t first,
                           int64_t rows, double *lead, double *trail);

#endif
