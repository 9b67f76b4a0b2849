/* journal_merge.c - merged segments go on record, and manifests stay short */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/service/journal.h"
#include "mpi/service/landing.h"
#include "mpi/service/manifest.h"
#include "mpi/service/uses.h"

/* So much longer than it need be a manifest may get. */
enum { TIMES = 2, SLACK = 1 << 16 };

static void drop_uses(precis_journal *j, const json_t *segments, int64_t first, int64_t count,
                      json_t *dead)
{
  for (int64_t i = first; i < first + count; i++) {
    json_t *name = json_array_get(json_array_get(segments, (size_t)i), 0);
    /* One that is forgotten here the next start removes. */
    if (precis_uses_drop(j, json_string_value(name), 1))
      json_array_append(dead, name);
  }
}

int precis_journal_merge(precis_journal *j, precis_context *c, int64_t first, int64_t count,
                         const precis_segment *to, json_t *dead, precis_message *why)
{
  json_t *entries = precis_manifest_segments(to, 1), *entry = json_array_get(entries, 0);
  json_t *record = precis_manifest_merge(first, count, to);
  json_t *list = entry ? precis_manifest_splice(c->segments, first, count, entry) : NULL;
  int status = record && list ? precis_journal_note(j, c, record, why)
                              : precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  if (status == PRECIS_SUCCESS) {
    json_t *old = c->segments;
    c->segments = json_incref(list);
    c->merged = 1;
    precis_uses_add(j, to->name);
    drop_uses(j, old, first, count, dead);
    json_decref(old);
  }
  json_decref(entries);
  json_decref(record);
  json_decref(list);
  return status;
}

static int failed(const char *path, int error, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be replaced: %s", path,
                            strerror(error));
}

/* From here on either of them may be found after a crash, and says the same; the next line goes
 * into the new one, so that one must be known to be there before. */
static int replace(precis_journal *j, precis_context *c, int file, int64_t bytes,
                   precis_message *why)
{
  precis_manifest_path path = precis_manifest_at(j->data, c->id),
                       anew = precis_manifest_anew_at(j->data, c->id);
  if (rename(anew.text, path.text) != 0) {
    int error = errno;
    unlink(anew.text);
    close(file);
    return failed(path.text, error, why);
  }
  close(c->manifest);
  c->manifest = file;
  c->manifest_bytes = c->manifest_least = bytes;
  int error = precis_landing_sync_folder(path.text);
  if (error == 0)
    return PRECIS_SUCCESS;
  c->damaged = 1;
  return failed(path.text, error, why);
}

static int write_anew(const char *path, const char *text, int64_t bytes, int *file,
                      precis_message *why)
{
  precis_landing landing = {.file = -1};
  if (unlink(path) != 0 && errno != ENOENT) /* of a job that was killed here */
    return failed(path, errno, why);
  int status = precis_landing_open(path, &landing, why);
  if (status == PRECIS_SUCCESS)
    status = precis_landing_write(&landing, text, bytes, 0, why);
  if (status == PRECIS_SUCCESS)
    status = precis_landing_commit(&landing, file, why);
  precis_landing_discard(&landing);
  return status;
}

int precis_journal_shorten(precis_journal *j, precis_contexts *contexts, precis_context *c,
                           precis_message *why)
{
  precis_manifest_path anew = precis_manifest_anew_at(j->data, c->id);
  int file = -1;
  if (c->damaged || c->manifest_bytes <= TIMES * c->manifest_least + SLACK)
    return PRECIS_SUCCESS;
  pthread_mutex_lock(&contexts->lock);
  char *text = precis_manifest_text(c);
  pthread_mutex_unlock(&contexts->lock);
  if (text == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for a manifest");
  int64_t bytes = (int64_t)strlen(text);
  int status = write_anew(anew.text, text, bytes, &file, why);
  if (status == PRECIS_SUCCESS)
    status = replace(j, c, file, bytes, why);
  free(text);
  return status;
}
