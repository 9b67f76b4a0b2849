#include "tests/schedule_labels.h"

#include <stddef.h>

static int meets(int64_t a, int64_t a_bytes, int64_t b, int64_t b_bytes)
{
  return a < b + b_bytes && b < a + a_bytes;
}

/* Whether what `other` did after its mark `marks` is over for `rank`. */
static int ordered(const world *w, int rank, int other, int64_t marks)
{
  return rank == other || w->people[rank].met > marks;
}

static int under_way(const person *p, int slot, int64_t offset, int64_t bytes, int writing)
{
  for (int i = 0; i < MESSAGES; i++) {
    const message *m = &p->messages[i];
    if (m->started && m->step.slot == slot && (m->receiving || writing) &&
        meets(offset, bytes, m->step.offset, m->step.bytes))
      return 1;
  }
  return 0;
}

/* Messages of the owner, or of all ranks that have the slot in common. */
static int busy(const world *w, int owner, int slot, int64_t offset, int64_t bytes, int writing)
{
  const precis_nodes *n = w->schedule->nodes;
  if (precis_schedule_slot(w->schedule, owner, slot).view != PRECIS_VIEW_COMMON)
    return under_way(&w->people[owner], slot, offset, bytes, writing);
  for (int l = 0; l < precis_nodes_mates(n, owner); l++)
    if (under_way(&w->people[precis_nodes_rank(n, n->node[owner], l)], slot, offset, bytes, writing))
      return 1;
  return 0;
}

static void log_reading(world *w, int rank, buffer *b, int64_t offset, int64_t bytes)
{
  reading now = {rank, offset, bytes, w->people[rank].marks};
  for (int i = 0; i < b->read; i++)
    if (b->readings[i].rank == rank && b->readings[i].offset == offset &&
        b->readings[i].bytes == bytes) {
      b->readings[i] = now;
      return;
    }
  if (b->read == READINGS)
    world_complain(w, rank, NULL, WORLD_MEMORY, "too many readings");
  else
    b->readings[b->read++] = now;
}

/* What others wrote here, and, before it is written, what they read. */
static int settled(const world *w, int rank, const buffer *b, int64_t offset, int64_t bytes,
                   int writing)
{
  for (int i = 0; i < b->count; i++) {
    const piece *x = &b->pieces[i];
    if (meets(offset, bytes, x->offset, x->bytes) && !ordered(w, rank, x->writer, x->marks))
      return 0;
  }
  for (int i = 0; i < b->read && writing; i++) {
    const reading *x = &b->readings[i];
    if (meets(offset, bytes, x->offset, x->bytes) && !ordered(w, rank, x->rank, x->marks))
      return 0;
  }
  return 1;
}

int world_may_touch_of(world *w, int rank, const precis_step *step, int owner, int slot,
                       int64_t offset, int64_t bytes, int writing)
{
  const int *node = w->schedule->nodes->node;
  if (slot < 0 || slot >= w->schedule->slots || offset < 0 || bytes < 0 ||
      offset + bytes > w->people[owner].slot[slot]->size) {
    world_complain(w, rank, step, WORLD_BOUNDS, "outside of the slot");
    return 0;
  }
  if (step->matter == PRECIS_MATTER_KEYS && offset % (int64_t)sizeof(int64_t) != 0) {
    world_complain(w, rank, step, WORLD_BOUNDS, "no place for positions, which have 8 bytes");
    return 0;
  }
  precis_slot_view view = precis_schedule_slot(w->schedule, owner, slot).view;
  buffer *b = w->people[owner].slot[slot];
  if (owner != rank && (node[owner] != node[rank] || view == PRECIS_VIEW_RANK || writing)) {
    world_complain(w, rank, step, WORLD_UNORDERED, "the slot is another rank's");
    return 0;
  }
  if (busy(w, owner, slot, offset, bytes, writing)) {
    world_complain(w, rank, step, WORLD_OVERWRITE, "a message is under way there");
    return 0;
  }
  if (!settled(w, rank, b, offset, bytes, writing)) {
    world_complain(w, rank, step, WORLD_UNORDERED, "another rank may be at it");
    return 0;
  }
  if (!writing && view != PRECIS_VIEW_RANK)
    log_reading(w, rank, b, offset, bytes);
  return 1;
}

int world_may_touch(world *w, int rank, const precis_step *step, int slot, int64_t offset,
                    int64_t bytes, int writing)
{
  return world_may_touch_of(w, rank, step, rank, slot, offset, bytes, writing);
}

void world_settle(world *w, int rank, const precis_step *step)
{
  buffer *b = w->people[rank].slot[step->slot];
  if (step->kind == PRECIS_STEP_SEND) {
    if (precis_schedule_slot(w->schedule, rank, step->slot).view != PRECIS_VIEW_RANK)
      log_reading(w, rank, b, step->offset, step->bytes);
    return;
  }
  for (int i = 0; i < b->count; i++)
    if (meets(step->offset, step->bytes, b->pieces[i].offset, b->pieces[i].bytes))
      b->pieces[i].marks = w->people[rank].marks;
}

/* Makes room in a buffer: what was there is gone, or cut. */
static void erase(world *w, buffer *b, int64_t offset, int64_t bytes)
{
  for (int i = 0; i < b->count; i++) {
    piece *x = &b->pieces[i];
    if (!meets(offset, bytes, x->offset, x->bytes))
      continue;
    int64_t end = x->offset + x->bytes, cut = offset + bytes;
    if (end > cut && x->offset < offset) { /* a hole in it */
      if (b->count == PIECES) {
        world_complain(w, 0, NULL, WORLD_MEMORY, "too many pieces");
        return;
      }
      b->pieces[b->count] = *x;
      b->pieces[b->count].origin += cut - x->offset;
      b->pieces[b->count].offset = cut;
      b->pieces[b->count++].bytes = end - cut;
      x->bytes = offset - x->offset;
    } else if (end > cut) {
      x->origin += cut - x->offset;
      x->offset = cut;
      x->bytes = end - cut;
    } else if (x->offset < offset) {
      x->bytes = offset - x->offset;
    } else {
      *x = b->pieces[--b->count];
      i--;
    }
  }
}

void world_put(world *w, int rank, buffer *b, piece x)
{
  if (x.bytes == 0)
    return;
  x.writer = rank;
  x.marks = w->people[rank].marks;
  erase(w, b, x.offset, x.bytes);
  if (b->count == PIECES)
    world_complain(w, 0, NULL, WORLD_MEMORY, "too many pieces");
  else
    b->pieces[b->count++] = x;
}

int world_get(const buffer *b, int64_t offset, int64_t bytes, piece *to)
{
  int count = 0;
  int64_t found = 0;
  for (int i = 0; i < b->count; i++) {
    piece x = b->pieces[i];
    if (!meets(offset, bytes, x.offset, x.bytes))
      continue;
    int64_t low = x.offset > offset ? x.offset : offset;
    int64_t high = x.offset + x.bytes < offset + bytes ? x.offset + x.bytes : offset + bytes;
    x.origin += low - x.offset;
    x.offset = low - offset;
    x.bytes = high - low;
    found += x.bytes;
    to[count++] = x;
  }
  return found == bytes ? count : -1;
}

int world_same_block(precis_block a, precis_block b)
{
  return a.owner == b.owner && a.first == b.first && a.rows == b.rows &&
         a.first_head == b.first_head && a.heads == b.heads &&
         a.first_feature == b.first_feature && a.features == b.features;
}

int world_expect(world *w, int rank, const precis_step *step, piece *found)
{
  static piece pieces[PIECES];
  int count, owner = step->kind == PRECIS_STEP_COMPUTE && step->peer >= 0 ? step->peer : rank;
  if (!world_may_touch_of(w, rank, step, owner, step->slot, step->offset, step->bytes, 0))
    return 0;
  count = world_get(w->people[owner].slot[step->slot], step->offset, step->bytes, pieces);
  for (int i = 0; i < count; i++)
    if (pieces[i].matter != step->matter || !world_same_block(pieces[i].block, step->block) ||
        pieces[i].origin != pieces[i].offset || pieces[i].ranks != pieces[0].ranks)
      count = -1;
  if (count < 1) {
    world_complain(w, rank, step, WORLD_LABEL, "the slot holds something else");
    return 0;
  }
  *found = pieces[0];
  return 1;
}

void world_label(world *w, int rank, const precis_step *step, uint64_t ranks, uint8_t *cover)
{
  if (world_may_touch(w, rank, step, step->slot, step->offset, step->bytes, 1))
    world_put(w, rank, w->people[rank].slot[step->slot],
        (piece){.offset = step->offset, .bytes = step->bytes, .matter = step->matter,
                .block = step->block, .ranks = ranks, .cover = cover});
}
