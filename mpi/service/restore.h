/* restore.h - contexts of an earlier job come back */
#ifndef PRECIS_SERVICE_RESTORE_H
#define PRECIS_SERVICE_RESTORE_H

#include "mpi/service/errands.h"

/* On rank 0, while the others wait for orders: makes and fills the contexts in the list, which is
 * taken over, and enlists them; not all of them if the end is asked for meanwhile. Errors: IO,
 * FORMAT, MEMORY, MPI, with words. */
int precis_restore(precis_errands *e, precis_context *list, precis_message *why);

#endif
