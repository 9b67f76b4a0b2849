#include "mpi/service/handle.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/service/doors.h"
#include "mpi/service/request.h"
#include "mpi/service/request_log.h"
#include "src/files/body.h"
#include "src/base/size.h"

/* A body that will not be used is still read, as most clients look for the answer only when they
 * have sent all. Of strangers, so much of it. */
enum { PASSED_OVER_MOST = 1 << 22, WAITING_SECONDS = 1000000000 };

const char *precis_request_header(precis_request *request, const char *name)
{
  return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *precis_request_argument(precis_request *request, const char *name)
{
  return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

void precis_request_failed(precis_request *request, const precis_errand *errand, int refused,
                           const char *field)
{
  if (errand->late)
    precis_reply_error(&request->reply, 504, "Precis-Timeout", "was over before it was done");
  else if (errand->left)
    precis_reply_error(&request->reply, 499, "client", "was gone before it was done");
  else if (refused)
    precis_reply_error(&request->reply, 503, "service", "%s",
                       request->http->stopping ? "the service is stopping"
                                               : "too much is waiting, try again");
  else if (errand->gone)
    precis_reply_error(&request->reply, 404, "context", "the context was deleted meanwhile");
  else
    precis_reply_error(&request->reply, precis_reply_code(errand->status), field, "%s",
                       errand->why.text[0] ? errand->why.text : precis_strerror(errand->status));
}

void precis_request_take_body(precis_request *request, precis_body *body, const char *bytes,
                              int64_t count)
{
  precis_message why = {""};
  int status = precis_body_take(body, bytes, count, &why);
  if (status != PRECIS_SUCCESS)
    precis_reply_error(&request->reply, precis_reply_code(status), "body", "%s", why.text);
}

/* What bounds the whole request, if it says so. */
static void read_timeout(precis_request *request)
{
  static const double LONGEST = 1e6;
  const char *text = precis_request_header(request, "Precis-Timeout");
  double seconds;
  if (text == NULL)
    return;
  if (precis_number_parse("Precis-Timeout", text, 0, LONGEST, &seconds, NULL) != PRECIS_SUCCESS ||
      seconds <= 0) {
    precis_reply_error(&request->reply, 400, "Precis-Timeout",
                       "must be a number of seconds above 0, at most 1e6");
    return;
  }
  request->until = request->started + seconds;
  if (request->trusted && seconds < request->http->options->request_seconds)
    precis_deadlines_set(&request->http->deadlines, request->deadline, seconds);
}

int precis_request_run(precis_request *request, precis_errand *errand)
{
  int refused;
  errand->client = request->deadline->socket;
  errand->until = request->until;
  precis_queue_run(request->http->queue, errand, &refused);
  if (!refused)
    precis_metrics_errand(&request->http->metrics, errand->waited_for, errand->synced);
  return refused;
}

static void read_length(precis_request *request)
{
  const char *text = precis_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
  char *end;
  request->announced = -1;
  if (text == NULL)
    return;
  errno = 0;
  long long length = strtoll(text, &end, 10);
  if (errno != 0 || *end != '\0' || end == text || length < 0)
    precis_reply_error(&request->reply, 400, "Content-Length", "must be a number of bytes");
  else
    request->announced = length;
}

static void check_length(precis_request *request, int64_t bytes)
{
  int64_t most = request->route->body_most;
  if (bytes <= most)
    return;
  if (most == 0)
    precis_reply_error(&request->reply, 400, "body", "this request takes no body");
  else
    precis_reply_error(&request->reply, 413, "body", "more than the %lld bytes that are allowed",
                       (long long)most);
}

static void check_phase(precis_request *request)
{
  if (request->http->stopping)
    precis_reply_error(&request->reply, 503, "service", "the service is stopping");
  else if (!request->http->ready)
    precis_reply_error(&request->reply, 503, "service",
                       "contexts of the last job are being loaded, try again");
}

/* Who it is, and whether there is room for another one of those. Strangers keep the few seconds
 * that they have. */
static void let_in(precis_request *request)
{
  precis_http *h = request->http;
  precis_doors_identify(request);
  if (!request->trusted) {
    request->ends = 1;
    return;
  }
  if (precis_deadlines_trust(&h->deadlines, request->deadline)) {
    precis_deadlines_set(&h->deadlines, request->deadline, h->options->request_seconds);
    return;
  }
  request->ends = 1;
  precis_reply_error(&request->reply, 503, "connections", "there are %d already, try again",
                     h->options->connections_most);
}

static void check_rights(precis_request *request)
{
  const precis_route *route = request->route;
  if (!route->open && !request->trusted)
    precis_reply_error(&request->reply, 401, "Authorization", "must be \"Bearer TOKEN\"");
  if (route->writes && !request->may_write)
    precis_reply_error(&request->reply, 403, "Authorization", "this token may read only");
  if (!route->open)
    check_phase(request);
  if (request->announced > 0)
    check_length(request, request->announced);
  precis_doors_check_arguments(request);
}

/* The head is there. */
static void begin(precis_request *request, const char *method, const char *path,
                  const char *version)
{
  request->seen = 1;
  request->started = precis_deadlines_now();
  precis_request_log_begin(request, method);
  precis_doors_check_head(request, version);
  let_in(request);
  precis_doors_check_origin(request);
  read_length(request);
  read_timeout(request);
  if (request->cut)
    precis_reply_error(&request->reply, 404, "path", "a path holds no zero");
  else
    request->route = precis_route_find(request, method, path);
  if (request->route == NULL)
    return;
  check_rights(request);
  if (request->reply.code == 0 && request->id_known) {
    request->context = precis_contexts_find(request->http->contexts, request->id);
    if (request->context == NULL)
      precis_reply_error(&request->reply, 404, "context", "%s %s",
                         precis_contexts_is_left_out(request->http->contexts, request->id)
                             ? "left out, as it is damaged on disk: context"
                             : "there is no context",
                         request->id);
  }
  if (request->reply.code == 0 && request->route->begin != NULL)
    request->route->begin(request);
}

static void add_headers(const precis_request *request, struct MHD_Response *response)
{
  const precis_reply *reply = &request->reply;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  MHD_add_response_header(response, "X-Request-Id", request->name);
  MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  if (request->ends)
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  if (reply->nonce[0] != '\0') {
    char policy[256];
    snprintf(policy, sizeof policy,
             "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             reply->nonce, reply->nonce);
    MHD_add_response_header(response, "Content-Security-Policy", policy);
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
  }
  if (reply->code == 401)
    MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
  if (reply->code == 503)
    MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
  if (reply->allow != NULL)
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
  if (reply->report != NULL)
    MHD_add_response_header(response, "Precis-Report", reply->report);
}

/* Before the answer goes out: who asks again at once must not meet what the request has claimed. */
static void end_work(precis_request *request)
{
  if (request->route != NULL && request->route->end != NULL && request->work != NULL)
    request->route->end(request);
  request->work = NULL;
}

static enum MHD_Result answer(precis_request *request)
{
  precis_reply *reply = &request->reply;
  end_work(request);
  if (reply->code == 0)
    precis_reply_error(reply, 500, "service", "no answer");
  struct MHD_Response *response =
      reply->text
          ? MHD_create_response_from_buffer(strlen(reply->text), (void *)(uintptr_t)reply->text,
                                            MHD_RESPMEM_PERSISTENT)
          : MHD_create_response_from_buffer(reply->bytes, reply->body, MHD_RESPMEM_MUST_FREE);
  if (response == NULL)
    return MHD_NO;
  request->sent = (int64_t)(reply->text ? strlen(reply->text) : reply->bytes);
  reply->body = NULL;
  add_headers(request, response);
  precis_deadlines_speak(&request->http->deadlines, request->deadline, 1);
  if (request->trusted)
    precis_deadlines_set(&request->http->deadlines, request->deadline,
                         request->http->options->request_seconds);
  enum MHD_Result queued = MHD_queue_response(request->connection, (unsigned)reply->code, response);
  MHD_destroy_response(response);
  precis_metrics_reply(&request->http->metrics, request->route ? request->route->name : "none",
                       reply->code, precis_deadlines_now() - request->started);
  return queued;
}

/* Without waiting for the body, to clients that wait for the answer or may be no friends. */
static int answers_at_once(precis_request *request)
{
  int waits = precis_request_header(request, MHD_HTTP_HEADER_EXPECT) != NULL;
  return request->broken || (request->reply.code != 0 && (waits || !request->trusted) &&
                             request->announced > PASSED_OVER_MOST);
}

static enum MHD_Result take(precis_request *request, const char *data, size_t bytes)
{
  request->received += (int64_t)bytes;
  if (request->reply.code == 0)
    check_length(request, request->received);
  if (request->reply.code == 0)
    request->route->take(request, data, (int64_t)bytes);
  if (request->reply.code != 0)
    request->passed_over += (int64_t)bytes;
  /* In the middle of a body there is no way to answer but to end the connection. */
  return !request->trusted && request->passed_over > PASSED_OVER_MOST ? MHD_NO : MHD_YES;
}

enum MHD_Result precis_http_handle(void *http, struct MHD_Connection *connection, const char *path,
                                   const char *method, const char *version, const char *data,
                                   size_t *bytes, void **state)
{
  precis_request *request = *state;
  (void)http;
  if (request == NULL)
    return MHD_NO;
  request->connection = connection;
  if (!request->seen) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->deadline = info ? info->socket_context : NULL;
    if (request->deadline == NULL)
      return MHD_NO;
    begin(request, method, path, version);
    return answers_at_once(request) ? answer(request) : MHD_YES;
  }
  if (*bytes > 0) {
    enum MHD_Result result = take(request, data, *bytes);
    *bytes = 0;
    return result;
  }
  if (request->reply.code == 0) {
    precis_deadlines_set(&request->http->deadlines, request->deadline, WAITING_SECONDS);
    request->route->finish(request);
  }
  return answer(request);
}

void *precis_http_make_request(void *http, const char *uri, struct MHD_Connection *connection)
{
  precis_http *h = http;
  (void)connection;
  precis_request *request = calloc(1, sizeof *request);
  if (request == NULL)
    return NULL;
  request->http = h;
  request->cut = strstr(uri, "%00") != NULL;
  snprintf(request->path, sizeof request->path, "%.*s", (int)strcspn(uri, "?"), uri);
  atomic_fetch_add(&h->active, 1);
  return request;
}

void precis_http_end_request(void *http, struct MHD_Connection *connection, void **state,
                             enum MHD_RequestTerminationCode code)
{
  precis_http *h = http;
  precis_request *request = *state;
  (void)connection;
  if (request == NULL)
    return;
  if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
    precis_metrics_cut_off(&h->metrics);
  precis_metrics_bytes(&h->metrics, request->received, request->sent);
  precis_request_log_end(request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
  end_work(request);
  atomic_fetch_sub(&h->flight, request->flight);
  if (request->context != NULL)
    precis_contexts_release(h->contexts, request->context);
  if (request->deadline != NULL) {
    precis_deadlines_speak(&h->deadlines, request->deadline, 0);
    precis_deadlines_set(&h->deadlines, request->deadline, PRECIS_HTTP_IDLE_SECONDS);
  }
  precis_reply_free(&request->reply);
  free(request);
  *state = NULL;
  atomic_fetch_sub(&h->active, 1);
}
