#include "mpi/window.h"

#include <stdatomic.h>
#include <stdlib.h>

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
  *w = (precis_window){.win = MPI_WIN_NULL,
                       .mates = precis_nodes_mates(n, rank),
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

/* Where everything is. Parts are mapped page by page, so that all ranks round up alike. */
static int find(const precis_schedule *s, precis_window *w, char **slot)
{
  for (int l = 0; l < w->mates; l++) {
    MPI_Aint bytes;
    int unit;
    char *base;
    if (MPI_Win_shared_query(w->win, l, &bytes, &unit, &base))
      return PRECIS_ERR_MEMORY;
    w->part[l] = base + (LINE - (uintptr_t)base % LINE) % LINE;
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
  return PRECIS_SUCCESS;
}

int precis_window_open(const precis_schedule *s, const precis_world *world, precis_window *w,
                       char **slot)
{
  void *base;
  if (w->part == NULL)
    return PRECIS_SUCCESS;
  MPI_Aint bytes = (MPI_Aint)(part_bytes(w, s, w->local, w->slots) + LINE);
  MPI_Info info;
  MPI_Info_create(&info);
  MPI_Info_set(info, "alloc_shared_noncontig", "true"); /* each part near its rank */
  int failed = MPI_Win_allocate_shared(bytes, 1, info, world->node_comm, &base, &w->win);
  MPI_Info_free(&info);
  if (failed || MPI_Win_lock_all(MPI_MODE_NOCHECK, w->win))
    return PRECIS_ERR_MEMORY;
  int status = find(s, w, slot);
  if (status == PRECIS_SUCCESS)
    atomic_init((mark_place *)(void *)w->part[w->local], 0);
  return status;
}

void precis_window_free(precis_window *w)
{
  if (w->win != MPI_WIN_NULL) {
    MPI_Win_unlock_all(w->win);
    MPI_Win_free(&w->win);
  }
  free(w->part);
  free(w->seen);
  *w = (precis_window){.win = MPI_WIN_NULL};
}

void precis_window_mark(precis_window *w, int64_t mark)
{
  MPI_Win_sync(w->win);
  atomic_store_explicit((mark_place *)(void *)w->part[w->local], mark, memory_order_release);
}

int precis_window_met(precis_window *w, int local, int64_t mark)
{
  mark_place *at = (mark_place *)(void *)w->part[local];
  if (atomic_load_explicit(at, memory_order_acquire) < mark)
    return 0;
  MPI_Win_sync(w->win);
  return 1;
}
