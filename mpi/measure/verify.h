/* verify.h - the error of a distributed output, measured on some of its rows
 *
 * The measure is src/oracle/reference.h, in double precision: sampled queries are made known to every
 * rank, every rank attends with them to its share of the keys, and the partial results are
 * merged, all in double. Keys and values are read again piece by piece, twice or more, and queries
 * once, so that nothing of the size of the problem is held. */
#ifndef PRECIS_MPI_MEASURE_VERIFY_H
#define PRECIS_MPI_MEASURE_VERIFY_H

#include <stdint.h>

#include "mpi/world/world.h"
#include "src/base/message.h"
#include "src/precis.h"

typedef struct precis_verify_job {
  precis_problem problem; /* settled */
  int64_t queries, keys;  /* in all */
  int64_t first_position; /* of query 0; plays a part if the problem is causal */
  int has_bias, has_lse;
  precis_unit tol_of;   /* of result.max_error */
  const double *signal; /* heads: R, at least, where it is known; NULL: it is estimated */
  int64_t rows;         /* to sample, >= 1; the first and the last query are always among them */
  uint64_t seed;        /* of the sample */
  int64_t buffer_bytes; /* for keys, and for results of rows; 0: some MiB. Smaller in tests */
} precis_verify_job;

/* Where the numbers come from. All calls are collective and return the same status, with its
 * text, on every rank. */
typedef struct precis_verify_source {
  /* Queries (count x heads x dim), computed outputs (count x heads x value_dim) and, with has_lse,
   * their lse (count x heads) of the rows, to every rank, which all name the same rows. */
  int (*queries)(void *context, int64_t count, const int64_t *rows, float *q, float *out,
                 float *lse, precis_message *why);
  /* Queries [first, first + rows), which differ from rank to rank. */
  int (*all_queries)(void *context, int64_t first, int64_t rows, float *q, precis_message *why);
  /* Keys, values and, with has_bias, biases of rows [first, first + rows), which differ from
   * rank to rank. */
  int (*keys)(void *context, int64_t first, int64_t rows, float *k, float *v, float *bias,
              precis_message *why);
  void *context;
} precis_verify_source;

/* Errors are the largest of any sampled row and head, infinity if a result is not finite. */
typedef struct precis_verify_result {
  int64_t rows;
  double max_error; /* in the unit of the job. Heads that are constant have no signal to compare an
                       error with: in PRECIS_UNIT_OUTPUTS they count in PRECIS_UNIT_RANGE */
  /* |out - reference| in PRECIS_UNIT_OUTPUTS, with the mean query of all queries, and R of the
   * job, or estimated from the sampled rows. NAN where every head is constant. */
  double max_error_outputs;
  /* |out - reference| of any column, divided by the range (largest minus smallest value) of its
   * column over the keys that are not masked, for its kv head. A column of one value only: divided
   * by the size of that value. */
  double max_error_range;
  double max_error_lse; /* |lse - reference|, rounding to float32 apart; NAN without has_lse */
  /* Over all sampled rows: sqrt(sum (out - reference)^2 / sum reference^2). */
  double relative_error;
  /* Of the heads that are not constant the smallest, NAN if there is none: R, and the largest error
   * that m_i in place of every output has in PRECIS_UNIT_OUTPUTS. */
  double mean_signal, trivial;
  int constant_heads;
} precis_verify_result;

/* Collective; the result is the same on every rank. Errors: MEMORY, MPI, those of the source. */
int precis_verify(precis_world *world, const precis_verify_job *job,
                  const precis_verify_source *source, precis_verify_result *result,
                  precis_message *why);

/* result.max_error in another unit. Not collective. */
double precis_verify_error(const precis_verify_result *result, precis_unit unit);

#endif
