/* routes.h - what each route does; see request.h, and openapi.json for what clients see of it */
#ifndef PRECIS_SERVICE_ROUTES_H
#define PRECIS_SERVICE_ROUTES_H

#include "mpi/service/request.h"

/* manage.c */
void precis_route_create_begin(precis_request *request);
void precis_route_create_take(precis_request *request, const char *bytes, int64_t count);
void precis_route_create_finish(precis_request *request);
void precis_route_create_end(precis_request *request);
void precis_route_fork(precis_request *request);
void precis_route_list(precis_request *request);
void precis_route_inspect(precis_request *request);
void precis_route_delete(precis_request *request);

/* append.c */
void precis_route_append_begin(precis_request *request);
void precis_route_append_take(precis_request *request, const char *bytes, int64_t count);
void precis_route_append_finish(precis_request *request);
void precis_route_append_end(precis_request *request);

/* attend.c */
void precis_route_attend_begin(precis_request *request);
void precis_route_attend_take(precis_request *request, const char *bytes, int64_t count);
void precis_route_attend_finish(precis_request *request);
void precis_route_attend_end(precis_request *request);

/* watch.c */
void precis_route_health(precis_request *request);
void precis_route_ready(precis_request *request);
void precis_route_counters(precis_request *request);
void precis_route_openapi(precis_request *request);
void precis_route_page(precis_request *request);

/* status.c */
void precis_route_status(precis_request *request);

#endif
