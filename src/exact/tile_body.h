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

#include "src/exact/exp2.h"
#include "src/exact/tile_kernel.h"

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#define UNROLL_FEW _Pragma("unroll(4)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#define UNROLL_FEW _Pragma("GCC unroll 4")
#endif

enum { GROUP = PRECIS_TILE_GROUP };
_Static_assert(GROUP % LANES == 0 && PRECIS_TILE_KEYS % PANEL == 0, "whole vectors, whole panels");
_Static_assert(PANEL % CHAINS == 0, "whole panels");
_Static_assert(PANEL <= PRECIS_TILE_PANEL_MOST, "panels that fit the last one's copy");

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef int32_t places __attribute__((vector_size(4 * LANES)));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));

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

/* y[i] = 2^(x[i] + PRECIS_EXP2_ROUND - round), see exp2.h. Step by step for all, as the steps of
 * one wait for each other and compilers leave their order as it is. */
INLINE void exponentials(const vector x[CHAINS], vector round, vector y[CHAINS])
{
  vector f[CHAINS], shifted[CHAINS];
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    shifted[i] = x[i] + round;
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    f[i] = shifted[i] - round;
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    f[i] = x[i] - f[i];
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    y[i] = PRECIS_EXP2_5 * f[i] + PRECIS_EXP2_4;
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    y[i] = y[i] * f[i] + PRECIS_EXP2_3;
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    y[i] = y[i] * f[i] + PRECIS_EXP2_2;
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    y[i] = y[i] * f[i] + PRECIS_EXP2_1;
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    y[i] = y[i] * f[i] + PRECIS_EXP2_0;
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    y[i] = (vector)((bits)y[i] + ((bits)shifted[i] << 23)); /* wraps */
}

/* score[x][i] = <key i of the panel, queries of vector x>. */
INLINE void multiply_keys(const int vectors, int dim, const float *q, const float *k,
                          vector score[VECTORS][PANEL])
{
  UNROLL
  for (int i = 0; i < PANEL; i++) {
    UNROLL
    for (int x = 0; x < vectors; x++)
      score[x][i] = (vector){0};
  }
  UNROLL_FEW
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
        score[x][i] += scalar * query[x];
    }
  }
}

typedef enum way { BOUNDED, TRACKED, GENERAL } way;

/* Scores of CHAINS keys, from the block's key `key` on, made what general() makes of them. */
INLINE void settle(const precis_tile_block *b, int key, int64_t at, vector s[CHAINS])
{
  const places visible = *(const places *)(const void *)(b->visible + at);
  UNROLL
  for (int i = 0; i < CHAINS; i++)
    s[i] = choose(visible > key + i, s[i] + (b->bias ? b->bias[key + i] : 0), all(-INFINITY));
}

/* Scores of CHAINS keys and of the queries from lane `at` on made weights. */
INLINE void weigh_few(const way how, const precis_tile_block *b, int key, int64_t at,
                      vector s[CHAINS], vector *top)
{
  const vector reference = get(b->reference + at);
  vector shift = PRECIS_EXP2_ROUND - reference, least = reference + PRECIS_TILE_LEAST;
  vector weight[CHAINS];
  if (how == GENERAL)
    settle(b, key, at, s);
  UNROLL
  for (int i = 0; i < CHAINS; i++) {
    if (how != BOUNDED)
      *top = MAXIMUM(s[i], *top);
    if (how == GENERAL)
      s[i] -= reference;
  }
  if (how == GENERAL) {
    shift = all(PRECIS_EXP2_ROUND);
    least = all(PRECIS_TILE_LEAST);
  }
  exponentials(s, shift, weight);
  UNROLL
  for (int i = 0; i < CHAINS; i++) {
    if (how != BOUNDED)
      weight[i] = UNLESS_BELOW(weight[i], s[i], least);
    put(b->weights + (int64_t)(key + i) * GROUP + at, weight[i]);
  }
}

/* A panel's scores of one vector of queries. Key i is key + i of the block. */
INLINE void weigh(const way how, const precis_tile_block *b, int key, int64_t at,
                  vector score[PANEL])
{
  vector top = {0};
  if (how != BOUNDED)
    top = get(b->top + at);
  UNROLL
  for (int i = 0; i < PANEL; i += CHAINS)
    weigh_few(how, b, key + i, at, score + i, &top);
  if (how != BOUNDED)
    put(b->top + at, top);
}

INLINE void weigh_keys(const way how, const int vectors, const precis_tile_block *b)
{
  for (int key = 0; key < b->keys; key += PANEL) {
    vector score[VECTORS][PANEL];
    multiply_keys(vectors, b->dim, b->q, b->k + (int64_t)key * b->dim, score);
    UNROLL
    for (int x = 0; x < vectors; x++)
      weigh(how, b, key, (int64_t)x * LANES, score[x]);
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
  b->part += step;
}

WEIGH(bounded, BOUNDED)
WEIGH(tracked, TRACKED)
WEIGH(general, GENERAL)

#include "src/exact/tile_gather.h"

static void exponential(const float *x, const float *reference, float *y)
{
  for (int i = 0; i < GROUP; i += LANES) {
    vector some[CHAINS], result[CHAINS];
    for (int j = 0; j < CHAINS; j++)
      some[j] = get(x + i);
    exponentials(some, PRECIS_EXP2_ROUND - get(reference + i), result);
    put(y + i, result[0]);
  }
}

const precis_tile_kernel KERNEL = {
    .name = NAME,
    .panel = PANEL,
    .bounded = bounded,
    .tracked = tracked,
    .general = general,
    .gather = gather,
    .exponential = exponential,
};
