#include "mpi/service/doors.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void precis_doors_identify(precis_request *request)
{
  static const char scheme[] = "Bearer ";
  precis_http *h = request->http;
  const char *given = precis_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
  if (h->options->no_token) {
    request->trusted = request->may_write = 1;
    return;
  }
  if (given == NULL || strncmp(given, scheme, strlen(scheme)) != 0)
    return;
  pthread_mutex_lock(&h->token_lock);
  const precis_token *token = precis_tokens_find(&h->tokens, given + strlen(scheme));
  if (token != NULL) {
    request->trusted = 1;
    request->may_write = token->may_write;
    request->owner.quota = token->quota;
    strcpy(request->owner.name, token->name);
  }
  pthread_mutex_unlock(&h->token_lock);
}

typedef struct head {
  int lengths, codings, hosts, zeros;
  int loose;       /* lines that do not end in CR LF, or hold a zero */
  const char *end; /* of the line before */
} head;

/* Before 1.0, libmicrohttpd lets any of CR and LF end a line, and does not say so, and texts end at
 * a zero. It leaves lines where they came in, one behind the other, with zeros for CR and LF. */
static int shows_lines(void)
{
  return strncmp(MHD_get_version(), "0.9.", 4) == 0;
}

static enum MHD_Result look(void *context, enum MHD_ValueKind kind, const char *name,
                            size_t name_bytes, const char *value, size_t value_bytes)
{
  head *found = context;
  (void)kind;
  found->lengths += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
  found->codings += strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
  found->hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
  found->loose += name != found->end + 2 || found->end[0] != '\0' || found->end[1] != '\0';
  found->end = value ? value + value_bytes : name + name_bytes;
  found->zeros += strlen(name) != name_bytes || (value != NULL && strlen(value) != value_bytes);
  return MHD_YES;
}

void precis_doors_check_head(precis_request *request, const char *version)
{
  static const char blank[4] = "";
  head found = {.end = version + strlen(version)};
  if (version[0] == '\0') {
    precis_reply_error(&request->reply, 400, "request", "must be of HTTP/1.1 or HTTP/1.0");
    request->broken = request->ends = 1;
    return;
  }
  MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, look, &found);
  precis_reply *reply = &request->reply;
  if (found.lengths > 1)
    precis_reply_error(reply, 400, "Content-Length", "must be there once");
  if (found.lengths + found.codings > 1)
    precis_reply_error(reply, 400, "Transfer-Encoding", "must be there once, and without a length");
  if (found.hosts > 1)
    precis_reply_error(reply, 400, "Host", "must be there once");
  if (found.hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_1) == 0)
    precis_reply_error(reply, 400, "Host", "is missing");
  if (found.zeros > 0 || (shows_lines() && (found.loose > 0 || memcmp(found.end, blank, 4) != 0)))
    precis_reply_error(reply, 400, "header", "lines must end in CR LF, and hold no zero");
  request->broken = request->ends = reply->code != 0;
}

/* The name in a Host, without port and brackets. */
static int is_local_name(const char *host)
{
  char name[256];
  struct in6_addr address;
  int brackets = host[0] == '[';
  const char *end = brackets ? strchr(host, ']') : host + strcspn(host, ":");
  if (end == NULL || end - host >= (long)sizeof name)
    return 0;
  snprintf(name, sizeof name, "%.*s", (int)(end - host) - brackets, host + brackets);
  return strcasecmp(name, "localhost") == 0 ||
         inet_pton(brackets ? AF_INET6 : AF_INET, name, &address) == 1;
}

void precis_doors_check_origin(precis_request *request)
{
  const precis_http *h = request->http;
  const char *host = precis_request_header(request, MHD_HTTP_HEADER_HOST),
             *origin = precis_request_header(request, "Origin");
  if (!h->options->no_token || h->listener.path != NULL)
    return;
  if (host != NULL && !is_local_name(host))
    precis_reply_error(&request->reply, 403, "Host",
                       "must be an address or localhost where no token is asked for");
  const char *at = origin ? strstr(origin, "://") : NULL;
  if (origin != NULL && (at == NULL || host == NULL || strcasecmp(at + 3, host) != 0))
    precis_reply_error(&request->reply, 403, "Origin",
                       "pages from elsewhere may not ask where no token is asked for");
}

static enum MHD_Result check_argument(void *context, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
  precis_request *request = context;
  (void)kind;
  (void)value;
  int known = strcmp(name, "first_position") == 0 || strcmp(name, "bounds") == 0;
  if (strcmp(request->route->name, "attend") != 0 || !known)
    precis_reply_error(&request->reply, 400, "query", "the argument '%.40s' is not known", name);
  return MHD_YES;
}

void precis_doors_check_arguments(precis_request *request)
{
  MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, check_argument, request);
}
