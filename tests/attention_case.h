/* attention_case.h - a whole attention problem, known to every rank, run distributed and compared with the oracle */
#ifndef PRECIS_TESTS_ATTENTION_CASE_H
#define PRECIS_TESTS_ATTENTION_CASE_H

#include <stdint.h>

#include <mpi.h>

#include "src/generate.h"
#include "src/precis.h"

/* How rows are spread over the ranks. */
typedef enum spread { SPREAD_EVEN, SPREAD_LAST, SPREAD_RANDOM, SPREAD_NOT_FIRST } spread;

typedef enum bias_kind { BIAS_NONE, BIAS_RANDOM, BIAS_HALF_MASKED, BIAS_ALL_MASKED } bias_kind;

typedef struct attention_case {
  const char *name;
  precis_problem problem;
  int64_t queries, keys;
  precis_kind kind;
  double strength; /* standard deviation of the scores; 0: 1 */
  bias_kind bias;
  spread spread;
  int appends;            /* 0: 1 */
  int explicit_positions; /* queries at first_position, ... */
  int64_t first_position;
  int64_t tile_rows;
  int threads;
  double value_offset; /* added to all values */
} attention_case;

typedef struct attention_outcome {
  int status;
  precis_report report;
  double error;     /* largest |out - oracle| / range of the column, beyond half a rounding unit of out */
  double lse_error; /* largest |lse - oracle|, beyond a rounding unit of lse */
  int bad_empty;    /* rows without visible keys that are not zeros and -infinity */
} attention_outcome;

/* Collective: create, append, attend, destroy with `move`; the outcome is the same on all ranks. */
attention_outcome attention_case_run(MPI_Comm comm, const attention_case *c, precis_move move);

/* Rows of `rank` of `rows` in all. */
int64_t attention_case_share(spread how, int64_t rows, int ranks, int rank);

#endif
