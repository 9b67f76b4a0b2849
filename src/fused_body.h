/* fused_body.h - the fused form of feature_kernel.h, for one vector width
 *
 * Included by one file for each width, which first defines
 *   LANES            floats in a vector
 *   IOTA             0, 1, ..., LANES - 1
 *   KEY_ROWS         features that meet a panel of values at once: KEY_ROWS x VALUE_VECTORS accumulators
 *   EACH_KEY_ROWS    X(1) X(2) ... X(KEY_ROWS)
 *   QUERY_COLUMNS    columns of S that meet a group of queries at once: QUERY_COLUMNS x QUERY_VECTORS accumulators
 *   EACH_QUERY_COLUMNS
 *   COUNT_VECTORS    vectors of queries that meet a count at once
 *   KERNEL, NAME     of the table
 * The accumulators, a vector for each factor and one for a broadcast must fit the registers.
 *
 * Summarise: lanes are columns of v. Apply: lanes are queries. So what is broadcast is always a scalar that lies in the
 * first-level cache, and no sum runs across lanes except those of the counts. */
#include <stdint.h>

#include "src/feature_kernel.h"

enum { VALUE_VECTORS = 2, QUERY_VECTORS = 2, DOTS = 8 };

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
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

/* row = prefix row * factor row; returns its sum, in lanes. */
INLINE vector make_row(const precis_feature_step *step, int64_t ld, int64_t tokens, const float *prefix,
                       const float *factor, float *row)
{
  const float *a = prefix + step->prefix * ld, *b = factor + step->factor * ld;
  vector sum[2] = {{0}, {0}};
  int64_t t = 0;
  for (; t + 2 * LANES <= tokens; t += 2 * LANES)
    UNROLL
    for (int i = 0; i < 2; i++) {
      vector product = get(a + t + i * LANES) * get(b + t + i * LANES);
      put(row + t + i * LANES, product);
      sum[i] += product;
    }
  for (; t < tokens; t += LANES) {
    vector product = get(a + t) * get(b + t);
    put(row + t, product);
    sum[0] += product;
  }
  return sum[0] + sum[1];
}

/* sums[r][i lanes] = sum_t row[r][t] v[t][i lanes], rows x vectors of them. */
INLINE void multiply_values(const int rows, const int vectors, int64_t tokens, const float *row, const float *v,
                            float *sums)
{
  vector acc[KEY_ROWS][VALUE_VECTORS];
  UNROLL
  for (int r = 0; r < rows; r++)
    UNROLL
    for (int i = 0; i < vectors; i++)
      acc[r][i] = (vector){0};
  for (int64_t t = 0; t < tokens; t++) {
    vector value[VALUE_VECTORS];
    UNROLL
    for (int i = 0; i < vectors; i++)
      value[i] = get(v + (t * vectors + i) * LANES);
    UNROLL
    for (int r = 0; r < rows; r++) {
      float scalar = row[r * PRECIS_KEY_ROW + t];
      UNROLL
      for (int i = 0; i < vectors; i++)
        acc[r][i] += scalar * value[i];
    }
  }
  UNROLL
  for (int r = 0; r < rows; r++)
    UNROLL
    for (int i = 0; i < vectors; i++)
      put(sums + (r * VALUE_VECTORS + i) * LANES, acc[r][i]);
}

static void meet_values(int rows, int vectors, int64_t tokens, const float *row, const float *v, float *sums)
{
  /* A body for each number of rows, so that none is multiplied in vain. */
#define X(n)                                                                                                      \
  case n:                                                                                                         \
    if (vectors == VALUE_VECTORS)                                                                                 \
      multiply_values(n, VALUE_VECTORS, tokens, row, v, sums);                                                    \
    else                                                                                                          \
      multiply_values(n, 1, tokens, row, v, sums);                                                                \
    break;
  switch (rows) {
    EACH_KEY_ROWS(X)
  }
#undef X
}

/* into[r][c] += sums[r][c] for c < columns. */
INLINE void add_to_double(int rows, int columns, const float *sums, int64_t stride, double *into)
{
  for (int r = 0; r < rows; r++, sums += VALUE_VECTORS * LANES, into += stride) {
    int c = 0;
    for (; c + LANES / 2 <= columns; c += LANES / 2) {
      half part = *(const half *)(const void *)(sums + c);
      *(wide *)(into + c) += __builtin_convertvector(part, wide);
    }
    for (; c < columns; c++)
      into[c] += (double)sums[c];
  }
}

static void make_prefixes(const precis_feature_chunk *chunk, int64_t ld, int64_t tokens, const float *factor,
                          float *prefix)
{
  for (int i = 0; i < chunk->prefixes; i++)
    make_row(&chunk->prefix[i], ld, tokens, prefix, factor, prefix + (1 + i) * ld);
}

/* sum_t prefix[t] factor[i][t] for `dots` consecutive factors. */
INLINE void dot(const int dots, int64_t tokens, const float *prefix, const float *factor, double *counts)
{
  vector acc[DOTS];
  UNROLL
  for (int i = 0; i < DOTS; i++)
    acc[i] = (vector){0};
  for (int64_t t = 0; t < tokens; t += LANES) {
    vector a = get(prefix + t);
    UNROLL
    for (int i = 0; i < dots; i++)
      acc[i] += a * get(factor + i * PRECIS_KEY_ROW + t);
  }
  add_across(dots < 4 ? dots : 4, acc, counts);
  if (dots == DOTS)
    add_across(DOTS - 4, acc + 4, counts + 4);
}

/* How many features from f on have the same prefix: their factors are consecutive. */
static inline int run_length(const precis_feature_chunk *chunk, int f)
{
  int n = 1;
  while (f + n < chunk->features && chunk->feature[f + n].prefix == chunk->feature[f].prefix)
    n++;
  return n;
}

/* Counts need no row at all: a feature's is the inner product of its prefix and its factor. */
static void count_keys(const precis_feature_chunk *chunk, const precis_key_block *block, int64_t tokens,
                       double *counts)
{
  for (int f = 0; f < chunk->features;) {
    const float *a = block->prefix + chunk->feature[f].prefix * PRECIS_KEY_ROW;
    const float *b = block->factor + chunk->feature[f].factor * PRECIS_KEY_ROW;
    int run = run_length(chunk, f), i = 0;
    for (; i + DOTS <= run; i += DOTS)
      dot(DOTS, tokens, a, b + i * PRECIS_KEY_ROW, counts + f + i);
    for (; i + DOTS / 4 <= run; i += DOTS / 4)
      dot(DOTS / 4, tokens, a, b + i * PRECIS_KEY_ROW, counts + f + i);
    if (i < run)
      dot(1, tokens, a, b + i * PRECIS_KEY_ROW, counts + f + i);
    f += run;
  }
}

/* n <= 4 rows and their counts. */
INLINE void make_key_rows(const int n, const precis_feature_step *step, const precis_key_block *block, int64_t tokens,
                          float *row, double *counts)
{
  vector lanes[4] = {{0}, {0}, {0}, {0}};
  UNROLL
  for (int i = 0; i < n; i++)
    lanes[i] = make_row(step + i, PRECIS_KEY_ROW, tokens, block->prefix, block->factor, row + i * PRECIS_KEY_ROW);
  add_across(n, lanes, counts);
}

static void make_group(int rows, const precis_feature_step *step, const precis_key_block *block, int64_t tokens,
                       double *counts)
{
  float *row = block->rows;
  int r = 0;
  for (; r + 4 <= rows; r += 4)
    make_key_rows(4, step + r, block, tokens, row + r * PRECIS_KEY_ROW, counts + r);
  for (; r + 2 <= rows; r += 2)
    make_key_rows(2, step + r, block, tokens, row + r * PRECIS_KEY_ROW, counts + r);
  if (r < rows)
    make_key_rows(1, step + r, block, tokens, row + r * PRECIS_KEY_ROW, counts + r);
}

static void summarise(const precis_feature_chunk *chunk, const precis_key_block *block, double *values,
                      double *counts)
{
  int64_t whole = (block->tokens + LANES - 1) / LANES * LANES;
  int columns = block->value_dim;
  float sums[KEY_ROWS * VALUE_VECTORS * LANES] __attribute__((aligned(64)));
  make_prefixes(chunk, PRECIS_KEY_ROW, whole, block->factor, block->prefix);
  if (columns == 0)
    count_keys(chunk, block, whole, counts);
  for (int f = 0; columns > 0 && f < chunk->features; f += KEY_ROWS) {
    int rows = chunk->features - f < KEY_ROWS ? chunk->features - f : KEY_ROWS;
    make_group(rows, chunk->feature + f, block, whole, counts + f);
    for (int c = 0; c < columns; c += VALUE_VECTORS * LANES) {
      int width = columns - c < VALUE_VECTORS * LANES ? columns - c : VALUE_VECTORS * LANES;
      meet_values(rows, width > LANES ? VALUE_VECTORS : 1, block->tokens, block->rows,
                  block->v + c * block->tokens, sums);
      add_to_double(rows, width, sums, columns, values + (int64_t)f * columns + c);
    }
  }
}

enum { GROUP = QUERY_VECTORS * LANES, COUNT_GROUP = COUNT_VECTORS * LANES };

/* Where a panel gets the rows of a chunk: the first makes them in registers and, where it is not the last, keeps them. */
typedef enum rows_from { MADE, MADE_AND_KEPT, KEPT } rows_from;

/* sums[c][t] += sum_f row[f][t] packed[f][c] for `columns` columns and a group of queries t. */
INLINE void multiply_queries(const int columns, const rows_from from, const precis_feature_chunk *chunk,
                             const precis_query_group *group, const float *packed, float *sums)
{
  const precis_feature_step *step = chunk->feature;
  const float *prefix = group->prefix, *factor = group->factor;
  float *row = group->rows;
  vector acc[QUERY_COLUMNS][QUERY_VECTORS];
  UNROLL
  for (int c = 0; c < columns; c++)
    UNROLL
    for (int i = 0; i < QUERY_VECTORS; i++)
      acc[c][i] = (vector){0};
  for (int64_t f = 0, end = chunk->features; f < end; f++, row += GROUP, packed += columns) {
    vector query[QUERY_VECTORS];
    UNROLL
    for (int i = 0; i < QUERY_VECTORS; i++) {
      query[i] = from == KEPT ? get(row + i * LANES)
                              : get(prefix + step[f].prefix * GROUP + i * LANES) *
                                    get(factor + step[f].factor * GROUP + i * LANES);
      if (from == MADE_AND_KEPT)
        put(row + i * LANES, query[i]);
    }
    UNROLL
    for (int c = 0; c < columns; c++) {
      float scalar = packed[c];
      UNROLL
      for (int i = 0; i < QUERY_VECTORS; i++)
        acc[c][i] += scalar * query[i];
    }
  }
  UNROLL
  for (int c = 0; c < columns; c++)
    UNROLL
    for (int i = 0; i < QUERY_VECTORS; i++)
      put(sums + c * GROUP + i * LANES, get(sums + c * GROUP + i * LANES) + acc[c][i]);
}

static void meet_queries(int columns, rows_from from, const precis_feature_chunk *chunk,
                         const precis_query_group *group, const float *packed, float *sums)
{
#define X(n)                                                                                                      \
  case n:                                                                                                         \
    if (from == MADE)                                                                                             \
      multiply_queries(n, MADE, chunk, group, packed, sums);                                                      \
    else if (from == KEPT)                                                                                        \
      multiply_queries(n, KEPT, chunk, group, packed, sums);                                                      \
    else                                                                                                          \
      multiply_queries(n, MADE_AND_KEPT, chunk, group, packed, sums);                                             \
    break;
  switch (columns) {
    EACH_QUERY_COLUMNS(X)
  }
#undef X
}

/* sums[t] += sum over prefixes of prefix[t] sum over its factors of factor[t] packed: one multiply-add a feature. */
static void count_queries(const precis_feature_chunk *chunk, const precis_query_group *group, const float *packed,
                          float *sums)
{
  for (int f = 0; f < chunk->features;) {
    const float *prefix = group->prefix + chunk->feature[f].prefix * COUNT_GROUP;
    const float *factor = group->factor + chunk->feature[f].factor * COUNT_GROUP;
    int end = f + run_length(chunk, f);
    vector inner[COUNT_VECTORS];
    UNROLL
    for (int i = 0; i < COUNT_VECTORS; i++)
      inner[i] = (vector){0};
    for (; f < end; f++, factor += COUNT_GROUP) {
      float scalar = packed[f];
      UNROLL
      for (int i = 0; i < COUNT_VECTORS; i++)
        inner[i] += scalar * get(factor + i * LANES);
    }
    UNROLL
    for (int i = 0; i < COUNT_VECTORS; i++)
      put(sums + i * LANES, get(sums + i * LANES) + inner[i] * get(prefix + i * LANES));
  }
}

static void apply(const precis_feature_chunk *chunk, const precis_query_group *group, int columns,
                  const float *packed, float *sums)
{
  if (columns == 1) {
    make_prefixes(chunk, COUNT_GROUP, COUNT_GROUP, group->factor, group->prefix);
    count_queries(chunk, group, packed, sums);
    return;
  }
  make_prefixes(chunk, GROUP, GROUP, group->factor, group->prefix);
  int panels = (columns + QUERY_COLUMNS - 1) / QUERY_COLUMNS;
  for (int p = 0; p < panels; p++) {
    int c = columns * p / panels, end = columns * (p + 1) / panels;
    meet_queries(end - c, p > 0 ? KEPT : panels > 1 ? MADE_AND_KEPT : MADE, chunk, group,
                 packed + (int64_t)c * chunk->features, sums + c * GROUP);
  }
}

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
