/* hold_unit.h - what a context's promises are measured in, back on all ranks */
#ifndef PRECIS_SERVICE_HOLD_UNIT_H
#define PRECIS_SERVICE_HOLD_UNIT_H

#include "mpi/service/hold.h"

/* Collective: order.kind is UNIT, order.count 0 if nothing is known. Errors: MEMORY, MPI. */
int precis_hold_unit(precis_hold *hold, const precis_order *order, const precis_hold_data *data);

#endif
