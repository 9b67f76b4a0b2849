/* measure.h - the kernels and passes whose rates a machine file holds, each as a rank runs it
 *
 * Pure work, in jobs of a millisecond or so, so that some repetition is not disturbed; whoever has
 * a clock runs them, on all ranks at once, and gives the seconds back. */
#ifndef PRECIS_SRC_MEASURE_MEASURE_H
#define PRECIS_SRC_MEASURE_MEASURE_H

#include <stdint.h>

#include "src/model/rates.h"

typedef enum precis_measure_job {
  PRECIS_MEASURE_TILE_NARROW, /* exact attention at dim 16 ... */
  PRECIS_MEASURE_TILE_WIDE,   /* ... and 128: products and exponentials are told apart */
  PRECIS_MEASURE_TILE_STREAM, /* one query, many keys */
  PRECIS_MEASURE_SUMMARISE_NARROW,
  PRECIS_MEASURE_SUMMARISE_WIDE,
  PRECIS_MEASURE_SUMMARISE_COUNTS,
  PRECIS_MEASURE_APPLY_NARROW,
  PRECIS_MEASURE_APPLY_WIDE,
  PRECIS_MEASURE_APPLY_COUNTS,
  PRECIS_MEASURE_COPY,
  PRECIS_MEASURE_PAGES,
  PRECIS_MEASURE_SURVEY,
  PRECIS_MEASURE_PACK,
  PRECIS_MEASURE_BULK,
  PRECIS_MEASURE_MERGE,
  PRECIS_MEASURE_FINISH,
  PRECIS_MEASURE_STEP,
  PRECIS_MEASURE_ROW,
  PRECIS_MEASURE_FIT,
  PRECIS_MEASURE_JOBS
} precis_measure_job;

typedef struct precis_measure precis_measure;

/* thread_memory: bytes of fast memory of a thread. NULL without memory. */
precis_measure *precis_measure_create(int threads, int64_t thread_memory);
void precis_measure_free(precis_measure *measure);

/* Does the work of a job once. The caller has set BLAS to one thread. */
void precis_measure_run(precis_measure *measure, precis_measure_job job);

/* Sets what the seconds of all jobs tell: everything but links, fast_memory and call_time. */
void precis_measure_rates(int threads, const double seconds[PRECIS_MEASURE_JOBS],
                          precis_rates *rates);

#endif
