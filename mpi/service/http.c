#include "mpi/service/http.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/service/handle.h"

/* A request's head must fit into the memory of its connection. */
enum { CONNECTION_MEMORY = 1 << 16, STRANGER_SECONDS = 5 };

static void notice_connection(void *http, struct MHD_Connection *connection, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
  precis_http *h = http;
  if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
    if (*context != NULL)
      precis_deadlines_remove(&h->deadlines, *context);
    *context = NULL;
    return;
  }
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  const union MHD_ConnectionInfo *from =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  *context = info ? precis_deadlines_add(&h->deadlines, info->connect_fd,
                                         from ? from->client_addr : NULL, STRANGER_SECONDS)
                  : NULL;
}

/* TLS 1.2 and newer. */
static const char PROTOCOLS[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static struct MHD_Daemon *make_daemon(precis_http *h, const precis_tls *tls)
{
  const unsigned flags =
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC;
  const struct MHD_OptionItem none = {MHD_OPTION_END, 0, NULL};
  const struct MHD_OptionItem secrets[] = {
      {MHD_OPTION_HTTPS_MEM_CERT, 0, tls->certificate},
      {MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key},
      {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)PROTOCOLS},
      none};
  /* A daemon closes what it listens at, also when it fails. */
  int socket = fcntl(h->listener.socket, F_DUPFD_CLOEXEC, 0);
  if (socket < 0)
    return NULL;
  return MHD_start_daemon(
      flags | (tls->key ? MHD_USE_TLS : 0), 0, NULL, NULL, precis_http_handle, h,
      MHD_OPTION_LISTEN_SOCKET, socket, MHD_OPTION_URI_LOG_CALLBACK, precis_http_make_request, h,
      MHD_OPTION_NOTIFY_COMPLETED, precis_http_end_request, h, MHD_OPTION_NOTIFY_CONNECTION,
      notice_connection, h, MHD_OPTION_CONNECTION_LIMIT,
      (unsigned)(h->options->connections_most + 2 * h->deadlines.strangers_most),
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
      (unsigned)PRECIS_HTTP_IDLE_SECONDS, MHD_OPTION_ARRAY, tls->key ? secrets : &none,
      MHD_OPTION_END);
}

static int start_daemon(precis_http *h, precis_message *why)
{
  h->daemon = make_daemon(h, &h->tls);
  if (h->daemon != NULL)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_IO, "the HTTP server cannot be started at %s%s",
                            h->listener.text,
                            h->tls.key ? ": look at --tls-cert and --tls-key" : "");
}

/* What it takes to listen. */
static int prepare(precis_http *h, precis_message *why)
{
  const precis_service_options *o = h->options;
  int status = PRECIS_SUCCESS, tls = o->tls_certificate != NULL;
  if (tls)
    status = precis_tls_load(o->tls_certificate, o->tls_key, &h->tls, why);
  if (status == PRECIS_SUCCESS)
    status = precis_listener_open(o->listen, tls, &h->listener, why);
  if (status == PRECIS_SUCCESS && o->no_token && !h->listener.local) {
    precis_listener_close(&h->listener);
    status = precis_message_set(why, PRECIS_ERR_ARGUMENT,
                                "--no-token and --listen %s: everybody could come in", o->listen);
  }
  if (status == PRECIS_SUCCESS && !tls && !o->insecure && !h->listener.local) {
    precis_listener_close(&h->listener);
    status =
        precis_message_set(why, PRECIS_ERR_ARGUMENT,
                           "--listen %s without --tls-cert: the token and all tensors could be "
                           "read on the way; --insecure allows it",
                           o->listen);
  }
  /* Last, as it may make a file. */
  if (status == PRECIS_SUCCESS && !o->no_token) {
    status = precis_tokens_load(o->token_file, &h->tokens, why);
    if (status != PRECIS_SUCCESS)
      precis_listener_close(&h->listener);
  }
  if (status != PRECIS_SUCCESS) {
    precis_tls_free(&h->tls);
    precis_tokens_free(&h->tokens);
  }
  return status;
}

/* Strangers have connections of their own, which go from one to the next. */
static void set_limits(precis_http *h)
{
  int most = h->options->connections_most, strangers = most / 4;
  strangers = strangers < 4 ? 4 : strangers > 64 ? 64 : strangers;
  h->deadlines.plain = h->tls.key == NULL;
  h->deadlines.strangers_most = strangers;
  h->deadlines.of_one_address = strangers - strangers / 4;
  h->deadlines.trusted_most = most;
}

int precis_http_start(precis_http *h, precis_message *why)
{
  h->started = precis_deadlines_now();
  pthread_mutex_init(&h->token_lock, NULL);
  int status = prepare(h, why);
  if (status != PRECIS_SUCCESS)
    return status;
  set_limits(h);
  int error = precis_deadlines_start(&h->deadlines);
  if (error != 0) {
    precis_listener_close(&h->listener);
    precis_tls_free(&h->tls);
    precis_tokens_free(&h->tokens);
    return precis_message_set(why, PRECIS_ERR_MEMORY, "no thread for HTTP: %s", strerror(error));
  }
  precis_metrics_create(&h->metrics);
  status = start_daemon(h, why);
  if (status != PRECIS_SUCCESS)
    precis_http_stop(h);
  return status;
}

static void reload_tokens(precis_http *h)
{
  precis_message why = {""};
  precis_tokens tokens = {NULL, 0};
  if (h->options->no_token)
    return;
  int status = precis_tokens_load(h->options->token_file, &tokens, &why);
  if (status == PRECIS_SUCCESS) {
    pthread_mutex_lock(&h->token_lock);
    precis_tokens old = h->tokens;
    h->tokens = tokens;
    tokens = old;
    pthread_mutex_unlock(&h->token_lock);
  }
  precis_tokens_free(&tokens);
  precis_log_write(h->log, status ? PRECIS_LOG_ERROR : PRECIS_LOG_INFO, "reload", NULL, "%s",
                   status ? why.text : "tokens were read again");
}

/* A place for the daemon that is now at work; -1 if all have connections still. */
static int place_for_earlier(precis_http *h)
{
  int place = -1;
  for (int i = 0; i < PRECIS_HTTP_EARLIER; i++) {
    const union MHD_DaemonInfo *info =
        h->earlier[i] ? MHD_get_daemon_info(h->earlier[i], MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
                      : NULL;
    if (info != NULL && info->num_connections == 0) {
      MHD_stop_daemon(h->earlier[i]);
      h->earlier[i] = NULL;
    }
    if (h->earlier[i] == NULL)
      place = i;
  }
  return place;
}

/* A daemon keeps the certificate that it began with: another one takes its place. */
static int replace_daemon(precis_http *h, const precis_tls *tls, precis_message *why)
{
  int place = place_for_earlier(h);
  if (place < 0)
    return precis_message_set(why, PRECIS_ERR_IO,
                              "too many connections are left that began before earlier reloads");
  int socket = MHD_quiesce_daemon(h->daemon);
  if (socket == MHD_INVALID_SOCKET)
    return precis_message_set(why, PRECIS_ERR_IO, "the HTTP server cannot be replaced");
  close(socket);
  h->earlier[place] = h->daemon;
  h->daemon = make_daemon(h, tls);
  if (h->daemon != NULL)
    return PRECIS_SUCCESS;
  h->daemon = make_daemon(h, &h->tls);
  return precis_message_set(why, PRECIS_ERR_IO, "certificate and key cannot be used");
}

static void reload_certificate(precis_http *h)
{
  const precis_service_options *o = h->options;
  precis_message why = {""};
  precis_tls tls = {NULL, NULL};
  if (o->tls_certificate == NULL || h->daemon == NULL)
    return;
  int status = precis_tls_load(o->tls_certificate, o->tls_key, &tls, &why);
  if (status == PRECIS_SUCCESS)
    status = replace_daemon(h, &tls, &why);
  if (status == PRECIS_SUCCESS) {
    precis_tls old = h->tls;
    h->tls = tls;
    tls = old;
  }
  precis_tls_free(&tls);
  precis_log_write(h->log, status ? PRECIS_LOG_ERROR : PRECIS_LOG_INFO, "reload", NULL, "%s",
                   status ? why.text : "the certificate was read again");
}

void precis_http_reload(precis_http *h)
{
  if (atomic_load(&h->stopping))
    return;
  reload_tokens(h);
  reload_certificate(h);
}

void precis_http_stop(precis_http *h)
{
  for (int i = 0; i < PRECIS_HTTP_EARLIER; i++)
    if (h->earlier[i] != NULL)
      MHD_stop_daemon(h->earlier[i]);
  if (h->daemon != NULL)
    MHD_stop_daemon(h->daemon);
  precis_listener_close(&h->listener);
  precis_deadlines_stop(&h->deadlines);
  precis_metrics_free(&h->metrics);
  precis_tls_free(&h->tls);
  precis_tokens_free(&h->tokens);
}
