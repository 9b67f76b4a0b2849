/* execute.h - carries out a schedule
 *
 * Messages, waiting and the loop over rounds are here; what a step does to this rank's memory
 * (packing, computing, merging, finishing) is the move's, which talks to nobody. The exception is
 * an exchange of rows, which the move hands to mpi/rows/deal.h. Ranks of a node see each other's slots
 * through a window, which is there while the schedule runs. */
#ifndef PRECIS_MPI_MOVES_EXECUTE_H
#define PRECIS_MPI_MOVES_EXECUTE_H

#include <stdint.h>

#include "mpi/moves/task.h"
#include "mpi/world/window.h"
#include "src/schedule/schedule.h"

typedef struct precis_execution precis_execution;
struct precis_execution {
  precis_task *task;
  const precis_schedule *schedule;
  char **slot; /* memory of each; NULL where the move keeps it, or in the window, which
                  opens as the run begins */
  precis_window window;
  int opened;                /* it was */
  int without_room;          /* the window could not be had, on any rank of all */
  precis_transfer *transfer; /* of each request */
  int64_t round;             /* rounds before this one are done */
  int out_of_range;          /* a step returned RANGE */
  int tells;                 /* progress to the caller; set, and cleared for what comes after it */
  /* Any step but messages, waiting and meeting. RANGE is this rank's own: the run goes on, as
   * others need this rank, and returns it at the end. Other errors end the run, so all ranks must
   * return them alike. */
  int (*work)(precis_execution *execution, const precis_step *step);
  void *move;
};

/* Not collective: the caller agrees on the result before it runs. Takes all memory that the run
 * needs for messages, but for the window. Errors: MEMORY. */
int precis_execution_create(precis_task *task, const precis_schedule *schedule,
                            int (*work)(precis_execution *execution, const precis_step *step),
                            void *move, precis_execution *execution);
void precis_execution_free(precis_execution *execution);

/* Collective, before the run, which else begins with it. Opens the window, where ranks share slots.
 * Errors: MEMORY (on all ranks; without_room is set: a schedule of ranks apart needs none), MPI. */
int precis_execution_open(precis_execution *execution);

/* Collective. Carries out rounds up to `end` (exclusive; schedule->rounds: all). Between two calls
 * all ranks stand at the same boundary; what the schedule says of quiet ones holds. Errors: those
 * of work, MPI, MEMORY. */
int precis_execution_run(precis_execution *execution, int64_t end);

/* Keeps messages moving; the task's poll while a run is under way. */
int precis_execution_poll(precis_execution *execution);

/* The memory that a step names. */
static inline void *precis_execution_at(const precis_execution *execution, const precis_step *step)
{
  return execution->slot[step->slot] + step->offset;
}

/* The same memory of local rank `local` of this node, which lies in the window. */
static inline const void *precis_execution_seen(const precis_execution *execution, int local,
                                                const precis_step *step)
{
  const precis_window *w = &execution->window;
  return w->seen[local * w->slots + step->slot] + step->offset;
}

#endif
