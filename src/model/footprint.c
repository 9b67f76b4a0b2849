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
#include "src/model/held.h"
#include "src/tokens/keys.h"
#include "src/rows/summary_arrays.h"
#include "src/proof/bivariate.h"

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
  return (double)precis_keys_row_bytes(s->problem, s->with_bias);
}

static double keys_of(const precis_scene *s)
{
  return (double)precis_scene_keys(s);
}

static double rows_of(const precis_scene *s)
{
  return (double)precis_scene_queries(s);
}

/* A summary that is kept apart. */
static double held_plain(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  precis_engine engine = {.threads = (int)s->rates.threads};
  if (s->held > 0)
    return (double)s->held;
  engine.shape = precis_tile_plan(p->dim, precis_problem_columns(p), s->thread_memory);
  return precis_held_bytes(p, keys_of(s), s->with_bias, &engine, sizeof(precis_head_report));
}

static double held(const precis_scene *s)
{
  return held_plain(s) + (double)s->held_kept;
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

/* Results of rows that are elsewhere at home, and the rows, once they are here. */
static double dealt_results(const precis_scene *s)
{
  return rows_of(s) * WORD * s->problem->heads * precis_problem_results(s->problem);
}

static double dealt_queries(const precis_scene *s)
{
  return rows_of(s) * (WORD * s->problem->heads * s->problem->dim + 2 * LONG);
}

/* The buffers of the largest message each way when rows are dealt out and results come back: a
 * share falls into two blocks for each pair of rounds, see precis_balance_pairs_of_rounds(). */
static double exchanged(const precis_scene *s, double row_bytes, double rows)
{
  double blocks =
      2. * precis_balance_pairs_of_rounds(s->queries, s->keys, s->ranks, s->tile_rows);
  double part = ceil(blocks / s->ranks) / blocks;
  /* Where an odd number of ranks turns round, both blocks of a share go to one rank. */
  return (s->ranks % 2 && blocks < s->ranks ? 3 : 2) * part * rows * row_bytes;
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

/* Keys change ranks first, then queries, and in the end results. */
static double dealt(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  double row = fmax((double)precis_cost_query_row(p), (double)precis_cost_output_row(p)),
         keys = s->deal_keys ? keys_of(s) * key_row(s) : 0;
  return keys + (s->deal_queries ? dealt_results(s) : 0) +
         fmax(s->deal_keys ? exchanged(s, key_row(s), keys_of(s)) : 0,
              s->deal_queries ? dealt_queries(s) + exchanged(s, row, rows_of(s)) : 0);
}

static double tiles(const precis_scene *s)
{
  const precis_problem *p = s->problem;
  return parcels(s) + partials(s, rows_of(s) * p->heads) + LONG * rows_of(s) +
         (double)p->heads * sizeof(precis_job) + dealt(s);
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

static int64_t value_numbers(const precis_scene *s, const precis_summary_size *size)
{
  return size->features * s->problem->value_dim;
}

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Outliers' keys: all may be one rank's. */
static double token_bytes(const precis_scene *s, int64_t tokens)
{
  return (double)tokens * (double)precis_keys_row_bytes(s->problem, 1);
}

/* Polynomials of each head. */
static double fits(const precis_scene *s)
{
  return (double)s->problem->kv_heads * sizeof(precis_bivariate);
}

/* Where it takes no more than the keys, or 64 MiB, a summary is kept for later calls. */
static double kept(const precis_scene *s, const precis_summary_size *size)
{
  const precis_problem *p = s->problem;
  precis_allotment measure = {.measures = 1};
  precis_kept_arrays arrays;
  precis_kept_arrays_lay(p, value_numbers(s, size),
                         PRECIS_SUMMARY_COUNTS * size->features + size->count_features, &measure,
                         &arrays);
  double keys = (double)s->keys / s->ranks * p->kv_heads * (p->dim + p->value_dim) * WORD;
  return s->prefixes || (measure.bytes > keys && measure.bytes > 0x1p26)
             ? 0
             : measure.bytes + token_bytes(s, size->outlier_keys);
}

/* Tiles of a rank that is alone on its node: three, and the slices of other nodes to each. Others
 * share the four whose sums are complete, which lie with one after the other, and have a slice at a
 * time, of no fewer numbers than are worth a message. */
static double tiles_under_way(const precis_scene *s, int apart, double numbers, double smallest)
{
  int mates = apart ? 1 : precis_scene_smallest_node(s), nodes = apart ? s->ranks : s->nodes;
  double slices = (1 - 1. / nodes) * fmax(1. / mates, fmin(1, 2 * smallest * nodes / numbers));
  return mates == 1 ? 3 * (1 + slices) : 2 + (4 + mates - 1) / mates + slices;
}

static precis_summary_extent extent_of(const precis_scene *s, const shapes *k, int64_t keys,
                                       int64_t rows)
{
  const precis_problem *p = s->problem;
  return (precis_summary_extent){.heads = p->heads,
                                 .kv_heads = p->kv_heads,
                                 .dim = p->dim,
                                 .value_dim = p->value_dim,
                                 .keys = keys,
                                 .rows = rows,
                                 .numbers_most = precis_summaries_numbers_most(&k->summary),
                                 .scratch = (int64_t)k->kernels.scratch,
                                 .threads = (int)s->rates.threads};
}

/* By the lines that allocate it for mpi/summaries/summary_work.c. */
static double work_bytes(const precis_summary_extent *extent)
{
  precis_allotment measure = {.measures = 1};
  precis_summary_arrays arrays;
  precis_summary_arrays_lay(extent, &measure, &arrays);
  precis_summary_aside_lay(extent, &measure);
  return measure.bytes;
}

/* The chain's buffers and the exact parts of blocks. */
static double prefixes_under_way(const precis_scene *s, const precis_summary_extent *extent,
                                 int with_bias)
{
  const precis_problem *p = s->problem;
  precis_allotment measure = {.measures = 1};
  precis_prefix_arrays arrays;
  precis_scene blocks = *s;
  blocks.tile_rows = PRECIS_PREFIX_PARCEL_ROWS;
  blocks.with_bias |= with_bias;
  precis_prefix_arrays_lay(extent, (extent->keys + PRECIS_KEY_BLOCK - 1) / PRECIS_KEY_BLOCK,
                           (int64_t)p->heads * PRECIS_PREFIX_PARCEL_BLOCKS, &measure, &arrays);
  return measure.bytes + 2 * WORD * (double)extent->numbers_most + LONG * rows_of(s) +
         partials(s, rows_of(s) * p->heads) + parcel(&blocks, p->kv_heads);
}

/* Three reductions under way, or what prefixes take. */
static double under_way(const precis_scene *s, const precis_summary_size *size, const shapes *k,
                        const precis_summary_extent *extent)
{
  int apart = precis_footprint_summary_apart(s, size);
  double numbers = (double)extent->numbers_most;
  if (s->prefixes)
    return prefixes_under_way(s, extent, size->outlier_keys > 0);
  return tiles_under_way(s, apart, numbers, (double)k->summary.least_slice) * WORD * numbers +
         6 * TRANSFER * s->ranks;
}

/* Keys that are left out: masks and copies of this rank's own, a batch that comes, those that wait,
 * and what queries have gathered of them. */
static double outliers(const precis_scene *s, const precis_summary_size *size)
{
  const precis_problem *p = s->problem;
  if (size->outlier_keys == 0)
    return 0;
  precis_scene batch = *s;
  batch.with_bias = 1;
  batch.tile_rows = batch.most_keys = PRECIS_OUTLIERS_MOST;
  precis_allotment measure = {.measures = 1};
  precis_outlier_arrays arrays;
  precis_outlier_arrays_lay(s->ranks, p->heads, (int64_t)parcel(&batch, p->kv_heads), &measure,
                            &arrays);
  int64_t coming = least(size->outlier_keys, PRECIS_OUTLIERS_MOST);
  return WORD * keys_of(s) + token_bytes(s, least(size->outlier_keys, precis_scene_keys(s))) +
         token_bytes(s, PRECIS_OUTLIERS_MOST) + measure.bytes +
         (double)(coming * precis_cost_outlier_key(p)) +
         (s->prefixes ? 0 : partials(s, rows_of(s) * p->heads));
}

/* When the move has given its memory back: rows that were set aside, and what it takes to answer
 * them; then judging. */
static double afterwards(const precis_scene *s, const precis_summary_size *size)
{
  const precis_problem *p = s->problem;
  double rows = fmin((double)size->outlier_queries, PRECIS_REPAIRED_MOST),
         aside = (double)sizeof(precis_failed_row) * rows_of(s) * p->heads;
  precis_scene parcels = *s;
  parcels.tile_rows = precis_shape_parcel_rows(p, s->tile_rows);
  int columns = precis_problem_columns(p);
  double each = 2 * (WORD * p->dim + LONG) + WORD * p->dim + 2 * LONG + LONG * (columns + 2) +
                (s->ranks > 1 ? 2 : 1) * WORD * (columns + 2);
  return fmax(aside + (rows > 0 ? rows * each + parcel(&parcels, p->kv_heads) : 0), judged(s));
}

/* One that will be kept apart; one that was kept before has been given up, but for prefixes. */
static double summaries(const precis_scene *s, const precis_summary_size *size)
{
  shapes k;
  shapes_of(s, size, &k);
  const precis_summary_extent extent =
      extent_of(s, &k, precis_scene_keys(s), precis_scene_queries(s));
  double move = work_bytes(&extent) + under_way(s, size, &k, &extent) + outliers(s, size);
  return held_plain(s) + (s->prefixes ? (double)s->held_kept : 0) + call(s) + fits(s) +
         fmax(move, afterwards(s, size));
}

int64_t precis_footprint_summaries_taken(const precis_scene *s, const precis_summary_size *size)
{
  shapes k;
  if (!shapes_of(s, size, &k))
    return 0;
  return whole(summaries(s, size) - held_plain(s) -
               (double)k.kernels.scratch * s->rates.threads);
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

/* Keys that have come are spread and added, batch after batch; then queries see the outliers, and
 * the summary. */
int64_t precis_footprint_kept(const precis_scene *s, const precis_summary_size *size, int64_t added)
{
  const precis_problem *p = s->problem;
  shapes k;
  if (!shapes_of(s, size, &k))
    return whole(held(s));
  const precis_summary_extent adding = extent_of(s, &k, least(added, PRECIS_KEPT_BATCH), 0),
                              seeing = extent_of(s, &k, 0, precis_scene_queries(s));
  precis_scene batch = *s;
  batch.with_bias = 1;
  batch.most_keys = least(size->outlier_keys, s->tile_rows);
  double message = WORD * PRECIS_KEPT_BATCH * (p->kv_heads * (double)(p->dim + p->value_dim) + 1),
         exact = size->outlier_keys > 0 ? partials(s, rows_of(s) * p->heads) : 0,
         tokens = size->outlier_keys > 0 ? parcel(&batch, p->kv_heads) : 0;
  double update = message + (added > 0 ? work_bytes(&adding) : 0),
         run = exact + fmax(tokens, work_bytes(&seeing));
  return whole(held(s) + call(s) + fmax(fmax(update, run), afterwards(s, size)));
}
