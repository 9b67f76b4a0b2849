/* reference.h - attention as it is defined, in double precision: the oracle of everything else
 *
 * Scores are long doubles, and summed with care where large terms cancel, so that large ones can be
 * judged too: their rounding is 2^-11 of that in double.
 *
 * Plain loops over float32 rows, one query and one head at a time. Shapes as in precis.h;
 * `problem` is settled; `q` points at the dim numbers of that query head. Nothing here allocates
 * or fails.
 *
 * Cost a query head: 2 n (d + d_v) flops and n exponentials (twice the scores in
 * precis_reference_attend). */
#ifndef PRECIS_SRC_ORACLE_REFERENCE_H
#define PRECIS_SRC_ORACLE_REFERENCE_H

#include <stdint.h>

#include "src/precis.h"

/* Does its bias mask a key? bias may be NULL. */
int precis_reference_masked(const float *bias, int64_t j);

/* The keys that the query sees, all heads of them: k is count x kv_heads x dim, v is count x
 * kv_heads x value_dim, bias is count (-infinity masks a key) or NULL. A causal query is given a
 * shorter count. */
typedef struct precis_reference_keys {
  int64_t count;
  const float *k, *v, *bias;
} precis_reference_keys;

/* Two passes, by the definition: out (value_dim) and *lse. Nothing visible: zeros and -infinity. */
void precis_reference_attend(const precis_problem *problem, int head, const float *q,
                             const precis_reference_keys *keys, double *out, double *lse);

/* The same over a part of the keys: l = sum_j e^{x_j - m}, o = sum_j e^{x_j - m} v_j, with m the
 * largest score. Without a key: m = -infinity, l = 0, o = 0. */
typedef struct precis_reference_partial {
  double m, l;
  double *o; /* value_dim, the caller's */
} precis_reference_partial;

void precis_reference_clear(int value_dim, precis_reference_partial *partial);

/* Adds more keys. */
void precis_reference_add(const precis_problem *problem, int head, const float *q,
                          const precis_reference_keys *keys, precis_reference_partial *partial);

/* With a query that is no row of an array. */
void precis_reference_add_double(const precis_problem *problem, int head, const double *q,
                                 const precis_reference_keys *keys,
                                 precis_reference_partial *partial);

/* Expresses a partial by the exponent m, not below its own but for rounding. */
void precis_reference_rescale(int value_dim, double m, precis_reference_partial *partial);

/* into += from, over disjoint keys. */
void precis_reference_merge(int value_dim, const precis_reference_partial *from,
                            precis_reference_partial *into);

/* out = o / l and *lse = m + log l. */
void precis_reference_finish(int value_dim, const precis_reference_partial *partial, double *out,
                             double *lse);

#endif
