/* problem.h - the shape of an attention problem, checked once */
#ifndef PRECIS_SRC_BASE_PROBLEM_H
#define PRECIS_SRC_BASE_PROBLEM_H

#include "src/base/message.h"
#include "src/precis.h"

enum { PRECIS_DIM_MAX = 256, PRECIS_HEADS_MAX = 1 << 20, PRECIS_DEGREE_MAX = 24 };

/* Fills in the defaults (kv_heads, value_dim, scale) and checks what remains. Errors: ARGUMENT,
 * with the field and its value in words; *problem is then unchanged. */
int precis_problem_settle(precis_problem *problem, precis_message *why);

/* The same checks for options. */
int precis_options_check(const precis_options *options, precis_message *why);

/* Columns that are summed with weights: the values, and the deviation of a key, see certificate.h. */
static inline int precis_problem_columns(const precis_problem *problem)
{
  return problem->value_dim + 1;
}

/* Numbers of a row's result: values, lse, and the proof of row.h. */
static inline int precis_problem_results(const precis_problem *problem)
{
  return problem->value_dim + 3;
}

/* The key/value head of query head h. */
static inline int precis_problem_kv_head(const precis_problem *problem, int head)
{
  return head / (problem->heads / problem->kv_heads);
}

#endif
