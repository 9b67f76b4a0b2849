/* tile.h - exact attention of a block of queries to a tile of keys (the FlashAttention loop)
 *
 * Dao et al., "FlashAttention" (arXiv 2205.14135); its input/output cost Theta(n^2 d^2 / M) is
 * optimal for large M by Saha and Ye, "The I/O Complexity of Attention" (arXiv 2402.07443). Queries
 * and their sums stay in fast memory, keys and values stream past; weights exist for one group of
 * queries and one block of keys at a time. tile_kernel.h has what computes them, tile_rounding.h
 * what float32 takes from them. */
#ifndef PRECIS_SRC_EXACT_TILE_H
#define PRECIS_SRC_EXACT_TILE_H

#include <stdint.h>

#include "src/exact/partial.h"

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
  int query_block;                         /* queries that stay in fast memory with their sums */
  int key_block;                           /* keys that stay while all of them are visited */
  const struct precis_tile_kernel *kernel; /* changes no other number: may be set to another form */
} precis_tile_shape;

precis_tile_shape precis_tile_plan(int dim, int value_dim, int64_t fast_memory_bytes);

/* Floats of scratch that one thread needs. */
int64_t precis_tile_scratch(const precis_tile_shape *shape);

/* Numbers that so many queries and keys move through fast memory, in 4-byte words: queries and
 * results once, keys and values once for each block of queries, which is
 * n_q (d + d_v + 2) + ceil(n_q / query_block) n_k (d + d_v). */
double precis_tile_words(const precis_tile_shape *shape, int64_t queries, int64_t keys);

/* Attends with rows <= query_block queries: begin, add tiles as they come, end by merging the
 * result into the rows' partials. Queries and sums stay in scratch in between.
 *   q        rows x dim floats, in rows q_stride floats apart; multiplied by `scale`, which
 *            includes 1 / log 2
 *   visible  rows: a query sees the first visible[i] keys of the tile; NULL: all of them
 *   scratch  precis_tile_scratch() floats, aligned to 64 bytes; no aliasing anywhere
 * Products are float32, sums are float32 over some keys and double over those: there is no need to
 * end before the last key. Kernels: never fail, allocate or communicate; the caller has set BLAS to
 * one thread. */
void precis_tile_begin(const precis_tile_shape *shape, int rows, const float *q, int64_t q_stride,
                       double scale, float *scratch);
void precis_tile_add(const precis_tile_shape *shape, const precis_tile *tile, int rows,
                     const int64_t *visible, float *scratch);
void precis_tile_end(const precis_tile_shape *shape, int rows, precis_partial *partial,
                     float *scratch);

/* All three, for one tile. */
void precis_tile_attend(const precis_tile_shape *shape, const precis_tile *tile, int rows,
                        const float *q, int64_t q_stride, double scale, const int64_t *visible,
                        precis_partial *partial, float *scratch);

#endif
