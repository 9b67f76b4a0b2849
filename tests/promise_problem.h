/* promise_problem.h - problems that try a promise: one call, or a sequence of appends and attends,
 * with everything in memory on every rank
 *
 * A problem is a pure function of a seed and a number. It is of one kind, which says what is
 * unusual about its numbers, and perhaps of a second one. */
#ifndef PRECIS_TESTS_PROMISE_PROBLEM_H
#define PRECIS_TESTS_PROMISE_PROBLEM_H

#include <stdint.h>

#include "src/precis.h"
#include "tests/attention_case.h"
#include "tests/dice.h"

enum { PROMISE_STEPS = 12 };

typedef enum promise_kind {
  PROMISE_PLAIN,
  PROMISE_SINKS,
  PROMISE_LONG_KEYS,
  PROMISE_LONG_QUERIES,
  PROMISE_LONG_BOTH,
  PROMISE_BIAS,        /* random, within some */
  PROMISE_MASKS,       /* -1e9, -1e4, -infinity, -3e38, on some or nearly all */
  PROMISE_COMMON_BIAS, /* 1e6 or -1e6 on all */
  PROMISE_KEY_OFFSET,
  PROMISE_VALUE_OFFSET,
  PROMISE_VALUE_OUTLIERS,
  PROMISE_SMALL_VALUES, /* subnormal ranges too */
  PROMISE_CANCELLING,   /* channels of keys and queries that are large and cancel */
  PROMISE_GROUPS,       /* query heads of a group far apart */
  PROMISE_FEW_VALUES,   /* constant columns, columns of two values */
  PROMISE_EQUAL,        /* equal queries or keys: constant heads, ties */
  PROMISE_LIMITS,       /* one head sets limits for outliers that others come near later */
  PROMISE_SHARP,        /* scores far beyond the regime of summaries */
  PROMISE_MIXED,        /* each head of a strength of its own, a plan for each */
  PROMISE_WORST,        /* values at their worst, see promise_run.h */
  PROMISE_KINDS
} promise_kind;

const char *promise_kind_name(promise_kind kind);

/* `keys` are appended, then `queries` attend. */
typedef struct promise_step {
  int64_t keys, queries;
  int explicit_position;
  int64_t position; /* of the first query of all ranks, if explicit */
} promise_step;

typedef struct promise_problem {
  char name[64];
  promise_kind kind;
  precis_problem problem; /* settled */
  precis_options options;
  spread spread;
  int steps;
  promise_step step[PROMISE_STEPS];
  int64_t keys, queries; /* of all steps */
  int has_bias;
  float *q, *k, *v, *bias;
  int must_succeed; /* the tolerance can be kept */
  /* What is more than it need be, 0: anything goes. */
  double promise_most;    /* of report.promise of the last call */
  double recomputed_most; /* share of its rows and heads */
} promise_problem;

/* A single call, or a sequence. Returns 0 without memory. */
int promise_problem_throw(uint64_t seed, int64_t number, int sequence, promise_problem *p);

/* Arrays of the sizes that the steps add up to, of zeros. Returns 0 without memory. */
int promise_problem_allocate(promise_problem *p);
void promise_problem_free(promise_problem *p);

/* Numbers that spoil what is there, see promise_spoil.c. */
void promise_problem_spoil(dice *d, promise_kind kind, promise_problem *p);

#endif
