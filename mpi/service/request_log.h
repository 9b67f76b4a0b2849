/* request_log.h - a name for each request, and a line of the log */
#ifndef PRECIS_SERVICE_REQUEST_LOG_H
#define PRECIS_SERVICE_REQUEST_LOG_H

#include "mpi/service/request.h"

/* With the head: X-Request-Id as it came, if it is one, or a new one. */
void precis_request_log_begin(precis_request *request, const char *method);
/* It was answered (complete), or cut off. Never says a token. */
void precis_request_log_end(const precis_request *request, int complete);

#endif
