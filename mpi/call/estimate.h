/* estimate.h - the error of summaries, measured on held-out rows */
#ifndef PRECIS_MPI_CALL_ESTIMATE_H
#define PRECIS_MPI_CALL_ESTIMATE_H

#include "mpi/call/judge.h"

/* Collective. Computes some rows that had no part in the fit exactly and compares: *error is the
 * largest difference in the unit of the tolerance, of all ranks, where R is estimated from the
 * results as they are. The task's results are not touched. Errors: MEMORY, MPI, RANGE. */
int precis_estimate_error(const precis_judge *judge, double *error);

#endif
