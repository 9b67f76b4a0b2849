#include "src/exact/tile.h"

#include <math.h>
#include <string.h>

#include "src/base/clones.h"
#include "src/exact/tile_kernel.h"
#include "src/exact/tile_visit.h"

enum {
  GROUP = PRECIS_TILE_GROUP,
  KEYS_MOST = PRECIS_TILE_CHAIN * PRECIS_TILE_CHAINS,
  BLOCK_LEAST = 16,
  BLOCK_MOST = 8160 /* whole groups */
};

static int clamp(int64_t value, int64_t least, int64_t most)
{
  return (int)(value < least ? least : value > most ? most : value);
}

/* Down to a multiple of `step`, or of 16 below that, where it is large enough. */
static int trim(int value, int step)
{
  return value >= step ? value - value % step : value > 16 ? value - value % 16 : value;
}

/* A third of fast memory for queries and their sums, which are doubles, three eighths for a stretch
 * of keys. The rest is slack for weights, sums of a few blocks, and for caches that are not fully
 * associative. The shape does not depend on the processor: ranks agree on it. */
precis_tile_shape precis_tile_plan(int dim, int value_dim, int64_t fast_memory_bytes)
{
  int64_t words = fast_memory_bytes / (int64_t)sizeof(float);
  precis_tile_shape shape = {
      .dim = dim, .value_dim = value_dim, .kernel = precis_tile_kernel_choose()};
  int64_t query = dim + 2 * ((int64_t)value_dim + 2);
  shape.query_block = trim(clamp(words / 3 / query, BLOCK_LEAST, BLOCK_MOST), GROUP);
  int64_t keys = 3 * words / 8 / (dim + value_dim);
  shape.key_block = trim(clamp(keys, PRECIS_TILE_KEYS, KEYS_MOST), PRECIS_TILE_KEYS);
  return shape;
}

double precis_tile_words(const precis_tile_shape *shape, int64_t queries, int64_t keys)
{
  double each = shape->dim + shape->value_dim;
  double passes = (double)((queries + shape->query_block - 1) / shape->query_block);
  return (double)queries * (each + 2) + passes * (double)keys * each;
}

/* What is in scratch, by its place in it. */
typedef struct layout {
  int64_t groups;
  int64_t q, length, reference, o; /* of all groups, one after the other */
  int64_t weights, part, top, limit, visible, tail;
  int64_t floats;
} layout;

static int64_t take(layout *at, int64_t floats)
{
  int64_t place = at->floats;
  at->floats += (floats + 15) / 16 * 16;
  return place;
}

static layout lay_out(const precis_tile_shape *shape)
{
  layout at = {.groups = (shape->query_block + GROUP - 1) / GROUP};
  int64_t lanes = at.groups * GROUP;
  at.q = take(&at, lanes * shape->dim);
  at.length = take(&at, lanes);
  at.reference = take(&at, lanes);
  at.o = take(&at, lanes * 2 * (shape->value_dim + 1));
  at.weights = take(&at, PRECIS_TILE_KEYS * GROUP);
  at.part = take(&at, (int64_t)(shape->value_dim + 1) * GROUP);
  at.top = take(&at, GROUP);
  at.limit = take(&at, GROUP);
  at.visible = take(&at, GROUP);
  at.tail = take(&at, (int64_t)PRECIS_TILE_PANEL_MOST * shape->dim);
  return at;
}

int64_t precis_tile_scratch(const precis_tile_shape *shape)
{
  return lay_out(shape).floats;
}

static precis_tile_space space_of(const layout *at, float *scratch)
{
  return (precis_tile_space){.weights = scratch + at->weights,
                             .part = scratch + at->part,
                             .top = scratch + at->top,
                             .limit = scratch + at->limit,
                             .visible = (int32_t *)(void *)(scratch + at->visible)};
}

/* The group that begins with row `row` of the block's `rows`. */
static precis_tile_group group_of(const precis_tile_shape *shape, const layout *at, int row,
                                  int rows, float *scratch)
{
  double *o = (double *)(void *)(scratch + at->o);
  o += (int64_t)row * (shape->value_dim + 1);
  return (precis_tile_group){.rows = rows - row < GROUP ? rows - row : GROUP,
                             .q = scratch + at->q + (int64_t)row * shape->dim,
                             .length = scratch + at->length + row,
                             .reference = scratch + at->reference + row,
                             .o = o,
                             .sum = o + (int64_t)shape->value_dim * GROUP};
}

/* Scaled rows turned into lanes, some at a time so that neither side strides through memory. */
PRECIS_CLONES
static void turn(int rows, int dim, const float *q, int64_t q_stride, double scale, float *to)
{
  enum { SIDE = 16 };
  float some[SIDE][SIDE];
  for (int row = 0; row < rows; row += SIDE) {
    int n = rows - row < SIDE ? rows - row : SIDE;
    for (int c = 0; c < dim; c += SIDE) {
      int width = dim - c < SIDE ? dim - c : SIDE;
      for (int i = 0; i < n; i++)
        for (int j = 0; j < width; j++)
          some[i][j] = (float)(q[(row + i) * q_stride + c + j] * scale);
      for (int j = 0; j < width; j++)
        for (int i = 0; i < n; i++)
          to[(c + j) * GROUP + row + i] = some[i][j];
    }
  }
}

/* |q| of every lane, or a little more. */
PRECIS_CLONES
static void measure(int dim, const float *q, float *length)
{
  float squares[GROUP] = {0};
  for (int c = 0; c < dim; c++, q += GROUP)
    for (int i = 0; i < GROUP; i++)
      squares[i] += q[i] * q[i];
  for (int i = 0; i < GROUP; i++)
    length[i] = sqrtf(squares[i]) * 1.001f;
}

static void load(const precis_tile_group *g, const precis_tile_shape *shape, const float *q,
                 int64_t q_stride, double scale)
{
  if (g->rows < GROUP)
    memset(g->q, 0, (size_t)shape->dim * GROUP * sizeof *g->q);
  turn(g->rows, shape->dim, q, q_stride, scale, g->q);
  measure(shape->dim, g->q, g->length);
  for (int i = 0; i < GROUP; i++)
    g->reference[i] = 0;
  memset(g->o, 0, (size_t)(shape->value_dim + 1) * GROUP * sizeof *g->o);
}

void precis_tile_begin(const precis_tile_shape *shape, int rows, const float *q, int64_t q_stride,
                       double scale, float *scratch)
{
  layout at = lay_out(shape);
  for (int row = 0; row < rows; row += GROUP) {
    precis_tile_group g = group_of(shape, &at, row, rows, scratch);
    load(&g, shape, q + row * q_stride, q_stride, scale);
  }
  memset(scratch + at.part, 0, (size_t)(shape->value_dim + 1) * GROUP * sizeof *scratch);
}

/* The largest |k| of a key, or a little more. */
PRECIS_CLONES
static float longest(const float *k, int keys, int dim)
{
  float most = 0;
  for (int j = 0; j < keys; j++, k += dim) {
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int c = 0; c < dim; c++)
      squares += k[c] * k[c];
    most = squares > most || squares != squares ? squares : most;
  }
  return sqrtf(most) * 1.001f;
}

/* Whether values are so far from the limits of float32 that weights within 2^+-REACH and sums of
 * them do no harm. */
PRECIS_CLONES
static int moderate(const float *v, int64_t count)
{
  float most = 0;
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < count; i++)
    most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
  return most == 0 || (most > 0x1p-40f && most < 0x1p40f);
}

/* Keys first .. first + keys - 1 of a tile; the last few copied to where whole panels can be
 * read. */
static precis_tile_stretch stretch_of(const precis_tile_shape *shape, const precis_tile *tile,
                                      int64_t first, int keys, float *tail)
{
  int64_t rest = keys % shape->kernel->panel, d = shape->dim;
  precis_tile_stretch s = {.first = first,
                           .keys = keys,
                           .k = tile->k + first * d,
                           .v = tile->v + first * shape->value_dim,
                           .bias = tile->bias ? tile->bias + first : NULL,
                           .tail = tail};
  memset(tail, 0, (size_t)(PRECIS_TILE_PANEL_MOST * d) * sizeof *tail);
  memcpy(tail, s.k + (keys - rest) * d, (size_t)(rest * d) * sizeof *tail);
  s.k_most = s.bias ? 0 : longest(s.k, keys, shape->dim);
  s.moderate = moderate(s.v, (int64_t)keys * shape->value_dim);
  return s;
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

void precis_tile_add(const precis_tile_shape *shape, const precis_tile *tile, int rows,
                     const int64_t *visible, float *scratch)
{
  layout at = lay_out(shape);
  precis_tile_space space = space_of(&at, scratch);
  int64_t end = widest(tile, visible, rows);
  for (int64_t key = 0; key < end; key += shape->key_block) {
    int keys = clamp(end - key, 0, shape->key_block);
    precis_tile_stretch s = stretch_of(shape, tile, key, keys, scratch + at.tail);
    for (int row = 0; row < rows; row += GROUP) {
      precis_tile_group g = group_of(shape, &at, row, rows, scratch);
      precis_tile_visit(shape, &s, visible ? visible + row : NULL, &g, &space);
    }
  }
}

void precis_tile_end(const precis_tile_shape *shape, int rows, precis_partial *partial,
                     float *scratch)
{
  layout at = lay_out(shape);
  for (int row = 0; row < rows; row += GROUP) {
    precis_tile_group g = group_of(shape, &at, row, rows, scratch);
    for (int i = 0; i < g.rows; i++)
      if (g.sum[i] != 0)
        precis_partial_merge_sums(partial, row + i, shape->value_dim, (double)g.reference[i],
                                  g.sum[i], g.o + i, GROUP);
  }
}

void precis_tile_attend(const precis_tile_shape *shape, const precis_tile *tile, int rows,
                        const float *q, int64_t q_stride, double scale, const int64_t *visible,
                        precis_partial *partial, float *scratch)
{
  precis_tile_begin(shape, rows, q, q_stride, scale, scratch);
  precis_tile_add(shape, tile, rows, visible, scratch);
  precis_tile_end(shape, rows, partial, scratch);
}
