/* survey.h - what one rank learns about its keys and queries in passes of O(rows x dim)
 *
 * Softmax ignores a common shift of the keys, outputs follow a common shift of the values: both are
 * moved to their means before float32 sees them. Masked keys (bias -infinity) count nowhere. */
#ifndef PRECIS_SRC_TOKENS_SURVEY_H
#define PRECIS_SRC_TOKENS_SURVEY_H

#include <stdint.h>

#include "src/precis.h"
#include "src/tokens/keys.h"

/* Sums over keys, laid out for one reduction: kv_heads x dim of k, kv_heads x value_dim of v, the
 * number of keys; then, with weights w = e^(bias - bias_top), see precis_survey_spreads(): the sum
 * of w, kv_heads x value_dim of w (v - center) and the same of w (v - center)^2. */
int64_t precis_survey_sums_size(const precis_keys *keys);
/* Where the sum of w is among them. */
int64_t precis_survey_spreads_at(const precis_keys *keys);
/* Adds rows [first, keys->rows) to the sums before the spreads. */
void precis_survey_sums(const precis_keys *keys, int64_t first, double *sums);
/* And to the spreads. center: kv_heads x value_dim. */
void precis_survey_spreads(const precis_keys *keys, int64_t first, const double *center,
                           double bias_top, double *sums);

/* Whether some column's variance is too small beside the distance of its weighted mean from the
 * centre for its digits to be good: spreads are then wanted about that mean, which goes to
 * mean[kv_heads x value_dim]. */
int precis_survey_cancels(const precis_keys *keys, const double *sums, const double *center,
                          double *mean);

/* The deviation of each value column, weighted, from all sums: kv_heads x value_dim; 0 for a column
 * that is constant. most, least (negated): kv_heads x value_dim, see below. */
void precis_survey_deviations(const precis_keys *keys, const double *sums, const double *most,
                              const double *least, double *sigma);

/* Largest values, laid out for one reduction by maximum. Views into one array of
 * precis_survey_extremes_size() doubles. */
typedef struct precis_extremes {
  double *radius;      /* kv_heads: |k - center| */
  double *value_most;  /* kv_heads x value_dim: v */
  double *value_least; /* kv_heads x value_dim: -v */
  double *bias_top;    /* 1: bias, the largest ... */
  double *bias_bottom; /* 1: ... and -bias, of keys that are not masked */
} precis_extremes;

int64_t precis_survey_extremes_size(const precis_keys *keys);
precis_extremes precis_survey_extremes_view(const precis_keys *keys, double *array);
/* -infinity (0 for the radius) where no key was seen. */
void precis_survey_extremes_clear(const precis_keys *keys, double *array);
/* Raises the extremes by rows [first, keys->rows). center: kv_heads x dim. */
void precis_survey_extremes(const precis_keys *keys, int64_t first, const double *center,
                            double *array);

/* The largest |q| of any row and head, or -1 if a value is not finite (*row and *head then say
 * where). */
double precis_survey_queries(int64_t rows, int heads, int dim, const float *q, int64_t *row,
                             int *head);

/* The first row with a value that is not finite, or -1. */
int64_t precis_survey_nonfinite(int64_t rows, int64_t row_elements, const float *x);

/* Numbers that a handle holds of a survey, and of what answers are measured by, see
 * mpi/sequence/signal.h. */
int64_t precis_survey_numbers(const precis_problem *problem);
int64_t precis_survey_signal_numbers(const precis_problem *problem);

#endif
