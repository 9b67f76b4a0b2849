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
  if (s->serve.no_token && s->serve.token_file != NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--no-token and --token-file exclude each other");
  if ((s->serve.tls_cert == NULL) != (s->serve.tls_key == NULL))
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--tls-cert and --tls-key go together");
  if (s->serve.tls_cert != NULL && s->serve.listen != NULL &&
      strncmp(s->serve.listen, "unix:", 5) == 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--tls-cert and --listen unix:... exclude each other");
  const precis_service_options options = {
      .listen = s->serve.listen ? s->serve.listen : LISTEN,
      .data = s->serve.data,
      .skip_damaged = s->serve.skip_damaged,
      .token_file = s->serve.token_file ? s->serve.token_file : TOKEN_FILE,
      .no_token = s->serve.no_token,
      .insecure = s->serve.insecure,
      .tls_certificate = s->serve.tls_cert,
      .tls_key = s->serve.tls_key,
      .machine = s->machine.rates,
      .threads = (int)s->machine.threads,
      .memory_limit = s->machine.memory_limit,
      .contexts_most = given(s->serve.contexts, CONTEXTS),
      .tokens_most = given(s->serve.context_tokens, TOKENS),
      .query_bytes_most = given(s->serve.query_bytes, QUERY_BYTES),
      .connections_most = (int)given(s->serve.connections, CONNECTIONS),
      .log = {.form = s->serve.log_form >= 0 ? (precis_log_form)s->serve.log_form : PRECIS_LOG_TEXT,
              .level =
                  s->serve.log_level >= 0 ? (precis_log_level)s->serve.log_level : PRECIS_LOG_INFO},
      .request_seconds = s->serve.request_seconds > 0 ? s->serve.request_seconds : REQUEST_SECONDS};
  return precis_service_run(&cli->world, &options, &cli->why);
}
