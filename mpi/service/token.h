/* token.h - the secret that clients must know: 32 random bytes in hexadecimal digits, in a file
 * that only its owner may read */
#ifndef PRECIS_SERVICE_TOKEN_H
#define PRECIS_SERVICE_TOKEN_H

#include "src/message.h"

enum { PRECIS_TOKEN_MOST = 256 };

typedef struct precis_token {
  char text[PRECIS_TOKEN_MOST + 1]; /* "": nobody is asked for one */
} precis_token;

/* Reads the token in a file, of which the first line counts; makes both if there is no file.
 * Errors: IO (also a file that others may read), FORMAT (too short or too long to be one). */
int precis_token_load(const char *path, precis_token *token, precis_message *why);

/* Whether `given` is the token. Takes as long for any text of the same length. */
int precis_token_equal(const precis_token *token, const char *given);

#endif
