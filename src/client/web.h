/* web.h - one request of HTTP/1.1 at a time, and its answer
 *
 * Over a connection that stays open. Answers may be of known length, in chunks, or last until the
 * end; those that only say that there is more to come (1xx) are passed over. */
#ifndef PRECIS_SRC_CLIENT_WEB_H
#define PRECIS_SRC_CLIENT_WEB_H

#include <stdint.h>

#include "src/base/message.h"
#include "src/client/web_link.h"

enum { PRECIS_WEB_PARTS = 4, PRECIS_WEB_KEY = 40 };

typedef struct precis_web {
  const char *url, *token; /* the caller's; token NULL or "": none */
  const char *ca_file;     /* or NULL, see web_link.h */
  double seconds;          /* that the service may be silent; 0: PRECIS_WEB_SECONDS */
  precis_web_link link;    /* zeros: not connected */
} precis_web;

enum { PRECIS_WEB_SECONDS = 600 };

typedef struct precis_web_request {
  const char *method, *path;
  const char *key; /* Idempotency-Key, or NULL */
  int changes;     /* done twice it is not what it is done once: it needs a key to be sent again */
  const char *accept; /* the media type wanted of the answer, or NULL */
  int parts;          /* of the body; 0: none */
  const void *part[PRECIS_WEB_PARTS];
  int64_t bytes[PRECIS_WEB_PARTS];
} precis_web_request;

typedef struct precis_web_answer {
  int code;
  char *body; /* owned, malloc'ed, with a zero behind it */
  int64_t bytes;
  char report[2048]; /* the header Precis-Report, or "" */
} precis_web_answer;

/* A key that no other request has. Returns 0, if there is no randomness. */
int precis_web_make_key(char key[PRECIS_WEB_KEY]);

/* Sends the request and reads the answer, to be freed whatever came of it. Where the connection
 * ends before the answer does, the request is sent again once over a new one, if that does no harm;
 * while the first is still under way, it waits for it. Errors: ARGUMENT (the URL, the CA file), IO,
 * FORMAT (no answer of HTTP), MEMORY. */
int precis_web_ask(precis_web *web, const precis_web_request *request, precis_web_answer *answer,
                   precis_message *why);
void precis_web_answer_free(precis_web_answer *answer);
void precis_web_close(precis_web *web);

#endif
