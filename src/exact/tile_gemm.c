/* tile_gemm.c - the gemm form of tile_kernel.h */
#include <cblas.h>
#include <math.h>
#include <stddef.h>

#include "src/base/clones.h"
#include "src/exact/exp2.h"
#include "src/exact/tile_kernel.h"

enum { GROUP = PRECIS_TILE_GROUP, PANEL = PRECIS_TILE_PANEL_MOST };

static void multiply_keys(const precis_tile_block *b)
{
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, b->keys, b->lanes, b->dim, 1, b->k, b->dim,
              b->q, GROUP, 0, b->weights, GROUP);
}

static inline void raise_top(const precis_tile_block *b, const float *scores)
{
  for (int i = 0; i < b->lanes; i++)
    b->top[i] = scores[i] > b->top[i] ? scores[i] : b->top[i];
}

/* Scores of keys that are not seen, and biases. */
static inline void settle(const precis_tile_block *b, int key, float *scores)
{
  float bias = b->bias ? b->bias[key] : 0;
  for (int i = 0; i < b->lanes; i++)
    scores[i] = key < b->visible[i] ? scores[i] + bias : -INFINITY;
}

PRECIS_CLONES
static void weigh(const precis_tile_block *b, int tracked, int general)
{
  for (int key = 0; key < b->keys; key++) {
    float *s = b->weights + key * GROUP;
    if (general)
      settle(b, key, s);
    if (tracked)
      raise_top(b, s);
    for (int i = 0; i < b->lanes; i++) {
      float m = b->reference[i], x = general ? s[i] - m : s[i];
      float weight = precis_exp2(x, general ? 0 : m);
      s[i] = x < PRECIS_TILE_LEAST + (general ? 0 : m) ? 0 : weight;
    }
  }
}

static void bounded(const precis_tile_block *b)
{
  multiply_keys(b);
  weigh(b, 0, 0);
}

static void tracked(const precis_tile_block *b)
{
  multiply_keys(b);
  weigh(b, 1, 0);
}

static void general(const precis_tile_block *b)
{
  multiply_keys(b);
  weigh(b, 1, 1);
}

PRECIS_CLONES
static void add_weights(const float *weights, int keys, int lanes, float *part)
{
  for (int i = 0; i < lanes; i++) {
    float sum = 0;
    for (int j = 0; j < keys; j++)
      sum += weights[j * GROUP + i];
    part[i] += sum;
  }
}

static void gather(const precis_tile_block *b)
{
  int dv = b->value_dim;
  for (int j = 0; j < b->keys; j += PRECIS_TILE_CHAIN) {
    int keys = b->keys - j < PRECIS_TILE_CHAIN ? b->keys - j : PRECIS_TILE_CHAIN;
    const float *weights = b->weights + j * GROUP;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, dv, b->lanes, keys, 1,
                b->v + (int64_t)j * dv, dv, weights, GROUP, 1, b->part, GROUP);
    add_weights(weights, keys, b->lanes, b->part + (int64_t)dv * GROUP);
  }
}

static void exponentials(const float *x, const float *reference, float *y)
{
  for (int i = 0; i < GROUP; i++)
    y[i] = precis_exp2(x[i], reference[i]);
}

const precis_tile_kernel precis_tile_kernel_gemm = {
    .name = "gemm",
    .panel = PANEL,
    .bounded = bounded,
    .tracked = tracked,
    .general = general,
    .gather = gather,
    .exponential = exponentials,
};
