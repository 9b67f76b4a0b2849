#include "src/summary/summarise.h"

#include <string.h>

#include "src/base/clones.h"
#define PRECIS_WITHOUT_MPI
#include "src/precis.h"
#include "src/base/scratch.h"

enum { KEYS_LEAST = 16, FEATURES_LEAST = 16, FEATURES_MOST = 1 << 20 };

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
  return value < least ? least : value > most ? most : value;
}

/* Chunks are cut anew in every tile: whole ones are the fewest. */
static int64_t whole_chunks(int64_t features)
{
  return features < PRECIS_CHUNK_FEATURES ? features : features - features % PRECIS_CHUNK_FEATURES;
}

/* About the most prefixes of a chunk, by the enumeration of features.h. Only plans need it. */
static int prefixes_about(int degree)
{
  return degree > 1 ? 23 + 75 * (degree - 2) : 0;
}

/* Half of fast memory for the accumulators, two words each; 5/16 for a block of keys, as it comes
 * and as it is laid out, with the prefixes made from it. The rest is for the few rows made at a
 * time and slack, since caches are not fully associative. */
int precis_summarise_plan(const precis_feature_set *set, int value_dim, int64_t fast_memory_bytes,
                          precis_summarise_shape *shape)
{
  if (value_dim < 0 || value_dim > PRECIS_FEATURES_DIM_MAX || !precis_feature_set_valid(set))
    return PRECIS_ERR_ARGUMENT;
  int dim = set->dim,
      degree = precis_feature_set_degree(set, value_dim > 0 ? set->value_blocks : set->blocks);
  int64_t words = fast_memory_bytes / (int64_t)sizeof(float);
  int64_t key_words = 2 * ((int64_t)dim + value_dim) + prefixes_about(degree);
  int64_t keys = clamp(5 * words / 16 / key_words, KEYS_LEAST, PRECIS_KEY_BLOCK);
  *shape = (precis_summarise_shape){
      .set = *set,
      .value_dim = value_dim,
      .degree = degree,
      .key_block = (int)(keys - keys % KEYS_LEAST),
      .tile_features =
          whole_chunks(clamp(words / 2 / (2 * (value_dim + 1)), FEATURES_LEAST, FEATURES_MOST)),
      .kernel = precis_feature_kernel_choose(),
  };
  return PRECIS_SUCCESS;
}

double precis_summarise_words(const precis_summarise_shape *shape, int64_t keys, int64_t features)
{
  double passes = (double)((features + shape->tile_features - 1) / shape->tile_features);
  return (double)keys * (shape->set.dim + shape->value_dim + shape->deviations) * passes +
         (double)features * (shape->value_dim + 1 + shape->deviations);
}

typedef struct workspace {
  float *factor, *prefix, *deviation, *rows, *v, *products;
  void *recipe;
} workspace;

static int64_t lay_out(const precis_summarise_shape *shape, void *memory, workspace *w)
{
  precis_scratch s = {.memory = memory};
  const int64_t row = PRECIS_KEY_ROW;
  w->factor = precis_scratch_take(&s, (1 + shape->set.dim) * row, sizeof(float));
  w->prefix =
      precis_scratch_take(&s, (1 + precis_chunk_prefixes(shape->degree)) * row, sizeof(float));
  w->deviation = precis_scratch_take(&s, row, sizeof(float));
  w->rows = precis_scratch_take(&s, PRECIS_CHUNK_FEATURES * row, sizeof(float));
  w->v = precis_scratch_take(
      &s, (int64_t)shape->key_block * (shape->value_dim + shape->kernel->lanes), sizeof(float));
  w->products =
      precis_scratch_take(&s, (int64_t)PRECIS_CHUNK_FEATURES * shape->value_dim, sizeof(float));
  w->recipe = precis_scratch_take(&s, precis_recipe_bytes(shape->degree, shape->tile_features), 1);
  return s.used;
}

int64_t precis_summarise_scratch(const precis_summarise_shape *shape)
{
  workspace w;
  return lay_out(shape, NULL, &w);
}

/* Copies a block of values into panels, filled up with zeros: rows of a wide stride would meet
 * in a few cache sets. */
static void load_values(const precis_summarise_shape *shape, int64_t keys, const float *v,
                        int64_t stride, float *panel)
{
  for (int c = 0; c < shape->value_dim; c += shape->kernel->value_panel) {
    int width = precis_value_panel_width(shape->kernel, shape->value_dim - c);
    int columns = shape->value_dim - c < width ? shape->value_dim - c : width;
    for (int64_t t = 0; t < keys; t++, panel += width) {
      memcpy(panel, v + t * stride + c, (size_t)columns * sizeof *panel);
      memset(panel + columns, 0, (size_t)(width - columns) * sizeof *panel);
    }
  }
}

static void load(const precis_summarise_shape *shape, const precis_weighted_keys *from,
                 int64_t first, int64_t keys, const workspace *w)
{
  int64_t whole = (keys + 15) / 16 * 16;
  precis_features_load(shape->set.dim, keys, whole, from->k + first * from->k_stride,
                       from->k_stride, PRECIS_KEY_ROW, w->factor + PRECIS_KEY_ROW);
  for (int64_t t = 0; t < whole; t++)
    w->prefix[t] = t >= keys ? 0 : from->w ? from->w[first + t] : 1;
  for (int64_t t = 0; t < whole && shape->deviations; t++)
    w->deviation[t] = t >= keys ? 0 : from->deviation[first + t];
  if (shape->value_dim > 0)
    load_values(shape, keys, from->v + first * from->v_stride, from->v_stride, w->v);
}

/* All keys against one tile. */
static void add_tile(const precis_summarise_shape *shape, const precis_weighted_keys *keys,
                     const precis_feature_recipe *recipe, double *values, double *counts,
                     double *deviating, const workspace *w)
{
  int with_values = shape->value_dim > 0;
  for (int64_t key = 0; key < keys->keys; key += shape->key_block) {
    int64_t block = clamp(keys->keys - key, 0, shape->key_block);
    load(shape, keys, key, block, w);
    precis_key_block in = {.tokens = block,
                           .factor = w->factor,
                           .prefix = w->prefix,
                           .rows = w->rows,
                           .deviation = shape->deviations ? w->deviation : NULL,
                           .value_dim = shape->value_dim,
                           .v = w->v,
                           .products = w->products};
    for (int64_t i = 0, done = 0; i < recipe->chunks; done += recipe->chunk[i++].features)
      shape->kernel->summarise(&recipe->chunk[i], &in,
                               with_values ? values + done * shape->value_dim : NULL, counts + done,
                               shape->deviations ? deviating + done : NULL);
  }
}

void precis_summarise_add(const precis_summarise_shape *shape, const precis_weighted_keys *keys,
                          int64_t first, int64_t features, double *values, double *counts,
                          double *deviating, void *scratch)
{
  workspace w;
  lay_out(shape, scratch, &w);
  for (int t = 0; t < PRECIS_KEY_BLOCK; t++)
    w.factor[t] = 1;
  for (int64_t done = 0; keys->keys > 0 && done < features; done += shape->tile_features) {
    int64_t tile = clamp(features - done, 0, shape->tile_features);
    precis_feature_recipe recipe = precis_recipe_make(&shape->set, first + done, tile, w.recipe);
    add_tile(shape, keys, &recipe, shape->value_dim > 0 ? values + done * shape->value_dim : NULL,
             counts + done, shape->deviations ? deviating + done : NULL, &w);
  }
}

/* Cloned functions must be static: the linker does not hide the dispatchers of others. */
PRECIS_CLONES
static void merge(int64_t numbers, double into_scale, double *into, double from_scale,
                  const double *from)
{
  for (int64_t i = 0; i < numbers; i++)
    into[i] = into_scale * into[i] + from_scale * from[i];
}

PRECIS_CLONES
static void merge_wire(int64_t numbers, double into_scale, double *into, double from_scale,
                       const float *from)
{
  for (int64_t i = 0; i < numbers; i++)
    into[i] = into_scale * into[i] + from_scale * (double)from[i];
}

PRECIS_CLONES
static void round_all(int64_t numbers, double scale, const double *from, float *into)
{
  for (int64_t i = 0; i < numbers; i++)
    into[i] = (float)(scale * from[i]);
}

void precis_summary_merge(int64_t numbers, double into_scale, double *into, double from_scale,
                          const double *from)
{
  merge(numbers, into_scale, into, from_scale, from);
}

void precis_summary_merge_wire(int64_t numbers, double into_scale, double *into, double from_scale,
                               const float *from)
{
  merge_wire(numbers, into_scale, into, from_scale, from);
}

void precis_summary_sum(int64_t numbers, int count, const float *const *from, float *into)
{
  for (int64_t i = 0; i < numbers; i++) {
    double sum = 0;
    for (int s = 0; s < count; s++)
      sum += from[s][i];
    into[i] = (float)sum;
  }
}

void precis_summary_round(int64_t numbers, double scale, const double *from, float *into)
{
  round_all(numbers, scale, from, into);
}
