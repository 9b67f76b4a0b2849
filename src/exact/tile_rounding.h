/* tile_rounding.h - what the exact tile's float32 takes from the truth, in one place
 *
 * u = 2^-24, products and additions are fused or rounded one after the other. All forms of
 * tile_kernel.h keep to these numbers, and tests compare them with the oracle.
 *
 * Score of a query and a key, in units of log 2:
 *  - packing: the query is multiplied by the scale in double and rounded once, the centred key is
 *    rounded once (in the parcel): 2 u;
 *  - the product is a chain of dim multiply-adds in float32: dim u where they are fused (v3, v4),
 *    one more where they are not: |error| <= PRECIS_TILE_SCORE_ROUNDINGS(dim) u |scale| |q| |k| /
 * log 2 in all, to first order;
 *  - a bias costs its own rounding and that of its addition: 2 u |bias| + u |x|;
 *  - the reference is an integer. Where there is no bias and |m| < PRECIS_TILE_REFERENCE it is
 *    subtracted exactly; else u |x - m|.
 * Weight: relative error PRECIS_EXP2_ERROR, of exp2.h, beside that of its score; 0 where x - m <
 * PRECIS_TILE_LEAST, m being at most 40 above the largest score: less than n 2^-60 of the sum.
 * Sum of weights, and of weighted values (relative to sum w |v|): chains of at most
 * PRECIS_TILE_CHAIN terms, at most PRECIS_TILE_CHAINS of which are added up in float32, then
 * doubles: PRECIS_TILE_SUM_ROUNDINGS u, or 3.9e-6, for any number of keys. Partials are double;
 * those that travel are rounded once a merge (partial.h). */
#ifndef PRECIS_SRC_EXACT_TILE_ROUNDING_H
#define PRECIS_SRC_EXACT_TILE_ROUNDING_H

#include "src/exact/exp2.h"
#include "src/exact/tile_kernel.h"

/* Roundings, relative to |q| |k|, in the score of a query and a key; packing's two among them. */
#define PRECIS_TILE_SCORE_ROUNDINGS(dim) ((dim) + 2)

/* Roundings that a weight, or a weight times a value, can meet on its way into a double. */
#define PRECIS_TILE_SUM_ROUNDINGS (PRECIS_TILE_CHAIN + PRECIS_TILE_CHAINS)

#endif
