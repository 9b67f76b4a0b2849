/* signal.h - how far results are from what the head's mean query gets: the unit of the promise
 *
 * See precis_unit in precis.h: m_i, what the mean query gets from the keys that row i sees, and R,
 * the mean of |out_i - m_i| over the rows that the handle has answered. All of it is defined by the
 * problem. Of |true_i - m_i| what is known is a lower bound: the distance of the computed result,
 * less what is proved of that. */
#ifndef PRECIS_MPI_SEQUENCE_SIGNAL_H
#define PRECIS_MPI_SEQUENCE_SIGNAL_H

#include <stdint.h>

#include "mpi/sequence/survey.h"
#include "mpi/world/world.h"
#include "src/precis.h"
#include "src/rows/row.h"
#include "src/layout/visible.h"

/* In a handle; equal on all ranks, but for rows_in. */
typedef struct precis_signal {
  double *array;           /* of all that follows; owned */
  double *mean_query;      /* heads x dim, frozen once there was a query that saw a key */
  double *k_base, *v_base; /* kv_heads x dim, kv_heads x value_dim: what sums are relative to */
  double *m, *l, *o;       /* heads, heads, heads x value_dim: of the mean query over all keys, sums
                              relative to e^m */
  double *farthest; /* kv_heads: no key's value is further from the centre of the survey, ... */
  double *per;      /* ... in this norm, see norm.h: kv_heads x value_dim, ... */
  int moves;        /* ... as the centre was after so many moves */
  double *sum, *most, *rows; /* heads: of lower bounds of |true_i - m_i|, of upper ones, and rows,
                                answered so far */
  int has_mean;
  int has_base;
  int settled;     /* nonzero: sum and rows are of all rows there will be, calls add none */
  int64_t rows_in; /* of this rank's keys in the sums ... */
  int64_t keys_in; /* ... and of all ranks' */
} precis_signal;

/* Errors: MEMORY. */
int precis_signal_create(const precis_problem *problem, precis_signal *signal);
void precis_signal_free(precis_signal *signal);
void precis_signal_copy(const precis_problem *problem, const precis_signal *from,
                        precis_signal *to);
/* The same with what is known of the keys, which must be the same. */
void precis_signal_copy_all(const precis_problem *problem, const precis_signal *from,
                            precis_signal *to);

/* Not collective, but the same on all ranks: what earlier handles knew, or the whole of a job knows
 * before its parts. */
void precis_signal_set_mean(const precis_problem *problem, const double *mean_query,
                            precis_signal *signal);
void precis_signal_set_answered(const precis_problem *problem, const double *sum,
                                const double *most, const double *rows, precis_signal *signal);

/* All that outlives a handle, as numbers: whether there is a mean query, heads x dim of it, and
 * sum, most and rows of each head. */
static inline int64_t precis_signal_numbers(const precis_problem *problem)
{
  return 1 + (int64_t)problem->heads * (problem->dim + 3);
}
static inline const double *precis_signal_rows_of(const precis_problem *problem,
                                                  const double *numbers)
{
  return numbers + 1 + (int64_t)problem->heads * (problem->dim + 2);
}
void precis_signal_pack(const precis_problem *problem, const precis_signal *signal,
                        double *numbers);
/* Not collective, but the same on all ranks, before the first attend. */
void precis_signal_unpack(const precis_problem *problem, const double *numbers,
                          precis_signal *signal);
/* Rows answered so far, of the head that has most. */
double precis_signal_answered(const precis_problem *problem, const precis_signal *signal);

/* Collective. The mean over the rows of all ranks that saw a key (whose lse is not -infinity),
 * unless there is one. Errors: MPI, MEMORY. */
int precis_signal_find_mean(precis_world *world, const precis_problem *problem, int64_t rows,
                            const float *q, const float *lse, precis_signal *signal);

/* Collective. Takes in keys that have come since, `appended` in all. Errors: MPI, MEMORY. */
int precis_signal_take(precis_world *world, const precis_problem *problem, const precis_keys *keys,
                       const precis_survey *survey, int64_t appended, precis_signal *signal);

/* Lower bounds of |true_i - m_i| of rows x heads results into least, their distances without what
 * is proved of them into `distance` (either may be NULL). convert: kv_heads, from the norm of the
 * proofs to that of precis_unit. Collective where prefixes is nonzero: each row then sees the keys
 * up to its position on the map. Errors: MEMORY, MPI. */
typedef struct precis_signal_rows {
  precis_world *world;
  const precis_problem *problem;
  const precis_keys *keys;
  const precis_survey *survey;
  const precis_query_map *map;
  int prefixes;
  int64_t rows;
  const precis_finished *results;
  const double *convert;
} precis_signal_rows;

int precis_signal_measure(const precis_signal *signal, const precis_signal_rows *of, float *least,
                          float *distance);

/* What rounding may do to m_i, in the norm. */
double precis_signal_rounding(const precis_problem *problem, const precis_signal *signal,
                              const precis_survey *survey, int head);

#endif
