/* feature_kernel.h - one chunk of features against one block of tokens, in several forms
 *
 * Everything around it (loops over tiles and blocks, packing, scratch) is the same for all forms
 * and lives in summarise.c and apply.c. The forms:
 *
 *   gemm   makes the chunk's rows and calls cblas_sgemm
 *   fused  makes a few rows at a time, in the first-level cache, and multiplies them into
 *          accumulators that stay in registers; compiled for three vector widths: v4 (AVX-512),
 *          v3 (AVX2) and plain (what the compiler was told to use)
 *
 * The rule: fused v4 or v3 where the processor has them, else gemm, whose BLAS knows the hardware
 * better than plain C. It does not depend on the shape. Summarise/apply on one core (Zen 5) in
 * ratio to cblas_sgemm 2048^3, value_dim = dim, with a BLAS for AVX2 (125 Gflop/s) and one for
 * AVX-512 (235 Gflop/s), 4 MiB of fast memory:
 *
 *                        d=64 g=2    d=32 g=3    d=16 g=3    d=8 g=4
 *   AVX2     fused v4    1.78/1.85   1.70/1.82   1.41/1.63   .70/1.20
 *            fused v3     .94/.96     .91/.94     .85/.88    .55/.67
 *            gemm         .84/.82     .77/.72     .63/.58    .45/.41
 *   AVX-512  fused v4     .93/.96     .90/.96     .74/.86    .37/.63
 *            gemm         .73/.73     .65/.60     .47/.47    .38/.42
 *
 * Values narrower than a vector (dim 8) leave lanes idle when summarising.
 *
 * All arrays are float32 unless they say double, aligned to 64 bytes and free of aliases.
 * Kernels never allocate, communicate, log or fail; the caller has set BLAS to one thread. */
#ifndef PRECIS_SRC_SUMMARY_FEATURE_KERNEL_H
#define PRECIS_SRC_SUMMARY_FEATURE_KERNEL_H

#include <stdint.h>

#include "src/summary/features.h"

enum {
  PRECIS_KEY_BLOCK = 256, /* keys at a time, at most */
  PRECIS_SUM_TERMS = 64,  /* of a chain of float32 additions, be it over keys or over features */
  PRECIS_SUM_PARTS = 12,  /* sums of such chains that are added up in float32, at most: those of any
                             block of keys or chunk of features, and of a few chunks */
  /* Floats from row to row of a block of keys: 256 would put all rows into a few cache sets. */
  PRECIS_KEY_ROW = 272,
  PRECIS_QUERY_GROUP_MOST = 256
};

/* A block of keys. Rows PRECIS_KEY_ROW apart, zero from `tokens` up to a multiple of 16. */
typedef struct precis_key_block {
  int64_t tokens;      /* 1..PRECIS_KEY_BLOCK */
  const float *factor; /* 1 + dim rows: ones, the variables */
  float *prefix; /* 1 + precis_chunk_prefixes() rows, row 0 the weights; others are working space */
  float *rows;   /* PRECIS_CHUNK_FEATURES rows of working space */
  const float *deviation; /* as a row; NULL: none, as for value_dim 0 */
  int value_dim;          /* 0: only counts */
  const float *v;         /* panels, one after the other: see precis_value_panel_width() */
  float *products;        /* PRECIS_CHUNK_FEATURES x value_dim of working space */
} precis_key_block;

/* Sums are short: PRECIS_SUM_TERMS terms one after the other in float32, the few such sums of a
 * block of keys, or PRECIS_SUM_PARTS of them over features, in float32 too, and all else in double.
 * So many roundings of additions a term passes on its way into S, at most ... */
static inline int precis_summarise_roundings(void)
{
  enum { OF_A_CHAIN = PRECIS_SUM_TERMS - 1, OF_A_BLOCK = PRECIS_KEY_BLOCK / PRECIS_SUM_TERMS - 1 };
  return OF_A_CHAIN + OF_A_BLOCK + 1;
}

/* ... and so many from S into the sums of a query, however many features, tiles and calls there
 * are. The last one of either stands for the sums in double: each addition there is 2^-29 of one,
 * those of all blocks of 2^24 keys 2^-13. */
static inline int precis_apply_roundings(void)
{
  enum { OF_A_CHAIN = PRECIS_SUM_TERMS - 1, OF_PARTS = PRECIS_SUM_PARTS - 1 };
  return OF_A_CHAIN + OF_PARTS + 1;
}

/* A group of queries. Rows precis_feature_kernel_group() apart, zero from `tokens` up. */
typedef struct precis_query_group {
  int64_t tokens;
  const float *factor;
  float *prefix;   /* row 0 ones */
  float *rows;     /* PRECIS_CHUNK_FEATURES of them */
  float *products; /* a row for each column: working space */
} precis_query_group;

typedef struct precis_feature_kernel {
  const char *name;
  int lanes;       /* columns of a value panel come in multiples of this */
  int value_panel; /* columns of a value panel, at most */
  int group;       /* queries at a time ... */
  int count_group; /* ... and when there are only counts */
  int apply_panel; /* columns of a packed panel, at most; 0: all values in one, counts in another */

  /* values[f * value_dim + c] += sum_t row_f[t] v[t][c], counts[f] += sum_t row_f[t], deviating[f]
   * += sum_t row_f[t] deviation[t] where the block has deviations, rows carrying the weights. A
   * term passes precis_summarise_roundings(). */
  void (*summarise)(const precis_feature_chunk *chunk, const precis_key_block *block,
                    double *values, double *counts, double *deviating);

  /* sums[c * group + t] += sum_f row_f[t] packed_f[c] for c < columns, all float32, as
   * precis_chunk_parts() numbers each of which is a sum of at most PRECIS_SUM_TERMS. packed:
   * panels, one after the other, each features x width; see precis_packed_panel_first(). columns
   * = 1: counts only. */
  void (*apply)(const precis_feature_chunk *chunk, const precis_query_group *group, int columns,
                const float *packed, float *sums);
} precis_feature_kernel;

static inline int precis_chunk_parts(const precis_feature_chunk *chunk)
{
  return (chunk->features + PRECIS_SUM_TERMS - 1) / PRECIS_SUM_TERMS;
}

static inline int precis_value_panel_width(const precis_feature_kernel *kernel, int columns_left)
{
  int width = columns_left < kernel->value_panel ? columns_left : kernel->value_panel;
  return (width + kernel->lanes - 1) / kernel->lanes * kernel->lanes;
}

static inline int precis_packed_panels(const precis_feature_kernel *kernel, int columns)
{
  if (kernel->apply_panel == 0)
    return columns > 1 ? 2 : 1;
  return (columns + kernel->apply_panel - 1) / kernel->apply_panel;
}

/* The first column of a panel; panels differ by at most one column in width, unless they
 * separate values and counts. */
static inline int precis_packed_panel_first(const precis_feature_kernel *kernel, int columns,
                                            int panel)
{
  int panels = precis_packed_panels(kernel, columns);
  if (kernel->apply_panel == 0)
    return panel == panels ? columns : panel == 0 ? 0 : columns - 1;
  return columns * panel / panels;
}

static inline int precis_feature_kernel_group(const precis_feature_kernel *kernel, int value_dim)
{
  return value_dim > 0 ? kernel->group : kernel->count_group;
}

/* The forms that run here: kernels[0..result), at most 4, best first. */
int precis_feature_kernels(const precis_feature_kernel *kernels[4]);

const precis_feature_kernel *precis_feature_kernel_choose(void);

extern const precis_feature_kernel precis_feature_kernel_gemm;
extern const precis_feature_kernel precis_feature_kernel_plain;
extern const precis_feature_kernel precis_feature_kernel_v3; /* only where clones.h can clone */
extern const precis_feature_kernel precis_feature_kernel_v4;

#endif
