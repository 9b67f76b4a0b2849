/* attention_judge.h - results of the calls of one handle, against the oracle in every unit that a
 * promise can have */
#ifndef PRECIS_TESTS_ATTENTION_JUDGE_H
#define PRECIS_TESTS_ATTENTION_JUDGE_H

#include "tests/attention_data.h"

/* What a handle remembers from call to call, by the definition of precis_unit. Zeroed to begin with. */
typedef struct attention_judge {
  double *mean_query; /* heads x dim: of the first attend with a query that saw a key; NULL before */
  double *sum, *rows; /* heads: of |out_i - m_i|, and rows, answered so far */
} attention_judge;

void attention_judge_free(attention_judge *judge);

/* Of one successful attend. Queries of a call are consecutive over the ranks. */
typedef struct attention_answer {
  MPI_Comm comm;
  const precis_attention *attention;
  const attention_data *data;
  precis_unit tol_of;
  int64_t keys;        /* appended so far: the first ones of the data */
  int64_t first, rows; /* of the data's queries: this rank's */
  const float *out, *lse, *bounds; /* bounds may be NULL */
  const precis_report *report;
} attention_answer;

/* Collective. Raises the errors of the outcome, and counts as broken what is worse than was promised:
 * rows beyond the bounds of the call, of their head or of themselves, and heads whose figures are
 * not what they are said to bound. What it finds of its own rows stays on this rank. */
void attention_judge_call(attention_judge *judge, const attention_answer *answer,
                          attention_outcome *outcome);

/* Collective. Of an attend that did not succeed: the largest part of the tolerance of a row that the
 * rounding of its true result to float32 may take. out, lse, bounds and report play no part. */
double attention_judge_rounding(attention_judge *judge, const attention_answer *answer, double tol);

#endif
