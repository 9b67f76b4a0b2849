/* verify.h - the error of a distributed output, measured on some of its rows
 *
 * The measure is src/reference.h, in double precision: sampled queries are made known to every
 * rank, every rank attends with them to its share of the keys, and the partial results are
 * merged, all in double. Keys and values are read again piece by piece, so that nothing of the
 * size of the problem is held. */
#ifndef PRECIS_MPI_VERIFY_H
#define PRECIS_MPI_VERIFY_H

#include <stdint.h>

#include "mpi/world.h"
#include "src/message.h"
#include "src/precis.h"

typedef struct precis_verify_job {
  precis_problem problem; /* settled */
  int64_t queries, keys;  /* in all */
  int64_t first_position; /* of query 0; plays a part if the problem is causal */
  int has_bias;
  int64_t rows;         /* to sample, >= 1; the first and the last query are always among them */
  uint64_t seed;        /* of the sample */
  int64_t buffer_bytes; /* for keys, and for results of rows; 0: some MiB. Smaller in tests */
} precis_verify_job;

/* Where the numbers come from. Both calls are collective and return the same status, with its
 * text, on every rank. */
typedef struct precis_verify_source {
  /* Queries (count x heads x dim) and computed outputs (count x heads x value_dim) of the rows,
   * to every rank, which all name the same rows. */
  int (*queries)(void *context, int64_t count, const int64_t *rows, float *q, float *out,
                 precis_message *why);
  /* Keys, values and, with has_bias, biases of rows [first, first + rows), which differ from
   * rank to rank. */
  int (*keys)(void *context, int64_t first, int64_t rows, float *k, float *v, float *bias,
              precis_message *why);
  void *context;
} precis_verify_source;

typedef struct precis_verify_result {
  int64_t rows;
  /* The largest |out - reference| of any sampled row, head and column, divided by the range
   * (largest minus smallest value) of its column over the keys that are not masked by -infinity,
   * for its kv head. A column of one value only: divided by the size of that value. Infinity if
   * an output is not finite. */
  double max_error;
  /* Over all sampled rows: sqrt(sum (out - reference)^2 / sum reference^2). */
  double relative_error;
} precis_verify_result;

/* Collective; the result is the same on every rank. Errors: MEMORY, MPI, those of the source. */
int precis_verify(precis_world *world, const precis_verify_job *job,
                  const precis_verify_source *source, precis_verify_result *result,
                  precis_message *why);

#endif
