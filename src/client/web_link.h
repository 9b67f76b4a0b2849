/* web_link.h - bytes to and from a service: over TCP, TLS (verified) or a socket file, each with a
 * limit on how long the other side may be silent */
#ifndef PRECIS_SRC_CLIENT_WEB_LINK_H
#define PRECIS_SRC_CLIENT_WEB_LINK_H

#include <stdint.h>

#include "src/base/message.h"
#include "src/client/web_url.h"

typedef struct precis_web_link {
  int open, socket;
  struct gnutls_session_int *tls; /* or NULL */
  struct gnutls_certificate_credentials_st *trust;
} precis_web_link;

/* ca_file: PEM, who may vouch for the service; NULL: whom the system trusts. Errors: IO, ARGUMENT
 * (the file), MEMORY; also where the certificate is not that of the host. */
int precis_web_link_open(const char *url, const precis_web_url *parsed, const char *ca_file,
                         double seconds, precis_web_link *link, precis_message *why);
void precis_web_link_close(precis_web_link *link);

/* Returns how many bytes, 0 at the end, -1 with errno: ETIMEDOUT if the other side was silent. */
int64_t precis_web_link_receive(precis_web_link *link, void *bytes, int64_t most);
/* Sends all; returns 0, or -1 with errno. */
int precis_web_link_send(precis_web_link *link, const void *bytes, int64_t count);

#endif
