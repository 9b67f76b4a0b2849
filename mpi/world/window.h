/* window.h - the slots of a schedule that the ranks of a node see of each other, and where they
 * meet
 *
 * Each rank's part of the window begins with its mark, then come its slots that others see, then
 * those of the common ones that lie with it. Any rank can tell where all this is, from the schedule
 * alone. */
#ifndef PRECIS_MPI_WORLD_WINDOW_H
#define PRECIS_MPI_WORLD_WINDOW_H

#include <stdint.h>

#include "mpi/world/world.h"
#include "src/schedule/schedule.h"

typedef struct precis_window {
  char *base;        /* of all parts; NULL: there are none */
  int64_t bytes;     /* of all parts */
  int mates, local;  /* ranks of this node, and this one's number among them */
  const int *member; /* mates: their ranks; borrowed */
  char **part;       /* mates: where the part of each begins */
  char **seen;       /* mates x slots: NULL where it is not seen */
  int slots;
} precis_window;

/* Takes the memory that it needs beside the window. Nothing where this rank shares no slots. Not
 * collective. Errors: MEMORY. */
int precis_window_prepare(const precis_schedule *schedule, int rank, precis_window *window);

/* Collective over the ranks of a node that share slots. Sets those of slot[] that lie in the
 * window. They may be used, and marks be looked at, when all ranks of the node have come back from
 * it. Errors: MEMORY (see mpi/world/room.h), on all ranks of the node alike. */
int precis_window_open(const precis_schedule *schedule, const precis_world *world,
                       precis_window *window, char **slot);

/* Not collective. */
void precis_window_free(precis_window *window);

/* This rank has come to `mark`, with all that it has written and read so far. */
void precis_window_mark(precis_window *window, int64_t mark);

/* Whether local rank `local` has come to `mark`; if so, what it wrote before is there. */
int precis_window_met(precis_window *window, int local, int64_t mark);

#endif
