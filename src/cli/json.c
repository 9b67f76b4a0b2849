#include "src/cli/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int precis_json_leaves_stdout(const precis_cli *cli)
{
  return cli->settings.files.json == NULL || strcmp(cli->settings.files.json, "-") != 0;
}

int precis_json_open(precis_cli *cli, precis_draft *draft)
{
  if (cli->settings.files.json == NULL || !precis_json_leaves_stdout(cli))
    return PRECIS_SUCCESS;
  precis_watchdog_hold(&cli->watchdog);
  int status = precis_draft_create(cli->settings.files.json, draft, &cli->why);
  precis_watchdog_guard(&cli->watchdog, status == PRECIS_SUCCESS ? draft->aside : NULL);
  return status;
}

void precis_json_start(precis_cli *cli, precis_draft *draft, precis_json_writer *writer)
{
  writer->cli = cli;
  writer->draft = draft;
  writer->status = PRECIS_SUCCESS;
  writer->offset = 0;
  writer->used = 0;
}

static void put(precis_json_writer *w, const char *text, size_t length)
{
  if (w->status != PRECIS_SUCCESS || length == 0)
    return;
  if (w->draft->path != NULL)
    w->status = precis_draft_write(w->draft, text, (int64_t)length, w->offset, &w->cli->why);
  else if (fwrite(text, 1, length, stdout) < length)
    w->status = precis_message_set(&w->cli->why, PRECIS_ERR_IO,
                                   "standard output: cannot be written: %s", strerror(errno));
  w->offset += (int64_t)length;
}

void precis_json_write(precis_json_writer *w, const char *text, size_t length)
{
  if (w->used + length > sizeof w->buffer) {
    put(w, w->buffer, w->used);
    w->used = 0;
  }
  if (length > sizeof w->buffer) {
    put(w, text, length);
    return;
  }
  memcpy(w->buffer + w->used, text, length);
  w->used += length;
}

int precis_json_end(precis_json_writer *w, int status)
{
  put(w, w->buffer, w->used);
  w->used = 0;
  status = status == PRECIS_SUCCESS ? w->status : status;
  if (status == PRECIS_SUCCESS && w->draft->path != NULL)
    status = precis_draft_commit(w->draft, &w->cli->why);
  if (status != PRECIS_SUCCESS)
    precis_draft_discard(w->draft);
  return status;
}

int precis_json_save(precis_cli *cli, json_t *object, precis_draft *draft)
{
  char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
  precis_json_writer writer;
  json_decref(object);
  precis_json_start(cli, draft, &writer);
  if (text != NULL) {
    precis_json_write(&writer, text, strlen(text));
    precis_json_write(&writer, "\n", 1);
  }
  int status = precis_json_end(&writer, text ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  free(text);
  return status;
}
