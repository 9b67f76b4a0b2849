/* tile_kernel.h - a group of queries against a block of keys, in several forms
 *
 * Everything around it (loops over groups and blocks, references, sums in double) is the same for
 * all forms and lives in tile.c. The forms:
 *
 *   v4, v3, plain  lanes are queries, what is broadcast are numbers of keys and values as they lie
 *                  in a parcel, row after row: they need no packing. A panel of keys meets the
 *                  queries in accumulators that stay in registers until they are weights. Compiled
 *                  for AVX-512, AVX2 and what the compiler was told to use
 *   gemm           the same by cblas_sgemm: what tests compare with, and what runs where there is
 *                  neither AVX2 nor AVX-512, as BLAS knows the hardware better than plain C
 *
 * A weight is 2^(x - m), x the score in units of log 2 and m the reference of the query, an
 * integer. That makes the step from x - m to the nearest integer exact without the subtraction: the
 * constant that is added to round has -m in it, see weigh() in tile_body.h. Three ways to weigh:
 *
 *   bounded  the caller has proved that |x - m| <= PRECIS_TILE_REACH: nothing is looked at
 *   tracked  |m| < PRECIS_TILE_REFERENCE: the largest scores are kept, scores below m +
 *            PRECIS_TILE_LEAST get weight 0
 *   general  as tracked for any m, with biases, and with keys that some of the queries do not see
 *
 * All arrays are float32, aligned to 64 bytes but for keys, values and biases, and free of aliases.
 * Kernels never allocate, communicate, log or fail; the caller has set BLAS to one thread. */
#ifndef PRECIS_SRC_EXACT_TILE_KERNEL_H
#define PRECIS_SRC_EXACT_TILE_KERNEL_H

#include <stdint.h>

enum {
  PRECIS_TILE_GROUP = 48,    /* queries of a group: lanes, in rows of so many floats */
  PRECIS_TILE_KEYS = 96,     /* keys of a block, at most */
  PRECIS_TILE_CHAIN = 48,    /* of them, terms in a chain of float32 additions ... */
  PRECIS_TILE_CHAINS = 16,   /* ... and chains that are added up before they go into doubles */
  PRECIS_TILE_PANEL_MOST = 8 /* keys at a time, of any form */
};

#define PRECIS_TILE_REACH 40.0f
#define PRECIS_TILE_LEAST (-100.0f)
#define PRECIS_TILE_REFERENCE 2097152.0f

/* One block, and what a group has gathered. Rows of queries, weights and sums are PRECIS_TILE_GROUP
 * floats apart; lanes from the group's last query up are zero in q. */
typedef struct precis_tile_block {
  int lanes; /* of the group's lanes, those in use */
  int dim, value_dim;
  int keys;               /* to be weighed: a multiple of the form's panel */
  const float *q;         /* dim x group */
  const float *k;         /* keys x dim */
  const float *v;         /* keys x value_dim */
  const float *bias;      /* keys, in units of log 2; NULL: none. General only */
  const int32_t *visible; /* group: a query sees the first of the keys. General only */
  const float *reference; /* group: m */
  float *weights;         /* keys x group */
  float *top;             /* group: the largest score so far, raised. Tracked and general */
  float *part; /* value_dim + 1 x group: sums of weighted values, then of weights, added to */
} precis_tile_block;

typedef struct precis_tile_kernel {
  const char *name;
  int panel; /* keys at a time; divides PRECIS_TILE_KEYS */

  /* Scores and weights of block->keys keys. */
  void (*bounded)(const precis_tile_block *block);
  void (*tracked)(const precis_tile_block *block);
  void (*general)(const precis_tile_block *block);

  /* part[c] += sum_j weights[j] v[j][c], part[value_dim] += sum_j weights[j] over block->keys keys,
   * any number of them; PRECIS_TILE_CHAIN at a time. */
  void (*gather)(const precis_tile_block *block);

  /* y = 2^(x - m) as bounded() has it, for tests: 2^x of a group of numbers. */
  void (*exponential)(const float *x, const float *reference, float *y);
} precis_tile_kernel;

/* The forms that run here: kernels[0..result), at most 4, best first. */
int precis_tile_kernels(const precis_tile_kernel *kernels[4]);

const precis_tile_kernel *precis_tile_kernel_choose(void);

extern const precis_tile_kernel precis_tile_kernel_gemm;
extern const precis_tile_kernel precis_tile_kernel_plain;
extern const precis_tile_kernel precis_tile_kernel_v3; /* only where clones.h can clone */
extern const precis_tile_kernel precis_tile_kernel_v4;

#endif
