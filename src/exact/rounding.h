/* rounding.h - how far float32 can take an exact part of a row from the truth */
#ifndef PRECIS_SRC_EXACT_ROUNDING_H
#define PRECIS_SRC_EXACT_ROUNDING_H

#include "src/tokens/terms.h"

/* A bound e on the relative error of weights, and of sums of weights and of weighted values
 * relative to the same sums of magnitudes, for one row: its query's norm |q|, and `score`, about
 * the largest of its scores (natural units, bias - bias_center included). Infinity where nothing
 * can be said. The error mass of the row (certificate.h) is e times its sums. */
double precis_rounding_exact(const precis_terms *terms, int kv_head, double query_norm,
                             double score);

/* The same where all is computed in double from float32 queries, keys and values. */
double precis_rounding_double(const precis_terms *terms, int kv_head, double query_norm,
                              double score);

/* What float64 leaves of lse: offsets are sums of products that may cancel. `size` is the sum of
 * their magnitudes, and of whatever else was added. */
double precis_rounding_lse(const precis_problem *problem, double size);

#endif
