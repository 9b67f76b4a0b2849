/* paper_sample.h - sampled scores of a problem that exists on paper alone
 *
 * Queries and keys are Gaussian (or all of one length), with scores of a given deviation: a row's
 * scores are a Gaussian whose deviation goes with the length of its query, cut where |y| would
 * exceed its bound. Values are Gaussian, of one deviation (certificate.h). Quantiles stand for random
 * draws. */
#ifndef PRECIS_SRC_PAPER_SAMPLE_H
#define PRECIS_SRC_PAPER_SAMPLE_H

#include <stdint.h>

#include "src/plan/choose.h"

typedef struct precis_paper_scores {
  int dim, value_dim;
  int64_t queries, keys; /* rows of all heads of a group; keys */
  double spread;         /* deviation of the scores, over all rows */
  double bound; /* B; 0: the one that so many Gaussian queries and keys may be expected to have */
  int unit;     /* queries and keys are all of one length */
  double signal; /* deviation of what values have from the keys over that of their noise */
} precis_paper_scores;

/* The bound that goes with them: as given, or expected. */
double precis_paper_bound(const precis_paper_scores *scores);

/* How far a row is from the mean row, in units of the values' deviations, in the mean over rows: of a
 * column that follows the keys in one direction by the part r of its variance, r times the
 * covariance of key and score in that direction; and what is left of the noise. */
double precis_paper_signal(const precis_paper_scores *scores);

/* Fills PRECIS_SAMPLE_QUERIES rows: moments[rows x PRECIS_SAMPLE_MOMENTS], lengths[rows],
 * which the sample borrows. */
precis_head_sample precis_paper_sample(const precis_paper_scores *scores, double *moments,
                                       double *lengths);

#endif
