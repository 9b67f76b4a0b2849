/* tls.h - the certificate that a service shows, and the key to it */
#ifndef PRECIS_SERVICE_TLS_H
#define PRECIS_SERVICE_TLS_H

#include "src/base/message.h"

typedef struct precis_tls {
  char *certificate, *key; /* PEM, owned; NULL: no TLS */
} precis_tls;

/* Reads both files. Errors: IO (also a key that others may read), MEMORY. */
int precis_tls_load(const char *certificate, const char *key, precis_tls *tls, precis_message *why);
/* Leaves nothing of the key in memory. */
void precis_tls_free(precis_tls *tls);

#endif
