/* recover.c - the journal is read when a job begins */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpi/service/journal.h"
#include "mpi/service/manifest.h"

static int failed(const char *path, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: %s", path, strerror(errno));
}

/* The whole file, malloc'ed. */
static int read_file(const char *path, int file, char **text, int64_t *bytes, precis_message *why)
{
  struct stat info;
  if (fstat(file, &info) != 0)
    return failed(path, why);
  *bytes = info.st_size;
  *text = malloc((size_t)*bytes + 1);
  if (*text == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", path);
  for (int64_t done = 0; done < *bytes;) {
    ssize_t got = read(file, *text + done, (size_t)(*bytes - done));
    if (got <= 0) {
      free(*text);
      return failed(path, why);
    }
    done += got;
  }
  return PRECIS_SUCCESS;
}

static int read_manifest(const precis_journal *j, const char *path, precis_context *c,
                         precis_message *why)
{
  char *text = NULL;
  int64_t bytes = 0;
  c->manifest = open(path, (j->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
  if (c->manifest < 0)
    return failed(path, why);
  int status = read_file(path, c->manifest, &text, &bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_manifest_parse(path, text, bytes, c, &c->manifest_bytes, why);
  c->torn_bytes = bytes - c->manifest_bytes;
  free(text);
  return status;
}

static int add(precis_journal *j, precis_contexts *contexts, const char *id, precis_context **found,
               precis_message *why)
{
  precis_manifest_path path = precis_manifest_at(j->data, id);
  const precis_spec none = {.tol = 0};
  const precis_owner nobody = {.name = ""}; /* until it is read */
  precis_context *c;
  int status = precis_contexts_make(contexts, &none, &nobody, NULL, &c, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = read_manifest(j, path.text, c, why);
  if (status == PRECIS_SUCCESS && strcmp(c->id, id) != 0)
    status = precis_message_set(why, PRECIS_ERR_FORMAT, "%s: is the manifest of context %s",
                                path.text, c->id);
  if (status != PRECIS_SUCCESS) {
    precis_contexts_release(contexts, c);
    return status;
  }
  precis_journal_count(j, c);
  while (*found != NULL && (*found)->created <= c->created)
    found = &(*found)->next;
  c->next = *found;
  *found = c;
  return PRECIS_SUCCESS;
}

int precis_journal_skip(precis_journal *j, precis_contexts *contexts, const char *id, int status,
                        const char *why)
{
  if (!j->skip_damaged || (status != PRECIS_ERR_FORMAT && status != PRECIS_ERR_IO))
    return status;
  precis_contexts_leave_out(contexts, id, why);
  j->blind = 1;
  precis_log_write(j->log, PRECIS_LOG_ERROR, "load", json_pack("{s:s}", "context", id),
                   "left out: %s", why);
  return PRECIS_SUCCESS;
}

static int add_or_skip(precis_journal *j, precis_contexts *contexts, const char *id,
                       precis_context **found, precis_message *why)
{
  int status = add(j, contexts, id, found, why);
  return status == PRECIS_SUCCESS ? status
                                  : precis_journal_skip(j, contexts, id, status, why->text);
}

int precis_journal_read(precis_journal *j, precis_contexts *contexts, precis_context **found,
                        precis_message *why)
{
  char path[4096 + 64], id[PRECIS_CONTEXT_ID];
  int status = PRECIS_SUCCESS;
  *found = NULL;
  snprintf(path, sizeof path, "%s/contexts", j->data);
  DIR *folder = opendir(path);
  if (folder == NULL)
    return failed(path, why);
  for (struct dirent *e; status == PRECIS_SUCCESS && (e = readdir(folder)) != NULL;) {
    if (precis_manifest_is_named(e->d_name, PRECIS_MANIFEST_ENDING, id))
      status = add_or_skip(j, contexts, id, found, why);
    else if (precis_manifest_is_named(e->d_name, PRECIS_MANIFEST_GRAVE, id) &&
             json_object_set_new(j->graves, id, json_true()) != 0)
      status = precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  }
  closedir(folder);
  return status;
}
