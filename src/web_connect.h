/* web_connect.h - from a URL to a connected socket */
#ifndef PRECIS_SRC_WEB_CONNECT_H
#define PRECIS_SRC_WEB_CONNECT_H

#include "src/message.h"

/* url: "http://HOST:PORT", "http://[IPV6]:PORT" or "unix:PATH". Errors: ARGUMENT, IO. */
int precis_web_connect(const char *url, int *socket, precis_message *why);

#endif
