#include "tests/schedule_labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

void *world_take(world *w, int64_t bytes)
{
  void *memory = calloc((size_t)bytes + 1, 1);
  assert_non_null(memory);
  if ((w->pieces_of_memory & (w->pieces_of_memory - 1)) == 0) {
    w->memory = realloc(w->memory, (size_t)(2 * w->pieces_of_memory + 1) * sizeof *w->memory);
    assert_non_null(w->memory);
  }
  return w->memory[w->pieces_of_memory++] = memory;
}

void world_complain(world *w, int rank, const precis_step *step, world_verdict verdict,
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

static void start(world *w, int rank, const precis_step *step)
{
  static piece pieces[PIECES];
  person *p = &w->people[rank];
  int receiving = step->kind == PRECIS_STEP_RECEIVE, free_one = -1;
  if (!world_may_touch(w, rank, step, step->slot, step->offset, step->bytes, receiving))
    return;
  for (int i = 0; i < MESSAGES; i++) {
    if (p->messages[i].started && p->messages[i].request == step->request)
      world_complain(w, rank, step, WORLD_UNWAITED, "this request is under way");
    if (!p->messages[i].active && !p->messages[i].started && free_one < 0)
      free_one = i;
  }
  if (free_one < 0 || step->request < 0 || step->request >= w->schedule->requests) {
    world_complain(w, rank, step, WORLD_UNWAITED, "more messages than requests");
    return;
  }
  message *m = &p->messages[free_one];
  *m = (message){.active = 1, .started = 1, .receiving = receiving, .request = step->request,
                 .order = p->order++, .step = *step};
  if (receiving)
    return;
  m->count = world_get(p->slot[step->slot], step->offset, step->bytes, pieces);
  if (m->count < 1) {
    world_complain(w, rank, step, WORLD_LABEL, "nothing to send there");
    return;
  }
  m->pieces = world_take(w, m->count * (int64_t)sizeof *m->pieces);
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
  int receiver = m->receiving ? rank : m->step.peer;
  buffer *to = w->people[receiver].slot[received->step.slot];
  if (sent->step.bytes != received->step.bytes) {
    world_complain(w, rank, &m->step, WORLD_BYTES, "the two ends differ");
    return 0;
  }
  if (sent->step.matter != received->step.matter ||
      !world_same_block(sent->step.block, received->step.block))
    world_complain(w, rank, &m->step, WORLD_LABEL, "the two ends call it different things");
  for (int i = 0; i < sent->count; i++) {
    piece x = sent->pieces[i];
    x.offset += received->step.offset;
    world_put(w, receiver, to, x);
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
    if (awaited(&p->messages[i], step)) {
      p->messages[i].started = 0;
      world_settle(w, rank, &p->messages[i].step);
    }
  return left == 0;
}

static void mark(world *w, int rank, const precis_step *step)
{
  if (step->mark != w->people[rank].marks + 1)
    world_complain(w, rank, step, WORLD_LABEL, "marks count up");
  w->people[rank].marks = step->mark;
}

/* Whether all ranks of the node have come to the mark. */
static int met(world *w, int rank, const precis_step *step)
{
  const precis_nodes *n = w->schedule->nodes;
  for (int l = 0; l < precis_nodes_mates(n, rank); l++)
    if (w->people[precis_nodes_rank(n, n->node[rank], l)].marks < step->mark)
      return 0;
  w->people[rank].met = step->mark;
  return 1;
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
  case PRECIS_STEP_MARK:
    mark(w, rank, step);
    break;
  case PRECIS_STEP_MEET:
    if (!met(w, rank, step))
      return 0;
    break;
  default:
    world_work(w, rank, step);
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
      world_complain(w, r, &w->lists->steps[r][p->at], WORLD_DEADLOCK, "waits for ever");
  }
  for (int r = 0; r < w->schedule->ranks; r++) {
    person *p = &w->people[r];
    for (int i = 0; i < MESSAGES; i++)
      if (p->messages[i].active || p->messages[i].started)
        world_complain(w, r, NULL, WORLD_UNWAITED, "a message is left over");
    if (w->facts->spread && !world_all_are(p->cover, w->keys * w->facts->kv_heads, 1))
      world_complain(w, r, NULL, WORLD_COVERAGE, "keys missing or twice");
    for (int h = 0; h < w->facts->heads && !w->facts->spread; h++)
      if (!world_all_are(p->done + h * w->queries + w->query_start[r], w->facts->query_rows[r], 1))
        world_complain(w, r, NULL, WORLD_COVERAGE, "results missing or twice");
  }
}

/* The lowest rank of a node has the common ones. */
static void set_up_slots(world *w, int rank)
{
  const precis_nodes *n = w->schedule->nodes;
  int lowest = precis_nodes_rank(n, n->node[rank], 0);
  person *p = &w->people[rank];
  p->slot = world_take(w, w->schedule->slots * (int64_t)sizeof *p->slot);
  for (int i = 0; i < w->schedule->slots; i++) {
    precis_slot slot = precis_schedule_slot(w->schedule, rank, i);
    int common = slot.view == PRECIS_VIEW_COMMON && lowest < rank;
    p->slot[i] = common ? w->people[lowest].slot[i] : world_take(w, (int64_t)sizeof **p->slot);
    if (!common)
      p->slot[i]->size = slot.bytes;
    else if (p->slot[i]->size != slot.bytes)
      world_complain(w, rank, NULL, WORLD_BOUNDS, "a common slot of different sizes");
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
  w->people = world_take(w, f->ranks * (int64_t)sizeof *w->people);
  for (int r = 0; r < f->ranks; r++) {
    person *p = &w->people[r];
    set_up_slots(w, r);
    p->cover = world_take(w, w->keys * f->kv_heads);
    p->has = world_take(w, f->heads * w->queries);
    p->done = world_take(w, f->heads * w->queries);
    p->summarised = world_take(w, f->kv_heads * f->features);
    p->applied = world_take(w, f->kv_heads * f->features);
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
