/* block_sample.h - feature sets judged on sampled rows, by moments of both parts of their scores
 *
 * The sample steers, proofs never depend on it. */
#ifndef PRECIS_SRC_PLAN_BLOCK_SAMPLE_H
#define PRECIS_SRC_PLAN_BLOCK_SAMPLE_H

#include "src/proof/bivariate.h"
#include "src/proof/certificate.h"

enum { PRECIS_BLOCK_LEAD_MOST = 8, PRECIS_BLOCK_TRAIL_MOST = 4 };

/* A row by sums over its sampled keys; zeroed to begin with. */
typedef struct precis_block_row {
  double lead_bound, trail_bound;     /* of |y1| and |y2| in this row, by the caller */
  double weights, normaliser, square; /* of w, w e^y, w y^2 */
  /* of w y1^a y2^b, and of its magnitude */
  double mean[PRECIS_BLOCK_LEAD_MOST + 1][PRECIS_BLOCK_TRAIL_MOST + 1];
  double size[PRECIS_BLOCK_LEAD_MOST + 1][PRECIS_BLOCK_TRAIL_MOST + 1];
  /* of w d y1^a y2^b, d the deviation of a key (bulk.h) */
  double deviating[PRECIS_BLOCK_LEAD_MOST + 1][PRECIS_BLOCK_TRAIL_MOST + 1];
} precis_block_row;

/* Adds a key of weight w. */
void precis_block_row_add(precis_block_row *row, double w, double deviation, double y1, double y2);

/* The moments to fit for: those of the longest rows. */
void precis_block_moments(int rows, const precis_block_row *row, const precis_feature_set *set,
                          precis_bivariate_moments *moments);

/* The share of rows that will miss the goal, estimated before anything is fitted by the first terms of
 * the Taylor series that A leaves out: as few as may be with luck (no fit was ever seen to do
 * better), or about as many as there will be, where terms that E has no even powers for count more.
 */
double precis_block_estimate(int rows, const precis_block_row *row, const precis_feature_set *set,
                             int luck, const precis_goal *goal);

/* The share of rows whose certificate, with rounding, would miss the goal. least_deviation: no
 * deviation is smaller; > 0. */
double precis_block_failing(int rows, const precis_block_row *row, const precis_bivariate *fit,
                            const precis_summary_rounding *rounding, double least_deviation,
                            const precis_goal *goal);

#endif
