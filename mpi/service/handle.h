/* handle.h - what the HTTP server calls: a request comes in, piece by piece, and is answered */
#ifndef PRECIS_SERVICE_HANDLE_H
#define PRECIS_SERVICE_HANDLE_H

#include <microhttpd.h>

#include "mpi/service/http.h"

/* Seconds that a connection may wait for its next request. */
enum { PRECIS_HTTP_IDLE_SECONDS = 60 };

/* All with the precis_http first. With the first line of each request, before anything else is
 * known of it; returns its state. */
void *precis_http_make_request(void *http, const char *uri, struct MHD_Connection *connection);
/* Its head, then each piece of its body, then its end. */
enum MHD_Result precis_http_handle(void *http, struct MHD_Connection *connection, const char *path,
                                   const char *method, const char *version, const char *data,
                                   size_t *bytes, void **state);
/* It was answered, or cut off. */
void precis_http_end_request(void *http, struct MHD_Connection *connection, void **state,
                             enum MHD_RequestTerminationCode code);

#endif
