/* survey.h - centres and extremes of the keys of all ranks, kept up to date as keys arrive */
#ifndef PRECIS_MPI_SEQUENCE_SURVEY_H
#define PRECIS_MPI_SEQUENCE_SURVEY_H

#include <stdint.h>

#include "mpi/world/meet.h"
#include "src/tokens/keys.h"
#include "src/tokens/survey.h"

typedef struct precis_survey {
  int64_t seen;      /* rows of this rank that are in the figures below */
  double *sums;      /* of all ranks: see precis_survey_sums() */
  double *center;    /* kv_heads x dim of the keys, then kv_heads x value_dim of the values */
  int moves;         /* how often the centres have moved */
  double counted;    /* unmasked keys, in all, when the centres were last moved */
  double *extremes;  /* of all ranks, see precis_survey_extremes() */
  double bias_top;   /* that weights of the spreads are relative to: about the largest bias */
  double *sigma;     /* kv_heads x value_dim: deviations of the value columns, 0: constant */
  double *per;       /* the same size, see norm.h: 1 / sigma ... */
  double *per_range; /* ... and 1 / range */
  double *fold;      /* see terms.h */
  double *scratch;
} precis_survey;

/* Errors: MEMORY. */
int precis_survey_create(const precis_keys *keys, precis_survey *survey);
void precis_survey_free(precis_survey *survey);
/* The same survey of the same keys, for a fork of them. */
void precis_survey_copy(const precis_keys *keys, const precis_survey *survey, precis_survey *to);

/* Collective. Takes in the rows added since the last call: one pass over them and two small
 * reductions, unless the keys have doubled or drifted, when the centres move to the means and all
 * rows are passed over again. Errors: MPI. */
/* The same in two steps, for whoever meets anyway: new rows of this rank, as PRECIS_SURVEY_PARTS
 * parts of a meeting, not collective; and, collective, what follows from what all ranks told. */
enum { PRECIS_SURVEY_PARTS = 2 };
void precis_survey_tell(const precis_keys *keys, precis_survey *survey, precis_told *told);
int precis_survey_take(precis_world *world, const precis_keys *keys, precis_survey *survey);
int precis_survey_update(precis_world *world, const precis_keys *keys, precis_survey *survey);

static inline const double *precis_survey_k_center(const precis_survey *survey)
{
  return survey->center;
}

static inline const double *precis_survey_v_center(const precis_keys *keys,
                                                   const precis_survey *survey)
{
  return survey->center + (int64_t)keys->kv_heads * keys->dim;
}

#endif
