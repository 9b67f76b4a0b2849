/* reply.h - what a client is answered */
#ifndef PRECIS_SERVICE_REPLY_H
#define PRECIS_SERVICE_REPLY_H

#include <jansson.h>
#include <stddef.h>

#include "src/base/message.h"

typedef struct precis_reply {
  int code;         /* HTTP status; 0: none yet */
  const char *type; /* of the content; static */
  char *body;       /* owned, malloc'ed; or NULL */
  size_t bytes;
  char message[200]; /* of an error, for the log */
  char nonce[40];    /* that scripts of the page must have; "": no page */
  const char *text;  /* static body, instead of `body` */
  const char *allow; /* for 405 */
  char *report;      /* owned: goes with results, as a header of its own */
} precis_reply;

/* {"error": {"status": code, "field": field, "message": ...}}; the first error stays. */
void precis_reply_error(precis_reply *reply, int code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The HTTP status that goes with one of ours. */
int precis_reply_code(int status);
/* Takes the object over; NULL: there was no memory for it. */
void precis_reply_json(precis_reply *reply, int code, json_t *object);
/* Takes over body. */
void precis_reply_bytes(precis_reply *reply, const char *type, char *body, size_t bytes);
void precis_reply_free(precis_reply *reply);

#endif
