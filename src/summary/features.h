/* features.h - the monomials of a key or a query: their numbers, and recipes that make any run
 * of them in cache
 *
 * Which monomials there are says a feature set (feature_set.h). Inside a block they come in the
 * order of their ascending variables, leading ones before trailing ones: x_0 x_0, x_0 x_1, ...,
 * x_1 x_1, ... So all that share a monomial in the leading variables are consecutive, and the
 * monomials of degree p in some variables are x_i times those of degree p - 1 in the variables from
 * i on, for each i in turn. It is also true from the other end, which is what the recipes use:
 * those that share a prefix (all variables but the last) are consecutive, and are the prefix times
 * one variable after the other. One multiply a monomial, and nothing but the few prefixes of a run
 * of features must exist before it. */
#ifndef PRECIS_SRC_SUMMARY_FEATURES_H
#define PRECIS_SRC_SUMMARY_FEATURES_H

#include <stdint.h>

#include "src/summary/feature_set.h"

enum {
  PRECIS_CHUNK_FEATURES = 256 /* at most, in a chunk */
};

/* Prefixes of a chunk, at most: a feature brings degree - 1 or fewer. So many only where there are
 * few trailing variables; 256 consecutive features of degree 2, 3, ..., 6 of a full set have at
 * most 23, 74, 146, 219, 316 of them (enumeration over d). */
static inline int precis_chunk_prefixes(int degree)
{
  return degree > 1 ? PRECIS_CHUNK_FEATURES * (degree - 1) : 0;
}

typedef struct precis_monomial {
  int block, degree;
  int lead;                                 /* so many of the variables are leading ones */
  int variable[PRECIS_FEATURES_DEGREE_MAX]; /* ascending */
} precis_monomial;

/* Feature number `feature` of a set, 0 <= feature < its size. */
precis_monomial precis_monomial_at(const precis_feature_set *set, int64_t feature);

/* Goes on to the next feature. Returns the first place whose variable changed; 0 where the
 * block changed. After the last one block is set->blocks. */
int precis_monomial_next(const precis_feature_set *set, precis_monomial *monomial);

/* a!/alpha! b!/beta!, the number of products in (q1 k1)^a (q2 k2)^b that are this monomial. */
double precis_monomial_orders(const precis_monomial *monomial);

/* One row of tokens: a prefix row times a factor row. Prefix row 0 is the base (ones, or the
 * weights of keys), row 1 + i the i-th prefix of the chunk. Factor row 0 is ones, row 1 + c is
 * variable c. */
typedef struct precis_feature_step {
  uint16_t prefix, factor;
} precis_feature_step;

/* Consecutive features of one block, 256 or up to the end of the block or of the recipe. Prefixes
 * come in an order in which each needs only earlier ones. */
typedef struct precis_feature_chunk {
  int64_t first; /* feature number */
  int block, degree, prefixes, features;
  const precis_feature_step *prefix, *feature;
  const float *orders; /* precis_monomial_orders() of each feature */
} precis_feature_chunk;

typedef struct precis_feature_recipe {
  int64_t chunks;
  precis_feature_chunk *chunk;
} precis_feature_recipe;

/* Bytes that the recipe of so many consecutive features of degree <= `degree` takes. */
int64_t precis_recipe_bytes(int degree, int64_t features);

/* The recipe of features first .. first + features - 1, in `memory` (aligned to 64 bytes).
 * Cannot fail. */
precis_feature_recipe precis_recipe_make(const precis_feature_set *set, int64_t first,
                                         int64_t features, void *memory);

/* rows[c * ld + t] = x[t * stride + c] for c < dim, t < tokens; zero for tokens <= t < padded <=
 * ld. */
void precis_features_load(int dim, int64_t tokens, int64_t padded, const float *x, int64_t stride,
                          int64_t ld, float *rows);

/* x[t * stride + c] += rows[c * ld + t], the way back, of sums. */
void precis_features_unload(int dim, int64_t tokens, const double *rows, int64_t ld, int64_t stride,
                            double *x);

/* The rows of a chunk, portable form. Rows lie ld floats apart, `tokens` <= ld (a multiple of
 * 16) of each are made.
 *   factor  1 + dim rows, row 0 ones
 *   prefix  1 + chunk->prefixes rows, row 0 the base, the others written
 *   rows    chunk->features rows, written */
void precis_features_make(const precis_feature_chunk *chunk, int64_t tokens, int64_t ld,
                          const float *factor, float *prefix, float *rows);

#endif
