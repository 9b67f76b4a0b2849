/* request.h - one request on its way through the service */
#ifndef PRECIS_SERVICE_REQUEST_H
#define PRECIS_SERVICE_REQUEST_H

#include <stdint.h>

#include "mpi/service/http.h"
#include "mpi/service/reply.h"

struct MHD_Connection;
struct precis_body;
struct precis_request;

typedef struct precis_route {
  const char *name;                       /* in metrics */
  const char *method, *path;              /* of which * stands for a context's id */
  int open;                               /* needs no token */
  int writes;                             /* needs one that may write */
  int64_t body_most;                      /* 0: no body; bytes */
  void (*begin)(struct precis_request *); /* may be NULL, like take and end */
  void (*take)(struct precis_request *, const char *bytes, int64_t count);
  void (*finish)(struct precis_request *); /* all is there: answers */
  void (*end)(struct precis_request *);    /* lets go of `work`, which is there */
} precis_route;

typedef struct precis_request {
  precis_http *http;
  struct MHD_Connection *connection;
  const precis_route *route;
  precis_deadline *deadline;
  int id_known;                   /* the path names a context ... */
  char id[PRECIS_CONTEXT_ID + 1]; /* ... this one */
  precis_context *context;        /* held */
  double started;
  double until; /* Precis-Timeout; 0: it may take as long as it does */
  char method[16], path[200], name[72]; /* for the log; name: X-Request-Id */
  int64_t announced;                    /* of the body, or -1 */
  int64_t received, passed_over;        /* bytes of it */
  int64_t sent;                         /* bytes of the answer's */
  int64_t flight; /* bytes that it counts for in http->flight until the answer has gone */
  int cut;            /* the path goes on after a zero, of which nothing is seen */
  int seen, trusted;  /* the head was read; it brought a token ... */
  int may_write;      /* ... that may do this ... */
  precis_owner owner; /* ... of this name */
  int broken;         /* nobody knows where the next request begins */
  int ends;           /* the connection is closed after the answer */
  precis_reply reply; /* code other than 0: what comes in is passed over */
  void *work;         /* of the route */
} precis_request;

/* A header, or an argument after the question mark; NULL if there is none. */
const char *precis_request_header(precis_request *request, const char *name);
const char *precis_request_argument(precis_request *request, const char *name);

/* Hands bytes on to a body of tensors, and answers if they cannot be of one. */
void precis_request_take_body(precis_request *request, struct precis_body *body, const char *bytes,
                              int64_t count);

/* Has the errand carried out for the request, and waits for it. Returns 1 where it was refused, see
 * precis_queue_run(). */
int precis_request_run(precis_request *request, precis_errand *errand);

/* The reply to an errand that failed, or was refused. */
void precis_request_failed(precis_request *request, const precis_errand *errand, int refused,
                           const char *field);

/* The route of method and path, whose context is in request->id; NULL and an error in the reply if
 * there is none. */
const precis_route *precis_route_find(precis_request *request, const char *method,
                                      const char *path);

#endif
