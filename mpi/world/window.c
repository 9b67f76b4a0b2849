#include "mpi/world/window.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "mpi/world/room.h"
#include "src/precis.h"

enum { LINE = 64 };

typedef _Atomic int64_t mark_place;

/* Whole cache lines. */
static int64_t lines(int64_t bytes)
{
  return (bytes + LINE - 1) / LINE * LINE;
}

/* Common slots lie with one rank after the other. */
static int lies_with(const precis_window *w, precis_slot slot, int number, int local)
{
  return slot.view == PRECIS_VIEW_NODE ||
         (slot.view == PRECIS_VIEW_COMMON && number % w->mates == local);
}

/* The bytes of a part before slot `end`; schedule->slots: of the whole part. */
static int64_t part_bytes(const precis_window *w, const precis_schedule *s, int local, int end)
{
  int64_t bytes = LINE;
  for (int i = 0; i < end; i++) {
    precis_slot slot = precis_schedule_slot(s, w->member[local], i);
    bytes += lies_with(w, slot, i, local) ? lines(slot.bytes) : 0;
  }
  return bytes;
}

int precis_window_prepare(const precis_schedule *s, int rank, precis_window *w)
{
  const precis_nodes *n = s->nodes;
  *w = (precis_window){.mates = precis_nodes_mates(n, rank),
                       .local = n->local[rank],
                       .member = n->member + n->first[n->node[rank]],
                       .slots = s->slots};
  if (!s->shares || w->mates == 1)
    return PRECIS_SUCCESS;
  w->part = calloc((size_t)w->mates, sizeof *w->part);
  w->seen = calloc((size_t)w->mates * (size_t)w->slots, sizeof *w->seen);
  if (w->part == NULL || w->seen == NULL) {
    precis_window_free(w);
    return PRECIS_ERR_MEMORY;
  }
  return PRECIS_SUCCESS;
}

/* Parts begin with pages, so that each can lie near its rank. */
static int64_t pages(int64_t bytes)
{
  int64_t page = sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

/* Where everything is. */
static void find(const precis_schedule *s, precis_window *w, char **slot)
{
  char *base = w->base;
  for (int l = 0; l < w->mates; base += pages(part_bytes(w, s, l, w->slots)), l++) {
    w->part[l] = base;
    for (int i = 0; i < w->slots; i++) {
      precis_slot made = precis_schedule_slot(s, w->member[l], i);
      char *at = w->part[l] + part_bytes(w, s, l, i);
      if (!lies_with(w, made, i, l))
        continue;
      w->seen[l * w->slots + i] = at;
      if (made.view == PRECIS_VIEW_COMMON || l == w->local)
        slot[i] = at;
    }
  }
}

int precis_window_open(const precis_schedule *s, const precis_world *world, precis_window *w,
                       char **slot)
{
  int64_t first = 0, own = 0, total = 0;
  void *base;
  if (w->part == NULL || w->base != NULL)
    return PRECIS_SUCCESS;
  for (int l = 0; l < w->mates; l++) {
    int64_t part = pages(part_bytes(w, s, l, w->slots));
    first = l == w->local ? total : first;
    own = l == w->local ? part : own;
    total += part;
  }
  int status = precis_room_map(world, first, own, total, &base);
  if (status != PRECIS_SUCCESS)
    return status;
  w->base = base;
  w->bytes = total;
  find(s, w, slot);
  return PRECIS_SUCCESS;
}

void precis_window_free(precis_window *w)
{
  if (w->base != NULL)
    precis_room_unmap(w->base, w->bytes);
  free(w->part);
  free(w->seen);
  *w = (precis_window){0};
}

void precis_window_mark(precis_window *w, int64_t mark)
{
  atomic_store_explicit((mark_place *)(void *)w->part[w->local], mark, memory_order_release);
}

int precis_window_met(precis_window *w, int local, int64_t mark)
{
  mark_place *at = (mark_place *)(void *)w->part[local];
  return atomic_load_explicit(at, memory_order_acquire) >= mark;
}
