#include "tests/schedule_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PIECES = 4 * WORLD_RANKS, MESSAGES = 8 * WORLD_RANKS };

/* Part of a buffer: bytes from `origin` on of something. */
typedef struct piece {
  int64_t offset, bytes, origin;
  precis_step_matter matter;
  precis_block block;
  uint64_t ranks; /* whose sums are in a summary */
  uint8_t *cover; /* of partials: kv_heads x keys, how often each was attended */
} piece;

typedef struct buffer {
  int64_t size;
  int count;
  piece pieces[PIECES];
} buffer;

typedef struct message {
  int active, started, receiving, request;
  int64_t order; /* of starting, on its rank */
  precis_step step;
  int count; /* labels of what is sent */
  piece *pieces;
} message;

typedef struct person {
  int64_t at; /* next step */
  int64_t order;
  buffer *slot;
  message messages[MESSAGES];
  uint8_t *cover;    /* of the sums: kv_heads x keys */
  int computed;      /* since the last CLEAR */
  precis_block sums; /* whose sums they are */
  uint8_t *has;      /* heads x queries of all ranks: here to be attended */
  uint8_t *done;     /* heads x queries of all ranks: results at home */
  uint8_t *summarised, *applied; /* kv_heads x features */
} person;

typedef struct world {
  const precis_schedule *schedule;
  const world_facts *facts;
  const world_lists *lists;
  int64_t keys, queries, key_start[WORLD_RANKS + 1], query_start[WORLD_RANKS + 1];
  person *people;
  void **memory; /* to be freed at the end */
  int64_t pieces_of_memory;
  world_verdict verdict;
  int aloud;
} world;

void world_lists_make(const precis_schedule *schedule, world_lists *lists)
{
  for (int r = 0; r < schedule->ranks; r++)
    assert_int_equal(precis_schedule_list(schedule, r, &lists->steps[r], &lists->count[r]), 0);
}

void world_lists_free(world_lists *lists)
{
  for (int r = 0; r < WORLD_RANKS; r++)
    free(lists->steps[r]);
  memset(lists, 0, sizeof *lists);
}

const char *world_verdict_name(world_verdict verdict)
{
  static const char *const names[] = {
#define X(name) #name,
      WORLD_VERDICTS(X)
#undef X
  };
  return names[verdict];
}

static void *take(world *w, int64_t bytes)
{
  void *memory = calloc((size_t)bytes + 1, 1);
  assert_non_null(memory);
  if ((w->pieces_of_memory & (w->pieces_of_memory - 1)) == 0) {
    w->memory = realloc(w->memory, (size_t)(2 * w->pieces_of_memory + 1) * sizeof *w->memory);
    assert_non_null(w->memory);
  }
  return w->memory[w->pieces_of_memory++] = memory;
}

/* Only the first complaint counts. */
static void complain(world *w, int rank, const precis_step *step, world_verdict verdict,
                     const char *why)
{
  if (w->verdict != WORLD_GOOD)
    return;
  w->verdict = verdict;
  if (w->aloud)
    fprintf(stderr, "%s, rank %d, step %lld (%s %s): %s: %s\n", w->schedule->move, rank,
            (long long)w->people[rank].at, step ? precis_step_kind_name(step->kind) : "end",
            step ? precis_step_matter_name(step->matter) : "", world_verdict_name(verdict), why);
}

static int meets(int64_t a, int64_t a_bytes, int64_t b, int64_t b_bytes)
{
  return a < b + b_bytes && b < a + a_bytes;
}

/* Whether a step may read or write part of a slot. */
static int may_touch(world *w, int rank, const precis_step *step, int slot, int64_t offset,
                     int64_t bytes, int writing)
{
  person *p = &w->people[rank];
  if (slot < 0 || slot >= w->schedule->slots || offset < 0 || bytes < 0 ||
      offset + bytes > p->slot[slot].size) {
    complain(w, rank, step, WORLD_BOUNDS, "outside of the slot");
    return 0;
  }
  for (int i = 0; i < MESSAGES; i++) {
    const message *m = &p->messages[i];
    if (m->started && m->step.slot == slot && (m->receiving || writing) &&
        meets(offset, bytes, m->step.offset, m->step.bytes)) {
      complain(w, rank, step, WORLD_OVERWRITE, "a message is under way there");
      return 0;
    }
  }
  return 1;
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
        complain(w, 0, NULL, WORLD_MEMORY, "too many pieces");
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

static void put(world *w, buffer *b, piece x)
{
  if (x.bytes == 0)
    return;
  erase(w, b, x.offset, x.bytes);
  if (b->count == PIECES)
    complain(w, 0, NULL, WORLD_MEMORY, "too many pieces");
  else
    b->pieces[b->count++] = x;
}

/* Labels of part of a buffer, with offsets from its start; returns how many, -1 if there are
 * gaps. */
static int get(const buffer *b, int64_t offset, int64_t bytes, piece *to)
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

static int same_block(precis_block a, precis_block b)
{
  return a.owner == b.owner && a.first == b.first && a.rows == b.rows &&
         a.first_head == b.first_head && a.heads == b.heads &&
         a.first_feature == b.first_feature && a.features == b.features;
}

/* The slot's part is one whole thing of this name; sets *found. */
static int expect(world *w, int rank, const precis_step *step, piece *found)
{
  static piece pieces[PIECES];
  int count;
  if (!may_touch(w, rank, step, step->slot, step->offset, step->bytes, 0))
    return 0;
  count = get(&w->people[rank].slot[step->slot], step->offset, step->bytes, pieces);
  for (int i = 0; i < count; i++)
    if (pieces[i].matter != step->matter || !same_block(pieces[i].block, step->block) ||
        pieces[i].origin != pieces[i].offset || pieces[i].ranks != pieces[0].ranks)
      count = -1;
  if (count < 1) {
    complain(w, rank, step, WORLD_LABEL, "the slot holds something else");
    return 0;
  }
  *found = pieces[0];
  return 1;
}

static void label(world *w, int rank, const precis_step *step, uint64_t ranks, uint8_t *cover)
{
  if (may_touch(w, rank, step, step->slot, step->offset, step->bytes, 1))
    put(w, &w->people[rank].slot[step->slot],
        (piece){.offset = step->offset, .bytes = step->bytes, .matter = step->matter,
                .block = step->block, .ranks = ranks, .cover = cover});
}

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

static int all_are(const uint8_t *map, int64_t count, int value)
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
    if (!all_are(cover + kv_head(w, h) * w->keys, w->keys, 1))
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
  return expect(w, rank, &kept, &found) ? found.ranks : 0;
}

static void pack(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  uint8_t *cover = NULL;
  uint64_t ranks = 0;
  if (step->matter == PRECIS_MATTER_SUMMARY) {
    ranks = kept_ranks(w, rank, step);
  } else if (step->matter == PRECIS_MATTER_PARTIALS) {
    if (!same_block(step->block, p->sums))
      complain(w, rank, step, WORLD_LABEL, "sums of other queries");
    cover = take(w, cover_size(w));
    memcpy(cover, p->cover, (size_t)cover_size(w));
  } else if (step->matter == PRECIS_MATTER_RESULTS) {
    for (int64_t i = 0; i < step->block.rows; i++)
      if (p->has[step->block.first_head * w->queries + w->query_start[step->block.owner] +
                 step->block.first + i] != 1)
        complain(w, rank, step, WORLD_LABEL, "these queries are not here");
    if (!complete(w, &step->block, p->cover))
      complain(w, rank, step, WORLD_COVERAGE, "keys missing or twice");
  } else if (step->block.owner != rank) {
    complain(w, rank, step, WORLD_LABEL, "rows of another rank");
  }
  label(w, rank, step, ranks, cover);
}

static void unpack(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  piece found;
  if (!expect(w, rank, step, &found))
    return;
  if (step->matter == PRECIS_MATTER_QUERIES) {
    if (p->computed)
      complain(w, rank, step, WORLD_LABEL, "too late for what was attended");
    tick(w, &step->block, p->has);
  } else if (step->block.owner != rank) {
    complain(w, rank, step, WORLD_LABEL, "results of another rank's queries");
  } else {
    tick(w, &step->block, p->done);
  }
}

static void clear(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  piece found;
  if (step->matter == PRECIS_MATTER_SUMMARY)
    return;
  memset(p->cover, 0, (size_t)cover_size(w));
  p->computed = 0;
  p->sums = step->block;
  if (step->slot >= 0) {
    precis_step queries = *step;
    queries.matter = PRECIS_MATTER_QUERIES;
    expect(w, rank, &queries, &found);
  }
}

static void compute(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  piece found;
  if (!expect(w, rank, step, &found))
    return;
  p->computed = 1;
  for (int g = step->block.first_head; g < step->block.first_head + step->block.heads; g++)
    for (int64_t j = 0; j < step->block.rows; j++)
      p->cover[g * w->keys + w->key_start[step->block.owner] + step->block.first + j]++;
}

/* Slices of a summary that other ranks sent, added to the same slice here. */
static void merge_summary(world *w, int rank, const precis_step *step)
{
  static piece slices[PIECES], own[PIECES];
  person *p = &w->people[rank];
  if (!may_touch(w, rank, step, step->slot, step->offset, step->bytes, 0) || step->bytes == 0 ||
      !may_touch(w, rank, step, step->into, step->into_offset, 0, 1))
    return;
  int count = get(&p->slot[step->slot], step->offset, step->bytes, slices);
  if (count < 1) {
    complain(w, rank, step, WORLD_LABEL, "slices are missing");
    return;
  }
  for (int i = 0; i < count; i++) {
    piece *s = &slices[i];
    int64_t origin = kept_as(w, rank, step->into, s->origin),
            bytes = kept_as(w, rank, step->into, s->bytes);
    int found = may_touch(w, rank, step, step->into, origin, bytes, 1)
                    ? get(&p->slot[step->into], origin, bytes, own)
                    : -1;
    if (found != 1 || !same_block(own[0].block, s->block) || !same_block(s->block, step->block) ||
        own[0].origin != origin) {
      complain(w, rank, step, WORLD_LABEL, "sums of different things");
      return;
    }
    if (own[0].ranks & s->ranks)
      complain(w, rank, step, WORLD_COVERAGE, "a rank is in the sum twice");
    own[0].ranks |= s->ranks;
    own[0].offset = origin;
    put(w, &p->slot[step->into], own[0]);
  }
}

static void merge(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  piece found;
  if (step->matter == PRECIS_MATTER_SUMMARY) {
    merge_summary(w, rank, step);
    return;
  }
  if (!expect(w, rank, step, &found))
    return;
  if (!same_block(step->block, p->sums) || found.cover == NULL)
    complain(w, rank, step, WORLD_LABEL, "sums of other queries");
  for (int64_t i = 0; i < cover_size(w) && found.cover != NULL; i++)
    p->cover[i] = (uint8_t)(p->cover[i] + found.cover[i]);
}

static uint64_t ranks_below(int rank)
{
  return rank >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << rank) - 1;
}

static void summarise(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  label(w, rank, step, UINT64_C(1) << rank, NULL);
  for (int64_t f = 0; f < step->block.features; f++)
    p->summarised[step->block.first_head * w->facts->features + step->block.first_feature + f]++;
}

static void apply(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  piece found;
  if (!expect(w, rank, step, &found))
    return;
  if (found.ranks != ranks_below(w->facts->prefixes ? rank : w->schedule->ranks))
    complain(w, rank, step, WORLD_COVERAGE, "sums of the wrong ranks");
  for (int64_t f = 0; f < step->block.features; f++)
    p->applied[step->block.first_head * w->facts->features + step->block.first_feature + f]++;
}

static void finish(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  if (step->block.owner != rank)
    complain(w, rank, step, WORLD_LABEL, "results of another rank's queries");
  if (w->facts->features > 0) {
    int sees = w->facts->prefixes ? rank > 0 : 1;
    int64_t first = kv_head(w, step->block.first_head) * w->facts->features;
    if (!all_are(p->applied + first, w->facts->features, sees) ||
        !all_are(p->summarised + first, w->facts->features, 1))
      complain(w, rank, step, WORLD_COVERAGE, "features missing or twice");
    for (int g = 0; g < w->facts->kv_heads && w->facts->prefixes; g++)
      if (!all_are(p->cover + g * w->keys + w->key_start[rank], w->facts->key_rows[rank], 1))
        complain(w, rank, step, WORLD_COVERAGE, "keys missing or twice");
  } else {
    if (!same_block(step->block, p->sums))
      complain(w, rank, step, WORLD_LABEL, "sums of other queries");
    if (!complete(w, &step->block, p->cover))
      complain(w, rank, step, WORLD_COVERAGE, "keys missing or twice");
  }
  tick(w, &step->block, p->done);
}

static void start(world *w, int rank, const precis_step *step)
{
  static piece pieces[PIECES];
  person *p = &w->people[rank];
  int receiving = step->kind == PRECIS_STEP_RECEIVE, free_one = -1;
  if (!may_touch(w, rank, step, step->slot, step->offset, step->bytes, receiving))
    return;
  for (int i = 0; i < MESSAGES; i++) {
    if (p->messages[i].started && p->messages[i].request == step->request)
      complain(w, rank, step, WORLD_UNWAITED, "this request is under way");
    if (!p->messages[i].active && !p->messages[i].started && free_one < 0)
      free_one = i;
  }
  if (free_one < 0 || step->request < 0 || step->request >= w->schedule->requests) {
    complain(w, rank, step, WORLD_UNWAITED, "more messages than requests");
    return;
  }
  message *m = &p->messages[free_one];
  *m = (message){.active = 1, .started = 1, .receiving = receiving, .request = step->request,
                 .order = p->order++, .step = *step};
  if (receiving)
    return;
  m->count = get(&p->slot[step->slot], step->offset, step->bytes, pieces);
  if (m->count < 1) {
    complain(w, rank, step, WORLD_LABEL, "nothing to send there");
    return;
  }
  m->pieces = take(w, m->count * (int64_t)sizeof *m->pieces);
  memcpy(m->pieces, pieces, (size_t)m->count * sizeof *pieces);
}

/* The first message of a rank that is not matched yet, to or from `peer`. */
static message *first_of(person *p, int peer, int tag, int receiving)
{
  message *first = NULL;
  for (int i = 0; i < MESSAGES; i++) {
    message *m = &p->messages[i];
    if (m->active && m->receiving == receiving && m->step.peer == peer && m->step.tag == tag &&
        (first == NULL || m->order < first->order))
      first = m;
  }
  return first;
}

/* Brings together the two ends of a message; returns whether they are there. Labels are put down
 * at once: nobody may look before the wait. */
static int match(world *w, int rank, message *m)
{
  person *p = &w->people[rank], *q = &w->people[m->step.peer];
  message *mine = first_of(p, m->step.peer, m->step.tag, m->receiving);
  message *theirs = first_of(q, rank, m->step.tag, !m->receiving);
  if (mine != m || theirs == NULL)
    return 0;
  const message *sent = m->receiving ? theirs : m, *received = m->receiving ? m : theirs;
  buffer *to = &w->people[m->receiving ? rank : m->step.peer].slot[received->step.slot];
  if (sent->step.bytes != received->step.bytes) {
    complain(w, rank, &m->step, WORLD_BYTES, "the two ends differ");
    return 0;
  }
  if (sent->step.matter != received->step.matter ||
      !same_block(sent->step.block, received->step.block))
    complain(w, rank, &m->step, WORLD_LABEL, "the two ends call it different things");
  for (int i = 0; i < sent->count; i++) {
    piece x = sent->pieces[i];
    x.offset += received->step.offset;
    put(w, to, x);
  }
  mine->active = theirs->active = 0;
  return 1;
}

static int awaited(const message *m, const precis_step *step)
{
  return m->started && m->request >= step->request && m->request < step->request + step->requests;
}

/* Whether all that a step waits for has been matched. */
static int waited(world *w, int rank, const precis_step *step)
{
  person *p = &w->people[rank];
  int left, matched;
  do {
    left = matched = 0;
    for (int i = 0; i < MESSAGES; i++) {
      message *m = &p->messages[i];
      if (awaited(m, step) && m->active)
        *(match(w, rank, m) ? &matched : &left) += 1;
    }
  } while (matched > 0 && left > 0);
  for (int i = 0; i < MESSAGES && left == 0; i++)
    if (awaited(&p->messages[i], step))
      p->messages[i].started = 0;
  return left == 0;
}

/* Returns whether the rank came further. */
static int go_on(world *w, int rank)
{
  person *p = &w->people[rank];
  if (p->at == w->lists->count[rank])
    return 0;
  const precis_step *step = &w->lists->steps[rank][p->at];
  switch (step->kind) {
  case PRECIS_STEP_SEND:
  case PRECIS_STEP_RECEIVE:
    start(w, rank, step);
    break;
  case PRECIS_STEP_WAIT:
    if (!waited(w, rank, step))
      return 0;
    break;
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
  case PRECIS_STEP_FINISH:
    finish(w, rank, step);
    break;
  case PRECIS_STEP_EXCHANGE: /* rows are counted where they are after it */
    break;
  }
  p->at++;
  return 1;
}

/* At the end: nothing under way, every result at home once. */
static void check_end(world *w)
{
  for (int r = 0; r < w->schedule->ranks; r++) {
    person *p = &w->people[r];
    if (p->at < w->lists->count[r])
      complain(w, r, &w->lists->steps[r][p->at], WORLD_DEADLOCK, "waits for ever");
  }
  for (int r = 0; r < w->schedule->ranks; r++) {
    person *p = &w->people[r];
    for (int i = 0; i < MESSAGES; i++)
      if (p->messages[i].active || p->messages[i].started)
        complain(w, r, NULL, WORLD_UNWAITED, "a message is left over");
    for (int h = 0; h < w->facts->heads; h++)
      if (!all_are(p->done + h * w->queries + w->query_start[r], w->facts->query_rows[r], 1))
        complain(w, r, NULL, WORLD_COVERAGE, "results missing or twice");
  }
}

static void set_up(world *w)
{
  const world_facts *f = w->facts;
  for (int r = 0; r < f->ranks; r++) {
    w->key_start[r + 1] = w->key_start[r] + f->key_rows[r];
    w->query_start[r + 1] = w->query_start[r] + f->query_rows[r];
  }
  w->keys = w->key_start[f->ranks];
  w->queries = w->query_start[f->ranks];
  w->people = take(w, f->ranks * (int64_t)sizeof *w->people);
  for (int r = 0; r < f->ranks; r++) {
    person *p = &w->people[r];
    p->slot = take(w, w->schedule->slots * (int64_t)sizeof *p->slot);
    for (int i = 0; i < w->schedule->slots; i++)
      p->slot[i].size = precis_schedule_slot(w->schedule, r, i).bytes;
    p->cover = take(w, cover_size(w));
    p->has = take(w, f->heads * w->queries);
    p->done = take(w, f->heads * w->queries);
    p->summarised = take(w, f->kv_heads * f->features);
    p->applied = take(w, f->kv_heads * f->features);
  }
}

world_verdict world_run(const precis_schedule *schedule, const world_facts *facts,
                        const world_lists *lists, int aloud)
{
  world w = {.schedule = schedule, .facts = facts, .lists = lists, .aloud = aloud};
  int moving = 1;
  set_up(&w);
  while (moving && w.verdict == WORLD_GOOD) {
    moving = 0;
    for (int r = 0; r < schedule->ranks; r++)
      while (w.verdict == WORLD_GOOD && go_on(&w, r))
        moving = 1;
  }
  if (w.verdict == WORLD_GOOD)
    check_end(&w);
  for (int64_t i = 0; i < w.pieces_of_memory; i++)
    free(w.memory[i]);
  free(w.memory);
  return w.verdict;
}
