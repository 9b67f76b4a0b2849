/* What steps without messages do to labels, and what they must find. */
#include "tests/schedule_labels.h"

#include <stddef.h>
#include <string.h>

static int64_t cover_size(const world *w)
{
  return w->keys * w->facts->kv_heads;
}

static int kv_head(const world *w, int head)
{
  return head / (w->facts->heads / w->facts->kv_heads);
}

/* Counts rows x heads of queries in a map of all of them. */
static void tick(world *w, const precis_block *b, uint8_t *map)
{
  for (int h = b->first_head; h < b->first_head + b->heads; h++)
    for (int64_t i = 0; i < b->rows; i++)
      map[h * w->queries + w->query_start[b->owner] + b->first + i]++;
}

int world_all_are(const uint8_t *map, int64_t count, int value)
{
  for (int64_t i = 0; i < count; i++)
    if (map[i] != value)
      return 0;
  return 1;
}

/* Every key was attended once by these heads. */
static int complete(const world *w, const precis_block *b, const uint8_t *cover)
{
  for (int h = b->first_head; h < b->first_head + b->heads; h++)
    if (!world_all_are(cover + kv_head(w, h) * w->keys, w->keys, 1))
      return 0;
  return 1;
}

/* Sums kept in double take twice the bytes that they have on their way. */
static int64_t kept_as(const world *w, int rank, int slot, int64_t bytes)
{
  return precis_schedule_slot(w->schedule, rank, slot).kept ? 2 * bytes : bytes;
}

/* Whose sums are in the whole tile that a rank keeps. */
static uint64_t kept_ranks(world *w, int rank, const precis_step *step)
{
  piece found;
  precis_step kept = *step;
  kept.slot = step->into;
  kept.offset = step->into_offset;
  kept.bytes = kept_as(w, rank, step->into, step->bytes);
  return world_expect(w, rank, &kept, &found) ? found.ranks : 0;
}

/* Adds queries to those that are attended. */
static void gather(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  if (p->count == WORLD_RANKS) {
    world_complain(w, rank, step, WORLD_MEMORY, "too many queries at once");
    return;
  }
  for (int i = 0; i < p->count; i++)
    if (world_same_block(step->block, p->sums[i].block))
      world_complain(w, rank, step, WORLD_LABEL, "these queries are there already");
  p->sums[p->count++] = (gathered){step->block, world_take(w, cover_size(w))};
}

/* The queries of a step; NULL: they are not here. */
static gathered *sums_of(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  for (int i = 0; i < p->count; i++)
    if (world_same_block(step->block, p->sums[i].block))
      return &p->sums[i];
  world_complain(w, rank, step, WORLD_LABEL, "sums of other queries");
  return NULL;
}

/* How often they attended to each key, here and elsewhere. */
static uint8_t *whole_cover(world *w, int rank, const gathered *sums)
{
  uint8_t *cover = world_take(w, cover_size(w));
  for (int64_t i = 0; i < cover_size(w); i++)
    cover[i] = (uint8_t)(w->people[rank].cover[i] + sums->merged[i]);
  return cover;
}

static void pack(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  uint8_t *cover = NULL;
  uint64_t ranks = 0;
  if (step->matter == PRECIS_MATTER_SUMMARY) {
    ranks = kept_ranks(w, rank, step);
  } else if (step->matter == PRECIS_MATTER_PARTIALS) {
    const gathered *sums = sums_of(w, rank, step);
    cover = sums != NULL ? whole_cover(w, rank, sums) : NULL;
  } else if (step->matter == PRECIS_MATTER_RESULTS) {
    for (int64_t i = 0; i < step->block.rows; i++)
      if (p->has[step->block.first_head * w->queries + w->query_start[step->block.owner] +
                 step->block.first + i] != 1)
        world_complain(w, rank, step, WORLD_LABEL, "these queries are not here");
    if (!complete(w, &step->block, p->cover))
      world_complain(w, rank, step, WORLD_COVERAGE, "keys missing or twice");
  } else if (step->block.owner != rank) {
    world_complain(w, rank, step, WORLD_LABEL, "rows of another rank");
  }
  world_label(w, rank, step, ranks, cover);
}

static void unpack(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  piece found;
  if (!world_expect(w, rank, step, &found))
    return;
  if (step->matter == PRECIS_MATTER_QUERIES) {
    if (p->computed)
      world_complain(w, rank, step, WORLD_LABEL, "too late for what was attended");
    tick(w, &step->block, p->has);
    if (p->open)
      gather(w, rank, step);
  } else if (step->block.owner != rank) {
    world_complain(w, rank, step, WORLD_LABEL, "results of another rank's queries");
  } else {
    tick(w, &step->block, p->done);
  }
}

static void clear(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  if (step->matter == PRECIS_MATTER_SUMMARY)
    return;
  memset(p->cover, 0, (size_t)cover_size(w));
  p->computed = p->count = 0;
  p->open = step->block.owner < 0;
  if (!p->open)
    gather(w, rank, step);
}

static void compute(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  piece found;
  if (!world_expect(w, rank, step, &found))
    return;
  p->computed = 1;
  for (int g = step->block.first_head; g < step->block.first_head + step->block.heads; g++)
    for (int64_t j = 0; j < step->block.rows; j++)
      p->cover[g * w->keys + w->key_start[step->block.owner] + step->block.first + j]++;
}

/* Adds the sums of `ranks` to part of those that begin at `origin` in this rank's slot. */
static void add_to(world *w, int rank, const precis_step *step, piece own, int64_t origin,
                   uint64_t ranks)
{
  own.offset += origin;
  if (!world_same_block(own.block, step->block) || own.origin != own.offset)
    world_complain(w, rank, step, WORLD_LABEL, "sums of different things");
  if (own.ranks & ranks)
    world_complain(w, rank, step, WORLD_COVERAGE, "a rank is in the sum twice");
  own.ranks |= ranks;
  world_put(w, rank, w->people[rank].slot[step->into], own);
}

/* Slices of a summary that other ranks sent, added to the same slice here. */
static void merge_summary(world *w, int rank, const precis_step *step)
{
  static piece slices[PIECES], own[PIECES];
  person *p = &w->people[rank];
  if (!world_may_touch(w, rank, step, step->slot, step->offset, step->bytes, 0) || step->bytes == 0 ||
      !world_may_touch(w, rank, step, step->into, step->into_offset, 0, 1))
    return;
  int count = world_get(p->slot[step->slot], step->offset, step->bytes, slices);
  if (count < 1) {
    world_complain(w, rank, step, WORLD_LABEL, "slices are missing");
    return;
  }
  for (int i = 0; i < count; i++) {
    piece *s = &slices[i];
    int64_t origin = kept_as(w, rank, step->into, s->origin),
            bytes = kept_as(w, rank, step->into, s->bytes);
    int found = world_may_touch(w, rank, step, step->into, origin, bytes, 1)
                    ? world_get(p->slot[step->into], origin, bytes, own)
                    : -1;
    if (found < 1 || !world_same_block(s->block, step->block)) {
      world_complain(w, rank, step, WORLD_LABEL, "sums of different things");
      return;
    }
    for (int k = 0; k < found; k++)
      add_to(w, rank, step, own[k], origin, s->ranks);
  }
}

/* Whose sums are in part of a slot of rank `owner`, all of it of this step's tile, where it belongs;
 * 0 if it is something else. */
static uint64_t summed(world *w, int rank, const precis_step *step, int owner)
{
  static piece found[PIECES];
  if (!world_may_touch_of(w, rank, step, owner, step->slot, step->offset, step->bytes, 0))
    return 0;
  int count = world_get(w->people[owner].slot[step->slot], step->offset, step->bytes, found);
  for (int i = 0; i < count; i++)
    if (!world_same_block(found[i].block, step->block) || found[i].ranks != found[0].ranks ||
        found[i].origin != step->offset + found[i].offset)
      return 0;
  return count > 0 ? found[0].ranks : 0;
}

/* The same part of the vectors of all ranks of the node. */
static void sum(world *w, int rank, const precis_step *step)
{
  const precis_nodes *n = w->schedule->nodes;
  uint64_t ranks = 0;
  for (int l = 0; l < precis_nodes_mates(n, rank); l++) {
    uint64_t more = summed(w, rank, step, precis_nodes_rank(n, n->node[rank], l));
    if (more == 0)
      world_complain(w, rank, step, WORLD_LABEL, "a vector holds something else");
    if (more & ranks)
      world_complain(w, rank, step, WORLD_COVERAGE, "a rank is in the sum twice");
    ranks |= more;
  }
  if (world_may_touch(w, rank, step, step->into, step->into_offset, step->bytes, 1))
    world_put(w, rank, w->people[rank].slot[step->into],
              (piece){.offset = step->into_offset, .bytes = step->bytes, .origin = step->offset,
                      .matter = step->matter, .block = step->block, .ranks = ranks});
}

static void merge(world *w, int rank, const precis_step *step)
{
  piece found;
  if (step->matter == PRECIS_MATTER_SUMMARY) {
    merge_summary(w, rank, step);
    return;
  }
  if (!world_expect(w, rank, step, &found))
    return;
  gathered *sums = sums_of(w, rank, step);
  for (int64_t i = 0; i < cover_size(w) && sums != NULL && found.cover != NULL; i++)
    sums->merged[i] = (uint8_t)(sums->merged[i] + found.cover[i]);
}

static uint64_t ranks_below(int rank)
{
  return rank >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << rank) - 1;
}

static void summarise(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  world_label(w, rank, step, UINT64_C(1) << rank, NULL);
  for (int64_t f = 0; f < step->block.features; f++)
    p->summarised[step->block.first_head * w->facts->features + step->block.first_feature + f]++;
}

static void apply(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  piece found;
  if (!world_expect(w, rank, step, &found))
    return;
  if (found.ranks != ranks_below(w->facts->prefixes ? rank : w->schedule->ranks))
    world_complain(w, rank, step, WORLD_COVERAGE, "sums of the wrong ranks");
  for (int64_t f = 0; f < step->block.features; f++)
    p->applied[step->block.first_head * w->facts->features + step->block.first_feature + f]++;
}

static void finish(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  if (step->block.owner != rank)
    world_complain(w, rank, step, WORLD_LABEL, "results of another rank's queries");
  if (w->facts->features > 0) {
    int sees = w->facts->prefixes ? rank > 0 : 1;
    int64_t first = kv_head(w, step->block.first_head) * w->facts->features;
    if (!world_all_are(p->applied + first, w->facts->features, sees) ||
        !world_all_are(p->summarised + first, w->facts->features, 1))
      world_complain(w, rank, step, WORLD_COVERAGE, "features missing or twice");
    for (int g = 0; g < w->facts->kv_heads && w->facts->prefixes; g++)
      if (!world_all_are(p->cover + g * w->keys + w->key_start[rank], w->facts->key_rows[rank], 1))
        world_complain(w, rank, step, WORLD_COVERAGE, "keys missing or twice");
  } else {
    const gathered *sums = sums_of(w, rank, step);
    if (sums != NULL && !complete(w, &step->block, whole_cover(w, rank, sums)))
      world_complain(w, rank, step, WORLD_COVERAGE, "keys missing or twice");
  }
  tick(w, &step->block, p->done);
}

void world_work(world *w, int rank, const precis_step *step)
{
  switch (step->kind) {
  case PRECIS_STEP_PACK:
    pack(w, rank, step);
    break;
  case PRECIS_STEP_UNPACK:
    unpack(w, rank, step);
    break;
  case PRECIS_STEP_CLEAR:
    clear(w, rank, step);
    break;
  case PRECIS_STEP_COMPUTE:
    compute(w, rank, step);
    break;
  case PRECIS_STEP_SUMMARISE:
    summarise(w, rank, step);
    break;
  case PRECIS_STEP_APPLY:
    apply(w, rank, step);
    break;
  case PRECIS_STEP_MERGE:
    merge(w, rank, step);
    break;
  case PRECIS_STEP_SUM:
    sum(w, rank, step);
    break;
  case PRECIS_STEP_FINISH:
    finish(w, rank, step);
    break;
  default: /* rows are counted where they are after an exchange */
    break;
  }
}
