/* task.h - one precis_attend() under way: what every move needs, and what it must produce */
#ifndef PRECIS_MPI_MOVES_TASK_H
#define PRECIS_MPI_MOVES_TASK_H

#include <stdint.h>

#include "mpi/world/world.h"
#include "src/exact/jobs.h"
#include "src/tokens/keys.h"
#include "src/exact/parcel.h"
#include "src/precis.h"
#include "src/rows/row.h"
#include "src/schedule/shapes.h"
#include "src/layout/split.h"

typedef struct precis_task {
  precis_world *world;
  const precis_problem *problem;
  precis_engine engine;
  const precis_keys *keys;
  precis_terms terms;
  precis_parcel_kind kind; /* of a parcel of all key/value heads */
  int64_t tile_rows;       /* most keys in a parcel */
  int64_t thread_memory;   /* fast memory of a thread in bytes, equal on all ranks */

  const precis_query_map *map;
  const int64_t *key_rows; /* of each rank */
  const precis_cut *cuts;  /* shares of the heads move */
  int deal_queries, deal_keys;
  int tiles_apart, summary_apart; /* their ranks share no memory; set by a run that finds no room */

  int64_t rows; /* this rank's queries */
  const float *q;
  precis_finished to; /* results of rows x heads, in the caller's order */

  int (*poll)(void *context); /* keeps the messages of a schedule moving; NULL: none is under way */
  void *poll_context;
  int poll_status;
  double pairs;
  double seconds_summarise, seconds_apply, seconds_exact, seconds_wait;
  void (*progress)(void *context, double share);
  void *progress_context;
} precis_task;

/* The moves. Collective; all allocate and agree on it before they send. Errors: MEMORY, MPI, RANGE
 * (this rank's alone: the caller agrees on the result). */
int precis_ring_run(precis_task *task);
int precis_heads_run(precis_task *task);
int precis_queries_run(precis_task *task);

/* Where the rows of a task lie. Borrowed. */
precis_placement precis_task_placement(const precis_task *task);

/* Runs jobs with messages kept moving by the task's poll, counts pairs and seconds. */
void precis_task_compute(precis_task *task, const precis_job *jobs, int count);

/* Tells the caller that `done` of `steps` steps are done. */
void precis_task_progress(precis_task *task, int64_t done, int64_t steps);

#endif
