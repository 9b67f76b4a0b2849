#include "mpi/service/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/precis.h"
#include "src/base/size.h"

enum { BACKLOG = 128 };

static int failed(const char *address, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "--listen %s: %s", address, strerror(errno));
}

/* A socket file of a service that is gone. */
static int stale(const struct sockaddr_un *name)
{
  int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int gone = probe >= 0 && connect(probe, (const struct sockaddr *)name, sizeof *name) != 0 &&
             errno == ECONNREFUSED;
  if (probe >= 0)
    close(probe);
  return gone;
}

static int open_unix(const char *address, precis_listener *l, precis_message *why)
{
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  l->path = address + strlen("unix:");
  if (strlen(l->path) == 0 || strlen(l->path) >= sizeof name.sun_path)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "--listen %s: the path must have 1 to %zu characters", address,
                              sizeof name.sun_path - 1);
  strcpy(name.sun_path, l->path);
  struct stat info;
  if (lstat(l->path, &info) == 0 && S_ISSOCK(info.st_mode) && stale(&name))
    unlink(l->path);
  l->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  mode_t mask = umask(S_IRWXG | S_IRWXO);
  int bound = l->socket >= 0 && bind(l->socket, (struct sockaddr *)&name, sizeof name) == 0;
  umask(mask);
  l->local = 1;
  snprintf(l->text, sizeof l->text, "%s", address);
  if (bound)
    return PRECIS_SUCCESS;
  l->path = NULL;
  return failed(address, why);
}

/* "127.0.0.1:80" or "[::1]:80" into its parts. */
static int split(const char *address, char host[64], char port[8], precis_message *why)
{
  const char *colon = strrchr(address, ':');
  int number;
  if (colon == NULL || precis_port_parse("--listen", colon + 1, strlen(colon + 1), 0, &number, why))
    return 0;
  int length = (int)(colon - address), brackets = address[0] == '[';
  if (brackets && (length < 2 || address[length - 1] != ']'))
    return 0;
  snprintf(port, 8, "%d", number);
  return snprintf(host, 64, "%.*s", length - 2 * brackets, address + brackets) < 64;
}

static int is_loopback(const struct sockaddr *a)
{
  if (a->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
  return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static int port_of(int file)
{
  struct sockaddr_storage name;
  socklen_t size = sizeof name;
  if (getsockname(file, (struct sockaddr *)&name, &size) != 0)
    return 0;
  return ntohs(name.ss_family == AF_INET ? ((struct sockaddr_in *)&name)->sin_port
                                         : ((struct sockaddr_in6 *)&name)->sin6_port);
}

static int open_inet(const char *address, int tls, precis_listener *l, precis_message *why)
{
  char host[64], port[8];
  const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                 .ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
  struct addrinfo *found = NULL;
  precis_message port_why = {""};
  if (!split(address, host, port, &port_why) || host[0] == '\0' ||
      getaddrinfo(host, port, &hints, &found) != 0)
    return precis_message_set(
        why, PRECIS_ERR_ARGUMENT,
        "--listen is '%s', must be like 127.0.0.1:8470, [::1]:8470 or unix:PATH%s%s", address,
        port_why.text[0] != '\0' ? "; " : "", port_why.text);
  l->socket = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (l->socket >= 0)
    setsockopt(l->socket, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  int bound = l->socket >= 0 && bind(l->socket, found->ai_addr, found->ai_addrlen) == 0;
  l->local = is_loopback(found->ai_addr);
  freeaddrinfo(found);
  if (!bound)
    return failed(address, why);
  snprintf(l->text, sizeof l->text, strchr(host, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
           tls ? "https" : "http", host, port_of(l->socket));
  return PRECIS_SUCCESS;
}

int precis_listener_open(const char *address, int tls, precis_listener *l, precis_message *why)
{
  *l = (precis_listener){.socket = -1};
  int status = strncmp(address, "unix:", 5) == 0 ? open_unix(address, l, why)
                                                 : open_inet(address, tls, l, why);
  if (status == PRECIS_SUCCESS && listen(l->socket, BACKLOG) != 0)
    status = failed(address, why);
  if (status != PRECIS_SUCCESS)
    precis_listener_close(l);
  return status;
}

void precis_listener_close(precis_listener *l)
{
  if (l->socket >= 0)
    close(l->socket);
  if (l->path != NULL)
    unlink(l->path);
  l->socket = -1;
  l->path = NULL;
}
