/* hold_attend.h - an attend whose queries and results are rank 0's */
#ifndef PRECIS_SERVICE_HOLD_ATTEND_H
#define PRECIS_SERVICE_HOLD_ATTEND_H

#include "mpi/service/hold.h"

/* Collective. Queries go out to the ranks in equal parts, and results come back. Errors: those of
 * precis_attend_at(). */
int precis_hold_attend(precis_hold *hold, const precis_order *order, const precis_hold_data *data);

#endif
