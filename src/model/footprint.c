#include "src/model/footprint.h"

#include <math.h>

#include "src/layout/balance.h"
#include "src/schedule/cost.h"
#include "src/exact/jobs.h"
#include "src/exact/parcel.h"
#include "src/exact/partial.h"
#include "src/base/problem.h"
#include "src/schedule/emit.h"
#include "src/schedule/shapes.h"

static const double WORD = sizeof(float), LONG = sizeof(double);

/* Numbers of a row's proof, and bytes of a row that is set aside. */
enum { PROOF = 2, FAILED = 16 };

/* Of a message in flight in mpi/world/world.h: requests in pieces, and their number. */
static const double TRANSFER = 64 * sizeof(void *) + 8;

/* Bytes as doubles: shapes on paper may be larger than any memory. */
static int64_t whole(double bytes)
{
  return bytes < 0x1p62 ? (int64_t)bytes : (int64_t)1 << 62;
}

static double key_row(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  return WORD * (p->kv_heads * (double)(p->dim + p->value_dim) + (s->with_bias != 0)) + LONG;
}

static double keys_of(const precis_scene *s)
{
  return (double)precis_scene_keys(s);
}

static double rows_of(const precis_scene *s)
{
  return (double)precis_scene_queries(s);
}

static double held(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  double columns = (double)p->kv_heads * p->value_dim;
  double sums = (double)p->kv_heads * p->dim + 3 * columns + 2,
         extremes = p->kv_heads + 2 * columns + 2;
  /* What answers are measured by: see mpi/sequence/signal.h. */
  double signal = (double)p->heads * (p->dim + p->value_dim + 4) +
                  (double)p->kv_heads * (p->dim + p->value_dim + 1);
  precis_engine engine = {.threads = (int)s->rates.threads};
  engine.shape = precis_tile_plan(p->dim, precis_problem_columns(p), s->thread_memory);
  return keys_of(s) * key_row(s) +
         LONG * (2 * sums + extremes + (sums > extremes ? sums : extremes) + 4 * columns + signal) +
         (double)p->heads * sizeof(precis_head_report) +
         WORD * (double)precis_engine_scratch(&engine);
}

/* A call's own results and proofs, and a few numbers for each rank. */
static double call(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  int numbers = 1 + PROOF + (s->results_in_place ? 0 : p->value_dim);
  return WORD * rows_of(s) * p->heads * numbers + 48. * (s->ranks + 1);
}

/* What rows are judged by, when the move has given its memory back. */
static double judged(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  return rows_of(s) * p->heads * (WORD + FAILED) + LONG * 8. * p->heads;
}

static double parcel(const precis_scene *s, int heads)
{
  const precis_problem *p = s->problem;
  precis_parcel_kind kind = {.heads = heads,
                             .dim = p->dim,
                             .value_dim = p->value_dim,
                             .with_bias = s->with_bias,
                             .with_positions = p->causal};
  int64_t keys = precis_scene_keys(s);
  return (double)precis_parcel_bytes(&kind, keys < s->tile_rows ? keys : s->tile_rows);
}

static double partials(const precis_scene *s, double rows)
{
  return LONG * rows * (precis_problem_columns(s->problem) + 2);
}

static double dealt_queries(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  return rows_of(s) * (WORD * p->heads * (p->dim + precis_problem_results(p)) + 2 * LONG);
}

/* The buffers of the largest message each way when rows are dealt out and results come back: a
 * share falls into two blocks for each pair of rounds, see precis_balance_pairs_of_rounds(). */
static double exchanged(const precis_scene *s, double row_bytes, double rows)
{
  double pairs = precis_balance_pairs_of_rounds(s->queries, s->keys, s->ranks, s->tile_rows);
  double part = fmax(1. / s->ranks, 1 / (2 * pairs));
  /* Where an odd number of ranks turns round, both blocks of a share go to one rank. */
  return (s->ranks % 2 ? 3 : 2) * part * rows * row_bytes;
}

/* Parcels on their way and those attended to. */
static double shared_parcels(const precis_scene *s)
{
  int carried = (precis_scene_largest_node(s) - 1) / precis_scene_smallest_node(s) + 1;
  return (s->ranks > 1 ? 2 : 1) * carried * parcel(s, s->problem->kv_heads);
}

static double parcels(const precis_scene *s)
{
  return precis_footprint_tiles_apart(s) ? 2 * parcel(s, s->problem->kv_heads) : shared_parcels(s);
}

/* With room for marks, and for what begins with a cache line and ends with a page. */
enum { SHARED_EDGES = 3 * 4096 };

int64_t precis_footprint_shared_tiles(const precis_scene *s)
{
  return precis_scene_largest_node(s) > 1 ? whole(shared_parcels(s) + SHARED_EDGES) : 0;
}

int precis_footprint_tiles_apart(const precis_scene *s)
{
  return s->shared_room > 0 && precis_footprint_shared_tiles(s) > s->shared_room;
}

int64_t precis_footprint_held(const precis_scene *s)
{
  return whole(held(s));
}

int64_t precis_footprint_window(const precis_scene *s)
{
  return precis_scene_largest_node(s) > 1 && !precis_footprint_tiles_apart(s) ? whole(parcels(s))
                                                                              : 0;
}

static double tiles(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  double row = fmax((double)precis_cost_query_row(p), (double)precis_cost_output_row(p));
  return parcels(s) + partials(s, rows_of(s) * p->heads) + LONG * rows_of(s) +
         (double)p->heads * sizeof(precis_job) +
         (s->deal_queries ? dealt_queries(s) + exchanged(s, row, rows_of(s)) : 0) +
         (s->deal_keys ? keys_of(s) * key_row(s) : 0);
}

static double heads(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  double rows = (double)s->piece_rows, message = rows_of(s) * s->pieces;
  int results = precis_problem_results(p), width = p->dim > results ? p->dim : results;
  message = message < rows ? message : rows;
  return WORD * rows * p->dim + (p->causal ? LONG * (double)s->queries : 0) + partials(s, rows) +
         2 * parcel(s, s->needed_heads[0]) + (s->ranks > 1 ? parcel(s, s->needed_heads[1]) : 0) +
         2 * WORD * message * width + s->pieces * (double)sizeof(precis_job);
}

static double queries(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  precis_scene parcels = *s;
  parcels.tile_rows = precis_shape_parcel_rows(p, s->tile_rows);
  double batch = (double)precis_shape_batch_rows(p, s->ranks, s->queries, precis_scene_queries(s)),
         rows = batch * p->heads;
  return WORD * rows * (p->dim + 2. * (precis_problem_columns(p) + 2)) + LONG * batch + partials(s, rows) +
         parcel(&parcels, p->kv_heads) + (double)p->heads * sizeof(precis_job) +
         (s->deal_keys_for_queries ? keys_of(s) * key_row(s) + exchanged(s, key_row(s), keys_of(s))
                                   : 0);
}

int64_t precis_footprint_exact(const precis_scene *s, precis_move move)
{
  double bytes = move == PRECIS_MOVE_TILES     ? tiles(s)
                 : move == PRECIS_MOVE_HEADS   ? heads(s)
                 : move == PRECIS_MOVE_QUERIES ? queries(s)
                                               : 0;
  return whole(held(s) + call(s) + fmax(bytes, judged(s)));
}

/* The kernels, and as much of a summary's shape as its tiles hang on. */
typedef struct shapes {
  precis_summary_kernels kernels;
  precis_summaries_shape summary;
} shapes;

/* Returns whether there are any: no kernel takes some sizes, which leave zeros. */
static int shapes_of(const precis_scene *s, const precis_summary_size *size, shapes *made)
{
  const precis_problem *p = s->problem;
  const precis_query_map none = {.ranks = s->ranks};
  const precis_placement at = {.problem = p, .map = &none};
  precis_feature_set set =
      size->set ? *size->set : precis_feature_set_full(p->dim, size->degree, size->envelope_degree);
  *made = (shapes){0};
  if (precis_summary_kernels_plan(&set, p->value_dim, s->thread_memory, &made->kernels))
    return 0;
  made->summary = precis_shape_summaries(&at, size->features, size->count_features, &made->kernels);
  return 1;
}

double precis_footprint_tile_numbers(const precis_scene *s, const precis_summary_size *size)
{
  shapes k;
  return shapes_of(s, size, &k) ? (double)precis_summaries_numbers_most(&k.summary) : 0;
}

double precis_footprint_summary_words(const precis_scene *s, const precis_summary_size *size)
{
  shapes k;
  const precis_summary_kernels *with = &k.kernels;
  const precis_problem *p = s->problem;
  int64_t keys = precis_scene_keys(s), rows = precis_scene_queries(s) * (p->heads / p->kv_heads);
  if (!shapes_of(s, size, &k))
    return 0;
  double head = precis_summarise_words(&with->summarise, keys, size->features) +
                precis_apply_tile_words(&with->apply, rows, size->features);
  if (size->count_features > 0)
    head += precis_summarise_words(&with->summarise_counts, keys, size->count_features) +
            precis_apply_tile_words(&with->apply_counts, rows, size->count_features);
  return head * p->kv_heads * s->ranks;
}

/* Ranks of a node see each other's two tiles, and have four of sums in common. */
int64_t precis_footprint_shared_summary(const precis_scene *s, const precis_summary_size *size)
{
  int mates = precis_scene_smallest_node(s);
  double tile = precis_footprint_tile_numbers(s, size) * WORD;
  return precis_scene_largest_node(s) > 1 && !s->prefixes
             ? whole((2 + (4 + mates - 1) / mates) * tile + SHARED_EDGES)
             : 0;
}

int precis_footprint_summary_apart(const precis_scene *s, const precis_summary_size *size)
{
  return s->shared_room > 0 && precis_footprint_shared_summary(s, size) > s->shared_room;
}

/* Where it takes no more than the keys, or 64 MiB, a summary is kept for later calls. */
static double kept(const precis_scene *s, const precis_summary_size *size)
{
  const precis_problem *p = s->problem;
  double numbers =
             (double)precis_summary_numbers(size->features, size->count_features, p->value_dim),
         bytes = p->kv_heads * numbers * (LONG + WORD);
  double keys = (double)s->keys / s->ranks * p->kv_heads * (p->dim + p->value_dim) * WORD;
  return s->prefixes || (bytes > keys && bytes > 0x1p26) ? 0 : bytes;
}

/* Tiles of a rank that is alone on its node: three, and the slices of other nodes to each. Others
 * share the four whose sums are complete, which lie with one after the other, and have a slice at a
 * time, of no fewer numbers than are worth a message. */
static double tiles_under_way(const precis_scene *s, int apart, double numbers, double least)
{
  int mates = apart ? 1 : precis_scene_smallest_node(s), nodes = apart ? s->ranks : s->nodes;
  double slices = (1 - 1. / nodes) * fmax(1. / mates, fmin(1, 2 * least * nodes / numbers));
  return mates == 1 ? 3 * (1 + slices) : 2 + (4 + mates - 1) / mates + slices;
}

/* Three reductions under way, or the buffers of the chain and the exact parts of blocks. */
static double under_way(const precis_scene *s, int apart, double numbers, double least, double rows)
{
  const precis_problem *p = s->problem;
  if (!s->prefixes)
    return tiles_under_way(s, apart, numbers, least) * WORD * numbers + 6 * TRANSFER * s->ranks;
  precis_scene blocks = *s;
  blocks.tile_rows = PRECIS_PREFIX_PARCEL_ROWS;
  return LONG * rows * (p->value_dim + 3) + 3 * WORD * numbers + LONG * rows_of(s) +
         partials(s, rows_of(s) * p->heads) +
         (double)PRECIS_PREFIX_PARCEL_BLOCKS * p->heads * sizeof(precis_job) +
         parcel(&blocks, p->kv_heads);
}

static double scratch(const precis_scene *s, const shapes *k)
{
  return (double)k->kernels.scratch * s->rates.threads;
}

/* Without one that is kept. */
static double summaries(const precis_scene *s, const precis_summary_size *size)
{
  const precis_problem *p = s->problem;
  shapes k;
  shapes_of(s, size, &k);
  double numbers = (double)precis_summaries_numbers_most(&k.summary),
         rows = rows_of(s) * (p->heads / p->kv_heads);
  double work = 2 * LONG * numbers + scratch(s, &k) +
                keys_of(s) * (WORD * (p->dim + p->value_dim + 3) + LONG) +
                rows * (WORD * p->dim + LONG * (p->value_dim + 3) + 4 * LONG) +
                16 * rows_of(s) * p->heads;
  double move = work + under_way(s, precis_footprint_summary_apart(s, size), numbers,
                                 (double)k.summary.least_slice, rows);
  return held(s) + call(s) + fmax(move, judged(s));
}

int64_t precis_footprint_summaries_taken(const precis_scene *s, const precis_summary_size *size)
{
  shapes k;
  return shapes_of(s, size, &k) ? whole(summaries(s, size) - held(s) - scratch(s, &k)) : 0;
}

int precis_footprint_keeps(const precis_scene *s, const precis_summary_size *size)
{
  double bytes = kept(s, size);
  return bytes > 0 &&
         (s->memory_limit == 0 || summaries(s, size) + bytes <= (double)s->memory_limit);
}

int64_t precis_footprint_summaries(const precis_scene *s, const precis_summary_size *size)
{
  return whole(summaries(s, size) + (precis_footprint_keeps(s, size) ? kept(s, size) : 0));
}
