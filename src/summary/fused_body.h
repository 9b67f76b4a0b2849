/* fused_body.h - the fused form of feature_kernel.h, for one vector width
 *
 * Included by one file for each width, which first defines
 *   LANES               floats in a vector
 *   IOTA                0, 1, ..., LANES - 1
 *   KEY_ROWS            features that meet a panel of values at once
 *   EACH_KEY_ROWS       X(1) X(2) ... X(KEY_ROWS)
 *   QUERY_COLUMNS       columns of S that meet a group of queries at once
 *   EACH_QUERY_COLUMNS  X(1) X(2) ... X(QUERY_COLUMNS)
 *   COUNT_VECTORS       vectors of queries that meet a count at once
 *   KERNEL, NAME        of the table
 * KEY_ROWS x VALUE_VECTORS accumulators, or QUERY_COLUMNS x QUERY_VECTORS of them, with a vector
 * for each factor and one for a broadcast, must fit the registers.
 *
 * Summarise: lanes are columns of v. Apply: lanes are queries. So what is broadcast is always a
 * scalar that lies in the first-level cache, and no sum runs across lanes except those of the
 * counts. */
#include <stddef.h>
#include <stdint.h>

#include "src/summary/feature_kernel.h"

enum {
  VALUE_VECTORS = 2,
  QUERY_VECTORS = 2,
  GROUP = QUERY_VECTORS * LANES,
  COUNT_GROUP = COUNT_VECTORS * LANES
};

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#define UNROLL_4 _Pragma("unroll 4")
#else
#define UNROLL _Pragma("GCC unroll 32")
#define UNROLL_4 _Pragma("GCC unroll 4")
#endif

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef float half __attribute__((vector_size(2 * LANES)));
typedef int32_t places __attribute__((vector_size(4 * LANES)));
typedef double wide __attribute__((vector_size(4 * LANES), aligned(8)));

INLINE vector get(const float *x)
{
  return *(const vector *)(const void *)x;
}

INLINE void put(float *x, vector y)
{
  *(vector *)(void *)x = y;
}

/* Lane i is lane from[i] of x followed by y; `from` is constant. */
INLINE vector pick(vector x, vector y, places from)
{
#ifdef __clang__
  vector result;
  UNROLL
  for (int i = 0; i < LANES; i++)
    result[i] = from[i] < LANES ? x[from[i] % LANES] : y[from[i] % LANES];
  return result;
#else
  return __builtin_shuffle(x, y, from);
#endif
}

/* The sums over the lanes of four vectors: an addition halves the lanes of two at once. */
INLINE void across(const vector x[4], float sum[4])
{
  const places iota = {IOTA};
  const places even = (iota & ~1) + (iota & 1) * LANES, low = (iota & ~2) + (iota & 2) / 2 * LANES;
  vector y[2];
  UNROLL
  for (int i = 0; i < 2; i++)
    y[i] = pick(x[2 * i], x[2 * i + 1], even) + pick(x[2 * i], x[2 * i + 1], even + 1);
  vector z = pick(y[0], y[1], low) + pick(y[0], y[1], low + 2);
  UNROLL
  for (int step = LANES / 2; step > 2; step /= 2)
    z += pick(z, z, iota ^ step);
  UNROLL
  for (int i = 0; i < 4; i++)
    sum[i] = z[i];
}

/* Adds the sums over the lanes of up to four vectors. */
INLINE void add_across(const int n, const vector *lanes, double *counts)
{
  float sum[4];
  across(lanes, sum);
  UNROLL
  for (int i = 0; i < n; i++)
    counts[i] += (double)sum[i];
}

/* row = prefix row * factor row; returns its sum, in lanes, and in *deviating, unless `deviation`
 * is NULL, the sum of its products with that. */
INLINE vector make_row(const precis_feature_step *step, int64_t ld, int64_t tokens,
                       const float *prefix, const float *factor, const float *deviation, float *row,
                       vector *deviating)
{
  const float *a = prefix + step->prefix * ld, *b = factor + step->factor * ld;
  vector sum[2] = {{0}, {0}}, other[2] = {{0}, {0}};
  int64_t t = 0;
  for (; t + 2 * LANES <= tokens; t += 2 * LANES) {
    UNROLL
    for (int i = 0; i < 2; i++) {
      vector product = get(a + t + i * LANES) * get(b + t + i * LANES);
      put(row + t + i * LANES, product);
      sum[i] += product;
      if (deviation)
        other[i] += product * get(deviation + t + i * LANES);
    }
  }
  for (; t < tokens; t += LANES) {
    vector product = get(a + t) * get(b + t);
    put(row + t, product);
    sum[0] += product;
    if (deviation)
      other[0] += product * get(deviation + t);
  }
  if (deviation)
    *deviating = other[0] + other[1];
  return sum[0] + sum[1];
}

static void make_prefixes(const precis_feature_chunk *chunk, int64_t ld, int64_t tokens,
                          const float *factor, float *prefix)
{
  for (int i = 0; i < chunk->prefixes; i++)
    make_row(&chunk->prefix[i], ld, tokens, prefix, factor, NULL, prefix + (1 + i) * ld, NULL);
}

/* How many features from f on have the same prefix: their factors are consecutive. */
static inline int run_length(const precis_feature_chunk *chunk, int f)
{
  int n = 1;
  while (f + n < chunk->features && chunk->feature[f + n].prefix == chunk->feature[f].prefix)
    n++;
  return n;
}

#include "src/summary/fused_keys.h"
#include "src/summary/fused_queries.h"

const precis_feature_kernel KERNEL = {
    .name = NAME,
    .lanes = LANES,
    .value_panel = VALUE_VECTORS * LANES,
    .group = GROUP,
    .count_group = COUNT_GROUP,
    .apply_panel = QUERY_COLUMNS,
    .summarise = summarise,
    .apply = apply,
};
