/* promise_run.h - runs a problem on the ranks of a communicator, and has the oracle judge every row
 * of every call by what was promised of it */
#ifndef PRECIS_TESTS_PROMISE_RUN_H
#define PRECIS_TESTS_PROMISE_RUN_H

#include <stdint.h>

#include <mpi.h>

#include "tests/promise_problem.h"

/* Of all problems of a kind. Shares are error / promise, the largest of any row. */
typedef struct promise_tally {
  int64_t problems, calls, rows, broken;
  int64_t declined, summaries, exact; /* calls: TOLERANCE, and moves that ran */
  int64_t mixed;                      /* calls: heads in groups */
  double used;                        /* of a row's own bound */
  double used_range;                  /* of promise_range */
  double used_lse;                    /* of lse_promise */
  double tol_used;                    /* of tol, in its unit */
} promise_tally;

/* Collective. Adds to *tally, which is this rank's until promise_tally_agree(); returns whether all
 * was as promised, on every rank, after one that saw a fault has said so. */
int promise_run(MPI_Comm comm, const promise_problem *p, promise_tally *tally);

/* Collective. Leaves the outputs of the last attend of all ranks in last, queries x heads x
 * value_dim; untouched if it never came to that. */
int promise_run_keeping(MPI_Comm comm, const promise_problem *p, float *last, promise_tally *tally);

/* Collective. The same with values at their worst: what the library makes of the weight of every
 * key in one row of each kv head is found out first, with a column for each key, and then all
 * errors are made to pull one way. */
int promise_run_worst(MPI_Comm comm, promise_problem *p, promise_tally *tally);

/* Collective: sums and largest values of all ranks. */
void promise_tally_agree(MPI_Comm comm, promise_tally *tally);

#endif
