#include "src/client/web_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/precis.h"

static const double CONNECT_SECONDS = 10;

static int failed(const char *url, const char *text, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot connect: %s", url, text);
}

static const char *words_of(int error)
{
  return strerror(error == EINPROGRESS || error == EAGAIN ? ETIMEDOUT : error);
}

/* Also for connecting. */
static void limit(int file, double seconds)
{
  const struct timeval time = {.tv_sec = (time_t)seconds,
                               .tv_usec = (suseconds_t)(1e6 * (seconds - (double)(time_t)seconds))};
  setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

/* Returns the socket, or -1 with errno. */
static int try(int family, const struct sockaddr *address, socklen_t bytes, double seconds)
{
  int file = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file < 0)
    return -1;
  limit(file, seconds < CONNECT_SECONDS ? seconds : CONNECT_SECONDS);
  if (connect(file, address, bytes) == 0) {
    limit(file, seconds);
    return file;
  }
  int error = errno;
  close(file);
  errno = error;
  return -1;
}

static int connect_unix(const char *url, const precis_web_url *u, double seconds, int *made,
                        precis_message *why)
{
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  memcpy(name.sun_path, u->path, strlen(u->path) + 1);
  *made = try(AF_UNIX, (const struct sockaddr *)&name, sizeof name, seconds);
  return *made >= 0 ? PRECIS_SUCCESS : failed(url, words_of(errno), why);
}

static int connect_inet(const char *url, const precis_web_url *u, double seconds, int *made,
                        precis_message *why)
{
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(u->host, u->port, &hints, &found);
  if (error != 0)
    return failed(url, gai_strerror(error), why);
  *made = -1;
  for (const struct addrinfo *a = found; a != NULL && *made < 0; a = a->ai_next) {
    *made = try(a->ai_family, a->ai_addr, a->ai_addrlen, seconds);
    error = errno;
  }
  freeaddrinfo(found);
  if (*made < 0)
    return failed(url, words_of(error), why);
  /* Head and body are sent apart; waiting for their confirmation would take its time. */
  setsockopt(*made, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  return PRECIS_SUCCESS;
}

static int load_trust(precis_web_link *l, const char *ca_file, precis_message *why)
{
  if (gnutls_certificate_allocate_credentials(&l->trust) < 0) {
    l->trust = NULL;
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for TLS");
  }
  int count = ca_file
                  ? gnutls_certificate_set_x509_trust_file(l->trust, ca_file, GNUTLS_X509_FMT_PEM)
                  : gnutls_certificate_set_x509_system_trust(l->trust);
  if (ca_file != NULL && count <= 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s: holds no certificate: %s", ca_file,
                              count < 0 ? gnutls_strerror(count) : "it is empty");
  return PRECIS_SUCCESS;
}

/* Why the certificate is not accepted, or what else is wrong. */
static int refused(const char *url, const precis_web_link *l, int error, precis_message *why)
{
  gnutls_datum_t words = {NULL, 0};
  if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
      gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(l->tls),
                                                   GNUTLS_CRT_X509, &words, 0) == 0) {
    int status = failed(url, (const char *)words.data, why);
    gnutls_free(words.data);
    return status;
  }
  return failed(url, error == GNUTLS_E_AGAIN ? strerror(ETIMEDOUT) : gnutls_strerror(error), why);
}

static int begin_tls(const char *url, const precis_web_url *u, precis_web_link *l,
                     precis_message *why)
{
  struct in6_addr address;
  if (gnutls_init(&l->tls, GNUTLS_CLIENT) < 0) {
    l->tls = NULL;
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for TLS");
  }
  int error =
      gnutls_priority_set_direct(l->tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL);
  if (error >= 0)
    error = gnutls_credentials_set(l->tls, GNUTLS_CRD_CERTIFICATE, l->trust);
  /* Only names are told, not addresses. */
  if (error >= 0 && inet_pton(AF_INET, u->host, &address) != 1 &&
      inet_pton(AF_INET6, u->host, &address) != 1)
    error = gnutls_server_name_set(l->tls, GNUTLS_NAME_DNS, u->host, strlen(u->host));
  gnutls_session_set_verify_cert(l->tls, u->host, 0);
  gnutls_transport_set_int(l->tls, l->socket);
  while (error >= 0 && (error = gnutls_handshake(l->tls)) == GNUTLS_E_INTERRUPTED)
    error = 0;
  return error >= 0 ? PRECIS_SUCCESS : refused(url, l, error, why);
}

int precis_web_link_open(const char *url, const precis_web_url *u, const char *ca_file,
                         double seconds, precis_web_link *link, precis_message *why)
{
  precis_web_link l = {.open = 1, .socket = -1};
  int status = u->tls ? load_trust(&l, ca_file, why) : PRECIS_SUCCESS;
  if (status == PRECIS_SUCCESS)
    status = u->path[0] != '\0' ? connect_unix(url, u, seconds, &l.socket, why)
                                : connect_inet(url, u, seconds, &l.socket, why);
  if (status == PRECIS_SUCCESS && u->tls)
    status = begin_tls(url, u, &l, why);
  if (status == PRECIS_SUCCESS)
    *link = l;
  else
    precis_web_link_close(&l);
  return status;
}

void precis_web_link_close(precis_web_link *l)
{
  if (!l->open)
    return;
  if (l->tls != NULL)
    gnutls_deinit(l->tls);
  if (l->trust != NULL)
    gnutls_certificate_free_credentials(l->trust);
  if (l->socket >= 0)
    close(l->socket);
  *l = (precis_web_link){.open = 0};
}

/* -1, with an errno for what GnuTLS or the system says. */
static int64_t fail(const precis_web_link *l, int64_t error)
{
  if (l->tls != NULL)
    errno = error == GNUTLS_E_AGAIN ? ETIMEDOUT : EPROTO;
  else if (errno == EAGAIN || errno == EWOULDBLOCK)
    errno = ETIMEDOUT;
  return -1;
}

int64_t precis_web_link_receive(precis_web_link *l, void *bytes, int64_t most)
{
  for (;;) {
    int64_t got = l->tls ? gnutls_record_recv(l->tls, bytes, (size_t)most)
                         : recv(l->socket, bytes, (size_t)most, 0);
    if (got >= 0)
      return got;
    if (l->tls != NULL ? got == GNUTLS_E_INTERRUPTED || got == GNUTLS_E_REHANDSHAKE
                       : errno == EINTR)
      continue;
    return fail(l, got);
  }
}

int precis_web_link_send(precis_web_link *l, const void *bytes, int64_t count)
{
  const char *at = bytes;
  while (count > 0) {
    int64_t sent = l->tls ? gnutls_record_send(l->tls, at, (size_t)count)
                          : send(l->socket, at, (size_t)count, MSG_NOSIGNAL);
    if (l->tls != NULL ? sent == GNUTLS_E_INTERRUPTED : sent < 0 && errno == EINTR)
      continue;
    if (sent <= 0)
      return (int)fail(l, sent);
    at += sent;
    count -= sent;
  }
  return 0;
}
