#include "mpi/service/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/service/landing.h"
#include "mpi/service/manifest.h"
#include "mpi/service/record.h"
#include "mpi/service/uses.h"
#include "mpi/sequence/signal.h"

static int failed(const char *path, int error, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: %s", path, strerror(error));
}

void precis_journal_count(precis_journal *j, const precis_context *c)
{
  size_t i;
  json_t *segment;
  json_array_foreach(c->segments, i, segment)
  {
    precis_uses_add(j, json_string_value(json_array_get(segment, 0)));
  }
}

int precis_journal_create(precis_journal *j, precis_context *c, precis_message *why)
{
  precis_manifest_path path = precis_manifest_at(j->data, c->id);
  precis_landing landing = {.file = -1};
  char *text = precis_manifest_text(c);
  if (text == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for a manifest");
  int64_t bytes = (int64_t)strlen(text);
  int status = precis_landing_open(path.text, &landing, why);
  if (status == PRECIS_SUCCESS)
    status = precis_landing_write(&landing, text, bytes, 0, why);
  if (status == PRECIS_SUCCESS)
    status = precis_landing_commit(&landing, &c->manifest, why);
  precis_landing_discard(&landing);
  free(text);
  if (status != PRECIS_SUCCESS)
    return status;
  c->manifest_bytes = c->manifest_least = bytes;
  for (int h = 0; c->unit != NULL && h < c->spec.problem.heads; h++) /* goes with it */
    c->unit_recorded =
        fmax(c->unit_recorded, precis_signal_rows_of(&c->spec.problem, c->unit)[h]);
  precis_journal_count(j, c);
  return status;
}

static int write_all(int file, const char *text, int64_t bytes, int64_t offset)
{
  for (int64_t done = 0; done < bytes;) {
    ssize_t put = pwrite(file, text + done, (size_t)(bytes - done), (off_t)(offset + done));
    if (put < 0 && errno != EINTR)
      return -1;
    done += put > 0 ? put : 0;
  }
  return fsync(file);
}

/* Of a line that may be there in part nothing must stay, or the next one would not be found. */
static void take_back(precis_context *c)
{
  if (ftruncate(c->manifest, (off_t)c->manifest_bytes) != 0 || fsync(c->manifest) != 0)
    c->damaged = 1;
}

/* From here on the line is there, or nothing of it. */
static int write_line(precis_context *c, const char *line, precis_message *why)
{
  if (write_all(c->manifest, line, (int64_t)strlen(line), c->manifest_bytes) != 0) {
    precis_message_set(why, PRECIS_ERR_IO, "the manifest cannot be written: %s", strerror(errno));
    take_back(c);
    return PRECIS_ERR_IO;
  }
  c->manifest_bytes += (int64_t)strlen(line);
  return PRECIS_SUCCESS;
}

int precis_journal_note(precis_journal *j, precis_context *c, const json_t *record,
                        precis_message *why)
{
  (void)j;
  if (c->damaged)
    return precis_message_set(why, PRECIS_ERR_IO, "an earlier write failed");
  char *line = precis_record_format(record);
  int status = line ? write_line(c, line, why)
                    : precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  free(line);
  return status;
}

int precis_journal_append(precis_journal *j, const precis_stage *stage,
                          const precis_segment *segments, int count_segments, precis_message *why)
{
  precis_context *c = stage->context;
  if (c->damaged)
    return precis_message_set(why, PRECIS_ERR_IO,
                              "an earlier write failed: nothing can be appended any more");
  json_t *list = precis_manifest_segments(segments, count_segments);
  json_t *record = precis_manifest_append(stage, list);
  json_t *all = json_copy(c->segments); /* made before the line is written: then nothing may fail */
  char *line = precis_record_format(record);
  int status = line && list && all && json_array_extend(all, list) == 0
                   ? PRECIS_SUCCESS
                   : precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  if (status == PRECIS_SUCCESS)
    status = write_line(c, line, why);
  if (status == PRECIS_SUCCESS) {
    c->sequence++;
    for (int i = 0; i < count_segments; i++)
      precis_uses_add(j, segments[i].name);
    json_decref(c->segments);
    c->segments = json_incref(all);
  }
  free(line);
  json_decref(all);
  json_decref(list);
  json_decref(record);
  return status;
}

/* From here on the context is gone, or all of it is still there. */
static int bury(const precis_journal *j, const precis_context *c, precis_message *why)
{
  precis_manifest_path path = precis_manifest_at(j->data, c->id),
                       grave = precis_manifest_grave_at(j->data, c->id);
  char segments[4200];
  snprintf(segments, sizeof segments, "%s/segments", j->data);
  if (access(segments, W_OK | X_OK) != 0)
    return failed(segments, errno, why);
  if (rename(path.text, grave.text) != 0)
    return failed(path.text, errno, why);
  int error = precis_landing_sync_folder(path.text);
  if (error == 0)
    return PRECIS_SUCCESS;
  if (rename(grave.text, path.text) != 0)
    precis_log_write(j->log, PRECIS_LOG_ERROR, "data", NULL, "%s: cannot be called %s again: %s",
                     grave.text, path.text, strerror(errno));
  return failed(path.text, error, why);
}

int precis_journal_delete(precis_journal *j, precis_context *c, precis_message *why)
{
  size_t i;
  json_t *segment;
  int status = bury(j, c, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (json_object_set_new(j->graves, c->id, json_true()) != 0)
    j->blind = 1;
  json_array_foreach(c->segments, i, segment)
  {
    const char *name = json_string_value(json_array_get(segment, 0));
    if (precis_uses_drop(j, name, 0))
      precis_uses_remove(j, name);
  }
  precis_journal_fill_grave(j, c->id); /* if it had none of its own */
  close(c->manifest);
  c->manifest = -1;
  return status;
}
