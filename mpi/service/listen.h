/* listen.h - where the service listens */
#ifndef PRECIS_SERVICE_LISTEN_H
#define PRECIS_SERVICE_LISTEN_H

#include "src/base/message.h"

typedef struct precis_listener {
  int socket;       /* -1: closed */
  int local;        /* a socket file, or a loopback address */
  char text[160];   /* "http://127.0.0.1:8470", "unix:/tmp/precis.sock" */
  const char *path; /* of the socket file, to be removed; or NULL */
} precis_listener;

/* address: "ADDRESS:PORT" with an IPv4 address or an IPv6 address in brackets, port 0 for any, or
 * "unix:PATH"; a socket file may be used by its owner alone. Errors: ARGUMENT, IO. */
int precis_listener_open(const char *address, int tls, precis_listener *listener,
                         precis_message *why);
void precis_listener_close(precis_listener *listener);

#endif
