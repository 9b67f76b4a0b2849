/* schedule_trace.h - a schedule as time-independent traces, for SimGrid's replay (smpirun -replay)
 *
 * One text file a rank: R compute FLOPS, R isend TO TAG BYTES, R irecv FROM TAG BYTES, R wait FROM
 * TO TAG, R waitall. Messages start and end where the real ones do, so that what overlaps there
 * overlaps in the simulator. An exchange of rows is as mpi/rows/rows.h has it where both layouts are
 * known, else left out. Ranks of a node meet by empty messages, where the real ones may have gone
 * on between their mark and the meeting. */
#ifndef PRECIS_SRC_SCHEDULE_TRACE_H
#define PRECIS_SRC_SCHEDULE_TRACE_H

#include <stdio.h>

#include "src/schedule/schedule.h"

/* Scales flops of a step to those of the simulated host, whose speed is one number while kernels
 * differ. NULL in its place leaves them as they are. */
typedef double precis_trace_flops(void *context, const precis_step *step, double flops);

/* Writes a rank's trace of so many schedules, one after the other. Errors: MEMORY, IO. */
int precis_schedule_trace(const precis_schedule *schedules, int count, int rank,
                          precis_trace_flops *scale, void *context, FILE *to);

#endif
