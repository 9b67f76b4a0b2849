/* data.c - precis data: what precis serve --data has left in a folder */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mpi/service/archive.h"
#include "src/cli/cli.h"

static int check(precis_cli *cli, precis_archive *a)
{
  precis_archive_counts counts;
  size_t i;
  json_t *entry;
  int status = precis_archive_check(a, &counts, &cli->why);
  if (status != PRECIS_SUCCESS)
    return status;
  json_array_foreach(a->contexts.damaged, i, entry)
  {
    printf("context %s is damaged: %s\n", json_string_value(json_object_get(entry, "id")),
           json_string_value(json_object_get(entry, "error")));
  }
  if (precis_cli_prints(cli))
    printf("%" PRId64 " contexts, %" PRId64 " segments, %" PRId64 " bytes: %" PRId64 " damaged\n",
           counts.contexts, counts.segments, counts.bytes, counts.damaged);
  if (counts.damaged == 0)
    return PRECIS_SUCCESS;
  return precis_message_set(&cli->why, PRECIS_ERR_FORMAT,
                            "%s: %" PRId64 " of %" PRId64 " contexts are damaged", a->journal.data,
                            counts.damaged, counts.contexts);
}

static int export(precis_cli *cli, precis_archive *a)
{
  const precis_settings *s = &cli->settings;
  if (s->remote.context == NULL || s->files.out == NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "precis data export needs --context and --out");
  return precis_archive_export(a, s->remote.context, s->files.out, &cli->why);
}

static int compact(precis_cli *cli, precis_archive *a)
{
  size_t before = json_object_size(a->journal.uses);
  int status = precis_archive_compact(a, &cli->why);
  if (status == PRECIS_SUCCESS && precis_cli_prints(cli))
    printf("%zu segments, %zu before\n", json_object_size(a->journal.uses), before);
  return status;
}

int precis_command_data(precis_cli *cli)
{
  static const struct {
    const char *name;
    int change;
    int (*run)(precis_cli *cli, precis_archive *archive);
  } actions[] = {{"check", 0, check}, {"export", 0, export}, {"compact", 1, compact}};
  enum { ACTIONS = sizeof actions / sizeof actions[0] };
  const precis_settings *s = &cli->settings;
  int i = 0;
  precis_archive archive;
  while (i < ACTIONS && (s->operand_count < 2 || strcmp(s->operands[0], actions[i].name) != 0))
    i++;
  if (i == ACTIONS)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "precis data check, export or compact, and a folder: see precis help "
                              "data");
  int status = precis_archive_open(s->operands[1], actions[i].change, &archive, &cli->why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = actions[i].run(cli, &archive);
  precis_archive_close(&archive);
  return status;
}
