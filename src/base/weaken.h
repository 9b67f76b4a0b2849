/* weaken.h - bounds that tests can make wrong, to see that somebody notices
 *
 * What proves a row passes through precis_weaken() once, by name. It is as it was, unless the
 * library is built with -DPRECIS_TEST_WEAKEN: then the bound that the environment names in
 * PRECIS_WEAKEN is a part of what it should be (tests/weaken.sh): half, or nothing at all for bounds
 * on rounding. These are worst cases of long chains, of which no problem that can be found uses
 * half. */
#ifndef PRECIS_SRC_BASE_WEAKEN_H
#define PRECIS_SRC_BASE_WEAKEN_H

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
  X(ENVELOPE, .5)                                                                                  \
  X(FEATURE_ROUNDING, 0)                                                                           \
  X(SCORE_ROUNDING, 0)                                                                             \
  X(SUM_ROUNDING, 0)                                                                               \
  X(DOUBLE_ROUNDING, 0)                                                                            \
  X(OUTPUT_ROUNDING, .5)                                                                           \
  X(LSE_ROUNDING, 0)                                                                               \
  X(ANCHOR_ROUNDING, 0)                                                                            \
  X(DELTA, .5)                                                                                     \
  X(RADIUS, .5)

typedef enum precis_bound {
#define X(name, part) PRECIS_BOUND_##name,
  PRECIS_BOUND_LIST(X)
#undef X
} precis_bound;

#ifdef PRECIS_TEST_WEAKEN

#include <stdlib.h>
#include <string.h>

static inline double precis_weaken(precis_bound bound, double value)
{
  static const char *const names[] = {
#define X(name, part) #name,
      PRECIS_BOUND_LIST(X)
#undef X
  };
  static const double parts[] = {
#define X(name, part) part,
      PRECIS_BOUND_LIST(X)
#undef X
  };
  const char *weak = getenv("PRECIS_WEAKEN");
  return weak != NULL && strcmp(weak, names[bound]) == 0 ? parts[bound] * value : value;
}

#else

static inline double precis_weaken(precis_bound bound, double value)
{
  (void)bound;
  return value;
}

#endif
#endif
