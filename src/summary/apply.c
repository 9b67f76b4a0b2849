#include "src/summary/apply.h"

#include <string.h>

#include "src/base/clones.h"
#define PRECIS_WITHOUT_MPI
#include "src/precis.h"
#include "src/base/scratch.h"

enum { FEATURES_LEAST = 16, FEATURES_MOST = 1 << 20, GROUPS_MOST = 256 };

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
  return value < least ? least : value > most ? most : value;
}

static int64_t parts(int64_t whole, int64_t part)
{
  return (whole + part - 1) / part;
}

/* Chunks are cut anew in every tile: whole ones are the fewest. */
static int64_t whole_chunks(int64_t features)
{
  return features < PRECIS_CHUNK_FEATURES ? features : features - features % PRECIS_CHUNK_FEATURES;
}

/* Half of fast memory for what stays, be it rows of S or queries; with queries an eighth for the
 * rows of S that stream past. The rest is for the rows made from a group of queries and for what
 * passes through. Sums of a query are double: two words each. */
int precis_apply_plan(const precis_feature_set *set, int value_dim, int64_t fast_memory_bytes,
                      precis_apply_shape *shape)
{
  if (value_dim < 0 || value_dim > PRECIS_FEATURES_DIM_MAX || !precis_feature_set_valid(set))
    return PRECIS_ERR_ARGUMENT;
  int dim = set->dim;
  const precis_feature_kernel *kernel = precis_feature_kernel_choose();
  int64_t words = fast_memory_bytes / (int64_t)sizeof(float), columns = value_dim + 1;
  int group = precis_feature_kernel_group(kernel, value_dim);
  *shape = (precis_apply_shape){
      .set = *set,
      .value_dim = value_dim,
      .degree = precis_feature_set_degree(set, value_dim > 0 ? set->value_blocks : set->blocks),
      .query_block = group * clamp(3 * words / 8 / (dim + 2 * columns + 6) / group, 1, GROUPS_MOST),
      .tile_features = whole_chunks(clamp(words / 2 / columns, FEATURES_LEAST, FEATURES_MOST)),
      .stream_features = whole_chunks(clamp(words / 8 / columns, FEATURES_LEAST, FEATURES_MOST)),
      .kernel = kernel,
  };
  return PRECIS_SUCCESS;
}

/* Of a packed row: values, counts with deviations, counts. */
static int columns_of(const precis_apply_shape *shape)
{
  return shape->value_dim + shape->deviations + 1;
}

double precis_apply_tile_words(const precis_apply_shape *shape, int64_t queries, int64_t features)
{
  double each = shape->set.dim + 4.0 * (shape->value_dim + shape->deviations + 3);
  return (double)queries * each * (double)parts(features, shape->tile_features) +
         (double)features * columns_of(shape);
}

double precis_apply_whole_words(const precis_apply_shape *shape, int64_t queries, int64_t features)
{
  double passes = (double)parts(queries, shape->query_block);
  return (double)queries * (shape->set.dim + 2.0 * shape->value_dim) +
         passes * (double)features * columns_of(shape);
}

/* Resident: what a group of queries keeps. Rows of a group's size: 1 + dim factors; sums over all
 * chunks, of each value, then den, env and that with deviations. */
typedef struct resident {
  float *factor;
  double *num, *den, *env, *deviating;
} resident;

enum { SUMS_OF_COUNTS = 3 };

typedef struct workspace {
  int group;
  int64_t resident_floats;
  float *resident; /* query_block / group times */
  float *prefix, *rows, *products;
  float *sums;   /* of a few chunks, for each column */
  float *packed; /* the most features of a tile x columns */
  void *recipe;
} workspace;

static int64_t lay_out(const precis_apply_shape *shape, void *memory, workspace *w)
{
  precis_scratch s = {.memory = memory};
  w->group = precis_feature_kernel_group(shape->kernel, shape->value_dim);
  w->resident_floats =
      (int64_t)w->group * (1 + shape->set.dim + 2 * (shape->value_dim + SUMS_OF_COUNTS));
  w->resident =
      precis_scratch_take(&s, shape->query_block / w->group * w->resident_floats, sizeof(float));
  w->prefix = precis_scratch_take(
      &s, (int64_t)w->group * (1 + precis_chunk_prefixes(shape->degree)), sizeof(float));
  w->rows = precis_scratch_take(&s, (int64_t)w->group * PRECIS_CHUNK_FEATURES, sizeof(float));
  w->products = precis_scratch_take(&s, (int64_t)w->group * columns_of(shape), sizeof(float));
  w->sums = precis_scratch_take(&s, (int64_t)w->group * columns_of(shape), sizeof(float));
  int64_t most =
      shape->tile_features > shape->stream_features ? shape->tile_features : shape->stream_features;
  w->packed = precis_scratch_take(&s, most * columns_of(shape), sizeof(float));
  w->recipe = precis_scratch_take(&s, precis_recipe_bytes(shape->degree, most), 1);
  return s.used;
}

int64_t precis_apply_scratch(const precis_apply_shape *shape)
{
  workspace w;
  return lay_out(shape, NULL, &w);
}

static resident resident_at(const precis_apply_shape *shape, const workspace *w, int64_t i)
{
  resident r = {.factor = w->resident + i * w->resident_floats};
  r.num = (double *)(void *)(r.factor + (int64_t)w->group * (1 + shape->set.dim));
  r.den = r.num + (int64_t)w->group * shape->value_dim;
  r.env = r.den + w->group;
  r.deviating = r.env + w->group;
  return r;
}

static void load(const precis_apply_shape *shape, const workspace *w,
                 const precis_query_rows *queries, int64_t first, int64_t rows, resident r)
{
  for (int t = 0; t < w->group; t++)
    r.factor[t] = 1;
  precis_features_load(shape->set.dim, rows, w->group, queries->q + first * queries->q_stride,
                       queries->q_stride, w->group, r.factor + w->group);
  memset(r.num, 0, (size_t)w->group * (size_t)(shape->value_dim + SUMS_OF_COUNTS) * sizeof *r.num);
}

static void store(const precis_apply_shape *shape, const workspace *w,
                  const precis_query_rows *queries, int64_t first, int64_t rows, resident r)
{
  if (shape->value_dim > 0)
    precis_features_unload(shape->value_dim, rows, r.num, w->group, queries->num_stride,
                           queries->num + first * queries->num_stride);
  for (int64_t t = 0; t < rows; t++) {
    queries->den[first + t] += r.den[t];
    queries->env[first + t] += r.env[t];
    if (shape->deviations)
      queries->deviating[first + t] += r.deviating[t];
  }
}

/* A chunk of S with its coefficients multiplied in, in the panels that the kernel wants. Counts and
 * those with deviations, the last columns, go without a_p. */
static void pack(const precis_apply_shape *shape, double a, const precis_feature_chunk *chunk,
                 const precis_summary_tile *tile, float *packed)
{
  int dv = shape->value_dim, columns = columns_of(shape),
      panels = precis_packed_panels(shape->kernel, columns);
  int64_t row = chunk->first - tile->first;
  for (int p = 0; p < panels; p++) {
    int from = precis_packed_panel_first(shape->kernel, columns, p);
    int to = precis_packed_panel_first(shape->kernel, columns, p + 1);
    int end = to < dv ? to : dv;
    for (int f = 0; f < chunk->features; f++) {
      float scale = (float)(a * (double)chunk->orders[f]);
      const float *values = tile->values + (row + f) * dv;
      for (int c = from; c < end; c++)
        *packed++ = scale * values[c];
      if (shape->deviations && from <= dv && to > dv)
        *packed++ = chunk->orders[f] * tile->deviating[row + f];
      if (to == columns)
        *packed++ = chunk->orders[f] * tile->counts[row + f];
    }
  }
}

/* Adds to sums in double. */
PRECIS_CLONES
static void take(int64_t count, double factor, const float *restrict sums, double *restrict into)
{
  for (int64_t i = 0; i < count; i++)
    into[i] += factor * (double)sums[i];
}

/* Counts, which every chunk has its coefficients for. */
static void take_counts(const precis_apply_shape *shape, const workspace *w, double a, double e,
                        resident r)
{
  float *deviating = w->sums + (int64_t)shape->value_dim * w->group,
        *counts = deviating + (int64_t)shape->deviations * w->group;
  take(w->group, a, counts, r.den);
  take(w->group, e, counts, r.env);
  if (shape->deviations)
    take(w->group, e, deviating, r.deviating);
  memset(deviating, 0, (size_t)w->group * (size_t)(1 + shape->deviations) * sizeof *deviating);
}

static void take_values(const precis_apply_shape *shape, const workspace *w, resident r)
{
  int64_t count = (int64_t)shape->value_dim * w->group;
  take(count, 1, w->sums, r.num);
  memset(w->sums, 0, (size_t)count * sizeof *w->sums);
}

static workspace start(const precis_apply_shape *shape, void *scratch)
{
  workspace w;
  lay_out(shape, scratch, &w);
  for (int t = 0; t < w.group; t++)
    w.prefix[t] = 1;
  memset(w.sums, 0, (size_t)w.group * (size_t)columns_of(shape) * sizeof *w.sums);
  return w;
}

/* The recipe of rows first .. first + features - 1 of a tile, and those rows packed. */
static precis_feature_recipe prepare(const precis_apply_shape *shape,
                                     const precis_apply_coefficients *coefficients,
                                     const precis_summary_tile *tile, int64_t first,
                                     int64_t features, const workspace *w)
{
  precis_feature_recipe recipe =
      precis_recipe_make(&shape->set, tile->first + first, features, w->recipe);
  float *packed = w->packed;
  for (int64_t i = 0; i < recipe.chunks; i++) {
    const precis_feature_chunk *chunk = &recipe.chunk[i];
    pack(shape, coefficients->a[chunk->block], chunk, tile, packed);
    packed += (int64_t)chunk->features * columns_of(shape);
  }
  return recipe;
}

/* All that is prepared against one group. */
static void meet_all(const precis_apply_shape *shape, const workspace *w,
                     const precis_apply_coefficients *coefficients,
                     const precis_feature_recipe *recipe, int64_t rows, resident r)
{
  const precis_query_group group = {.tokens = rows,
                                    .factor = r.factor,
                                    .prefix = w->prefix,
                                    .rows = w->rows,
                                    .products = w->products};
  const float *packed = w->packed;
  int columns = columns_of(shape), parts = 0;
  for (int64_t i = 0; i < recipe->chunks; i++) {
    const precis_feature_chunk *chunk = &recipe->chunk[i];
    if (parts + precis_chunk_parts(chunk) > PRECIS_SUM_PARTS) {
      take_values(shape, w, r);
      parts = 0;
    }
    parts += precis_chunk_parts(chunk);
    shape->kernel->apply(chunk, &group, columns, packed, w->sums);
    take_counts(shape, w, coefficients->a[chunk->block], coefficients->e[chunk->block], r);
    packed += (int64_t)chunk->features * columns;
  }
  take_values(shape, w, r);
}

void precis_apply_tile(const precis_apply_shape *shape,
                       const precis_apply_coefficients *coefficients,
                       const precis_summary_tile *tile, const precis_query_rows *queries,
                       void *scratch)
{
  workspace w = start(shape, scratch);
  resident r = resident_at(shape, &w, 0);
  for (int64_t done = 0; queries->rows > 0 && done < tile->features; done += shape->tile_features) {
    int64_t features = clamp(tile->features - done, 0, shape->tile_features);
    precis_feature_recipe recipe = prepare(shape, coefficients, tile, done, features, &w);
    for (int64_t first = 0; first < queries->rows; first += w.group) {
      int64_t rows = clamp(queries->rows - first, 0, w.group);
      load(shape, &w, queries, first, rows, r);
      meet_all(shape, &w, coefficients, &recipe, rows, r);
      store(shape, &w, queries, first, rows, r);
    }
  }
}

/* A block of queries that stay against all features. */
static void stream(const precis_apply_shape *shape, const precis_apply_coefficients *coefficients,
                   const precis_summary_tile *tile, int64_t rows, const workspace *w)
{
  for (int64_t done = 0; done < tile->features; done += shape->stream_features) {
    int64_t features = clamp(tile->features - done, 0, shape->stream_features);
    precis_feature_recipe recipe = prepare(shape, coefficients, tile, done, features, w);
    for (int64_t g = 0; g * w->group < rows; g++)
      meet_all(shape, w, coefficients, &recipe, clamp(rows - g * w->group, 0, w->group),
               resident_at(shape, w, g));
  }
}

void precis_apply_whole(const precis_apply_shape *shape,
                        const precis_apply_coefficients *coefficients,
                        const precis_summary_tile *tile, const precis_query_rows *queries,
                        void *scratch)
{
  workspace w = start(shape, scratch);
  for (int64_t block = 0; block < queries->rows; block += shape->query_block) {
    int64_t rows = clamp(queries->rows - block, 0, shape->query_block);
    for (int64_t g = 0; g < rows; g += w.group)
      load(shape, &w, queries, block + g, clamp(rows - g, 0, w.group),
           resident_at(shape, &w, g / w.group));
    stream(shape, coefficients, tile, rows, &w);
    for (int64_t g = 0; g < rows; g += w.group)
      store(shape, &w, queries, block + g, clamp(rows - g, 0, w.group),
            resident_at(shape, &w, g / w.group));
  }
}
