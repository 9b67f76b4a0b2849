/* hold_commit.h - the rows of a shard become those of a context, on all ranks or on none */
#ifndef PRECIS_SERVICE_HOLD_COMMIT_H
#define PRECIS_SERVICE_HOLD_COMMIT_H

#include "mpi/service/hold.h"

/* Collective. With options->data each rank's rows are on disk, and recorded by rank 0, before any
 * are in memory; nothing that can fail comes after. Errors: MEMORY, IO. */
int precis_hold_commit(precis_hold *hold, const precis_order *order, const precis_hold_data *data);

/* The segment of a rank's rows of an append. */
precis_segment precis_hold_segment(const char *name, int rank, int64_t rows);

#endif
