/* doors.h - whether a request may come in: whose it is, from where, and that it has one meaning */
#ifndef PRECIS_SERVICE_DOORS_H
#define PRECIS_SERVICE_DOORS_H

#include "mpi/service/request.h"

/* With the head: fills in whose it is. What may not come in has an error in the reply. */
void precis_doors_identify(precis_request *request);

/* HTTP that two programs could take for two things: lengths, hosts, zeros. After it the connection
 * is closed, as nobody knows where the next request begins. */
void precis_doors_check_head(precis_request *request, const char *version);

/* Without a token whoever can connect comes in, and that includes pages in a browser of this
 * machine: they are known by a Host that is a name of theirs, and by their Origin. */
void precis_doors_check_origin(precis_request *request);

/* What follows the question mark is known. */
void precis_doors_check_arguments(precis_request *request);

#endif
