/* remote.c - precis remote: asks a service
 *
 * One rank asks; where there are more, the others wait for it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/cli.h"
#include "src/cli/input_names.h"
#include "src/cli/suffix.h"
#include "src/client/client.h"
#include "src/files/draft.h"

static const char URL[] = "http://127.0.0.1:8470", TOKEN_FILE[] = "precis.token";

enum { TOKEN_MOST = 256 };

typedef struct remote {
  precis_cli *cli;
  precis_web web;
  char token[TOKEN_MOST + 1];
  char path[256];
  char key[PRECIS_WEB_KEY]; /* made, where none is given */
  precis_web_request request;
  precis_web_answer answer;
  const char *text; /* a body of JSON, malloc'ed */
  void *file;       /* a body from a file, mapped */
  int64_t file_bytes;
} remote;

static int missing(remote *r, const char *flag, const char *action)
{
  return precis_message_set(&r->cli->why, PRECIS_ERR_ARGUMENT, "precis remote %s needs %s", action,
                            flag);
}

/* The first word of the first line that is no comment. Where nobody named a file, there may be
 * none. */
static int read_token(remote *r)
{
  const precis_settings *s = &r->cli->settings;
  const char *path = s->remote.token_file ? s->remote.token_file : TOKEN_FILE;
  FILE *file = fopen(path, "re");
  if (file == NULL && (s->remote.token_file != NULL || errno != ENOENT))
    return precis_message_set(&r->cli->why, PRECIS_ERR_IO, "%s: cannot be read: %s", path,
                              strerror(errno));
  if (file == NULL)
    return PRECIS_SUCCESS;
  char line[1024], word[sizeof line] = "";
  while (word[0] == '\0' && fgets(line, sizeof line, file) != NULL)
    sscanf(line, " %1023[^ \t\r\n#]", word);
  snprintf(r->token, sizeof r->token, "%.*s", TOKEN_MOST, word);
  fclose(file);
  return PRECIS_SUCCESS;
}

static int map_input(remote *r)
{
  const char *path = r->cli->settings.files.input;
  struct stat info;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file >= 0 && fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
    r->file = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  int error = errno;
  if (file >= 0)
    close(file);
  if (r->file == NULL || r->file == MAP_FAILED) {
    r->file = NULL;
    return precis_message_set(&r->cli->why, PRECIS_ERR_IO, "%s: cannot be read: %s", path,
                              file < 0 ? strerror(error) : "it is empty or no regular file");
  }
  r->file_bytes = info.st_size;
  r->request.parts = 1;
  r->request.part[0] = r->file;
  r->request.bytes[0] = r->file_bytes;
  return PRECIS_SUCCESS;
}

/* What describes a new context, as it was given. */
static int make_spec(remote *r)
{
  const precis_settings *s = &r->cli->settings;
  json_t *spec = json_object();
  const struct {
    const char *name;
    int64_t value;
  } sizes[] = {{"heads", s->shape.heads},
               {"kv_heads", s->shape.kv_heads},
               {"dim", s->shape.dim},
               {"value_dim", s->shape.value_dim}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    if (sizes[i].value > 0)
      json_object_set_new(spec, sizes[i].name, json_integer(sizes[i].value));
  if (s->shape.causal)
    json_object_set_new(spec, "causal", json_true());
  if (s->shape.scale != 0)
    json_object_set_new(spec, "scale", json_real(s->shape.scale));
  if (s->want.tol > 0)
    json_object_set_new(spec, "tol", json_real(s->want.tol));
  if (s->want.tol_of != PRECIS_UNIT_OUTPUTS)
    json_object_set_new(spec, "tol_of", json_string(precis_unit_name((precis_unit)s->want.tol_of)));
  r->text = spec ? json_dumps(spec, JSON_COMPACT) : NULL;
  json_decref(spec);
  if (r->text == NULL)
    return PRECIS_ERR_MEMORY;
  r->request.parts = 1;
  r->request.part[0] = r->text;
  r->request.bytes[0] = (int64_t)strlen(r->text);
  return PRECIS_SUCCESS;
}

typedef struct action {
  const char *name, *method, *rest; /* of the path, after the context */
  int context, input, out;          /* what it needs */
  int changes;                      /* see precis_web_request */
} action;

static const action actions[] = {
    {"create", "POST", "", 0, 0, 0, 1},        {"list", "GET", "", 0, 0, 0, 0},
    {"inspect", "GET", "", 1, 0, 0, 0},        {"append", "POST", "/append", 1, 1, 0, 1},
    {"attend", "POST", "/attend", 1, 1, 1, 0}, {"fork", "POST", "/fork", 1, 0, 0, 1},
    {"delete", "DELETE", "", 1, 0, 0, 0},
};

static const action *find_action(remote *r)
{
  const precis_settings *s = &r->cli->settings;
  for (size_t i = 0; i < sizeof actions / sizeof actions[0] && s->operand_count > 0; i++)
    if (strcmp(s->operands[0], actions[i].name) == 0)
      return &actions[i];
  precis_message_set(&r->cli->why, PRECIS_ERR_ARGUMENT,
                     "precis remote takes create, list, inspect, append, attend, fork or delete");
  return NULL;
}

static int make_request(remote *r, const action *a)
{
  const precis_settings *s = &r->cli->settings;
  if (a->context && s->remote.context == NULL)
    return missing(r, "--context", a->name);
  if (a->input && s->files.input == NULL)
    return missing(r, "--input", a->name);
  if (a->out && s->files.out == NULL)
    return missing(r, "--out", a->name);
  if (a->context && strspn(s->remote.context, "abcdefghijklmnopqrstuvwxyz0123456789") !=
                        strlen(s->remote.context))
    return precis_message_set(&r->cli->why, PRECIS_ERR_ARGUMENT, "--context is no context's id");
  if (s->remote.bounds && !a->out)
    return precis_message_set(&r->cli->why, PRECIS_ERR_ARGUMENT, "--bounds is for attend");
  if (a->out && precis_ends_in(s->files.out, ".npy"))
    r->request.accept = "application/x-npy";
  int bytes =
      snprintf(r->path, sizeof r->path, "/v1/contexts%s%s%s%s", a->context ? "/" : "",
               a->context ? s->remote.context : "", a->rest, s->remote.bounds ? "?bounds=1" : "");
  if (bytes >= (int)sizeof r->path)
    return precis_message_set(&r->cli->why, PRECIS_ERR_ARGUMENT, "--context is too long");
  r->request.method = a->method;
  r->request.path = r->path;
  r->request.key = s->remote.key;
  r->request.changes = a->changes;
  if (a->changes && s->remote.key == NULL && precis_web_make_key(r->key))
    r->request.key = r->key;
  if (a->input) {
    int status = precis_input_check_file(s->files.input, &r->cli->why);
    return status == PRECIS_SUCCESS ? map_input(r) : status;
  }
  return strcmp(a->name, "create") == 0 ? make_spec(r) : PRECIS_SUCCESS;
}

static int write_file(remote *r)
{
  precis_draft draft = {.path = NULL};
  int status = precis_draft_create(r->cli->settings.files.out, &draft, &r->cli->why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_write(&draft, r->answer.body, r->answer.bytes, 0, &r->cli->why);
  if (status == PRECIS_SUCCESS)
    return precis_draft_commit(&draft, &r->cli->why);
  precis_draft_discard(&draft);
  return status;
}

static int ask(remote *r)
{
  const precis_settings *s = &r->cli->settings;
  const action *a = find_action(r);
  int status = a ? make_request(r, a) : PRECIS_ERR_ARGUMENT;
  if (status == PRECIS_SUCCESS)
    status = read_token(r);
  if (status != PRECIS_SUCCESS)
    return status;
  r->web = (precis_web){.url = s->remote.url ? s->remote.url : URL,
                        .token = r->token,
                        .ca_file = s->remote.cacert,
                        .seconds = s->remote.answer_seconds};
  status = precis_web_ask(&r->web, &r->request, &r->answer, &r->cli->why);
  if (status == PRECIS_SUCCESS)
    status = precis_client_status(&r->answer, &r->cli->why);
  if (status == PRECIS_SUCCESS && a->out)
    status = write_file(r);
  if (status == PRECIS_SUCCESS)
    printf("%s\n", a->out ? r->answer.report : r->answer.body);
  precis_web_close(&r->web);
  precis_web_answer_free(&r->answer);
  return status;
}

int precis_command_remote(precis_cli *cli)
{
  remote r = {.cli = cli};
  int status = cli->world.rank == 0 ? ask(&r) : PRECIS_SUCCESS;
  free((char *)(uintptr_t)r.text);
  if (r.file != NULL)
    munmap(r.file, (size_t)r.file_bytes);
  return precis_cli_agree(cli, status);
}
