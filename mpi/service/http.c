#include "mpi/service/http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/service/handle.h"

/* A request's head must fit into the memory of its connection. */
enum { CONNECTION_MEMORY = 1 << 16, HEAD_SECONDS = 20, OPTIONS = 12 };

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
  *context = info ? precis_deadlines_add(&h->deadlines, info->connect_fd, HEAD_SECONDS) : NULL;
}

static int start_daemon(precis_http *h, precis_message *why)
{
  const unsigned flags =
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
  const int tls = h->tls.key != NULL;
  const struct MHD_OptionItem none = {MHD_OPTION_END, 0, NULL};
  const struct MHD_OptionItem secrets[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, h->tls.certificate},
                                           {MHD_OPTION_HTTPS_MEM_KEY, 0, h->tls.key},
                                           none};
  h->daemon = MHD_start_daemon(
      flags | (tls ? MHD_USE_TLS : 0), 0, NULL, NULL, precis_http_handle, h,
      MHD_OPTION_LISTEN_SOCKET, h->listener.socket, MHD_OPTION_URI_LOG_CALLBACK,
      precis_http_make_request, h, MHD_OPTION_NOTIFY_COMPLETED, precis_http_end_request, h,
      MHD_OPTION_NOTIFY_CONNECTION, notice_connection, h, MHD_OPTION_CONNECTION_LIMIT,
      (unsigned)h->options->connections_most, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PRECIS_HTTP_IDLE_SECONDS,
      MHD_OPTION_ARRAY, tls ? secrets : &none, MHD_OPTION_END);
  if (h->daemon != NULL)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_IO, "the HTTP server cannot be started at %s%s",
                            h->listener.text, tls ? ": look at --tls-cert and --tls-key" : "");
}

/* What it takes to listen. */
static int prepare(precis_http *h, precis_message *why)
{
  const precis_service_options *o = h->options;
  int status = PRECIS_SUCCESS, tls = o->tls_certificate != NULL;
  if (tls)
    status = precis_tls_load(o->tls_certificate, o->tls_key, &h->tls, why);
  if (status == PRECIS_SUCCESS && !o->no_token)
    status = precis_token_load(o->token_file, &h->token, why);
  if (status == PRECIS_SUCCESS)
    status = precis_listener_open(o->listen, tls, &h->listener, why);
  if (status == PRECIS_SUCCESS && o->no_token && !h->listener.local) {
    precis_listener_close(&h->listener);
    status = precis_message_set(why, PRECIS_ERR_ARGUMENT,
                                "--no-token and --listen %s: everybody could come in", o->listen);
  }
  if (status != PRECIS_SUCCESS)
    precis_tls_free(&h->tls);
  return status;
}

int precis_http_start(precis_http *h, precis_message *why)
{
  h->started = precis_deadlines_now();
  int status = prepare(h, why);
  if (status != PRECIS_SUCCESS)
    return status;
  int error = precis_deadlines_start(&h->deadlines);
  if (error != 0) {
    precis_listener_close(&h->listener);
    precis_tls_free(&h->tls);
    return precis_message_set(why, PRECIS_ERR_MEMORY, "no thread for HTTP: %s", strerror(error));
  }
  precis_metrics_create(&h->metrics);
  status = start_daemon(h, why);
  if (status != PRECIS_SUCCESS)
    precis_http_stop(h);
  return status;
}

void precis_http_refuse(precis_http *h, double seconds)
{
  atomic_store(&h->stopping, 1);
  precis_deadlines_set_job(&h->deadlines, seconds);
}

void precis_http_stop(precis_http *h)
{
  if (h->daemon != NULL) {
    h->listener.socket = -1; /* the server closes it */
    MHD_stop_daemon(h->daemon);
  }
  precis_listener_close(&h->listener);
  precis_deadlines_stop(&h->deadlines);
  precis_metrics_free(&h->metrics);
  precis_tls_free(&h->tls);
}
