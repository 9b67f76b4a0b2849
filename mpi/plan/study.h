/* study.h - what is found out about queries and keys before summaries are decided on
 *
 * Survey of the queries, norms, samples: mpi/plan/study.c. The bulk within limits: mpi/plan/study_bulk.c. The
 * search over degrees and limits that follows: mpi/plan/search.c. */
#ifndef PRECIS_MPI_PLAN_STUDY_H
#define PRECIS_MPI_PLAN_STUDY_H

#include "mpi/plan/prospect.h"
#include "src/plan/choose.h"
#include "src/summary/outliers.h"

typedef struct precis_study {
  precis_attention *a;
  const precis_query_map *map;
  int64_t rows;
  const float *q;
  const precis_wish *wish;
  precis_prospect *out;
  int group; /* query heads of a key/value head */
  /* Of all ranks. */
  double *key_radius;          /* kv_heads; borrowed */
  double *query_radius;        /* kv_heads */
  precis_levels keys, queries; /* limits to choose from */
  int64_t query_lengths[PRECIS_NORM_BINS]; /* histogram of the queries' lengths, all heads */
  double *log_scale;           /* PRECIS_LEVELS x kv_heads: largest log w within a limit */
  int sampled;                 /* query rows */
  int64_t key_step;            /* of the keys that are sampled */
  int degree_most;             /* of any polynomial in question */
  float *sample;               /* kv_heads x sampled x dim: one head of each group for a row */
  double *lengths;             /* kv_heads x sampled: |q - center| */
  precis_goal *goals;          /* kv_heads */
  double *moments;             /* PRECIS_LEVELS x kv_heads x sampled x PRECIS_SAMPLE_MOMENTS */
  /* Of this rank's keys. */
  double *key_rho, *log_weight;
  int64_t *sampled_keys; /* rows; masked ones left out */
  int sampled_key_count;
} precis_study;

/* Collective. Norms and limits, and the plan's centres and units; then, where it is worth it,
 * log-scales and moments. Errors: MEMORY, MPI. On failure, too, free it. */
int precis_study_survey(precis_study *study);
int precis_study_weigh(precis_study *study);
void precis_study_free(precis_study *study);

/* What sampled pairs say of the unit of the tolerance, into `parts` of this rank: key j, row i of the
 * sample. Then, collective, the goals from all ranks' parts. Errors: MPI. */
int64_t precis_study_signal_numbers(const precis_study *study);
void precis_study_signal_add(const precis_study *study, int kv_head, int64_t j, int i, double w,
                             double y, double *parts);
int precis_study_signal_find(precis_study *study, double *parts);

/* What sampled rows of a head are to keep; part: of the error. */
precis_goal precis_study_goal(const precis_study *study, int kv_head, double part);

/* The bulk of a head within these limits. */
typedef struct precis_limits {
  int keys, queries; /* levels */
} precis_limits;

double precis_study_key_radius(const precis_study *study, int kv_head, precis_limits limits);
double precis_study_query_radius(const precis_study *study, int kv_head, precis_limits limits);
double precis_study_bound(const precis_study *study, int kv_head, precis_limits limits);
precis_head_sample precis_study_sample(const precis_study *study, int kv_head,
                                       precis_limits limits);

/* The head with the largest bound, on which candidates are tried. */
int precis_study_widest(const precis_study *study, precis_limits limits);

/* Predicted seconds for what lies beyond the limits. */
double precis_study_outlier_seconds(const precis_study *study, precis_limits limits);

/* Whether a call through summaries of this size keeps the memory limit, with what lies beyond the
 * limits: fills in how much that is. */
int precis_study_keeps_memory(const precis_study *study, precis_limits limits,
                              precis_summary_size *size);

/* Limits as tight as there are. */
precis_limits precis_study_tightest(const precis_study *study);

/* What summaries are fitted with, and where. */
typedef struct precis_found {
  int candidate; /* -1: none could be fitted, or none is worth trying */
  precis_limits limits;
  double outlier_seconds; /* predicted, for what lies beyond the limits */
  double price;           /* seconds in all, with what failing rows are feared to cost */
  int over_memory;        /* some were not tried for the memory limit */
} precis_found;

/* Collective. The cheapest of the candidates (ascending by seconds) with any limits, failing rows
 * and outliers included. Errors: MPI, MEMORY. */
int precis_search(const precis_study *study, const precis_candidate *candidates, int count,
                  precis_found *found);

/* Fits a head; *failing is the share of its rows that will need repair. Without a proof none will,
 * but a fit that is too far off in the mean is no fit. Errors: those of precis_choose_fit(). */
int precis_search_fit(const precis_study *study, int kv_head, precis_limits limits,
                      const precis_candidate *candidate, precis_polynomial *fit, double *failing);

#endif
