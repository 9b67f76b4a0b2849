/* hold_mean.h - the mean of the queries of an attend that comes in pieces */
#ifndef PRECIS_SERVICE_HOLD_MEAN_H
#define PRECIS_SERVICE_HOLD_MEAN_H

#include "mpi/service/hold.h"

/* Collective. The context's mean query, unless it has one, becomes that of order.rows queries,
 * which rank 0 has: of all that see a key, as if they were attended to in one go (see precis_unit).
 * Errors: MEMORY, MPI. */
int precis_hold_mean(precis_hold *hold, const precis_order *order, const precis_hold_data *data);

#endif
