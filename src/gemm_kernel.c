/* gemm_kernel.c - the gemm form of feature_kernel.h */
#include <cblas.h>

#include "src/feature_kernel.h"

enum { GROUP = PRECIS_QUERY_GROUP_MOST };

static void summarise(const precis_feature_chunk *chunk, const precis_key_block *block,
                      double *values, double *counts, double *deviating)
{
  int columns = block->value_dim, features = chunk->features, tokens = (int)block->tokens;
  float sums[PRECIS_CHUNK_FEATURES];
  precis_features_make(chunk, tokens, PRECIS_KEY_ROW, block->factor, block->prefix, block->rows);
  cblas_sgemv(CblasRowMajor, CblasNoTrans, features, tokens, 1, block->rows, PRECIS_KEY_ROW,
              block->factor, 1, 0, sums, 1);
  for (int f = 0; f < features; f++)
    counts[f] += (double)sums[f];
  if (columns == 0)
    return;
  if (block->deviation) {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, features, tokens, 1, block->rows, PRECIS_KEY_ROW,
                block->deviation, 1, 0, sums, 1);
    for (int f = 0; f < features; f++)
      deviating[f] += (double)sums[f];
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, features, columns, tokens, 1, block->rows,
              PRECIS_KEY_ROW, block->v, columns, 0, block->products, columns);
  for (int64_t i = 0; i < (int64_t)features * columns; i++)
    values[i] += (double)block->products[i];
}

static void apply(const precis_feature_chunk *chunk, const precis_query_group *group, int columns,
                  const float *packed, float *sums)
{
  int dv = columns - 1, features = chunk->features, tokens = (int)group->tokens;
  precis_features_make(chunk, tokens, GROUP, group->factor, group->prefix, group->rows);
  if (dv > 0)
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, dv, tokens, features, 1, packed, dv,
                group->rows, GROUP, 1, sums, GROUP);
  cblas_sgemv(CblasRowMajor, CblasTrans, features, tokens, 1, group->rows, GROUP,
              packed + (int64_t)dv * features, 1, 1, sums + (int64_t)dv * GROUP, 1);
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
