/* web_url.h - where a service is */
#ifndef PRECIS_SRC_CLIENT_WEB_URL_H
#define PRECIS_SRC_CLIENT_WEB_URL_H

#include "src/base/message.h"

typedef struct precis_web_url {
  int tls;
  char path[108];      /* of a socket file, or "" */
  char host[256];      /* without brackets */
  char port[8];        /* digits */
  char authority[272]; /* what Host says */
  char prefix[256];    /* before all paths; no slash at its end */
} precis_web_url;

/* url: "http://HOST[:PORT][/PREFIX]", "https://...", an IPv6 address in brackets, or "unix:PATH".
 * Errors: ARGUMENT. */
int precis_web_url_parse(const char *url, precis_web_url *parsed, precis_message *why);

#endif
