/* attention_case.h - a whole attention problem, known to every rank, run distributed and compared
 * with the oracle */
#ifndef PRECIS_TESTS_ATTENTION_CASE_H
#define PRECIS_TESTS_ATTENTION_CASE_H

#include <stdint.h>

#include <mpi.h>

#include "src/oracle/generate.h"
#include "src/precis.h"

/* How rows are spread over the ranks. */
typedef enum spread { SPREAD_EVEN, SPREAD_LAST, SPREAD_RANDOM, SPREAD_NOT_FIRST } spread;

typedef enum bias_kind { BIAS_NONE, BIAS_RANDOM, BIAS_HALF_MASKED, BIAS_ALL_MASKED } bias_kind;

typedef struct attention_case {
  const char *name;
  precis_problem problem;
  int64_t queries, keys;
  precis_kind kind;
  double signal;       /* of values that follow the keys, see src/oracle/generate.h; 0: none does */
  uint64_t seed;       /* 0: 7 */
  double strength;     /* standard deviation of the scores; 0: 1 */
  double decay;        /* axis c of queries and keys shrinks by (1 + c)^-decay */
  double key_decay;    /* the same of keys alone, on top of it */
  int turned;          /* then all are turned by one rotation, which leaves scores as they are */
  double drift;        /* so far do keys move from first to last, up one axis and down the next */
  int64_t heavy;       /* every heavy-th key is longer; 0: none; ... */
  double heavy_factor; /* ... so many times; 0: 10 */
  int64_t long_query;  /* this query (and all heads of it) is ... */
  double length;       /* ... so many times as long; 0: as it is */
  int64_t short_step; /* every short_step-th query, the first one on, is a tenth as long; 0: none */
  double query_offset, key_offset, value_offset; /* added to all */
  bias_kind bias;
  double bias_factor; /* of the finite biases, which lie within 5; 0: 1 */
  spread spread;
  int appends;   /* 0: 1 */
  int64_t later; /* of the keys, the last so many come one by one after a first attend, each
                    followed by another */
  int explicit_positions; /* queries at first_position, ... */
  int64_t first_position;
  int64_t tile_rows;
  int64_t fast_memory; /* bytes; 0: 256 KiB */
  int threads;         /* 0: 1 */
  int own_threads;     /* as many as OpenMP says to each rank */
  int in_place;        /* options.results_in_place */
  double tol;
  precis_unit tol_of;
  int degree;
  precis_guarantee guarantee;
  const char *words; /* to be found in the explanation, for the test that asks */
  float *out, *lse;  /* whole results of the last attend, for every rank of the communicator; NULL:
                        not wanted */
} attention_case;

/* Of all attends. */
typedef struct attention_outcome {
  int status;            /* of the first call that failed */
  precis_report report;  /* of the last attend */
  double error;          /* largest |out - oracle| / range of the column; out is a float32 */
  double computed_error; /* the same, beyond half a unit in the last place of out */
  double outputs_error;  /* largest |out - oracle| / max(R, |oracle - m_i|), constant heads apart */
  double lse_error;      /* largest |lse - oracle|, beyond half a unit in the last place of lse */
  double used;           /* largest error / promise of an attend, in the unit of tol */
  double rounding; /* of a call that ended with TOLERANCE: see attention_judge_rounding() */
  int bad_empty;         /* rows without visible keys that are not zeros and -infinity */
  int broken;            /* rows whose errors exceed the promises of their attend, or their own bound */
  int false_heads;       /* attends that say of heads what is not so, see attention_judge.h */
  int touched;           /* results or report were written though the attend failed */
  int miscounted;        /* attends whose bytes are not those predicted */
  int by_summaries;      /* attends that ran by summaries */
  char why[200];         /* message of the failed call */
} attention_outcome;

/* Collective: create, append, attend (more of both, with later keys), destroy with `move`; the
 * outcome is the same on all ranks. */
attention_outcome attention_case_run(MPI_Comm comm, const attention_case *c, precis_move move);

/* Right, counted right, and within the tolerance if there is one. */
int attention_case_good(const attention_case *c, const attention_outcome *outcome);

/* Ended with TOLERANCE as results in float32 cannot keep it, by the oracle too; nothing was touched. */
int attention_case_hopeless(const attention_outcome *outcome);

/* Rows of `rank` of `rows` in all. */
int64_t attention_case_share(spread how, int64_t rows, int ranks, int rank);

#endif
