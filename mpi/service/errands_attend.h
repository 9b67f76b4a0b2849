/* errands_attend.h - attends: those to one context that wait together run together */
#ifndef PRECIS_SERVICE_ERRANDS_ATTEND_H
#define PRECIS_SERVICE_ERRANDS_ATTEND_H

#include "mpi/service/errands.h"

/* Finishes the errand, and those that ran with it. Returns the status of the call. */
int precis_errands_attend(precis_errands *e, precis_errand *errand);

#endif
