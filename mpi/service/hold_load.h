/* hold_load.h - a context whose segments are on disk, read by whatever ranks there are now */
#ifndef PRECIS_SERVICE_HOLD_LOAD_H
#define PRECIS_SERVICE_HOLD_LOAD_H

#include "mpi/service/hold.h"

/* Collective. Appends all rows of data->segments, order->count of them, dealt evenly to the ranks.
 * Errors: IO, FORMAT, MEMORY. */
int precis_hold_load(precis_hold *hold, const precis_order *order, const precis_hold_data *data);

/* How many rows each rank gets of so many. */
void precis_hold_load_deal(const precis_problem *problem, int ranks, int64_t rows, int64_t *counts);

#endif
