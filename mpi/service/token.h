/* token.h - secrets that clients must know, in a file that only its owner may read
 *
 * A line each: TOKEN [NAME [read | write] [contexts=N] [tokens=N] [bytes=N]]; what follows a # is
 * not read. A token alone is called "default" and may write. A new file gets one token: 32 random
 * bytes in hexadecimal digits. */
#ifndef PRECIS_SERVICE_TOKEN_H
#define PRECIS_SERVICE_TOKEN_H

#include <stdint.h>

#include "src/base/message.h"

enum { PRECIS_TOKEN_MOST = 256, PRECIS_TOKEN_NAME = 32 };

/* Of all contexts that were made with one name; 0: no limit. */
typedef struct precis_quota {
  int64_t contexts, tokens, bytes;
} precis_quota;

typedef struct precis_token {
  char text[PRECIS_TOKEN_MOST + 1];
  char name[PRECIS_TOKEN_NAME + 1];
  int may_write;
  precis_quota quota;
} precis_token;

typedef struct precis_tokens {
  precis_token *list; /* owned */
  int count;
} precis_tokens;

/* Reads the file; makes it if there is none. Errors: IO (also a file that others may read, that is
 * another's, or has other names), FORMAT, MEMORY. */
int precis_tokens_load(const char *path, precis_tokens *tokens, precis_message *why);
/* Leaves nothing of them in memory. */
void precis_tokens_free(precis_tokens *tokens);

/* The one that `given` is, or NULL. Takes as long for any text of the same length. */
const precis_token *precis_tokens_find(const precis_tokens *tokens, const char *given);
/* Of a name; none if there is no such token any more. */
precis_quota precis_tokens_quota(const precis_tokens *tokens, const char *name);

#endif
