#include "mpi/service/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpi/service/manifest.h"
#include "mpi/service/record.h"
#include "src/draft.h"

static int failed(const char *path, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: %s", path, strerror(errno));
}

static int make_folder(const char *path, precis_message *why)
{
  if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
    return failed(path, why);
  return PRECIS_SUCCESS;
}

static int take_lock(precis_journal *j, precis_message *why)
{
  char path[4200];
  snprintf(path, sizeof path, "%s/lock", j->data);
  j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (j->lock < 0)
    return failed(path, why);
  if (flock(j->lock, LOCK_EX | LOCK_NB) != 0)
    return precis_message_set(why, PRECIS_ERR_IO, "%s: another job serves it", j->data);
  return PRECIS_SUCCESS;
}

int precis_journal_open(const char *data, precis_journal *j, precis_message *why)
{
  char path[4200];
  *j = (precis_journal){.data = data, .lock = -1, .uses = json_object()};
  if (strlen(data) > 4096)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "--data: the path is too long");
  int status = make_folder(data, why);
  const char *const folders[] = {"contexts", "segments"};
  for (int i = 0; i < 2 && status == PRECIS_SUCCESS; i++) {
    snprintf(path, sizeof path, "%s/%s", data, folders[i]);
    status = make_folder(path, why);
  }
  if (status == PRECIS_SUCCESS)
    status = take_lock(j, why);
  if (status == PRECIS_SUCCESS && j->uses == NULL)
    status = PRECIS_ERR_MEMORY;
  if (status != PRECIS_SUCCESS)
    precis_journal_close(j);
  return status;
}

void precis_journal_close(precis_journal *j)
{
  json_decref(j->uses);
  if (j->lock >= 0)
    close(j->lock);
  *j = (precis_journal){.lock = -1};
}

/* How many contexts have a segment, changed by `change`. */
static int64_t count_use(precis_journal *j, const char *name, int change)
{
  int64_t uses = json_integer_value(json_object_get(j->uses, name)) + change;
  if (uses > 0)
    json_object_set_new(j->uses, name, json_integer(uses));
  else
    json_object_del(j->uses, name);
  return uses;
}

void precis_journal_count(precis_journal *j, const precis_context *c, int change)
{
  size_t i;
  json_t *segment;
  json_array_foreach(c->segments, i, segment)
  {
    const char *name = json_string_value(json_array_get(segment, 0));
    if (count_use(j, name, change) == 0)
      precis_segment_remove(j->data, name);
  }
}

int precis_journal_create(precis_journal *j, precis_context *c, precis_message *why)
{
  precis_manifest_path path = precis_manifest_at(j->data, c->id);
  precis_draft draft = {.path = NULL};
  char *text = precis_manifest_text(c);
  if (text == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for a manifest");
  int status = precis_draft_create(path.text, &draft, why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_write(&draft, text, (int64_t)strlen(text), 0, why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_commit(&draft, why);
  else
    precis_draft_discard(&draft);
  if (status == PRECIS_SUCCESS) {
    c->manifest_bytes = (int64_t)strlen(text);
    c->manifest = open(path.text, O_WRONLY | O_CLOEXEC);
    if (c->manifest < 0) {
      status = failed(path.text, why);
      unlink(path.text);
    }
  }
  if (status == PRECIS_SUCCESS)
    precis_journal_count(j, c, 1);
  free(text);
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

int precis_journal_append(precis_journal *j, const precis_stage *stage,
                          const precis_segment *segments, int count, precis_message *why)
{
  precis_context *c = stage->context;
  if (c->damaged)
    return precis_message_set(why, PRECIS_ERR_IO,
                              "an earlier write failed: nothing can be appended any more");
  json_t *list = precis_manifest_segments(segments, count);
  json_t *record = precis_manifest_append(stage, list);
  char *line = precis_record_format(record);
  int status =
      line && list ? PRECIS_SUCCESS : precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  if (status == PRECIS_SUCCESS &&
      write_all(c->manifest, line, (int64_t)strlen(line), c->manifest_bytes) != 0) {
    status = precis_message_set(why, PRECIS_ERR_IO, "the manifest cannot be written: %s",
                                strerror(errno));
    take_back(c);
  }
  if (status == PRECIS_SUCCESS) {
    c->manifest_bytes += (int64_t)strlen(line);
    c->sequence++;
    for (int i = 0; i < count; i++)
      count_use(j, segments[i].name, 1);
    json_array_extend(c->segments, list);
  }
  free(line);
  json_decref(list);
  json_decref(record);
  return status;
}

void precis_journal_delete(precis_journal *j, precis_context *c)
{
  precis_manifest_path path = precis_manifest_at(j->data, c->id);
  precis_manifest_unlink(&path);
  precis_journal_count(j, c, -1);
  close(c->manifest);
  c->manifest = -1;
}
