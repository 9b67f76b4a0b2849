/* feature_set.h - which monomials a summary is made of
 *
 * The first `lead` variables are the leading ones, the others the trailing ones. A block (a, b) is
 * all monomials of degree a in the leading and of degree b in the trailing variables, C(lead + a -
 * 1, a) C(dim - lead + b - 1, b) of them. With y1 and y2 the inner products over the leading and
 * the trailing variables,
 *
 *   y1^a y2^b = sum over the block of (a!/alpha!) (b!/beta!) q^(alpha, beta) k^(alpha, beta)
 *
 * so that a polynomial in y1 and y2 costs what its blocks cost. The full set of degree g is the
 * case lead = dim with the blocks (0, 0), (1, 0), ..., (g, 0): block p is degree p. */
#ifndef PRECIS_SRC_SUMMARY_FEATURE_SET_H
#define PRECIS_SRC_SUMMARY_FEATURE_SET_H

#include <stdint.h>

enum {
  PRECIS_FEATURES_DEGREE_MAX = 24, /* of a monomial */
  PRECIS_FEATURES_DIM_MAX = 256,
  PRECIS_BLOCKS_MAX = 32
};

typedef struct precis_feature_block {
  uint8_t lead, trail; /* degrees in the leading and in the trailing variables */
} precis_feature_block;

/* Features are numbered block after block: those that values are kept of come first, then those of
 * which only counts are. Block 0 is (0, 0), with values. */
typedef struct precis_feature_set {
  int dim, lead; /* 1 <= lead <= dim */
  int value_blocks, blocks;
  precis_feature_block block[PRECIS_BLOCKS_MAX];
} precis_feature_set;

/* All monomials of degree <= `degree`, with counts only up to count_degree >= degree (0..24). */
precis_feature_set precis_feature_set_full(int dim, int degree, int count_degree);

/* No block is there twice, every one can be filled, and all sizes are in range. */
int precis_feature_set_valid(const precis_feature_set *set);

/* Features of one block; of the first `blocks` ones. -1 beyond int64_t. */
int64_t precis_feature_block_size(const precis_feature_set *set, int block);
int64_t precis_feature_set_size(const precis_feature_set *set, int blocks);

/* The highest degree of a monomial of the first `blocks` blocks. */
int precis_feature_set_degree(const precis_feature_set *set, int blocks);

/* The number of a block; -1 if the set has none of these degrees. */
int precis_feature_set_find(const precis_feature_set *set, int lead, int trail);

/* C(dim + degree, degree), the features of degree <= `degree`; 0 for degree -1; -1 if it exceeds
 * int64_t. */
int64_t precis_features_count(int dim, int degree);

/* Monomials of degree exactly `degree` in so many variables; INT64_MAX if that many or more. */
int64_t precis_features_homogeneous(int variables, int degree);

#endif
