/* recipe.c - straight-line programs that make a run of features (features.h) */
#include <stdbool.h>
#include <stddef.h>

#include "src/summary/features.h"

enum { LINE = 64 };

static int64_t whole_lines(int64_t bytes)
{
  return (bytes + LINE - 1) / LINE * LINE;
}

/* A chunk ends at PRECIS_CHUNK_FEATURES features or at the end of a block. */
static int64_t chunks_most(int64_t features)
{
  return features / PRECIS_CHUNK_FEATURES + PRECIS_BLOCKS_MAX + 1;
}

int64_t precis_recipe_bytes(int degree, int64_t features)
{
  int64_t step = sizeof(precis_feature_step);
  return whole_lines(chunks_most(features) * (int64_t)sizeof(precis_feature_chunk)) +
         whole_lines(features * (int64_t)sizeof(float)) + whole_lines(features * step) +
         whole_lines(features * (degree > 1 ? degree - 1 : 0) * step);
}

/* Where the walk over the features stands, and what is known of the first i variables of its
 * monomial. */
typedef struct walk {
  const precis_feature_set *set;
  precis_monomial monomial;
  uint16_t row[PRECIS_FEATURES_DEGREE_MAX]; /* prefix row; row 0 for the empty product */
  double orders[PRECIS_FEATURES_DEGREE_MAX];
  int equal[PRECIS_FEATURES_DEGREE_MAX]; /* how often the last of them occurs */
} walk;

/* How often the variable at `place` has occurred, this time included. */
static int occurrences(const walk *w, int place)
{
  const int *variable = w->monomial.variable;
  return place > 0 && variable[place] == variable[place - 1] ? w->equal[place] + 1 : 1;
}

static void begin(walk *w)
{
  w->row[0] = 0;
  w->orders[0] = 1;
  w->equal[0] = 0;
}

/* What place i multiplies the orders by, but for equal variables. */
static int position(const walk *w, int place)
{
  return place < w->monomial.lead ? place + 1 : place + 1 - w->monomial.lead;
}

/* Adds the steps for the prefixes that end at `place` and later. */
static void add_prefixes(walk *w, int place, precis_feature_chunk *chunk,
                         precis_feature_step *steps)
{
  for (int i = place; i < w->monomial.degree - 1; i++) {
    steps[chunk->prefixes] = (precis_feature_step){
        .prefix = w->row[i], .factor = (uint16_t)(1 + w->monomial.variable[i])};
    w->row[i + 1] = (uint16_t)++chunk->prefixes;
    w->equal[i + 1] = occurrences(w, i);
    w->orders[i + 1] = w->orders[i] * position(w, i) / w->equal[i + 1];
  }
}

static void add_feature(const walk *w, precis_feature_step *step, float *orders)
{
  int last = w->monomial.degree - 1;
  if (last < 0) {
    *step = (precis_feature_step){.prefix = 0, .factor = 0};
    *orders = 1;
    return;
  }
  *step = (precis_feature_step){.prefix = w->row[last],
                                .factor = (uint16_t)(1 + w->monomial.variable[last])};
  *orders = (float)(w->orders[last] * position(w, last) / occurrences(w, last));
}

/* Fills a chunk with up to `most` features, at least one. */
static void fill(walk *w, int64_t most, precis_feature_chunk *chunk, precis_feature_step *prefix,
                 precis_feature_step *feature, float *orders)
{
  begin(w);
  add_prefixes(w, 0, chunk, prefix);
  bool room = true;
  while (room) {
    add_feature(w, feature + chunk->features, orders + chunk->features);
    chunk->features++;
    int place = precis_monomial_next(w->set, &w->monomial);
    room = chunk->features < most && w->monomial.block == chunk->block;
    if (room)
      add_prefixes(w, place, chunk, prefix);
  }
}

precis_feature_recipe precis_recipe_make(const precis_feature_set *set, int64_t first,
                                         int64_t features, void *memory)
{
  char *at = memory;
  precis_feature_recipe recipe = {.chunk = memory};
  at += whole_lines(chunks_most(features) * (int64_t)sizeof *recipe.chunk);
  float *orders = (float *)(void *)at;
  at += whole_lines(features * (int64_t)sizeof *orders);
  precis_feature_step *feature = (precis_feature_step *)(void *)at;
  at += whole_lines(features * (int64_t)sizeof *feature);
  precis_feature_step *prefix = (precis_feature_step *)(void *)at;
  walk w = {.set = set};
  if (features > 0)
    w.monomial = precis_monomial_at(set, first);
  for (int64_t done = 0; done < features;) {
    precis_feature_chunk *chunk = &recipe.chunk[recipe.chunks++];
    *chunk = (precis_feature_chunk){.first = first + done,
                                    .block = w.monomial.block,
                                    .degree = w.monomial.degree,
                                    .prefix = prefix,
                                    .feature = feature,
                                    .orders = orders};
    int64_t most = features - done;
    fill(&w, most < PRECIS_CHUNK_FEATURES ? most : PRECIS_CHUNK_FEATURES, chunk, prefix, feature,
         orders);
    done += chunk->features;
    prefix += chunk->prefixes;
    feature += chunk->features;
    orders += chunk->features;
  }
  return recipe;
}
