/* tile_body.h - the forms of tile_kernel.h that need no BLAS, for one vector width
 *
 * Included by one file for each width, which first defines
 *   LANES         floats in a vector
 *   VECTORS       vectors of queries that meet a panel at once; EACH_VECTORS(X)  X(1) ...
 * X(VECTORS) PANEL         keys of a panel COLUMNS       columns of values that meet the weights at
 * once; EACH_COLUMNS(X) MAXIMUM(x, y), UNLESS_BELOW(w, x, least)  of vectors; the latter is w, and
 * 0 where x < least. Left out: in plain C KERNEL, NAME  of the table PANEL x VECTORS accumulators,
 * or COLUMNS x VECTORS of them, with VECTORS queries or weights and one vector for a broadcast,
 * must fit the registers. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "src/exp2.h"
#include "src/tile_kernel.h"

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { GROUP = PRECIS_TILE_GROUP };
_Static_assert(GROUP % LANES == 0 && PRECIS_TILE_KEYS % PANEL == 0, "whole vectors, whole panels");
_Static_assert(PANEL <= PRECIS_TILE_PANEL_MOST, "panels that fit the last one's copy");

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef int32_t places __attribute__((vector_size(4 * LANES)));

INLINE vector get(const float *x)
{
  return *(const vector *)(const void *)x;
}

INLINE void put(float *x, vector y)
{
  *(vector *)(void *)x = y;
}

INLINE vector all(float x)
{
  return x - (vector){0};
}

INLINE vector choose(places condition, vector yes, vector no)
{
  return (vector)((condition & (places)yes) | (~condition & (places)no));
}

#ifndef MAXIMUM
#define MAXIMUM(x, y) choose((x) > (y), x, y)
#endif
#ifndef UNLESS_BELOW
#define UNLESS_BELOW(w, x, least) ((vector)(~((x) < (least)) & (places)(w)))
#endif

/* 2^(x + PRECIS_EXP2_ROUND - round): see exp2.h. */
INLINE vector exponential(vector x, vector round)
{
  vector shifted = x + round, f = x - (shifted - round);
  vector p = PRECIS_EXP2_5 * f + PRECIS_EXP2_4;
  p = p * f + PRECIS_EXP2_3;
  p = p * f + PRECIS_EXP2_2;
  p = p * f + PRECIS_EXP2_1;
  p = p * f + PRECIS_EXP2_0;
  return (vector)((places)p + ((places)shifted << 23));
}

/* score[i][x] = <key i of the panel, queries of vector x>. */
INLINE void multiply_keys(const int vectors, int dim, const float *q, const float *k,
                          vector score[PANEL][VECTORS])
{
  UNROLL
  for (int i = 0; i < PANEL; i++) {
    UNROLL
    for (int x = 0; x < vectors; x++)
      score[i][x] = (vector){0};
  }
  for (int c = 0; c < dim; c++) {
    vector query[VECTORS];
    UNROLL
    for (int x = 0; x < vectors; x++)
      query[x] = get(q + c * GROUP + x * LANES);
    UNROLL
    for (int i = 0; i < PANEL; i++) {
      float scalar = k[(int64_t)i * dim + c];
      UNROLL
      for (int x = 0; x < vectors; x++)
        score[i][x] += scalar * query[x];
    }
  }
}

typedef enum way { BOUNDED, TRACKED, GENERAL, LOOK } way;

/* A panel's scores of one vector of queries made weights. Key i is key + i of the block. */
INLINE void weigh(const way how, const precis_tile_block *b, int key, int x,
                  vector score[PANEL][VECTORS])
{
  const int64_t at = (int64_t)x * LANES;
  const vector round = all(PRECIS_EXP2_ROUND), reference = get(b->reference + at);
  const vector least = reference + PRECIS_TILE_LEAST, shift = round - reference;
  vector top = {0}, sum = {0};
  if (how != BOUNDED)
    top = get(b->top + at);
  UNROLL
  for (int i = 0; i < PANEL; i++) {
    vector s = score[i][x], weight;
    if (how == GENERAL || how == LOOK) {
      const places visible = *(const places *)(const void *)(b->visible + at);
      s += b->bias ? b->bias[key + i] : 0;
      s = choose(visible > key + i, s, all(-INFINITY));
    }
    if (how != BOUNDED)
      top = MAXIMUM(s, top);
    if (how == LOOK)
      continue;
    if (how == BOUNDED)
      weight = exponential(s, shift);
    if (how == TRACKED)
      weight = UNLESS_BELOW(exponential(s, shift), s, least);
    if (how == GENERAL)
      weight =
          UNLESS_BELOW(exponential(s - reference, round), s - reference, all(PRECIS_TILE_LEAST));
    sum += weight;
    put(b->weights + (int64_t)(key + i) * GROUP + at, weight);
  }
  if (how != BOUNDED)
    put(b->top + at, top);
  if (how != LOOK)
    put(b->sum + at, get(b->sum + at) + sum);
}

INLINE void weigh_keys(const way how, const int vectors, const precis_tile_block *b)
{
  for (int key = 0; key < b->keys; key += PANEL) {
    vector score[PANEL][VECTORS];
    multiply_keys(vectors, b->dim, b->q, b->k + (int64_t)key * b->dim, score);
    UNROLL
    for (int x = 0; x < vectors; x++)
      weigh(how, b, key, x, score);
  }
}

/* VECTORS vectors at a time, then what is left. */
#define WEIGH(name, how)                                                                           \
  static void name##_some(int vectors, const precis_tile_block *b)                                 \
  {                                                                                                \
    switch (vectors) {                                                                             \
      EACH_VECTORS(CASE_##how)                                                                     \
    }                                                                                              \
  }                                                                                                \
  static void name(const precis_tile_block *block)                                                 \
  {                                                                                                \
    precis_tile_block b = *block;                                                                  \
    for (int left = vectors_of(block); left > 0; left -= VECTORS, advance(&b))                     \
      name##_some(left < VECTORS ? left : VECTORS, &b);                                            \
  }
#define CASE_BOUNDED(n)                                                                            \
  case n:                                                                                          \
    weigh_keys(BOUNDED, n, b);                                                                     \
    break;
#define CASE_TRACKED(n)                                                                            \
  case n:                                                                                          \
    weigh_keys(TRACKED, n, b);                                                                     \
    break;
#define CASE_GENERAL(n)                                                                            \
  case n:                                                                                          \
    weigh_keys(GENERAL, n, b);                                                                     \
    break;
#define CASE_LOOK(n)                                                                               \
  case n:                                                                                          \
    weigh_keys(LOOK, n, b);                                                                        \
    break;

static int vectors_of(const precis_tile_block *b)
{
  return (b->lanes + LANES - 1) / LANES;
}

static void advance(precis_tile_block *b)
{
  const int step = VECTORS * LANES;
  b->q += step;
  b->visible += b->visible ? step : 0;
  b->reference += step;
  b->weights += step;
  b->top += step;
  b->sum += step;
  b->part += step;
}

WEIGH(bounded, BOUNDED)
WEIGH(tracked, TRACKED)
WEIGH(general, GENERAL)
WEIGH(look, LOOK)

/* part[c] += sum_j weights[j] v[j][c] for c < columns. The sum over the block begins at zero: it is
 * a term of its own in the sum of blocks. */
INLINE void gather_columns(const int vectors, const int columns, const precis_tile_block *b,
                           const float *v, float *part)
{
  vector sum[COLUMNS][VECTORS];
  UNROLL
  for (int c = 0; c < columns; c++) {
    UNROLL
    for (int x = 0; x < vectors; x++)
      sum[c][x] = (vector){0};
  }
  const float *weights = b->weights;
  for (int j = 0; j < b->keys; j++, v += b->value_dim, weights += GROUP) {
    vector weight[VECTORS];
    UNROLL
    for (int x = 0; x < vectors; x++)
      weight[x] = get(weights + x * LANES);
    UNROLL
    for (int c = 0; c < columns; c++) {
      UNROLL
      for (int x = 0; x < vectors; x++)
        sum[c][x] += v[c] * weight[x];
    }
  }
  UNROLL
  for (int c = 0; c < columns; c++) {
    UNROLL
    for (int x = 0; x < vectors; x++)
      put(part + c * GROUP + x * LANES, get(part + c * GROUP + x * LANES) + sum[c][x]);
  }
}

/* A body for each number of columns, so that none is multiplied in vain. */
#define CASE(n)                                                                                    \
  case n:                                                                                          \
    gather_columns(vectors, n, b, v, part);                                                        \
    break;
#define GATHER(vectors_)                                                                           \
  static void gather_##vectors_(int columns, const precis_tile_block *b, const float *v,           \
                                float *part)                                                       \
  {                                                                                                \
    const int vectors = vectors_;                                                                  \
    switch (columns) {                                                                             \
      EACH_COLUMNS(CASE)                                                                           \
    }                                                                                              \
  }
EACH_VECTORS(GATHER)

#define CASE_VECTORS(n)                                                                            \
  case n:                                                                                          \
    gather_##n(end - first, &b, b.v + first, b.part + (int64_t)first * GROUP);                     \
    break;

/* Panels of columns differ by one in width at most. */
static void gather(const precis_tile_block *block)
{
  precis_tile_block b = *block;
  int dv = b.value_dim, panels = (dv + COLUMNS - 1) / COLUMNS;
  for (int left = vectors_of(block); left > 0; left -= VECTORS, advance(&b)) {
    for (int p = 0; p < panels; p++) {
      int first = dv * p / panels, end = dv * (p + 1) / panels;
      switch (left < VECTORS ? left : VECTORS) {
        EACH_VECTORS(CASE_VECTORS)
      }
    }
  }
}

static void exponentials(const float *x, const float *reference, float *y)
{
  for (int i = 0; i < GROUP; i += LANES)
    put(y + i, exponential(get(x + i), all(PRECIS_EXP2_ROUND) - get(reference + i)));
}

const precis_tile_kernel KERNEL = {
    .name = NAME,
    .panel = PANEL,
    .bounded = bounded,
    .tracked = tracked,
    .general = general,
    .look = look,
    .gather = gather,
    .exponential = exponentials,
};
