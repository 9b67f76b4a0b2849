/* gemm_kernel.c - the gemm form of feature_kernel.h */
#include <cblas.h>

#include "src/summary/feature_kernel.h"

enum { GROUP = PRECIS_QUERY_GROUP_MOST };

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* sums[f] += sum_t rows[f][t] with[t], `tokens` <= PRECIS_SUM_TERMS. */
static void add_products(int features, int tokens, const float *rows, const float *with,
                         double *sums)
{
  float part[PRECIS_CHUNK_FEATURES];
  cblas_sgemv(CblasRowMajor, CblasNoTrans, features, tokens, 1, rows, PRECIS_KEY_ROW, with, 1, 0,
              part, 1);
  for (int f = 0; f < features; f++)
    sums[f] += (double)part[f];
}

/* BLAS adds in an order of its own, so that no more than PRECIS_SUM_TERMS terms go into a call. */
static void summarise(const precis_feature_chunk *chunk, const precis_key_block *block,
                      double *values, double *counts, double *deviating)
{
  int columns = block->value_dim, features = chunk->features;
  precis_features_make(chunk, block->tokens, PRECIS_KEY_ROW, block->factor, block->prefix,
                       block->rows);
  for (int64_t first = 0; first < block->tokens; first += PRECIS_SUM_TERMS) {
    int tokens = (int)least(block->tokens - first, PRECIS_SUM_TERMS);
    const float *rows = block->rows + first;
    add_products(features, tokens, rows, block->factor, counts);
    if (columns > 0 && block->deviation)
      add_products(features, tokens, rows, block->deviation + first, deviating);
    if (columns > 0)
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, features, columns, tokens, 1, rows,
                  PRECIS_KEY_ROW, block->v + first * columns, columns, 0, block->products, columns);
    for (int64_t i = 0; i < (int64_t)features * columns; i++)
      values[i] += (double)block->products[i];
  }
}

static void apply(const precis_feature_chunk *chunk, const precis_query_group *group, int columns,
                  const float *packed, float *sums)
{
  int dv = columns - 1, tokens = (int)group->tokens;
  const float *counts = packed + (int64_t)dv * chunk->features;
  precis_features_make(chunk, tokens, GROUP, group->factor, group->prefix, group->rows);
  for (int first = 0; first < chunk->features; first += PRECIS_SUM_TERMS) {
    int features = (int)least(chunk->features - first, PRECIS_SUM_TERMS);
    const float *rows = group->rows + (int64_t)first * GROUP;
    if (dv > 0)
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, dv, tokens, features, 1,
                  packed + (int64_t)first * dv, dv, rows, GROUP, 0, group->products, GROUP);
    cblas_sgemv(CblasRowMajor, CblasTrans, features, tokens, 1, rows, GROUP, counts + first, 1, 0,
                group->products + (int64_t)dv * GROUP, 1);
    for (int c = 0; c < columns; c++)
      for (int t = 0; t < tokens; t++)
        sums[c * GROUP + t] += group->products[c * GROUP + t];
  }
}

const precis_feature_kernel precis_feature_kernel_gemm = {
    .name = "gemm",
    .lanes = 1,
    .value_panel = 256,
    .group = GROUP,
    .count_group = GROUP,
    .apply_panel = 0,
    .summarise = summarise,
    .apply = apply,
};
