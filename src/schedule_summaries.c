/* The summaries move as a schedule, where every query sees every key: a pipeline of reductions. */
#include "src/schedule_emit.h"

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
  return tile->features * (tile->first_feature < x->features ? x->value_dim + 1 : 1);
}

int64_t precis_summaries_slice(int64_t numbers, int ranks, int rank)
{
  return numbers / ranks * rank + numbers % ranks * rank / ranks;
}

int64_t precis_summaries_numbers_most(const precis_summaries_shape *x)
{
  int64_t values =
      (x->tile_features < x->features ? x->tile_features : x->features) * (x->value_dim + 1);
  int64_t counts = x->tile_counts < x->count_features ? x->tile_counts : x->count_features;
  return values > counts ? values : counts;
}

int64_t precis_summaries_work_bytes(const precis_summaries_shape *x, int rank)
{
  int64_t keys = x->key_rows[rank],
          rows = precis_summaries_rows(x, rank) * (x->heads / x->kv_heads);
  return precis_summaries_numbers_most(x) * 2 * (int64_t)sizeof(double) +
         keys * ((x->dim + x->value_dim + 1) * WORD + (int64_t)sizeof(double)) +
         rows * ((x->dim + x->value_dim + 2) * WORD + (int64_t)sizeof(double));
}

/* Tile t, in its stage. */
typedef struct stage {
  precis_block tile;
  int64_t numbers;
  int number, vector, slices, request; /* slots and the first request */
} stage;

static stage stage_of(const precis_schedule *s, int64_t t)
{
  stage g = {.tile = precis_summaries_tile(s->shape, t), .number = (int)(t % STAGES)};
  g.numbers = precis_summaries_numbers(s->shape, &g.tile);
  g.vector = PRECIS_SUMMARIES_VECTOR + g.number;
  g.slices = PRECIS_SUMMARIES_SLICES + g.number;
  g.request = g.number * 2 * (s->ranks - 1);
  return g;
}

/* The part of the vector that a rank sums; `shift` places away from this one, as not all ranks are
 * to send to the same one first. */
static precis_message_place part_of(const precis_emitter *e, const stage *g, int rank)
{
  int64_t first = precis_summaries_slice(g->numbers, e->schedule->ranks, rank);
  int64_t end = precis_summaries_slice(g->numbers, e->schedule->ranks, rank + 1);
  return (precis_message_place){
      .slot = g->vector, .offset = first * WORD, .bytes = (end - first) * WORD, .tag = g->number};
}

static void wait_all(precis_emitter *e, const stage *g)
{
  if (e->schedule->ranks > 1)
    precis_emit_wait(e, g->request, 2 * (e->schedule->ranks - 1));
}

/* Summarises a tile, and sends every rank the slice that it sums. */
static void start(precis_emitter *e, const stage *g)
{
  int ranks = e->schedule->ranks;
  precis_message_place own = part_of(e, g, e->rank);
  precis_emit_local(e, PRECIS_STEP_SUMMARISE, PRECIS_MATTER_SUMMARY, g->tile, g->vector,
                    g->numbers * WORD, PRECIS_SUMMARIES_WORK);
  for (int s = 1; s < ranks; s++)
    precis_emit_receive(e, PRECIS_MATTER_SUMMARY, g->tile, (e->rank + s) % ranks,
                        (precis_message_place){.slot = g->slices,
                                               .offset = (s - 1) * own.bytes,
                                               .bytes = own.bytes,
                                               .tag = own.tag,
                                               .request = g->request + s - 1});
  for (int s = 1; s < ranks; s++) {
    precis_message_place place = part_of(e, g, (e->rank + s) % ranks);
    place.request = g->request + ranks - 1 + s - 1;
    precis_emit_send(e, PRECIS_MATTER_SUMMARY, g->tile, (e->rank + s) % ranks, place);
  }
}

/* Sums the slices that have come, and sends the sums to all. */
static void turn(precis_emitter *e, const stage *g)
{
  int ranks = e->schedule->ranks;
  precis_message_place own = part_of(e, g, e->rank);
  precis_step merge = precis_step_new(PRECIS_STEP_MERGE, PRECIS_MATTER_SUMMARY, g->tile);
  wait_all(e, g);
  merge.slot = g->slices;
  merge.bytes = (ranks - 1) * own.bytes;
  merge.into = g->vector;
  merge.into_offset = own.offset;
  if (merge.bytes > 0)
    precis_emit(e, merge);
  for (int s = 1; s < ranks; s++) {
    precis_message_place place = part_of(e, g, (e->rank + s) % ranks);
    place.request = g->request + s - 1;
    precis_emit_receive(e, PRECIS_MATTER_SUMMARY, g->tile, (e->rank + s) % ranks, place);
  }
  for (int s = 1; s < ranks; s++) {
    own.request = g->request + ranks - 1 + s - 1;
    precis_emit_send(e, PRECIS_MATTER_SUMMARY, g->tile, (e->rank + s) % ranks, own);
  }
}

static void apply(precis_emitter *e, const stage *g, int last_of_head)
{
  const precis_summaries_shape *x = e->schedule->shape;
  int group = x->heads / x->kv_heads;
  precis_block rows = {.owner = e->rank,
                       .rows = precis_summaries_rows(x, e->rank),
                       .first_head = g->tile.first_head * group,
                       .heads = group};
  precis_emit_local(e, PRECIS_STEP_APPLY, PRECIS_MATTER_SUMMARY, g->tile, g->vector,
                    g->numbers * WORD, PRECIS_SUMMARIES_WORK);
  if (last_of_head)
    precis_emit_local(e, PRECIS_STEP_FINISH, PRECIS_MATTER_RESULTS, rows, -1, 0,
                      PRECIS_SUMMARIES_WORK);
}

static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  const precis_summaries_shape *x = s->shape;
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  int64_t tiles = precis_summaries_tiles(x);
  stage g;
  if (round < tiles) {
    g = stage_of(s, round);
    start(&e, &g);
  }
  if (round >= 1 && round - 1 < tiles) {
    g = stage_of(s, round - 1);
    turn(&e, &g);
  }
  if (round >= 2) {
    g = stage_of(s, round - 2);
    wait_all(&e, &g);
    apply(&e, &g, (round - 1) % tiles_of_head(x) == 0);
  }
  return e.status;
}

static precis_slot slot(const precis_schedule *s, int rank, int number)
{
  const precis_summaries_shape *x = s->shape;
  int64_t most = precis_summaries_numbers_most(x);
  if (number == PRECIS_SUMMARIES_WORK)
    return (precis_slot){.name = "work", .kept = 1, .bytes = precis_summaries_work_bytes(x, rank)};
  if (number < PRECIS_SUMMARIES_SLICES)
    return (precis_slot){.name = "tile", .travels = 1, .bytes = most * WORD};
  return (precis_slot){
      .name = "slices", .travels = 1, .bytes = (most / s->ranks + 1) * (s->ranks - 1) * WORD};
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
                           .rounds = precis_summaries_tiles(x) + STAGES - 1,
                           .slots = PRECIS_SUMMARIES_SLOTS,
                           .requests = STAGES * 2 * (nodes->ranks - 1),
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = precis_summaries_flops};
}
