/* turned_survey.h - common axes of each key/value head, how far queries and keys reach in them, and
 * sampled rows seen in them */
#ifndef PRECIS_MPI_PLAN_TURNED_SURVEY_H
#define PRECIS_MPI_PLAN_TURNED_SURVEY_H

#include "mpi/plan/study.h"
#include "src/plan/block_sample.h"

typedef struct precis_turned_survey {
  const precis_study *study;
  precis_limits limits;
  int keys_sampled; /* of all ranks: number i is the key at position i step */
  int64_t step;
  double *covariance; /* kv_heads x (of queries, of keys) x dim x dim */
  double *scratch;    /* of precis_axes_make(), and dim for spreads */
  double *squares;    /* kv_heads x (queries, keys) x (lead, trail) x (dim + 1): largest ones */
  float *keys;        /* kv_heads x keys_sampled x dim */
  double *weights;    /* kv_heads x keys_sampled: relative to the plan's log-scale */
  float *deviations;  /* kv_heads x keys_sampled */
  double *turned;     /* keys_sampled x dim */
  const precis_turning *turning;
} precis_turned_survey;

/* Errors: MEMORY; what was made is for precis_turned_survey_free() in any case. */
int precis_turned_survey_create(const precis_study *study, precis_limits limits,
                                precis_turned_survey *survey);
void precis_turned_survey_free(precis_turned_survey *survey);

/* Collective. Fills the maps and errors of a turning, which is kept by reference; *usable is 0
 * where some head has no axes. Errors: MPI. */
int precis_turned_survey_run(precis_turned_survey *survey, precis_turning *turning, int *usable);

/* How far queries (times |s|) and keys of a head's bulk reach with so many leading axes. */
precis_reach precis_turned_survey_queries(const precis_turned_survey *survey, int kv_head,
                                          int lead);
precis_reach precis_turned_survey_keys(const precis_turned_survey *survey, int kv_head, int lead);

/* Local. The sampled rows of a head over the sampled keys of the bulk that each sees; rows beyond
 * the limit see none. */
void precis_turned_survey_table(precis_turned_survey *survey, int kv_head, int lead,
                                precis_block_row *table);

#endif
