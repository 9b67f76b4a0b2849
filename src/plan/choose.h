/* choose.h - the cheapest degrees that keep the promise, judged on sampled rows */
#ifndef PRECIS_SRC_PLAN_CHOOSE_H
#define PRECIS_SRC_PLAN_CHOOSE_H

#include <stdint.h>

#include "src/proof/certificate.h"
#include "src/model/model.h"
#include "src/proof/polynomial.h"
#include "src/precis.h"

enum {
  PRECIS_SAMPLE_KEYS = 512,
  PRECIS_SAMPLE_QUERIES = 128,
  /* Numbers of a row: sum_j w_j y^m for m = 0 .. 24, then sum_j w_j y^m e^y for m = 0 .. 6, then
     sum_j w_j e^{2 y}, then sum_j w_j d_j and sum_j w_j d_j y^2, d_j the deviation of a key. Ranks
     add them up, so that they had better be few. */
  PRECIS_SAMPLE_DEGREE = 6,
  PRECIS_SAMPLE_EXP = PRECIS_DEGREE_MAX + 1,
  PRECIS_SAMPLE_SQUARE = PRECIS_SAMPLE_EXP + PRECIS_SAMPLE_DEGREE + 1,
  PRECIS_SAMPLE_DEVIATION = PRECIS_SAMPLE_SQUARE + 1,
  PRECIS_SAMPLE_MOMENTS = PRECIS_SAMPLE_DEVIATION + 2
};

/* Where exact moves are forbidden, the certificates of sampled rows are to keep this part of the
 * tolerance: rows that were not sampled may be worse. */
static const double PRECIS_FORCED_MARGIN = 0.25;

/* What rows over the tolerance add to the seconds of a plan: their repair, of so many seconds.
 * Where exact moves are forbidden (`forced`) one such row is the end, so that no price is too high
 * to avoid it, and those that are `nearly` over (by the margin above) are dear as well. Both are
 * shares of the rows; nearly plays no part otherwise. */
double precis_choose_price_of_failing(int forced, double repair_seconds, double failing,
                                      double nearly);

/* Of the queries of all rows. One row in a thousand can cost as much to repair as a summary of all,
 * and no sample of a hundred rows knows of it; but all lengths are known, and a sampled row tells
 * what it would be if it were as long as any. Borrowed. */
typedef struct precis_lengths {
  const int64_t *histogram; /* PRECIS_NORM_BINS, of lengths / unit: see outliers.h; NULL: unknown */
  double unit;              /* a typical length of the head at hand */
  double most;              /* length / unit; longer rows are left out; infinity: none */
} precis_lengths;

/* Sampled rows of one key/value head, each by its moments over sampled keys. The sample steers,
 * proofs never depend on it. */
typedef struct precis_head_sample {
  int rows;
  const double *moments; /* rows x PRECIS_SAMPLE_MOMENTS */
  const double *lengths; /* rows: in each, |y| is at most its length times `unit` */
  double unit;
  double bound;           /* B, of all rows of the bulk; longer ones of the sample are left out */
  double least_deviation; /* no deviation is smaller; > 0 */
  precis_lengths all;     /* of all rows, as far as they are known */
} precis_head_sample;

/* Adds one pair to a row's moments: a key of weight w, its deviation (bulk.h), and the score y
 * without its separable parts. */
void precis_sample_add(double *row, double w, double deviation, double y);

/* A pair of degrees with what it costs: flops of all ranks, and words of one summary. */
typedef struct precis_candidate {
  int degree, envelope_degree;
  int64_t features, count_features; /* with values; beyond them, with counts only */
  double seconds;                   /* predicted, of the whole call, repair apart */
} precis_candidate;

/* There are no more: three envelopes for each degree. */
enum { PRECIS_CANDIDATES_MOST = 3 * PRECIS_DEGREE_MAX };

/* Candidates for a problem in the order of their predicted seconds, at most `most`, within the
 * scene's memory limit. degree > 0 allows that one alone. Returns their number. */
int precis_choose_candidates(const precis_scene *scene, int degree, int most,
                             precis_candidate *candidates);

/* Predicted seconds of one candidate, of which only the numbers of features matter. */
double precis_choose_seconds(const precis_scene *scene, const precis_candidate *candidate);

precis_summary_size precis_candidate_size(const precis_candidate *candidate);

/* Leaves those that are worth a fit, in their order, and returns how many. Not worth it are high
 * degrees (above PRECIS_SAMPLE_DEGREE) that are far from the goal, and those well above the
 * cheapest that is sure to reach it: by estimates, with limits as tight and as loose as there are.
 * At least one is left. */
int precis_choose_hopeful(const precis_head_sample *tight, const precis_head_sample *loose,
                          const precis_goal *goal, int count, precis_candidate *candidates);

/* About the error of the longest sampled rows over what it may be, rounding apart, without fitting.
 */
double precis_choose_expected(const precis_head_sample *sample, int degree, int envelope_degree,
                              const precis_goal *goal);

/* Fits one head, for the moments of the longest sampled rows and so that rounding, if it is given,
 * is heeded where it counts. Errors: those of precis_polynomial_fit(). */
int precis_choose_fit(const precis_head_sample *sample, int degree, int envelope_degree,
                      const precis_summary_rounding *rounding, precis_polynomial *fit);

/* Those moments: PRECIS_DEGREE_MAX + 1. */
void precis_choose_moments(const precis_head_sample *sample, double *moments);

/* Fits P of degree 1..6 alone, by least squares over all sampled pairs, each row by its own
 * normaliser; E is 0: nothing is proved. Returns the largest root mean square of P - e^y of a row,
 * relative to its mean e^y; infinity if there is no fit. */
double precis_choose_least_squares(const precis_head_sample *sample, int degree,
                                   precis_polynomial *fit);

/* The share of the rows of the bulk whose certificate, with rounding, would miss the goal. */
double precis_choose_failing(const precis_head_sample *sample, const precis_polynomial *fit,
                             const precis_summary_rounding *rounding, const precis_goal *goal);

#endif
