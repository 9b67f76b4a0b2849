#include "mpi/service/request_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void precis_request_log_begin(precis_request *request, const char *method)
{
  static const char allowed[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:";
  const char *given = precis_request_header(request, "X-Request-Id");
  size_t length = given ? strlen(given) : 0;
  uint64_t number = 0;
  snprintf(request->method, sizeof request->method, "%s", method);
  if (length > 0 && length < sizeof request->name && strspn(given, allowed) == length) {
    strcpy(request->name, given);
    return;
  }
  if (getrandom(&number, sizeof number, 0) != sizeof number)
    number = 0;
  snprintf(request->name, sizeof request->name, "%016" PRIx64, number);
}

/* Those who watch ask every few seconds. */
static int only_watches(const precis_request *request)
{
  static const char *const names[] = {"health", "ready", "openapi", "page", "status", "metrics"};
  for (size_t i = 0; request->route != NULL && i < sizeof names / sizeof names[0]; i++)
    if (strcmp(request->route->name, names[i]) == 0)
      return 1;
  return 0;
}

static precis_log_level level_of(const precis_request *request, int complete)
{
  int code = request->reply.code;
  if (code == 500 || code == 507)
    return PRECIS_LOG_WARNING;
  return complete && code < 400 && only_watches(request) ? PRECIS_LOG_DEBUG : PRECIS_LOG_INFO;
}

void precis_request_log_end(const precis_request *request, int complete)
{
  const precis_log *log = request->http->log;
  precis_log_level level = level_of(request, complete);
  if (!precis_log_wants(log, level))
    return;
  double seconds = request->seen ? precis_deadlines_now() - request->started : 0;
  json_t *fields =
      json_pack("{s:s, s:s, s:s, s:i, s:f, s:I, s:I, s:s, s:s*}", "id", request->name, "method",
                request->method, "path", request->path, "status", request->reply.code, "ms",
                1e3 * seconds, "bytes_in", (json_int_t)request->received, "bytes_out",
                (json_int_t)request->sent, "token", request->trusted ? request->owner.name : "-",
                "context", request->id_known ? request->id : NULL);
  precis_log_write(log, level, complete ? "request" : "cut", fields, "%s",
                   complete ? request->reply.message : "the connection ended before the answer");
}
