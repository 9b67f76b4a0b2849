#include "src/cli/input_names.h"

#include <stdio.h>
#include <string.h>

#include "src/files/header.h"
#include "src/files/name_list.h"

enum { ARRAYS = 4 };

/* What others call tensors that keep keys from being seen. */
static const char *const masks[] = {"mask", "attn_mask", "attention_mask", "key_padding_mask"};

int precis_input_name(precis_cli *cli, const char *given, const char *role,
                      char name[PRECIS_INPUT_NAME])
{
  const char *prefix = cli->settings.files.prefix;
  int length =
      snprintf(name, PRECIS_INPUT_NAME, "%s%s", prefix ? prefix : "", given ? given : role);
  if (length < PRECIS_INPUT_NAME)
    return PRECIS_SUCCESS;
  return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                            "the name of the tensor %s has %d bytes, %d are allowed", role, length,
                            PRECIS_INPUT_NAME - 1);
}

/* What is beside the arrays that are used. */
typedef struct rest {
  const char *used[ARRAYS];
  precis_name_list list;
  char mask[PRECIS_INPUT_NAME];
} rest;

/* Bytes up to the last dot or slash, which is one of them. */
static size_t folder_of(const char *name)
{
  size_t bytes = 0;
  for (size_t i = 0; name[i] != '\0'; i++)
    if (name[i] == '.' || name[i] == '/')
      bytes = i + 1;
  return bytes;
}

static int is_mask(const char *name)
{
  for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
    if (strcmp(name + folder_of(name), masks[i]) == 0)
      return 1;
  return 0;
}

/* 0: used, 1: beside, -1: elsewhere. */
static int place_of(const rest *r, const char *name)
{
  int beside = -1;
  for (int i = 0; i < ARRAYS; i++) {
    if (r->used[i] == NULL)
      continue;
    size_t folder = folder_of(r->used[i]);
    if (strcmp(name, r->used[i]) == 0)
      return 0;
    if (strncmp(name, r->used[i], folder) == 0 && folder_of(name) == folder)
      beside = 1;
  }
  return beside;
}

static void look(void *context, const char *name)
{
  rest *r = context;
  if (place_of(r, name) <= 0)
    return;
  if (is_mask(name))
    snprintf(r->mask, sizeof r->mask, "%s", name);
  precis_name_list_add(&r->list, name);
}

static int judge(const char *path, const rest *r, precis_message *why)
{
  if (r->mask[0] != '\0')
    return precis_message_set(
        why, PRECIS_ERR_ARGUMENT,
        "%s: tensor \"%s\": masks of pairs are not supported, and the results "
        "would be others without it: --causal, or a tensor bias (keys) with "
        "-inf for keys that nobody sees",
        path, r->mask);
  precis_message warning = {""};
  if (r->list.count > 0) {
    precis_message_set(&warning, 0, "%s: not used: %s", path, r->list.text);
    fprintf(stderr, "precis: warning: %s\n", warning.text);
  }
  return PRECIS_SUCCESS;
}

int precis_input_check_file(const char *path, precis_message *why)
{
  rest r = {.used = {"q", "k", "v", "bias"}};
  precis_message unread;
  if (precis_header_each(path, look, &r, &unread) != PRECIS_SUCCESS)
    return PRECIS_SUCCESS;
  return judge(path, &r, why);
}

int precis_input_check_rest(precis_cli *cli, const precis_input *in)
{
  const precis_file_array *all[ARRAYS] = {&in->q, &in->k, &in->v, in->has_bias ? &in->bias : NULL};
  rest r = {.mask = ""};
  int status = PRECIS_SUCCESS;
  for (int i = 0; i < ARRAYS; i++)
    r.used[i] = all[i] ? all[i]->name : NULL;
  if (cli->world.rank == 0) {
    status = precis_header_each(cli->settings.files.input, look, &r, &cli->why);
    if (status == PRECIS_SUCCESS)
      status = judge(cli->settings.files.input, &r, &cli->why);
  }
  return precis_cli_agree(cli, status == PRECIS_ERR_IO ? PRECIS_ERR_FORMAT : status);
}
