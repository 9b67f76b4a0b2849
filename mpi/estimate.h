/* estimate.h - the error of summaries, measured on held-out rows */
#ifndef PRECIS_MPI_ESTIMATE_H
#define PRECIS_MPI_ESTIMATE_H

#include "mpi/summaries.h"
#include "mpi/task.h"

/* Collective. Computes some rows that had no part in the fit exactly and compares: error[0] is the
 * largest difference in units of its column's range, error[1] that of lse, of all ranks. The task's
 * results are not touched. Errors: MEMORY, MPI, RANGE. */
int precis_estimate_error(const precis_task *task, const precis_summaries *plan, double error[2]);

#endif
