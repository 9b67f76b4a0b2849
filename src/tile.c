#include "src/tile.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "src/softmax.h"

enum { STRIP_MOST = 192, KEYS_MOST = 512, BLOCK_LEAST = 16, BLOCK_MOST = 8192 };

static int clamp(int64_t value, int64_t least, int64_t most)
{
  return (int)(value < least ? least : value > most ? most : value);
}

/* A third of fast memory for queries and accumulators, three eighths for a block of keys with the
 * scores that belong to it and with the keys or values as BLAS packs them. The rest is slack for
 * what else BLAS packs, scores above all, and for caches that are not fully associative. */
precis_tile_shape precis_tile_plan(int dim, int value_dim, int64_t fast_memory_bytes)
{
  int64_t words = fast_memory_bytes / (int64_t)sizeof(float);
  precis_tile_shape shape = {.dim = dim, .value_dim = value_dim};
  shape.query_block = clamp(words / 3 / (dim + value_dim + 2), BLOCK_LEAST, BLOCK_MOST);
  if (shape.query_block > 16)
    shape.query_block -= shape.query_block % 16;
  shape.query_strip = shape.query_block < STRIP_MOST ? shape.query_block : STRIP_MOST;
  int packed = dim > value_dim ? dim : value_dim;
  int64_t each = dim + value_dim + packed + shape.query_strip;
  shape.key_block = clamp(3 * words / 8 / each, BLOCK_LEAST, KEYS_MOST);
  if (shape.key_block > 16)
    shape.key_block -= shape.key_block % 16;
  return shape;
}

double precis_tile_words(const precis_tile_shape *shape, int64_t queries, int64_t keys)
{
  double each = shape->dim + shape->value_dim;
  double passes = (double)((queries + shape->query_block - 1) / shape->query_block);
  return (double)queries * (each + 2) + passes * (double)keys * each;
}

static int64_t round_up(int64_t floats)
{
  return (floats + 15) / 16 * 16;
}

/* What a call keeps in scratch: scaled queries, accumulators, scores of a strip. */
typedef struct workspace {
  float *q, *o, *m, *l, *scores;
} workspace;

static workspace lay_out(const precis_tile_shape *shape, float *scratch)
{
  workspace w;
  w.q = scratch;
  w.o = w.q + round_up((int64_t)shape->query_block * shape->dim);
  w.m = w.o + round_up((int64_t)shape->query_block * shape->value_dim);
  w.l = w.m + round_up(shape->query_block);
  w.scores = w.l + round_up(shape->query_block);
  return w;
}

int64_t precis_tile_scratch(const precis_tile_shape *shape)
{
  return round_up((int64_t)shape->query_block * shape->dim) +
         round_up((int64_t)shape->query_block * shape->value_dim) +
         2 * round_up(shape->query_block) + (int64_t)shape->query_strip * shape->key_block;
}

static void load(const workspace *w, const precis_tile_shape *shape, int rows, const float *q,
                 int64_t q_stride, double scale)
{
  for (int i = 0; i < rows; i++) {
    for (int c = 0; c < shape->dim; c++)
      w->q[(int64_t)i * shape->dim + c] = (float)(q[i * q_stride + c] * scale);
    w->m[i] = -INFINITY;
    w->l[i] = 0;
  }
  memset(w->o, 0, (size_t)rows * (size_t)shape->value_dim * sizeof *w->o);
}

/* The keys of a block that row i sees. */
static int seen(const int64_t *visible, int i, int64_t first_key, int keys)
{
  return visible == NULL ? keys : clamp(visible[i] - first_key, 0, keys);
}

/* One strip of queries against one block of keys. `visible` is NULL or starts at the strip. */
static void strip(const workspace *w, const precis_tile_shape *shape, const precis_tile *tile,
                  int row, int rows, int64_t key, int keys, const int64_t *visible)
{
  int d = shape->dim, dv = shape->value_dim, ld = shape->key_block;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, keys, d, 1, w->q + (int64_t)row * d, d,
              tile->k + key * d, d, 0, w->scores, ld);
  for (int i = 0; i < rows; i++) {
    float *scores = w->scores + (int64_t)i * ld;
    int n = seen(visible, i, key, keys);
    memset(scores + n, 0, (size_t)(keys - n) * sizeof *scores);
    if (n == 0)
      continue;
    const float *bias = tile->bias ? tile->bias + key : NULL;
    float keep = precis_softmax_row(scores, n, bias, &w->m[row + i], &w->l[row + i]);
    if (keep != 1)
      cblas_sscal(dv, keep, w->o + (int64_t)(row + i) * dv, 1);
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, dv, keys, 1, w->scores, ld,
              tile->v + key * dv, dv, 1, w->o + (int64_t)row * dv, dv);
}

/* The most keys that any of the rows sees. */
static int64_t widest(const precis_tile *tile, const int64_t *visible, int rows)
{
  if (visible == NULL)
    return rows > 0 ? tile->keys : 0;
  int64_t most = 0;
  for (int i = 0; i < rows; i++)
    most = visible[i] > most ? visible[i] : most;
  return most < tile->keys ? most : tile->keys;
}

void precis_tile_begin(const precis_tile_shape *shape, int rows, const float *q, int64_t q_stride,
                       double scale, float *scratch)
{
  workspace w = lay_out(shape, scratch);
  load(&w, shape, rows, q, q_stride, scale);
}

void precis_tile_add(const precis_tile_shape *shape, const precis_tile *tile, int rows,
                     const int64_t *visible, float *scratch)
{
  workspace w = lay_out(shape, scratch);
  int64_t end = widest(tile, visible, rows);
  for (int64_t key = 0; key < end; key += shape->key_block) {
    int keys = clamp(end - key, 0, shape->key_block);
    for (int row = 0; row < rows; row += shape->query_strip) {
      int strip_rows = clamp(rows - row, 0, shape->query_strip);
      const int64_t *from = visible ? visible + row : NULL;
      int64_t reach = widest(tile, from, strip_rows) - key;
      if (reach > 0)
        strip(&w, shape, tile, row, strip_rows, key, clamp(reach, 0, keys), from);
    }
  }
}

void precis_tile_end(const precis_tile_shape *shape, int rows, precis_partial *partial,
                     float *scratch)
{
  workspace w = lay_out(shape, scratch);
  int dv = shape->value_dim;
  for (int i = 0; i < rows; i++)
    precis_partial_merge(partial, i, dv, w.m[i], w.l[i], w.o + (int64_t)i * dv);
}

void precis_tile_attend(const precis_tile_shape *shape, const precis_tile *tile, int rows,
                        const float *q, int64_t q_stride, double scale, const int64_t *visible,
                        precis_partial *partial, float *scratch)
{
  precis_tile_begin(shape, rows, q, q_stride, scale, scratch);
  precis_tile_add(shape, tile, rows, visible, scratch);
  precis_tile_end(shape, rows, partial, scratch);
}
