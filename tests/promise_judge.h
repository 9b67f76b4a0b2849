/* promise_judge.h - one attend, judged row by row */
#ifndef PRECIS_TESTS_PROMISE_JUDGE_H
#define PRECIS_TESTS_PROMISE_JUDGE_H

#include "src/oracle/oracle.h"
#include "tests/promise_run.h"

/* What this rank had of a call: its rows are first, first + 1, ... of the step's. */
typedef struct promise_call {
  const promise_problem *problem;
  int step;
  int64_t first, rows;
  const float *out, *lse, *bounds; /* bounds NULL: the library has none */
  const precis_report *report;
  const double *mean_signal; /* heads: R over all rows that the handle has answered */
} promise_call;

/* Not collective. Returns the number of rows beyond what was promised, and says which. */
int64_t promise_judge(const promise_call *call, const precis_oracle *oracle, promise_tally *tally);

#endif
