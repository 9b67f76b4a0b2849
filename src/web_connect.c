#include "src/web_connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/precis.h"
#include "src/size.h"

static int failed(const char *url, const char *text, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot connect: %s", url, text);
}

static int bad(const char *url, const char *more, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                            "'%s' must be like http://127.0.0.1:8470 or unix:PATH%s%s", url,
                            more[0] != '\0' ? "; " : "", more);
}

static int connect_unix(const char *url, int *made, precis_message *why)
{
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  const char *path = url + strlen("unix:");
  if (path[0] == '\0' || strlen(path) >= sizeof name.sun_path)
    return bad(url, "", why);
  strcpy(name.sun_path, path);
  int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file >= 0 && connect(file, (struct sockaddr *)&name, sizeof name) == 0) {
    *made = file;
    return PRECIS_SUCCESS;
  }
  int error = errno;
  if (file >= 0)
    close(file);
  return failed(url, strerror(error), why);
}

/* Host and port of http://HOST:PORT, with or without a slash at the end. */
static int split(const char *url, char host[256], char port[8], precis_message *why)
{
  static const char scheme[] = "http://";
  if (strncmp(url, scheme, strlen(scheme)) != 0)
    return 0;
  url += strlen(scheme);
  const char *colon = strrchr(url, ':');
  int brackets = url[0] == '[', length = colon ? (int)(colon - url) : 0;
  if (colon == NULL || (brackets && (length < 3 || url[length - 1] != ']')))
    return 0;
  length -= 2 * brackets;
  int number;
  return length > 0 && length < 256 &&
         precis_port_parse("--url", colon + 1, strcspn(colon + 1, "/"), 1, &number, why) ==
             PRECIS_SUCCESS &&
         snprintf(host, 256, "%.*s", length, url + brackets) > 0 &&
         snprintf(port, 8, "%d", number) > 0;
}

static int connect_inet(const char *url, int *made, precis_message *why)
{
  char host[256], port[8];
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  precis_message port_why = {""};
  if (!split(url, host, port, &port_why))
    return bad(url, port_why.text, why);
  int error = getaddrinfo(host, port, &hints, &found), file = -1;
  if (error != 0)
    return failed(url, gai_strerror(error), why);
  for (const struct addrinfo *a = found; a != NULL && file < 0; a = a->ai_next) {
    file = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file >= 0 && connect(file, a->ai_addr, a->ai_addrlen) != 0) {
      error = errno;
      close(file);
      file = -1;
    }
  }
  freeaddrinfo(found);
  if (file < 0)
    return failed(url, strerror(error), why);
  /* Head and body are sent apart; waiting for their confirmation would take its time. */
  setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  *made = file;
  return PRECIS_SUCCESS;
}

int precis_web_connect(const char *url, int *made, precis_message *why)
{
  return strncmp(url, "unix:", 5) == 0 ? connect_unix(url, made, why)
                                       : connect_inet(url, made, why);
}
