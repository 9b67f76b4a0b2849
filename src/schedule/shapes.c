#include "src/schedule/shapes.h"

#include <stdlib.h>

#include "src/layout/balance.h"
#include "src/schedule/cost.h"
#include "src/base/memory.h"
#include "src/exact/precise.h"
#include "src/base/problem.h"
#include "src/base/share.h"

enum { QUERIES_MOST = 4096, LEAST_SLICE = 1024 };

void precis_shape_rows_free(precis_shape_rows *rows)
{
  free(rows->queries);
  free(rows->keys);
  *rows = (precis_shape_rows){0};
}

static precis_layout dealt(const precis_placement *at, int64_t rows)
{
  const precis_query_map *map = at->map;
  return precis_layout_dealt(map->ranks, rows,
                             precis_balance_pairs_of_rounds(precis_visible_queries(map), map->keys,
                                                            map->ranks, at->tile_rows));
}

static precis_exchange_shape exchange_of_keys(const precis_placement *at)
{
  precis_exchange_shape x = {.wanted = at->deal_keys,
                             .to = dealt(at, at->map->keys),
                             .row_bytes = precis_cost_key_row(at->problem, at->kind.with_bias)};
  if (at->key_start != NULL)
    x.from = precis_layout_consecutive(at->map->ranks, at->key_start);
  return x;
}

/* Shares at home, or of a layout where that is not NULL. */
static int fill_rows(const precis_placement *at, const precis_layout *queries,
                     const precis_layout *keys, precis_shape_rows *rows)
{
  const precis_query_map *map = at->map;
  precis_shape_rows made = {precis_memory_array(map->ranks, sizeof *made.queries),
                            precis_memory_array(map->ranks, sizeof *made.keys)};
  if (made.queries == NULL || made.keys == NULL) {
    precis_shape_rows_free(&made);
    return PRECIS_ERR_MEMORY;
  }
  for (int r = 0; r < map->ranks; r++) {
    made.queries[r] = queries ? precis_layout_share(queries, r) : map->start[r + 1] - map->start[r];
    made.keys[r] = keys ? precis_layout_share(keys, r) : at->key_rows[r];
  }
  *rows = made;
  return PRECIS_SUCCESS;
}

int precis_shape_tiles(const precis_placement *at, precis_shape_rows *rows,
                       precis_tiles_shape *shape)
{
  const precis_problem *p = at->problem;
  precis_layout home = precis_layout_consecutive(at->map->ranks, at->map->start),
                away = dealt(at, precis_visible_queries(at->map));
  precis_tiles_shape made = {.problem = p,
                             .tile_rows = at->tile_rows,
                             .kind = at->kind,
                             .keys = exchange_of_keys(at),
                             .queries = {.wanted = at->deal_queries,
                                         .from = home,
                                         .to = away,
                                         .row_bytes = precis_cost_query_row(p)},
                             .results = {.wanted = at->deal_queries,
                                         .from = away,
                                         .to = home,
                                         .row_bytes = precis_cost_output_row(p)}};
  int status =
      fill_rows(at, at->deal_queries ? &away : NULL, at->deal_keys ? &made.keys.to : NULL, rows);
  if (status != PRECIS_SUCCESS)
    return status;
  made.query_rows = rows->queries;
  made.key_rows = rows->keys;
  made.most_keys = precis_largest(rows->keys, at->map->ranks);
  *shape = made;
  return PRECIS_SUCCESS;
}

precis_heads_shape precis_shape_heads(const precis_placement *at)
{
  return (precis_heads_shape){.problem = at->problem,
                              .map = at->map,
                              .key_rows = at->key_rows,
                              .cuts = at->cuts,
                              .tile_rows = at->tile_rows,
                              .kind = at->kind};
}

/* Of ranks that share a round. */
static int64_t together(int ranks, int64_t rows, int64_t most)
{
  int64_t owners = ranks < PRECIS_QUERIES_OWNERS ? ranks : PRECIS_QUERIES_OWNERS,
          bound = most > rows / owners ? rows : most * owners;
  return bound > 1 ? bound : 1;
}

/* Four million words or so of queries and partials at a time. */
int64_t precis_shape_batch_rows(const precis_problem *p, int ranks, int64_t queries, int64_t most)
{
  int64_t rows = ((int64_t)1 << 22) / ((int64_t)p->heads * (p->dim + p->value_dim)) + 64,
          all = together(ranks, queries, most);
  rows = rows < QUERIES_MOST ? rows : QUERIES_MOST;
  return rows < all ? rows : all;
}

/* What is packed is attended to at once, by this rank alone, and had best stay in a cache near to
 * it until then; of fewer keys merging is felt. */
int64_t precis_shape_parcel_rows(const precis_problem *p, int64_t tile_rows)
{
  enum { BYTES = 1 << 20, ROWS_LEAST = 1024 };
  int64_t row = (int64_t)p->kv_heads * (p->dim + p->value_dim) * (int64_t)sizeof(float),
          rows = BYTES / row > ROWS_LEAST ? BYTES / row : ROWS_LEAST;
  return rows < tile_rows ? rows : tile_rows;
}

int precis_shape_queries(const precis_placement *at, precis_shape_rows *rows,
                         precis_queries_shape *shape)
{
  const precis_problem *p = at->problem;
  precis_queries_shape made = {.move = "queries",
                               .owners = PRECIS_QUERIES_OWNERS,
                               .heads = p->heads,
                               .partial_words = precis_partial_words(1, precis_problem_columns(p)),
                               .columns = precis_problem_columns(p),
                               .row_bytes = (int64_t)p->heads * p->dim * (int64_t)sizeof(float),
                               .tile_rows = precis_shape_parcel_rows(p, at->tile_rows),
                               .kind = at->kind,
                               .keys = exchange_of_keys(at)};
  int status = fill_rows(at, NULL, at->deal_keys ? &made.keys.to : NULL, rows);
  if (status != PRECIS_SUCCESS)
    return status;
  made.rows = rows->queries;
  made.key_rows = rows->keys;
  made.batch_rows = precis_shape_batch_rows(p, at->map->ranks, precis_visible_queries(at->map),
                                            precis_largest(rows->queries, at->map->ranks));
  *shape = made;
  return PRECIS_SUCCESS;
}

precis_summaries_shape precis_shape_summaries(const precis_placement *at, int64_t features,
                                              int64_t count_features,
                                              const precis_summary_kernels *kernels)
{
  const precis_problem *p = at->problem;
  return (precis_summaries_shape){.heads = p->heads,
                                  .kv_heads = p->kv_heads,
                                  .dim = p->dim,
                                  .value_dim = p->value_dim,
                                  .features = features,
                                  .count_features = count_features,
                                  .tile_features = kernels->apply.tile_features,
                                  .tile_counts = kernels->apply_counts.tile_features,
                                  .least_slice = LEAST_SLICE,
                                  .query_start = at->map->start,
                                  .key_rows = at->key_rows,
                                  .kind = at->kind};
}

precis_summaries_shape precis_shape_prefixes(const precis_placement *at, int64_t features,
                                             int64_t count_features,
                                             const precis_summary_kernels *kernels, int biased)
{
  precis_summaries_shape shape = precis_shape_summaries(at, features, count_features, kernels);
  shape.kind.with_bias |= biased;
  shape.parcel_rows = PRECIS_PREFIX_PARCEL_ROWS;
  shape.block_keys = PRECIS_KEY_BLOCK;
  return shape;
}

precis_spread_shape precis_shape_outlier_keys(const precis_problem *p, const int64_t *counts)
{
  return (precis_spread_shape){.move = "outlier keys",
                               .rows = counts,
                               .batch_rows = PRECIS_OUTLIERS_MOST,
                               .row_bytes = precis_cost_outlier_key(p),
                               .kv_heads = p->kv_heads,
                               .heads = p->heads,
                               .dim = p->dim,
                               .value_dim = p->value_dim};
}

/* What travels of a row: its position, its head and its query. precise: see precise.h. */
precis_queries_shape precis_shape_repair(const precis_placement *at, const int64_t *counts,
                                         int precise)
{
  int columns = precis_problem_columns(at->problem);
  int64_t most = precis_largest(counts, at->map->ranks), all = 0,
          query = at->problem->dim * (int64_t)sizeof(float);
  for (int r = 0; r < at->map->ranks; r++)
    all += counts[r];
  all = together(at->map->ranks, all, most);
  return (precis_queries_shape){.move = "repair",
                                .heads = 1,
                                .partial_words = precise ? precis_precise_words(columns)
                                                         : precis_partial_words(1, columns),
                                .columns = columns,
                                .rows = counts,
                                .owners = PRECIS_QUERIES_OWNERS,
                                .batch_rows = all < PRECIS_REPAIRED_MOST ? all : PRECIS_REPAIRED_MOST,
                                .row_bytes = (int64_t)(sizeof(int64_t) + sizeof(int32_t)) + query,
                                .key_rows = at->key_rows,
                                .tile_rows = precis_shape_parcel_rows(at->problem, at->tile_rows),
                                .kind = at->kind};
}
