/* errands_unit.h - what a context's promises are measured in outlives the job
 *
 * See precis_unit in precis.h: the mean query of the first attend, and R of all rows answered. The
 * mean query goes on record before the first attend is answered. R changes with every attend; it is
 * written when there are a quarter more rows than are on record, when the context is forked, and
 * when the job ends: a job that dies leaves R of most of the rows, a lower bound for those like
 * any. What cannot be written is said, and fails nobody's request. */
#ifndef PRECIS_SERVICE_ERRANDS_UNIT_H
#define PRECIS_SERVICE_ERRANDS_UNIT_H

#include "mpi/service/errands.h"

/* From the handle into the book; goes with a fork. Errors: MEMORY. */
int precis_errands_unit_take(precis_errands *e, precis_context *context);
/* After an attend, or when the job ends: takes, and writes what is due. */
void precis_errands_unit_keep(precis_errands *e, precis_context *context, int ending);
/* From the book to the ranks; forget: where nothing is known, what another context knew goes.
 * Errors: MEMORY, MPI. */
int precis_errands_unit_restore(precis_errands *e, const precis_context *context, int forget);

#endif
