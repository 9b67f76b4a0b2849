/* features.h - the monomials of a key or a query: their numbers, and recipes that make any run
 * of them in cache
 *
 * Features are all monomials of degree 0, 1, ..., g in d variables, C(d + g, g) of them, by
 * ascending degree and inside a degree in the order of their ascending variables: x_0 x_0, x_0
 * x_1, ..., x_1 x_1, ... So the monomials of degree p are x_i times those of degree p - 1 in the
 * variables from i on, for each i in turn. It is also true from the other end, which is what the
 * recipes use: those that share a prefix (all variables but the last) are consecutive, and are
 * the prefix times one variable after the other. One multiply a monomial, and nothing but the
 * few prefixes of a run of features must exist before it. */
#ifndef PRECIS_SRC_FEATURES_H
#define PRECIS_SRC_FEATURES_H

#include <stdint.h>

enum {
  PRECIS_FEATURES_DEGREE_MAX = 12,
  PRECIS_FEATURES_DIM_MAX = 256,
  PRECIS_CHUNK_FEATURES = 256 /* at most, in a chunk */
};

/* Prefixes of a chunk, at most. Enumeration over d finds that 256 consecutive features of degree
 * 2, 3, ..., 12 have at most 23, 74, 146, 219, 316, 404, 517, 607, 689, 836, 963 of them, so
 * this never cuts a chunk short. */
static inline int precis_chunk_prefixes(int degree)
{
  return 88 * degree;
}

/* C(dim + degree, degree), the features of degree <= `degree`; 0 for degree -1; -1 if it exceeds
 * int64_t. */
int64_t precis_features_count(int dim, int degree);

typedef struct precis_monomial {
  int degree;
  int variable[PRECIS_FEATURES_DEGREE_MAX]; /* ascending */
} precis_monomial;

/* Feature number `feature` >= 0 of degree at most PRECIS_FEATURES_DEGREE_MAX. */
precis_monomial precis_monomial_at(int dim, int64_t feature);

/* Goes on to the next feature. Returns the first place whose variable changed; 0 where the
 * degree changed. */
int precis_monomial_next(int dim, precis_monomial *monomial);

/* p!/alpha!, the number of products y_1 ... y_p in (q k)^p that are this monomial. */
double precis_monomial_orders(const precis_monomial *monomial);

/* One row of tokens: a prefix row times a factor row. Prefix row 0 is the base (ones, or the
 * weights of keys), row 1 + i the i-th prefix of the chunk. Factor row 0 is ones, row 1 + c is
 * variable c. */
typedef struct precis_feature_step {
  uint16_t prefix, factor;
} precis_feature_step;

/* Consecutive features of one degree, 256 or up to the end of the degree or of the recipe.
 * Prefixes come in an order in which each needs only earlier ones. */
typedef struct precis_feature_chunk {
  int64_t first; /* feature number */
  int degree, prefixes, features;
  const precis_feature_step *prefix, *feature;
  const float *orders; /* p!/alpha! of each feature */
} precis_feature_chunk;

typedef struct precis_feature_recipe {
  int64_t chunks;
  precis_feature_chunk *chunk;
} precis_feature_recipe;

/* Bytes that the recipe of so many consecutive features of degree <= `degree` takes. */
int64_t precis_recipe_bytes(int degree, int64_t features);

/* The recipe of features first .. first + features - 1, in `memory` (aligned to 64 bytes).
 * Cannot fail. */
precis_feature_recipe precis_recipe_make(int dim, int64_t first, int64_t features, void *memory);

/* rows[c * ld + t] = x[t * stride + c] for c < dim, t < tokens; zero for tokens <= t < padded <=
 * ld. */
void precis_features_load(int dim, int64_t tokens, int64_t padded, const float *x, int64_t stride,
                          int64_t ld, float *rows);

/* x[t * stride + c] += rows[c * ld + t], the way back. */
void precis_features_unload(int dim, int64_t tokens, const float *rows, int64_t ld, int64_t stride,
                            float *x);

/* The rows of a chunk, portable form. Rows lie ld floats apart, `tokens` <= ld (a multiple of
 * 16) of each are made.
 *   factor  1 + dim rows, row 0 ones
 *   prefix  1 + chunk->prefixes rows, row 0 the base, the others written
 *   rows    chunk->features rows, written */
void precis_features_make(const precis_feature_chunk *chunk, int64_t tokens, int64_t ld,
                          const float *factor, float *prefix, float *rows);

#endif
