#include "src/model/model.h"

#include <math.h>

#include "src/model/footprint.h"
#include "src/exact/partial.h"
#include "src/base/problem.h"
#include "src/schedule/shapes.h"
#include "src/summary/summarise.h"
#include "src/exact/tile.h"

static int64_t share(const precis_scene *s, int64_t rows)
{
  return rows / s->ranks + (rows % s->ranks > 0);
}

int64_t precis_scene_keys(const precis_scene *s)
{
  return s->most_keys > 0 ? s->most_keys : share(s, s->keys);
}

int64_t precis_scene_queries(const precis_scene *s)
{
  return s->most_queries > 0 ? s->most_queries : share(s, s->queries);
}

int precis_scene_smallest_node(const precis_scene *s)
{
  return s->smallest_node > 0 ? s->smallest_node : s->ranks / s->nodes;
}

int precis_scene_largest_node(const precis_scene *s)
{
  return s->largest_node > 0 ? s->largest_node : (s->ranks + s->nodes - 1) / s->nodes;
}

/* What the prediction of an exact move is made from. */
typedef struct sketch {
  const precis_scene *scene;
  const precis_problem *p;
  const precis_rates *r;
  double keys, rows;  /* of the largest share */
  double key_numbers; /* in a key and its value, all heads */
  double parcels;     /* of a share */
  precis_tile_shape shape;
} sketch;

static sketch sketch_of(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  sketch k = {.scene = s, .p = p, .r = &s->rates};
  k.keys = (double)precis_scene_keys(s);
  k.rows = (double)precis_scene_queries(s);
  k.key_numbers = (double)p->kv_heads * (p->dim + p->value_dim);
  k.parcels = ceil(k.keys / (double)s->tile_rows);
  k.shape = precis_tile_plan(p->dim, precis_problem_columns(p), s->thread_memory);
  return k;
}

static double doublings(double n)
{
  return n > 1 ? ceil(log2(n)) : 0;
}

static double latency(const precis_scene *s)
{
  return s->nodes > 1 ? s->rates.network_latency : s->rates.node_latency;
}

/* The survey of new keys and of the queries, and the small collective calls, each of about two
 * messages a doubling of ranks. */
static double survey_seconds(const sketch *k)
{
  const precis_scene *s = k->scene;
  double numbers =
      (double)share(s, s->new_keys) * k->key_numbers + k->rows * k->p->heads * k->p->dim / 2;
  return numbers / k->r->survey_numbers + k->r->call_time +
         PRECIS_MODEL_COLLECTIVES * 2 * doublings(s->ranks) * latency(s);
}

/* Seconds on the network for bytes that all ranks send at once, evenly; or, if one link of each
 * node carries all that the node sends, through that. */
static double network_seconds(const precis_scene *s, double bytes, int one_link)
{
  double node = bytes / s->nodes;
  double rate = fmin(s->rates.network_bandwidth,
                     s->rates.network_stream * (one_link ? 1 : (double)s->ranks / s->nodes));
  return s->nodes > 1 ? node / rate : 0;
}

static double node_seconds(const precis_scene *s, double bytes)
{
  return bytes / s->ranks / s->rates.node_bandwidth;
}

/* Pairs, and keys and values that pass by blocks of `rows` queries of `heads` heads. */
static double tile_seconds(const sketch *k, double pairs, double rows, double heads, double keys)
{
  double each = 2. * (k->p->dim + k->p->value_dim) / k->r->tile_flops + 1 / k->r->tile_exponentials;
  double passing = ceil(rows / k->shape.query_block) * heads * keys;
  return pairs * each + passing * (k->p->dim + k->p->value_dim) / k->r->tile_stream;
}

/* Rows of one head that load their queries and merge their sums so many times, then finish. */
static double row_seconds(const sketch *k, double rows, double merges)
{
  return rows * (merges * (k->p->value_dim + k->p->dim / 2.) / k->r->merge_numbers +
                 (k->p->dim + k->p->value_dim) / k->r->finish_numbers);
}

/* A share of the pairs is seen; blocks that are not visible are skipped. */
static double seen(const precis_scene *s)
{
  double all = (double)s->queries * (double)s->keys * s->problem->heads;
  return all > 0 ? s->pairs / all : 0;
}

/* Results are copied to the caller at the end; dealt rows are copied on either side. */
static double copy_seconds(const sketch *k)
{
  double numbers = k->scene->results_in_place ? 0 : k->p->heads * (k->p->value_dim + 1.);
  return 8 * k->rows * numbers / k->r->memory_bandwidth;
}

/* Memory that a call takes anew, `window` of it shared by a node: the system clears and maps it.
 * Large arrays have large pages, at twice the rate or more. */
static double taking_seconds(const precis_scene *s, int64_t taken, int64_t window)
{
  const double large_pages = 2;
  double own = fmax(0, (double)(taken - window));
  return ((double)window + own / large_pages) / s->rates.page_bandwidth;
}

static void tiles(const sketch *k, const precis_wire *bytes, precis_prediction *made)
{
  const precis_scene *s = k->scene;
  double steps = k->parcels * s->ranks, rows = k->rows * k->p->heads;
  made->compute =
      tile_seconds(k, s->pairs / s->ranks, k->rows, k->p->heads, (double)s->keys * seen(s));
  made->passes = k->keys * k->key_numbers / k->r->pack_numbers +
                 row_seconds(k, rows, steps * seen(s)) + steps * k->r->step_time;
  /* Parcels of others come from memory. */
  int apart = precis_footprint_tiles_apart(s), stops = apart ? s->ranks : s->nodes;
  if (precis_scene_largest_node(s) > 1 && !apart)
    made->passes += 4 * (double)s->keys * k->key_numbers * seen(s) / k->r->memory_bandwidth;
  double network = network_seconds(s, (double)bytes->network, 0), hops = k->parcels * stops;
  made->wire = node_seconds(s, (double)bytes->node) + hops * latency(s) +
               fmax(0, network - made->compute * (stops - 1) / stops);
  made->fast_memory_words =
      s->ranks * k->p->heads * seen(s) * precis_tile_words(&k->shape, (int64_t)k->rows, s->keys);
}

static void heads(const sketch *k, const precis_wire *bytes, precis_prediction *made)
{
  const precis_scene *s = k->scene;
  const precis_problem *p = k->p;
  double steps = k->parcels * s->ranks, rows = k->rows * p->heads;
  double pieces = fmax(1, ceil((double)p->heads / s->ranks));
  double piece_rows = fmin((double)s->queries, rows / pieces);
  /* Keys are packed once for every rank that needs them: all its heads' or those it shares. */
  double needed = fmin(p->kv_heads, ceil(pieces * p->kv_heads / p->heads)) * s->ranks;
  made->compute =
      tile_seconds(k, s->pairs / s->ranks, piece_rows, pieces, (double)s->keys * seen(s));
  made->passes = needed * k->keys * (p->dim + p->value_dim) / k->r->pack_numbers +
                 row_seconds(k, rows, steps * seen(s)) + steps * k->r->step_time +
                 16 * rows * (p->dim + p->value_dim) / k->r->memory_bandwidth;
  /* Queries and results are waited for, keys and values travel beside the computation. */
  double moved = (double)(s->ranks - 1) * rows * 4 * (p->dim + p->value_dim + 1);
  double all = fmax(1, (double)precis_wire_sum(bytes)), share = fmin(1, moved / all);
  double network = network_seconds(s, (double)bytes->network, 0);
  made->wire = node_seconds(s, (double)bytes->node) + (steps + 2. * s->ranks) * latency(s) +
               network * share + fmax(0, network * (1 - share) - made->compute);
  made->fast_memory_words =
      s->ranks * pieces * seen(s) * precis_tile_words(&k->shape, (int64_t)piece_rows, s->keys);
}

/* Messages one after the other down a tree of so many levels, where every rank has part in `trees`
 * that are under way together. */
static double tree_messages(double levels, double trees)
{
  return levels > 0 ? levels + trees - 1 : 0;
}

/* Times that all rows pass through one rank on their way: by every level, if they come from one
 * rank; if they come from many, of which each is another's leaf, once. */
static double passes_of(double levels, double owners)
{
  return levels > 0 ? 1 + (levels - 1) / owners : 0;
}

/* `having`: ranks that have queries. */
static void queries(const sketch *k, const precis_wire *bytes, precis_prediction *made)
{
  const precis_scene *s = k->scene;
  const precis_problem *p = k->p;
  double largest = (double)precis_scene_largest_node(s), all = (double)s->queries,
         having = fmin(s->ranks, ceil(all / fmax(1, k->rows))),
         groups = ceil(having / PRECIS_QUERIES_OWNERS), owners = fmax(1, having / groups),
         batch = (double)precis_shape_batch_rows(p, s->ranks, s->queries, (int64_t)k->rows),
         parcels = ceil(k->keys / (double)precis_shape_parcel_rows(p, s->tile_rows)),
         rounds = groups * ceil(all / fmax(1, groups) / batch), round = fmin(batch, all);
  double rows = all * p->heads, outer = doublings(s->nodes), inner = doublings(largest);
  made->compute = tile_seconds(k, s->pairs / s->ranks, round, rounds * p->heads, k->keys * seen(s));
  made->passes =
      rounds * (k->keys * k->key_numbers / k->r->pack_numbers + parcels * k->r->step_time) +
      row_seconds(k, rows, parcels) +
      passes_of(inner + outer, owners) * rows * 2 * (p->value_dim + 2) / k->r->merge_numbers;
  /* Down and up the trees. */
  double each = 4 * (p->dim + (double)precis_partial_words(1, p->value_dim)) * rows;
  made->wire = passes_of(inner, owners) * each / k->r->node_bandwidth +
               passes_of(outer, owners) * each / k->r->network_stream +
               2 * rounds *
                   (tree_messages(inner, owners) * k->r->node_latency +
                    tree_messages(outer, fmax(1, owners / largest)) * k->r->network_latency);
  made->fast_memory_words = s->ranks * rounds * p->heads * seen(s) *
                            precis_tile_words(&k->shape, (int64_t)round, (int64_t)k->keys);
  (void)bytes;
}

precis_prediction precis_model_exact(const precis_scene *s, precis_move move,
                                     const precis_wire *bytes)
{
  sketch k = sketch_of(s);
  precis_prediction made = {.bytes = *bytes, .survey = survey_seconds(&k)};
  if (move == PRECIS_MOVE_TILES)
    tiles(&k, bytes, &made);
  if (move == PRECIS_MOVE_HEADS)
    heads(&k, bytes, &made);
  if (move == PRECIS_MOVE_QUERIES)
    queries(&k, bytes, &made);
  made.peak_bytes = precis_footprint_exact(s, move);
  made.passes +=
      copy_seconds(&k) + taking_seconds(s, made.peak_bytes - precis_footprint_held(s),
                                        move == PRECIS_MOVE_TILES ? precis_footprint_window(s) : 0);
  made.seconds = made.survey + made.compute + made.passes + made.wire;
  return made;
}

precis_move precis_model_choose(const precis_prediction predicted[PRECIS_MOVES])
{
  precis_move best = PRECIS_MOVE_TILES;
  for (precis_move move = PRECIS_MOVE_HEADS; move <= PRECIS_MOVE_QUERIES; move++) {
    const precis_prediction *a = &predicted[move], *b = &predicted[best];
    if (a->seconds < b->seconds ||
        (a->seconds == b->seconds && precis_wire_sum(&a->bytes) < precis_wire_sum(&b->bytes)))
      best = move;
  }
  return best;
}

/* Of one head: features made and multiplied with values, and features that are only counted. */
static double feature_seconds(const precis_summary_size *size, int value_dim, double flops,
                              double features, double counts)
{
  return (double)size->features *
             (2. * (value_dim + PRECIS_SUMMARY_COUNTS) / flops + 1 / features) +
         (double)size->count_features / counts;
}

/* Keys once, queries once or, where prefixes are summed, twice: against lower ranks and against
 * blocks of their own. */
static double summary_compute(const sketch *k, const precis_summary_size *size)
{
  const precis_rates *r = k->r;
  int dv = k->p->value_dim;
  double add = feature_seconds(size, dv, r->summarise_flops, r->summarise_features,
                               r->summarise_counts),
         apply = feature_seconds(size, dv, r->apply_flops, r->apply_features, r->apply_counts);
  double exact = k->scene->prefixes ? k->rows * k->p->heads * 128 : 0;
  return k->keys * k->p->kv_heads * add +
         (k->scene->prefixes ? 2 : 1) * k->rows * k->p->heads * apply +
         tile_seconds(k, exact, 0, 0, 0);
}

static double numbers_of(const precis_problem *p, const precis_summary_size *size)
{
  return (double)precis_summary_numbers(size->features, size->count_features, p->value_dim);
}

/* Tiles through the reduction, or down the chain of ranks. What a rank adds up of the tiles of its
 * node it reads from memory. */
static double summary_wire(const sketch *k, const precis_summary_size *size,
                           const precis_wire *bytes, double compute)
{
  const precis_scene *s = k->scene;
  double tile = precis_footprint_tile_numbers(s, size);
  double tiles = fmax(1, ceil(numbers_of(k->p, size) / fmax(1, tile))) * k->p->kv_heads;
  double network = network_seconds(s, (double)bytes->network, s->prefixes);
  int apart = precis_footprint_summary_apart(s, size), stops = apart ? s->ranks : s->nodes;
  double messages = s->prefixes ? tiles + s->ranks : 2 * tiles * (stops - 1);
  double meetings = s->prefixes || s->ranks == stops ? 0 : tiles;
  double adding = meetings > 0 ? 4 * numbers_of(k->p, size) * k->p->kv_heads : 0;
  double filling = s->prefixes ? 0 : network / fmax(1, tiles); /* the last tile */
  return node_seconds(s, (double)bytes->node) + fmax(network - compute, filling) +
         messages * latency(s) + meetings * s->rates.node_latency +
         adding / k->r->memory_bandwidth + tiles * 3 * k->r->step_time;
}

static precis_wire reduced_bytes(const precis_scene *s, const precis_summary_size *size)
{
  double bytes = 4 * numbers_of(s->problem, size) * s->problem->kv_heads,
         network = (s->prefixes ? 1. : 2.) * (s->nodes - 1) * bytes,
         node = s->prefixes ? (s->ranks - s->nodes) * bytes : 0;
  if (precis_footprint_summary_apart(s, size)) {
    double mates = (double)s->ranks / s->nodes;
    network = 2 * (s->ranks - mates) * bytes;
    node = 2 * (mates - 1) * bytes;
  }
  return (precis_wire){(int64_t)fmin(network, 0x1p61), (int64_t)fmin(node, 0x1p61)};
}

/* Queries surveyed, keys weighed, pairs sampled, polynomials tried: a few, which ranks share. */
static double study_seconds(const sketch *k)
{
  enum { SAMPLED_QUERIES = 128, SAMPLED_KEYS = 512, TRIED = 6 };
  const precis_scene *s = k->scene;
  double keys = fmin(SAMPLED_KEYS, (double)s->keys),
         pairs = keys * SAMPLED_QUERIES / s->ranks * k->p->kv_heads;
  double tried = ceil((double)TRIED / s->ranks) + ceil((double)k->p->kv_heads / s->ranks);
  return 2 * k->rows * k->p->heads * k->p->dim / k->r->survey_numbers +
         k->keys * k->p->kv_heads * k->p->dim / k->r->bulk_numbers +
         pairs * (k->p->dim + 40.) / k->r->survey_numbers + tried * k->r->fit_time;
}

/* Queries made ready, rows proved and finished. */
static double summary_row_seconds(const sketch *k)
{
  double rows = k->rows * k->p->heads;
  return rows * k->p->dim / k->r->bulk_numbers +
         rows * (k->r->row_time + (k->p->dim + k->p->value_dim) / k->r->finish_numbers) +
         copy_seconds(k);
}

double precis_model_summaries_least(const precis_scene *s)
{
  sketch k = sketch_of(s);
  return survey_seconds(&k) + study_seconds(&k);
}

precis_prediction precis_model_summaries(const precis_scene *s, const precis_summary_size *size,
                                         const precis_wire *bytes)
{
  sketch k = sketch_of(s);
  precis_prediction made = {.bytes = *bytes, .survey = survey_seconds(&k)};
  made.plan = study_seconds(&k);
  made.compute = summary_compute(&k, size);
  made.peak_bytes = precis_footprint_summaries(s, size);
  made.passes = k.keys * k.key_numbers / k.r->bulk_numbers + summary_row_seconds(&k) +
                taking_seconds(s, precis_footprint_summaries_taken(s, size), 0);
  made.wire = summary_wire(&k, size, bytes, made.compute);
  made.seconds = made.survey + made.plan + made.compute + made.passes + made.wire;
  made.fast_memory_words = precis_footprint_summary_words(s, size);
  return made;
}

double precis_model_summary_seconds(const precis_scene *s, const precis_summary_size *size)
{
  precis_wire bytes = reduced_bytes(s, size);
  return precis_model_summaries(s, size, &bytes).seconds;
}

precis_prediction precis_model_kept(const precis_scene *s, const precis_summary_size *size,
                                    const precis_wire *bytes, int64_t added)
{
  sketch k = sketch_of(s);
  int dv = k.p->value_dim;
  const precis_rates *r = k.r;
  double add = feature_seconds(size, dv, r->summarise_flops, r->summarise_features,
                               r->summarise_counts),
         apply = feature_seconds(size, dv, r->apply_flops, r->apply_features, r->apply_counts);
  precis_prediction made = {.bytes = *bytes, .survey = survey_seconds(&k)};
  made.compute = (double)added * k.p->kv_heads * add + k.rows * k.p->heads * apply;
  made.passes = (double)added * k.key_numbers / r->bulk_numbers + summary_row_seconds(&k);
  made.wire = node_seconds(s, (double)bytes->node) + network_seconds(s, (double)bytes->network, 0);
  made.seconds = made.survey + made.compute + made.passes + made.wire;
  made.fast_memory_words = precis_footprint_summary_words(s, size);
  made.peak_bytes = precis_footprint_kept(s, size, added);
  return made;
}

double precis_model_repair_seconds(const precis_scene *s, double rows)
{
  sketch k = sketch_of(s);
  const precis_problem *p = s->problem;
  double all = (double)s->queries * p->heads;
  if (!(rows > 0 && all > 0))
    return 0;
  if (rows < 1) /* with that probability there is one */
    return rows * precis_model_repair_seconds(s, 1);
  /* Key/value heads that some row is of. */
  double heads = p->kv_heads * (1 - exp(-rows / p->kv_heads));
  double parcels = ceil(k.keys / (double)precis_shape_parcel_rows(p, s->tile_rows));
  double each = 4. * (p->dim + p->value_dim + 5) * rows;
  return heads * k.keys * (p->dim + p->value_dim) / k.r->pack_numbers +
         tile_seconds(&k, rows * s->pairs / all / s->ranks, rows / heads, heads, k.keys * seen(s)) +
         row_seconds(&k, rows, parcels) + 2 * doublings(s->ranks) * latency(s) +
         (s->nodes > 1 ? each / k.r->network_stream : each / k.r->node_bandwidth);
}

double precis_model_outlier_seconds(const precis_scene *s, double pairs, double rows, double bytes)
{
  sketch k = sketch_of(s);
  /* Sums are made, merged into and taken over. */
  double sums = 3 * 8. * (k.p->value_dim + 2) * rows;
  return tile_seconds(&k, pairs / s->ranks, 0, 0, 0) + row_seconds(&k, rows, 3) +
         sums / k.r->memory_bandwidth + network_seconds(s, bytes, 0) +
         (s->nodes > 1 ? 0 : node_seconds(s, bytes));
}
