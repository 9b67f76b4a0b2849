/* settle.c - when all is loaded: what the last job left behind is tidied up */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mpi/service/folder.h"
#include "mpi/service/journal.h"
#include "mpi/service/manifest.h"

static const char SEGMENT[] = ".safetensors";

/* So many names are said one by one. */
enum { SAID = 10 };

static int failed(const char *path, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: %s", path, strerror(errno));
}

typedef struct sweep {
  precis_journal *j;
  precis_contexts *contexts;
  int removed, unknown;
} sweep;

/* What was being written to it when the last job ended was acknowledged to nobody. */
static int cut_off(const precis_journal *j, precis_context *c, precis_message *why)
{
  precis_manifest_path path = precis_manifest_at(j->data, c->id);
  if (c->torn_bytes == 0)
    return PRECIS_SUCCESS;
  if (ftruncate(c->manifest, (off_t)c->manifest_bytes) != 0 || fsync(c->manifest) != 0)
    return failed(path.text, why);
  precis_log_write(j->log, PRECIS_LOG_INFO, "recovery", NULL,
                   "%s: %lld bytes of an append that nobody was told of are cut off", path.text,
                   (long long)c->torn_bytes);
  c->torn_bytes = 0;
  return PRECIS_SUCCESS;
}

/* Whether the file, which no context has, is of an append that was never acknowledged or of a
 * deleted context, or another has taken its place. */
static int is_leftover(const sweep *s, const char *file)
{
  precis_segment_origin origin;
  if (s->j->blind || !precis_segment_origin_of(file, &origin))
    return 0;
  if (json_object_get(s->j->graves, origin.context) != NULL)
    return 1;
  precis_context *c = precis_contexts_find(s->contexts, origin.context);
  int beyond = c != NULL && origin.sequence > c->sequence,
      replaced = c != NULL && !s->j->strangers && (origin.sequence == 0 || c->merged);
  if (c != NULL)
    precis_contexts_release(s->contexts, c);
  return beyond || replaced;
}

static int is_used(const precis_journal *j, const char *file)
{
  char name[NAME_MAX + 1];
  size_t length = strlen(file), tail = strlen(SEGMENT);
  snprintf(name, sizeof name, "%s", file);
  if (length <= tail || strcmp(file + length - tail, SEGMENT) != 0)
    return 0;
  name[length - tail] = '\0';
  return json_object_get(j->uses, name) != NULL;
}

static void say_unknown(sweep *s, const char *folder, const char *file)
{
  if (s->unknown++ < SAID)
    precis_log_write(s->j->log, PRECIS_LOG_WARNING, "recovery", NULL,
                     "%s/%s/%s: is of no context that is known, and is left alone", s->j->data,
                     folder, file);
}

static void sweep_segment(sweep *s, int folder, const char *file)
{
  if (is_used(s->j, file))
    return;
  if (!is_leftover(s, file)) {
    say_unknown(s, "segments", file);
  } else if (unlinkat(folder, file, 0) == 0) {
    s->removed++;
  } else {
    precis_log_write(s->j->log, PRECIS_LOG_WARNING, "recovery", NULL,
                     "%s/segments/%s: cannot be removed: %s", s->j->data, file, strerror(errno));
    s->j->blind = 1; /* its deleted context must be known the next time */
  }
}

static void sweep_manifest(sweep *s, int folder, const char *file)
{
  char id[PRECIS_CONTEXT_ID];
  precis_context *c = NULL;
  if (precis_manifest_is_named(file, PRECIS_MANIFEST_ENDING, id) ||
      precis_manifest_is_named(file, PRECIS_MANIFEST_GRAVE, id))
    return;
  if (precis_manifest_is_named(file, PRECIS_MANIFEST_ANEW, id))
    c = precis_contexts_find(s->contexts, id);
  if (c == NULL || unlinkat(folder, file, 0) != 0) {
    s->j->strangers = 1;
    say_unknown(s, "contexts", file);
  }
  if (c != NULL)
    precis_contexts_release(s->contexts, c);
}

static int sweep_folder(sweep *s, const char *name,
                        void (*look)(sweep *s, int folder, const char *file), precis_message *why)
{
  char path[4096 + 64];
  snprintf(path, sizeof path, "%s/%s", s->j->data, name);
  DIR *folder = opendir(path);
  if (folder == NULL)
    return failed(path, why);
  for (struct dirent *e; (e = readdir(folder)) != NULL;)
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      look(s, dirfd(folder), e->d_name);
  closedir(folder);
  return PRECIS_SUCCESS;
}

static void fill_graves(precis_journal *j)
{
  const char *id;
  void *next;
  json_t *grave;
  json_object_foreach_safe(j->graves, next, id, grave)
  {
    char copy[PRECIS_CONTEXT_ID];
    snprintf(copy, sizeof copy, "%s", id); /* goes with what it names */
    precis_journal_fill_grave(j, copy);
  }
}

int precis_journal_settle(precis_journal *j, precis_contexts *contexts, precis_message *why)
{
  sweep s = {j, contexts, 0, 0};
  int status = PRECIS_SUCCESS;
  for (precis_context *c = contexts->first; c != NULL && status == PRECIS_SUCCESS; c = c->next)
    status = cut_off(j, c, why);
  if (status == PRECIS_SUCCESS && j->version < PRECIS_FOLDER_VERSION)
    status = precis_folder_mark(j->data, why);
  if (status == PRECIS_SUCCESS)
    status = sweep_folder(&s, "contexts", sweep_manifest, why);
  if (status == PRECIS_SUCCESS)
    status = sweep_folder(&s, "segments", sweep_segment, why);
  if (status == PRECIS_SUCCESS)
    fill_graves(j);
  if (s.unknown > SAID)
    precis_log_write(j->log, PRECIS_LOG_WARNING, "recovery", NULL,
                     "%s: %d files in all are of no context that is known", j->data, s.unknown);
  if (s.removed > 0)
    precis_log_write(j->log, PRECIS_LOG_INFO, "recovery", NULL,
                     "%s: %d segments of appends that nobody was told of, or of deleted contexts, "
                     "are removed",
                     j->data, s.removed);
  return status;
}
