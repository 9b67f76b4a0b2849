/* held.h - what a handle holds between calls, its summary and remembered queries apart
 *
 * One description for a handle that is weighed (mpi/handle/tell.c) and for one that is foretold
 * (src/footprint.c). */
#ifndef PRECIS_SRC_HELD_H
#define PRECIS_SRC_HELD_H

#include "src/exact/jobs.h"
#include "src/precis.h"

/* Bytes with room for so many keys, as doubles: on paper there may be more than any memory holds.
 * `head`: bytes for each head of what is reported of it. */
double precis_held_bytes(const precis_problem *problem, double keys, int with_bias,
                         const precis_engine *engine, size_t head);

#endif
