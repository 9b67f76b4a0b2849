#include "mpi/service/uses.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mpi/service/manifest.h"

/* How many there are of a name, changed by `change`. A count that is lost must not cost anybody a
 * segment. */
static int64_t count(precis_journal *j, json_t *counts, const char *name, int change)
{
  int64_t now = json_integer_value(json_object_get(counts, name)) + change;
  if (now <= 0)
    json_object_del(counts, name);
  else if (json_object_set_new(counts, name, json_integer(now)) != 0)
    j->blind = 1;
  return now;
}

/* The context that a segment was written for, "" if the name is none of ours. */
static precis_segment_origin owner_of(const char *name)
{
  char file[PRECIS_SEGMENT_NAME + 16];
  precis_segment_origin origin;
  snprintf(file, sizeof file, "%s.safetensors", name);
  if (!precis_segment_origin_of(file, &origin))
    origin = (precis_segment_origin){.sequence = -1};
  return origin;
}

void precis_uses_add(precis_journal *j, const char *name)
{
  if (count(j, j->uses, name, 1) == 1)
    count(j, j->owners, owner_of(name).context, 1);
}

void precis_journal_fill_grave(precis_journal *j, const char *id)
{
  precis_manifest_path grave = precis_manifest_grave_at(j->data, id);
  if (j->blind || json_object_get(j->graves, id) == NULL || json_object_get(j->owners, id) != NULL)
    return;
  if (unlink(grave.text) != 0 && errno != ENOENT)
    precis_log_write(j->log, PRECIS_LOG_WARNING, "data", NULL, "%s: cannot be removed: %s",
                     grave.text, strerror(errno));
  else
    json_object_del(j->graves, id);
}

int precis_uses_drop(precis_journal *j, const char *name, int replaced)
{
  if (count(j, j->uses, name, -1) > 0 || j->blind)
    return 0;
  precis_segment_origin owner = owner_of(name);
  /* One that was merged may outlive the context that it is named after, and its grave. */
  int merged = owner.sequence == 0 && !j->strangers;
  if (owner.context[0] != '\0' &&
      (replaced || merged || json_object_get(j->graves, owner.context) != NULL))
    return 1;
  count(j, j->owners, owner.context, -1);
  return 0;
}

void precis_uses_remove(precis_journal *j, const char *name)
{
  precis_segment_origin owner = owner_of(name);
  int error = precis_segment_remove(j->data, name);
  if (error != 0)
    precis_log_write(j->log, PRECIS_LOG_WARNING, "data", NULL,
                     "%s: segment %s, that no context has any more, cannot be removed: %s", j->data,
                     name, strerror(error));
  else if (count(j, j->owners, owner.context, -1) == 0)
    precis_journal_fill_grave(j, owner.context);
}
