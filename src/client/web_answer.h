/* web_answer.h - an answer of HTTP/1.1 from the bytes that come in */
#ifndef PRECIS_SRC_CLIENT_WEB_ANSWER_H
#define PRECIS_SRC_CLIENT_WEB_ANSWER_H

#include "src/client/web.h"

/* *begun: bytes of an answer came in. *last: the connection cannot be used any more. Errors: IO,
 * FORMAT, MEMORY. */
int precis_web_answer_read(precis_web *web, const char *method, precis_web_answer *answer,
                           int *begun, int *last, precis_message *why);

#endif
