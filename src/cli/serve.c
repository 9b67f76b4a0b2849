/* serve.c - precis serve: contexts that stay, queries over HTTP */
#include <string.h>

#include "mpi/service/service.h"
#include "src/cli/cli.h"

static const char LISTEN[] = "127.0.0.1:8470", TOKEN_FILE[] = "precis.token";

/* Defaults of limits. */
enum { CONTEXTS = 256, CONNECTIONS = 128, REQUEST_SECONDS = 600 };
static const int64_t TOKENS = INT64_C(1) << 40, QUERY_BYTES = INT64_C(1) << 28;

static int64_t given(int64_t value, int64_t otherwise)
{
  return value > 0 ? value : otherwise;
}

int precis_command_serve(precis_cli *cli)
{
  const precis_settings *s = &cli->settings;
  if (s->no_token && s->token_file != NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--no-token and --token-file exclude each other");
  if ((s->tls_cert == NULL) != (s->tls_key == NULL))
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--tls-cert and --tls-key go together");
  if (s->tls_cert != NULL && s->listen != NULL && strncmp(s->listen, "unix:", 5) == 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--tls-cert and --listen unix:... exclude each other");
  const precis_service_options options = {
      .listen = s->listen ? s->listen : LISTEN,
      .data = s->data,
      .token_file = s->token_file ? s->token_file : TOKEN_FILE,
      .no_token = s->no_token,
      .insecure = s->insecure,
      .tls_certificate = s->tls_cert,
      .tls_key = s->tls_key,
      .machine = s->machine,
      .threads = (int)s->threads,
      .memory_limit = s->memory_limit,
      .contexts_most = given(s->contexts, CONTEXTS),
      .tokens_most = given(s->context_tokens, TOKENS),
      .query_bytes_most = given(s->query_bytes, QUERY_BYTES),
      .connections_most = (int)given(s->connections, CONNECTIONS),
      .log = {.form = s->log_form >= 0 ? (precis_log_form)s->log_form : PRECIS_LOG_TEXT,
              .level = s->log_level >= 0 ? (precis_log_level)s->log_level : PRECIS_LOG_INFO},
      .request_seconds = s->request_seconds > 0 ? s->request_seconds : REQUEST_SECONDS};
  return precis_service_run(&cli->world, &options, &cli->why);
}
