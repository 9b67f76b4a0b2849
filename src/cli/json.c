#include "src/cli/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *precis_json_number(double value)
{
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *precis_json_integer(int64_t value)
{
  return json_integer((json_int_t)value);
}

int precis_json_leaves_stdout(const precis_cli *cli)
{
  return cli->settings.json == NULL || strcmp(cli->settings.json, "-") != 0;
}

int precis_json_open(precis_cli *cli, precis_draft *draft)
{
  if (cli->settings.json == NULL || !precis_json_leaves_stdout(cli))
    return PRECIS_SUCCESS;
  precis_watchdog_hold(&cli->watchdog);
  int status = precis_draft_create(cli->settings.json, draft, &cli->why);
  precis_watchdog_guard(&cli->watchdog, status == PRECIS_SUCCESS ? draft->aside : NULL);
  return status;
}

int precis_json_save(precis_cli *cli, json_t *object, precis_draft *draft)
{
  char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
  int status = text ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  json_decref(object);
  if (draft->path == NULL) {
    if (text != NULL)
      puts(text); /* main() looks whether standard output took it */
  } else if (text != NULL) {
    int64_t length = (int64_t)strlen(text);
    status = precis_draft_write(draft, text, length, 0, &cli->why);
    if (status == PRECIS_SUCCESS)
      status = precis_draft_write(draft, "\n", 1, length, &cli->why);
    if (status == PRECIS_SUCCESS)
      status = precis_draft_commit(draft, &cli->why);
  }
  free(text);
  if (status != PRECIS_SUCCESS)
    precis_draft_discard(draft);
  return status;
}
