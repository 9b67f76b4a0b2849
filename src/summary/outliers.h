/* outliers.h - the few keys and queries whose norms all others would pay for
 *
 * The bound on the scores of a summary is a product of two radii, of keys and of queries, and a
 * single heavy row spoils it for all. Rows are split by their norm after centring, in units of a
 * typical norm of their head so that one limit serves all heads,
 *
 *   rho = max over heads of |x - center| / unit
 *
 * (a key is an outlier for all of its heads, a query for one head alone). The bulk is summarised,
 * outlier keys travel as tokens and are attended to exactly, outlier queries are answered exactly.
 * Limits are the edges of histogram bins, so that what lies beyond them is known to the row. */
#ifndef PRECIS_SRC_SUMMARY_OUTLIERS_H
#define PRECIS_SRC_SUMMARY_OUTLIERS_H

#include <stdint.h>

#include "src/tokens/keys.h"

enum {
  PRECIS_NORM_BINS = 160,
  PRECIS_LEVELS = 4 /* of limits that are considered, none at all included */
};

/* The sums of the norms of rows [first, rows) that are a multiple of `step` in the sequence, and
 * their number: added to sums[kv_heads] and *count. center: kv_heads x dim. Masked keys are left
 * out. */
void precis_outliers_key_norms(const precis_keys *keys, const double *center, int64_t step,
                               double *sums, double *count);

/* rho of a norm; 0 for a norm of 0 whatever the unit. */
double precis_outliers_rho(double norm, double unit);

/* The largest norm of rows within rho, where no row is longer than `longest`. */
double precis_outliers_radius(double longest, double unit, double rho);

/* rho of each key, 0 for masked ones. center: kv_heads x dim, unit: kv_heads. */
void precis_outliers_key_rho(const precis_keys *keys, const double *center, const double *unit,
                             double *rho);

/* The bin of rho, and the largest rho of a bin; infinity for the last. */
int precis_outliers_bin(double rho);
double precis_outliers_edge(int bin);

/* Limits to choose from. Level 0 has none: rho is infinite and nothing beyond it. */
typedef struct precis_levels {
  int count; /* 1 .. PRECIS_LEVELS */
  double rho[PRECIS_LEVELS];
  int64_t beyond[PRECIS_LEVELS]; /* rows beyond it */
} precis_levels;

/* From a histogram of PRECIS_NORM_BINS: at level l >= 1 the lowest edge with at most a share of 8^l
 * / 32768 of all rows beyond it. Levels that gain little over the one before are left out. */
precis_levels precis_outliers_levels(const int64_t *histogram);

/* The level of a row: it is beyond all limits of higher levels. */
int precis_outliers_level(const precis_levels *levels, double rho);

/* Keys split in two: the same rows with those beyond the limit masked, and these alone. */
typedef struct precis_split_keys {
  precis_keys bulk;   /* borrows k, v and positions; bias is its own */
  precis_keys tokens; /* owned */
} precis_split_keys;

/* Keys without positions get position 0. Errors: MEMORY. */
int precis_outliers_split(const precis_keys *keys, const double *center, const double *unit,
                          double rho, precis_split_keys *split);
void precis_outliers_free(precis_split_keys *split);

#endif
