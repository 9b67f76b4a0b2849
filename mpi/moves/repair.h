/* repair.h - rows whose certificate is over the tolerance, computed exactly */
#ifndef PRECIS_MPI_MOVES_REPAIR_H
#define PRECIS_MPI_MOVES_REPAIR_H

#include "mpi/moves/task.h"

/* Collective. Replaces the results and proofs of the failed rows of all ranks: each (row, head) moves
 * as one query, keys stay resident. precise: in double, see src/exact/precise.h, else as the exact moves
 * do. failed is reordered by head. *repaired: their number over all ranks. Errors: MEMORY, MPI,
 * RANGE (this rank's alone). */
int precis_repair_run(precis_task *task, precis_failed_row *failed, int64_t failures, int precise,
                      int64_t *repaired);

#endif
