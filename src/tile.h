/* tile.h - exact attention of a block of queries to a tile of keys (the FlashAttention loop)
 *
 * Dao et al., "FlashAttention" (arXiv 2205.14135); its input/output cost Theta(n^2 d^2 / M) is optimal for large M by Saha and Ye,
 * "The I/O Complexity of Attention" (arXiv 2402.07443). Queries and their accumulators stay in fast memory, keys and
 * values stream past; scores exist for one strip of queries and one block of keys at a time. */
#ifndef PRECIS_SRC_TILE_H
#define PRECIS_SRC_TILE_H

#include <stdint.h>

#include "src/partial.h"

/* Keys and values of one key/value head, centred, sorted by position. */
typedef struct precis_tile {
  int64_t keys;
  const float *k;    /* keys x dim */
  const float *v;    /* keys x value_dim */
  const float *bias; /* keys, in units of log 2; NULL: none */
} precis_tile;

/* Block sizes, fixed once for a problem and a fast memory. */
typedef struct precis_tile_shape {
  int dim, value_dim;
  int query_block; /* queries that stay in fast memory with their accumulators */
  int query_strip; /* of them, how many meet a block of keys at once */
  int key_block;
} precis_tile_shape;

precis_tile_shape precis_tile_plan(int dim, int value_dim, int64_t fast_memory_bytes);

/* Floats of scratch that one thread needs. */
int64_t precis_tile_scratch(const precis_tile_shape *shape);

/* Attends with rows <= query_block queries and merges the result into their partials.
 *   q        rows x dim floats, in rows q_stride floats apart; multiplied by `scale` here, which includes 1 / log 2
 *   visible  rows: a query sees the first visible[i] keys of the tile; NULL: all of them
 *   scratch  precis_tile_scratch() floats, aligned to 64 bytes; no aliasing anywhere
 * Products and sums over the tile are float32: keep tiles to some thousands of keys. Kernel: never fails, allocates or
 * communicates; the caller has set BLAS to one thread. */
void precis_tile_attend(const precis_tile_shape *shape, const precis_tile *tile, int rows, const float *q,
                        int64_t q_stride, double scale, const int64_t *visible, precis_partial *partial,
                        float *scratch);

#endif
