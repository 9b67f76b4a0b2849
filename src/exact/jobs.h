/* jobs.h - the work of one step of a move: some heads' queries against some heads' tiles, over the
 * threads
 *
 * Pure computation with one opening for whoever moves the data: `poll` is called from the calling
 * thread every few milliseconds, so that messages in flight make progress (Open MPI has no thread
 * for it). */
#ifndef PRECIS_SRC_EXACT_JOBS_H
#define PRECIS_SRC_EXACT_JOBS_H

#include <stdint.h>

#include "src/exact/partial.h"
#include "src/exact/tile.h"

/* One head's queries and one head's keys. Jobs of one call have disjoint partials. */
typedef struct precis_job {
  int64_t rows;
  const float *q; /* rows x dim, q_stride floats from row to row */
  int64_t q_stride;
  const int64_t *query_position; /* rows, any order; NULL: every query sees every key */
  precis_tile tile;
  const int64_t *key_position; /* tile.keys, ascending */
  precis_partial partial;      /* rows; keys are merged into it */
} precis_job;

typedef struct precis_engine {
  precis_tile_shape shape;
  int threads;
  double scale;   /* of the scores, with 1 / log 2 */
  float *scratch; /* precis_engine_scratch() floats, aligned to 64 bytes */
  void (*poll)(void *context);
  void *poll_context;
} precis_engine;

/* Floats for all threads; the engine's shape and threads must be set. */
int64_t precis_engine_scratch(const precis_engine *engine);

/* Returns the number of (query, visible key) pairs. */
int64_t precis_jobs_run(const precis_engine *engine, const precis_job *jobs, int count);

#endif
