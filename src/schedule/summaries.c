/* The summaries move as a schedule, where every query sees every key: a pipeline of reductions. */
#include "src/schedule/reduce.h"
#include "src/summary/summarise.h"

enum { STAGES = PRECIS_SUMMARIES_STAGES };

static const int64_t WORD = sizeof(float);

static int64_t pieces(int64_t all, int64_t size)
{
  return (all + size - 1) / size;
}

static int64_t tiles_of_head(const precis_summaries_shape *x)
{
  return pieces(x->features, x->tile_features) + pieces(x->count_features, x->tile_counts);
}

int64_t precis_summaries_tiles(const precis_summaries_shape *x)
{
  return x->kv_heads * tiles_of_head(x);
}

precis_block precis_summaries_tile(const precis_summaries_shape *x, int64_t number)
{
  int64_t within = number % tiles_of_head(x), values = pieces(x->features, x->tile_features);
  int counts = within >= values;
  int64_t size = counts ? x->tile_counts : x->tile_features;
  int64_t end = x->features + (counts ? x->count_features : 0);
  precis_block tile = {.owner = -1, .first_head = (int)(number / tiles_of_head(x)), .heads = 1};
  tile.first_feature = counts ? x->features + (within - values) * size : within * size;
  tile.features = end - tile.first_feature < size ? end - tile.first_feature : size;
  return tile;
}

int64_t precis_summaries_numbers(const precis_summaries_shape *x, const precis_block *tile)
{
  int with_values = tile->first_feature < x->features;
  return with_values ? precis_summary_numbers(tile->features, 0, x->value_dim)
                     : precis_summary_numbers(0, tile->features, x->value_dim);
}

int64_t precis_summaries_slice(int64_t numbers, int ranks, int rank)
{
  return numbers / ranks * rank + numbers % ranks * rank / ranks;
}

int64_t precis_summaries_numbers_most(const precis_summaries_shape *x)
{
  int64_t features = x->tile_features < x->features ? x->tile_features : x->features,
          counts = x->tile_counts < x->count_features ? x->tile_counts : x->count_features;
  int64_t with_values = precis_summary_numbers(features, 0, x->value_dim);
  return with_values > counts ? with_values : counts;
}

int64_t precis_summaries_work_bytes(const precis_summaries_shape *x, int rank)
{
  int64_t keys = x->key_rows[rank],
          rows = precis_summaries_rows(x, rank) * (x->heads / x->kv_heads);
  return precis_summaries_numbers_most(x) * 2 * (int64_t)sizeof(double) +
         keys * ((x->dim + x->value_dim + 3) * WORD + (int64_t)sizeof(double)) +
         rows * ((x->dim + x->value_dim + 3) * WORD + 4 * (int64_t)sizeof(double));
}

static void summarise(precis_emitter *e, const precis_reduction *r)
{
  precis_emit_local(e, PRECIS_STEP_SUMMARISE, PRECIS_MATTER_SUMMARY, r->tile, r->vector,
                    r->numbers * WORD, PRECIS_SUMMARIES_WORK);
}

static void apply(precis_emitter *e, const precis_reduction *r, int last_of_head)
{
  const precis_summaries_shape *x = e->schedule->shape;
  int group = x->heads / x->kv_heads;
  precis_block rows = {.owner = e->rank,
                       .rows = precis_summaries_rows(x, e->rank),
                       .first_head = r->tile.first_head * group,
                       .heads = group};
  precis_emit_local(e, PRECIS_STEP_APPLY, PRECIS_MATTER_SUMMARY, r->tile, r->result,
                    r->numbers * WORD, PRECIS_SUMMARIES_WORK);
  if (last_of_head)
    precis_emit_local(e, PRECIS_STEP_FINISH, PRECIS_MATTER_RESULTS, rows, -1, 0,
                      PRECIS_SUMMARIES_WORK);
}

/* What ranks of a node do for each other in a round lies between two meetings. To come to a meeting
 * and to wait for the others are apart, and a tile is applied in between. */
static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  int64_t tiles = precis_summaries_tiles(s->shape);
  int shared = precis_reduction_shared(&e), lag = shared ? STAGES : STAGES - 1;
  precis_reduction r, newest = precis_reduction_at(&e, round);
  if (round < tiles)
    summarise(&e, &newest);
  if (round < tiles && !shared)
    precis_reduction_send_slices(&e, &newest);
  if (round >= 1 && round - 1 < tiles) {
    r = precis_reduction_at(&e, round - 1);
    precis_reduction_turn(&e, &r);
  }
  if (round >= 2 && round - 2 < tiles) { /* all sums that come to this rank are here */
    r = precis_reduction_at(&e, round - 2);
    precis_reduction_wait(&e, &r);
  }
  precis_emit_mark(&e, round + 1);
  if (round >= lag && round - lag < tiles) {
    r = precis_reduction_at(&e, round - lag);
    apply(&e, &r, (round - lag + 1) % tiles_of_head(s->shape) == 0);
  }
  precis_emit_meet(&e, round + 1);
  if (round < tiles && shared) {
    precis_reduction_sum_node(&e, &newest);
    precis_reduction_send_slices(&e, &newest);
  }
  return e.status;
}

/* Slots that a rank has no use for are empty. */
static precis_slot slot(const precis_schedule *s, int rank, int number)
{
  const precis_summaries_shape *x = s->shape;
  int shared = precis_nodes_mates(s->nodes, rank) > 1;
  int64_t most = precis_summaries_numbers_most(x), bytes = most * WORD;
  if (number == PRECIS_SUMMARIES_WORK)
    return (precis_slot){.name = "work", .kept = 1, .bytes = precis_summaries_work_bytes(x, rank)};
  if (number < PRECIS_SUMMARIES_SLICES) {
    int used = !shared || number - PRECIS_SUMMARIES_VECTOR < PRECIS_REDUCTION_SHARED_VECTORS;
    return (precis_slot){.name = "tile",
                         .travels = 1,
                         .bytes = used ? bytes : 0,
                         .view = shared ? PRECIS_VIEW_NODE : PRECIS_VIEW_RANK};
  }
  if (number >= PRECIS_SUMMARIES_RESULT)
    return (precis_slot){.name = "sums",
                         .travels = 1,
                         .bytes = shared ? bytes : 0,
                         .view = shared ? PRECIS_VIEW_COMMON : PRECIS_VIEW_RANK};
  int used = !shared || number == PRECIS_SUMMARIES_SLICES;
  return (precis_slot){.name = "slices",
                       .travels = 1,
                       .bytes = used ? precis_reduction_slices_bytes(x, s->nodes, rank, most) : 0};
}

double precis_summaries_flops(const precis_schedule *s, int rank, const precis_step *step)
{
  const precis_summaries_shape *x = s->shape;
  int64_t rows = step->kind == PRECIS_STEP_APPLY
                     ? precis_summaries_rows(x, rank) * (x->heads / x->kv_heads)
                     : x->key_rows[rank];
  return 2.0 * (double)precis_summaries_numbers(x, &step->block) * (double)rows;
}

precis_schedule precis_schedule_summaries(const precis_summaries_shape *x,
                                          const precis_nodes *nodes)
{
  return (precis_schedule){.move = "summaries",
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = precis_summaries_tiles(x) + STAGES - (nodes->largest == 1),
                           .shares = nodes->largest > 1,
                           .slots = PRECIS_SUMMARIES_SLOTS,
                           .requests = STAGES * 2 * (nodes->ranks - 1),
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = precis_summaries_flops};
}
