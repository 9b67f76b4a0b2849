#include "src/schedule/schedule.h"

#include <stdlib.h>

#include "src/precis.h"

int precis_schedule_visit(const precis_schedule *s, int rank, int64_t round,
                          precis_step_visit *visit, void *context)
{
  return s->visit(s, rank, round, visit, context);
}

precis_slot precis_schedule_slot(const precis_schedule *s, int rank, int slot)
{
  return s->slot(s, rank, slot);
}

int64_t precis_schedule_memory(const precis_schedule *s, int rank)
{
  int64_t bytes = 0;
  for (int i = 0; i < s->slots; i++) {
    precis_slot slot = precis_schedule_slot(s, rank, i);
    bytes += slot.view == PRECIS_VIEW_COMMON ? slot.bytes / precis_nodes_mates(s->nodes, rank)
                                             : slot.bytes;
  }
  return bytes;
}

double precis_schedule_flops(const precis_schedule *s, int rank, const precis_step *step)
{
  switch (step->kind) {
  case PRECIS_STEP_COMPUTE:
  case PRECIS_STEP_SUMMARISE:
  case PRECIS_STEP_APPLY:
    return s->flops(s, rank, step);
  case PRECIS_STEP_PACK:
  case PRECIS_STEP_UNPACK:
  case PRECIS_STEP_MERGE:
    return (double)step->bytes / (double)sizeof(float);
  case PRECIS_STEP_SUM:
    return (double)step->bytes / (double)sizeof(float) * precis_nodes_mates(s->nodes, rank);
  default:
    return 0;
  }
}

static int count(void *context, const precis_step *step)
{
  precis_schedule_totals *t = context;
  t->steps++;
  if (step->kind == PRECIS_STEP_SEND) {
    t->messages++;
    t->node_bytes += step->link == PRECIS_LINK_NODE ? step->bytes : 0;
    t->network_bytes += step->link == PRECIS_LINK_NETWORK ? step->bytes : 0;
  }
  if (step->kind == PRECIS_STEP_EXCHANGE)
    t->exchanged_bytes =
        step->bytes < 0 || t->exchanged_bytes < 0 ? -1 : t->exchanged_bytes + step->bytes;
  return 0;
}

precis_schedule_totals precis_schedule_count(const precis_schedule *s, int rank)
{
  precis_schedule_totals totals = {0};
  precis_schedule_count_some(s, rank, 0, s->rounds, INT64_MAX, &totals);
  return totals;
}

int64_t precis_schedule_count_some(const precis_schedule *s, int rank, int64_t first, int64_t end,
                                   int64_t most, precis_schedule_totals *totals)
{
  int64_t before = totals->steps;
  for (; first < end && totals->steps - before <= most; first++)
    precis_schedule_visit(s, rank, first, count, totals);
  return first;
}

typedef struct list {
  precis_step *steps;
  int64_t count, room;
} list;

static int append(void *context, const precis_step *step)
{
  list *l = context;
  if (l->count == l->room) {
    int64_t room = l->room > 0 ? 2 * l->room : 64;
    precis_step *more = realloc(l->steps, (size_t)room * sizeof *more);
    if (more == NULL)
      return PRECIS_ERR_MEMORY;
    l->steps = more;
    l->room = room;
  }
  l->steps[l->count++] = *step;
  return PRECIS_SUCCESS;
}

int precis_schedule_list(const precis_schedule *s, int rank, precis_step **steps, int64_t *count_)
{
  list l = {.steps = malloc(sizeof *l.steps), .room = 1};
  int status = l.steps ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  for (int64_t round = 0; round < s->rounds && status == PRECIS_SUCCESS; round++)
    status = precis_schedule_visit(s, rank, round, append, &l);
  if (status != PRECIS_SUCCESS) {
    free(l.steps);
    return status;
  }
  *steps = l.steps;
  *count_ = l.count;
  return PRECIS_SUCCESS;
}

const char *precis_step_kind_name(precis_step_kind kind)
{
  switch (kind) {
#define X(name, text)                                                                              \
  case PRECIS_STEP_##name:                                                                         \
    return text;
    PRECIS_STEP_KINDS(X)
#undef X
  }
  return "?";
}

const char *precis_step_matter_name(precis_step_matter matter)
{
  switch (matter) {
#define X(name, text)                                                                              \
  case PRECIS_MATTER_##name:                                                                       \
    return text;
    PRECIS_STEP_MATTERS(X)
#undef X
  }
  return "?";
}

const char *precis_link_name(precis_link link)
{
  return link == PRECIS_LINK_NODE ? "node" : link == PRECIS_LINK_NETWORK ? "network" : "-";
}
