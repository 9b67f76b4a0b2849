/* summarise.h - S, the polynomial-feature summary of keys and values, for one head
 *
 *   S[f][c] = sum_j w_j phi_f(k_j) v_jc        count[f] = sum_j w_j phi_f(k_j)
 *
 * Where values are kept, counts come twice, once with w_j d_j in place of w_j, d_j the deviation of
 * the key's values (bulk.h): what proves a row needs both. Of features without values there are
 * counts with deviations alone, which is a matter of the weights given.
 *
 * Feature-stationary: a tile of rows of S stays in fast memory and the keys and values stream
 * past it. I/O for n keys and r features in tiles of r_b: n (d + d_v) ceil(r / r_b) + r (d_v +
 * 1) numbers. phi is never stored: its rows exist for one block of keys and a few features at a
 * time. */
#ifndef PRECIS_SRC_SUMMARY_SUMMARISE_H
#define PRECIS_SRC_SUMMARY_SUMMARISE_H

#include <stdint.h>

#include "src/summary/feature_kernel.h"

/* Numbers of a feature beside those of its values: its count, and the count with deviations. */
enum { PRECIS_SUMMARY_COUNTS = 2 };

/* Numbers of a head's summary. */
static inline int64_t precis_summary_numbers(int64_t features, int64_t count_features,
                                             int value_dim)
{
  return features * (value_dim + PRECIS_SUMMARY_COUNTS) + count_features;
}

/* Block sizes and the form of the kernel, fixed once for a problem and a fast memory. */
typedef struct precis_summarise_shape {
  precis_feature_set set;
  int value_dim;         /* 0: only counts */
  int deviations;        /* counts come twice; 0 as planned, may be set to 1 if there are values */
  int degree;            /* the highest of a feature */
  int key_block;         /* keys at a time, a multiple of 16 */
  int64_t tile_features; /* r_b */
  const precis_feature_kernel *kernel;
} precis_summarise_shape;

/* For features of the set that values are kept of; value_dim 0: for any of its features, of which
 * only counts are kept. ARGUMENT for a set that is not valid and for value_dim above
 * PRECIS_FEATURES_DIM_MAX. */
int precis_summarise_plan(const precis_feature_set *set, int value_dim, int64_t fast_memory_bytes,
                          precis_summarise_shape *shape);

/* Numbers that n keys and so many features move through fast memory, by the formula above, in
 * 4-byte words. */
double precis_summarise_words(const precis_summarise_shape *shape, int64_t keys, int64_t features);

/* Bytes of working space of one call. */
int64_t precis_summarise_scratch(const precis_summarise_shape *shape);

/* Keys and values of one head, centred, k scaled by a power of two. */
typedef struct precis_weighted_keys {
  int64_t keys;
  const float *k; /* keys x dim, rows k_stride floats apart */
  int64_t k_stride;
  const float *v; /* keys x value_dim, rows v_stride floats apart; ignored where value_dim is 0 */
  int64_t v_stride;
  const float *w; /* keys: >= 0, relative to the log-scale that travels with S; NULL: ones */
  const float *deviation; /* keys: >= 0; ignored where the shape has none */
} precis_weighted_keys;

/* Adds keys to rows first .. first + features - 1 of S, all of them in the set. Any number of keys
 * and features, also none. One key costs O(features (value_dim + 1)).
 *   values     features x value_dim doubles, aligned as such; not touched where value_dim is 0
 *   counts     features doubles
 *   deviating  features doubles, with deviations; not touched where the shape has none
 *   scratch    precis_summarise_scratch() bytes, aligned to 64 bytes
 * No aliasing. A sum is wrong by at most (precis_summarise_roundings() + degree + 1) 2^-24 times
 * its sum of magnitudes, to first order, for any number of keys: see feature_kernel.h. Kernel:
 * never fails, allocates or communicates; the caller has set BLAS to one thread. */
void precis_summarise_add(const precis_summarise_shape *shape, const precis_weighted_keys *keys,
                          int64_t first, int64_t features, double *values, double *counts,
                          double *deviating, void *scratch);

/* into = into_scale into + from_scale from, for merging sums whose log-scales differ. */
void precis_summary_merge(int64_t numbers, double into_scale, double *into, double from_scale,
                          const double *from);

/* The same for sums as they travel. */
void precis_summary_merge_wire(int64_t numbers, double into_scale, double *into, double from_scale,
                               const float *from);

/* into = the sums of `count` arrays, of which `into` may be one; in double, rounded once. */
void precis_summary_sum(int64_t numbers, int count, const float *const *from, float *into);

/* Rounds sums to what travels and what is applied. */
void precis_summary_round(int64_t numbers, double scale, const double *from, float *into);

#endif
