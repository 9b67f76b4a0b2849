/* weaken.h - bounds that tests can make wrong, to see that somebody notices
 *
 * What proves a row passes through precis_weaken() once, by name. It is as it was, unless the
 * library is built with -DPRECIS_TEST_WEAKEN: then the bound that the environment names in
 * PRECIS_WEAKEN is half of what it should be (tests/weaken.sh). */
#ifndef PRECIS_SRC_WEAKEN_H
#define PRECIS_SRC_WEAKEN_H

/* ENVELOPE         sum_j w_j E(y_ij) delta_j and its count: what P is off by
 * FEATURE_ROUNDING of sums over features, and of summaries
 * SCORE_ROUNDING   of scores in float32, row by row
 * SUM_ROUNDING     of sums over keys and of merging partials
 * DOUBLE_ROUNDING  of rows that are computed in double
 * OUTPUT_ROUNDING  of results to float32, subnormal ones too
 * LSE_ROUNDING     of what is added to lse: offsets, logarithms
 * ANCHOR_ROUNDING  of m_i
 * DELTA            |v_j - mu|
 * RADIUS           B, no |y| is larger */
#define PRECIS_BOUND_LIST(X)                                                                       \
  X(ENVELOPE)                                                                                      \
  X(FEATURE_ROUNDING)                                                                              \
  X(SCORE_ROUNDING)                                                                                \
  X(SUM_ROUNDING)                                                                                  \
  X(DOUBLE_ROUNDING)                                                                               \
  X(OUTPUT_ROUNDING)                                                                               \
  X(LSE_ROUNDING)                                                                                  \
  X(ANCHOR_ROUNDING)                                                                               \
  X(DELTA)                                                                                         \
  X(RADIUS)

typedef enum precis_bound {
#define X(name) PRECIS_BOUND_##name,
  PRECIS_BOUND_LIST(X)
#undef X
} precis_bound;

#ifdef PRECIS_TEST_WEAKEN

#include <stdlib.h>
#include <string.h>

static inline double precis_weaken(precis_bound bound, double value)
{
  static const char *const names[] = {
#define X(name) #name,
      PRECIS_BOUND_LIST(X)
#undef X
  };
  const char *weak = getenv("PRECIS_WEAKEN");
  return weak != NULL && strcmp(weak, names[bound]) == 0 ? value / 2 : value;
}

#else

static inline double precis_weaken(precis_bound bound, double value)
{
  (void)bound;
  return value;
}

#endif
#endif
