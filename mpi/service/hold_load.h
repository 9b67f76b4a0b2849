/* hold_load.h - a context whose segments are on disk, read by whatever ranks there are now */
#ifndef PRECIS_SERVICE_HOLD_LOAD_H
#define PRECIS_SERVICE_HOLD_LOAD_H

#include "mpi/service/hold.h"

/* Collective. Appends all rows of data->segments, order->count of them, dealt evenly to the ranks;
 * data->rows gets how many each rank has then. Errors: IO, FORMAT, MEMORY. */
int precis_hold_load(precis_hold *hold, const precis_order *order, const precis_hold_data *data);

#endif
