#include "src/client/client.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis_client.h"
#include "src/files/safetensors.h"

struct precis_client {
  char *url, *token, *ca_file;
  precis_client_options options;
  precis_web web;
};

int precis_client_status(const precis_web_answer *answer, precis_message *why)
{
  if (answer->code >= 200 && answer->code < 300)
    return PRECIS_SUCCESS;
  const char *field = "", *text = "no words";
  json_t *root = answer->body ? json_loadb(answer->body, (size_t)answer->bytes, 0, NULL) : NULL;
  int status = answer->code == 413 || answer->code == 507  ? PRECIS_ERR_MEMORY
               : answer->code >= 400 && answer->code < 500 ? PRECIS_ERR_ARGUMENT
                                                           : PRECIS_ERR_IO;
  json_unpack(root, "{s:{s:s, s:s}}", "error", "field", &field, "message", &text);
  precis_message_set(why, status, "the service answers %d: %s: %s", answer->code, field, text);
  json_decref(root);
  return status;
}

int precis_client_open(const precis_client_options *options, precis_client **client)
{
  if (options == NULL || options->url == NULL || client == NULL)
    return PRECIS_ERR_ARGUMENT;
  precis_client *made = calloc(1, sizeof *made);
  if (made == NULL)
    return PRECIS_ERR_MEMORY;
  made->options = *options;
  made->url = strdup(options->url);
  made->token = strdup(options->token ? options->token : "");
  if (options->ca_file != NULL)
    made->ca_file = strdup(options->ca_file);
  made->web = (precis_web){.url = made->url,
                           .token = made->token,
                           .ca_file = made->ca_file,
                           .seconds = options->timeout_seconds};
  if (made->url == NULL || made->token == NULL ||
      (options->ca_file != NULL && made->ca_file == NULL)) {
    precis_client_close(&made);
    return PRECIS_ERR_MEMORY;
  }
  *client = made;
  return PRECIS_SUCCESS;
}

void precis_client_close(precis_client **client)
{
  precis_client *c = client ? *client : NULL;
  if (c == NULL)
    return;
  precis_web_close(&c->web);
  free(c->url);
  free(c->token);
  free(c->ca_file);
  free(c);
  *client = NULL;
}

static int end(const precis_client *c, int status, const precis_message *why)
{
  if (status != PRECIS_SUCCESS && c->options.message != NULL)
    c->options.message(c->options.context, why->text[0] ? why->text : precis_strerror(status));
  return status;
}

/* Asks, and takes the answer for an error where it is one. What changes something gets a key if it
 * has none, so that it can be sent again where nobody knows whether it was done. */
static int ask(precis_client *c, const precis_web_request *asked, precis_web_answer *answer,
               precis_message *why)
{
  char key[PRECIS_WEB_KEY];
  precis_web_request request = *asked;
  if (request.changes && request.key == NULL && precis_web_make_key(key))
    request.key = key;
  int status = precis_web_ask(&c->web, &request, answer, why);
  return status == PRECIS_SUCCESS ? precis_client_status(answer, why) : status;
}

/* The text that an answer has under a name. */
static int read_text(const precis_web_answer *answer, const char *name, char *to, size_t size,
                     precis_message *why)
{
  json_t *root = json_loadb(answer->body, (size_t)answer->bytes, 0, NULL);
  const char *text = json_string_value(json_object_get(root, name));
  int good = text != NULL && strlen(text) < size;
  if (good)
    strcpy(to, text);
  json_decref(root);
  return good ? PRECIS_SUCCESS
              : precis_message_set(why, PRECIS_ERR_FORMAT, "the answer has no %s", name);
}

typedef struct path {
  char text[128];
} path;

static int path_of(const char *id, const char *rest, path *p, precis_message *why)
{
  size_t length = id ? strlen(id) : 0;
  if (length == 0 || length >= PRECIS_CLIENT_ID ||
      strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") != length)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "that is no context's id");
  snprintf(p->text, sizeof p->text, "/v1/contexts/%s%s", id, rest);
  return PRECIS_SUCCESS;
}

/* precis_unit_name() is of the library that this one is part of, or not. */
static const char *unit_name(precis_unit unit)
{
  return unit == PRECIS_UNIT_RANGE ? "range" : unit == PRECIS_UNIT_LSE ? "lse" : "outputs";
}

int precis_client_create(precis_client *c, const precis_problem *p, double tol,
                         char id[PRECIS_CLIENT_ID])
{
  return precis_client_create_of(c, p, tol, PRECIS_UNIT_OUTPUTS, id);
}

int precis_client_create_of(precis_client *c, const precis_problem *p, double tol,
                            precis_unit tol_of, char id[PRECIS_CLIENT_ID])
{
  precis_message why = {""};
  precis_web_answer answer = {.code = 0};
  json_t *spec = json_pack("{s:i, s:i, s:i, s:i, s:b, s:f, s:f, s:s}", "heads", p->heads,
                           "kv_heads", p->kv_heads ? p->kv_heads : p->heads, "dim", p->dim,
                           "value_dim", p->value_dim ? p->value_dim : p->dim, "causal", p->causal,
                           "scale", p->scale, "tol", tol, "tol_of", unit_name(tol_of));
  char *text = spec ? json_dumps(spec, JSON_COMPACT) : NULL;
  int status = text ? PRECIS_SUCCESS
                    : precis_message_set(&why, PRECIS_ERR_ARGUMENT, "scale or tol is not finite");
  if (status == PRECIS_SUCCESS) {
    const precis_web_request request = {.method = "POST",
                                        .changes = 1,
                                        .path = "/v1/contexts",
                                        .parts = 1,
                                        .part = {text},
                                        .bytes = {(int64_t)strlen(text)}};
    status = ask(c, &request, &answer, &why);
  }
  if (status == PRECIS_SUCCESS)
    status = read_text(&answer, "id", id, PRECIS_CLIENT_ID, &why);
  precis_web_answer_free(&answer);
  free(text);
  json_decref(spec);
  return end(c, status, &why);
}

int precis_client_fork(precis_client *c, const char *id, char child[PRECIS_CLIENT_ID])
{
  precis_message why = {""};
  precis_web_answer answer = {.code = 0};
  path p;
  int status = path_of(id, "/fork", &p, &why);
  if (status == PRECIS_SUCCESS)
    status = ask(c, &(precis_web_request){.method = "POST", .changes = 1, .path = p.text}, &answer,
                 &why);
  if (status == PRECIS_SUCCESS)
    status = read_text(&answer, "id", child, PRECIS_CLIENT_ID, &why);
  precis_web_answer_free(&answer);
  return end(c, status, &why);
}

int precis_client_delete(precis_client *c, const char *id)
{
  precis_message why = {""};
  precis_web_answer answer = {.code = 0};
  path p;
  int status = path_of(id, "", &p, &why);
  if (status == PRECIS_SUCCESS)
    status = ask(c, &(precis_web_request){.method = "DELETE", .path = p.text}, &answer, &why);
  precis_web_answer_free(&answer);
  return end(c, status, &why);
}

static int64_t kv_heads(const precis_problem *p)
{
  return p->kv_heads ? p->kv_heads : p->heads;
}

static int64_t value_dim(const precis_problem *p)
{
  return p->value_dim ? p->value_dim : p->dim;
}

int precis_client_append(precis_client *c, const char *id, const precis_problem *problem,
                         int64_t rows, const float *k, const float *v, const float *bias,
                         const char *key, int64_t *tokens)
{
  static const char *const names[] = {"k", "v", "bias"};
  precis_tensor tensors[] = {{.axes = 3, .shape = {rows, kv_heads(problem), problem->dim}},
                             {.axes = 3, .shape = {rows, kv_heads(problem), value_dim(problem)}},
                             {.axes = 1, .shape = {rows}}};
  precis_message why = {""};
  precis_web_answer answer = {.code = 0};
  precis_web_request r = {.method = "POST",
                          .changes = 1,
                          .key = key,
                          .parts = bias ? 4 : 3,
                          .part = {NULL, k, v, bias}};
  char *head = NULL;
  path p;
  int status = path_of(id, "/append", &p, &why);
  if (status == PRECIS_SUCCESS)
    status = precis_safetensors_format(names, tensors, bias ? 3 : 2, &head, &r.bytes[0], &why);
  if (status == PRECIS_SUCCESS) {
    r.path = p.text;
    r.part[0] = head;
    for (int i = 1; i < r.parts; i++)
      r.bytes[i] = precis_tensor_bytes(&tensors[i - 1]);
    status = ask(c, &r, &answer, &why);
  }
  if (status == PRECIS_SUCCESS && tokens != NULL) {
    json_t *root = json_loadb(answer.body, (size_t)answer.bytes, 0, NULL);
    json_int_t count;
    status = json_unpack(root, "{s:I}", "tokens", &count) == 0
                 ? PRECIS_SUCCESS
                 : precis_message_set(&why, PRECIS_ERR_FORMAT, "the answer has no tokens");
    if (status == PRECIS_SUCCESS)
      *tokens = (int64_t)count;
    json_decref(root);
  }
  free(head);
  precis_web_answer_free(&answer);
  return end(c, status, &why);
}

/* One array of the answer, which must have so many numbers. */
static int find_array(const precis_web_answer *answer, const char *name, int64_t count,
                      const char **at, precis_message *why)
{
  precis_tensor tensor;
  int64_t header_bytes;
  int status = precis_safetensors_header_bytes("answer", answer->body, answer->bytes, answer->bytes,
                                               &header_bytes, why);
  if (status == PRECIS_SUCCESS)
    status = precis_safetensors_parse("answer", answer->body, header_bytes, answer->bytes, name,
                                      NULL, &tensor, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (tensor.dtype != PRECIS_F32 || precis_tensor_bytes(&tensor) != count * 4)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "the answer's %s has another shape", name);
  *at = answer->body + tensor.offset;
  return PRECIS_SUCCESS;
}

static double number_of(const json_t *root, const char *name)
{
  const json_t *value = json_object_get(root, name);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

/* A service of before 0.2.0 says no unit, and had one. */
static precis_unit unit_of(const json_t *root)
{
  const char *name = json_string_value(json_object_get(root, "unit"));
  for (int unit = PRECIS_UNIT_OUTPUTS; name != NULL && unit <= PRECIS_UNIT_LSE; unit++)
    if (strcmp(name, unit_name((precis_unit)unit)) == 0)
      return (precis_unit)unit;
  return PRECIS_UNIT_RANGE;
}

static int read_report(const char *text, precis_client_answer *to, precis_message *why)
{
  json_t *root = json_loads(text, 0, NULL);
  const char *move = json_string_value(json_object_get(root, "move"));
  precis_client_answer made = {.tokens =
                                   (int64_t)json_integer_value(json_object_get(root, "tokens")),
                               .promise = number_of(root, "promise"),
                               .estimate = json_is_true(json_object_get(root, "estimate")),
                               .unit = unit_of(root),
                               .promise_outputs = number_of(root, "outputs"),
                               .promise_outputs_rms = number_of(root, "outputs_rms"),
                               .promise_range = number_of(root, "range"),
                               .lse_promise = number_of(root, "lse_promise"),
                               .mean_signal = number_of(root, "mean_signal")};
  for (int m = 0; m < PRECIS_MOVES && move != NULL; m++)
    if (strcmp(precis_move_name((precis_move)m), move) == 0)
      made.move = (precis_move)m;
  int good = move != NULL;
  json_decref(root);
  if (!good)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "the answer has no report");
  *to = made;
  return PRECIS_SUCCESS;
}

int precis_client_attend(precis_client *c, const char *id, const precis_problem *problem,
                         int64_t rows, const float *q, float *out, float *lse,
                         precis_client_answer *report)
{
  const precis_results results = {out, lse, NULL};
  return precis_client_attend_results(c, id, problem, rows, q, &results, report);
}

/* What was asked for, from an answer that has all of it. */
static int take_results(const precis_web_answer *answer, const precis_problem *problem,
                        int64_t rows, const precis_results *to, precis_client_answer *said,
                        precis_message *why)
{
  const char *out = NULL, *lse = NULL, *bounds = NULL;
  int64_t pairs = rows * problem->heads;
  int status = find_array(answer, "out", pairs * value_dim(problem), &out, why);
  if (status == PRECIS_SUCCESS)
    status = find_array(answer, "lse", pairs, &lse, why);
  if (status == PRECIS_SUCCESS && to->bounds != NULL)
    status = find_array(answer, "bounds", pairs, &bounds, why);
  if (status == PRECIS_SUCCESS)
    status = read_report(answer->report, said, why);
  if (status != PRECIS_SUCCESS)
    return status;
  memcpy(to->out, out, (size_t)(pairs * value_dim(problem)) * sizeof *to->out);
  if (to->lse != NULL)
    memcpy(to->lse, lse, (size_t)pairs * sizeof *to->lse);
  if (to->bounds != NULL)
    memcpy(to->bounds, bounds, (size_t)pairs * sizeof *to->bounds);
  return PRECIS_SUCCESS;
}

int precis_client_attend_results(precis_client *c, const char *id, const precis_problem *problem,
                                 int64_t rows, const float *q, const precis_results *results,
                                 precis_client_answer *report)
{
  static const char *const names[] = {"q"};
  precis_tensor tensor = {.axes = 3, .shape = {rows, problem->heads, problem->dim}};
  precis_message why = {""};
  precis_web_answer answer = {.code = 0};
  precis_web_request r = {.method = "POST", .parts = 2, .part = {NULL, q}};
  precis_client_answer said = {0};
  char *head = NULL;
  path p;
  int status = path_of(id, results->bounds ? "/attend?bounds=1" : "/attend", &p, &why);
  if (status == PRECIS_SUCCESS)
    status = precis_safetensors_format(names, &tensor, 1, &head, &r.bytes[0], &why);
  if (status == PRECIS_SUCCESS) {
    r.path = p.text;
    r.part[0] = head;
    r.bytes[1] = precis_tensor_bytes(&tensor);
    status = ask(c, &r, &answer, &why);
  }
  if (status == PRECIS_SUCCESS)
    status = take_results(&answer, problem, rows, results, &said, &why);
  if (status == PRECIS_SUCCESS && report != NULL)
    *report = said;
  free(head);
  precis_web_answer_free(&answer);
  return end(c, status, &why);
}
