/* web.h - one request of HTTP/1.1 at a time, and its answer
 *
 * As much of it as "precis serve" speaks: a connection that stays open, bodies of known length. */
#ifndef PRECIS_SRC_WEB_H
#define PRECIS_SRC_WEB_H

#include <stdint.h>

#include "src/message.h"

enum { PRECIS_WEB_PARTS = 4 };

typedef struct precis_web {
  const char *url, *token; /* the caller's; token NULL or "": none */
  int socket;              /* -1: not connected */
} precis_web;

typedef struct precis_web_request {
  const char *method, *path;
  const char *key; /* Idempotency-Key, or NULL */
  int parts;       /* of the body; 0: none */
  const void *part[PRECIS_WEB_PARTS];
  int64_t bytes[PRECIS_WEB_PARTS];
} precis_web_request;

typedef struct precis_web_answer {
  int code;
  char *body; /* owned, malloc'ed, with a zero behind it */
  int64_t bytes;
  char report[2048]; /* the header Precis-Report, or "" */
} precis_web_answer;

/* Sends the request and reads the answer, to be freed whatever came of it. A connection that was
 * closed since the last answer is made again once. Errors: ARGUMENT (the URL), IO, FORMAT (no
 * answer of HTTP), MEMORY. */
int precis_web_ask(precis_web *web, const precis_web_request *request, precis_web_answer *answer,
                   precis_message *why);
void precis_web_answer_free(precis_web_answer *answer);
void precis_web_close(precis_web *web);

#endif
