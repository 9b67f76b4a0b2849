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

static const char MANIFEST[] = ".manifest", SEGMENT[] = ".safetensors";

static int failed(const char *path, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: %s", path, strerror(errno));
}

static int ends_with(const char *name, const char *ending)
{
  size_t length = strlen(name), part = strlen(ending);
  return length > part && strcmp(name + length - part, ending) == 0;
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

/* What was cut off while it was written was never acknowledged. */
static int cut_off(const char *path, precis_context *c, int64_t bytes, precis_message *why)
{
  if (c->manifest_bytes == bytes)
    return PRECIS_SUCCESS;
  if (ftruncate(c->manifest, (off_t)c->manifest_bytes) != 0 || fsync(c->manifest) != 0)
    return failed(path, why);
  return PRECIS_SUCCESS;
}

static int read_manifest(const char *path, precis_context *c, precis_message *why)
{
  char *text = NULL;
  int64_t bytes = 0;
  c->manifest = open(path, O_RDWR | O_CLOEXEC);
  if (c->manifest < 0)
    return failed(path, why);
  int status = read_file(path, c->manifest, &text, &bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_manifest_parse(text, bytes, c, &c->manifest_bytes);
  free(text);
  if (status != PRECIS_SUCCESS)
    return precis_message_set(why, status, "%s: is no manifest that this version can read", path);
  return cut_off(path, c, bytes, why);
}

static int add(precis_journal *j, precis_contexts *contexts, const char *name,
               precis_context **found, precis_message *why)
{
  char path[4096 + 512];
  const precis_spec none = {.tol = 0};
  precis_context *c;
  snprintf(path, sizeof path, "%s/contexts/%s", j->data, name);
  int status = precis_contexts_make(contexts, &none, &c, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = read_manifest(path, c, why);
  if (status != PRECIS_SUCCESS) {
    precis_contexts_release(contexts, c);
    return status;
  }
  precis_journal_count(j, c, 1);
  while (*found != NULL && (*found)->created <= c->created)
    found = &(*found)->next;
  c->next = *found;
  *found = c;
  return PRECIS_SUCCESS;
}

/* Files that a job left behind when it ended in the middle of something. */
static int remove_leftovers(const precis_journal *j, precis_message *why)
{
  char path[4096 + 512];
  snprintf(path, sizeof path, "%s/segments", j->data);
  DIR *folder = opendir(path);
  if (folder == NULL)
    return failed(path, why);
  for (struct dirent *e; (e = readdir(folder)) != NULL;) {
    char name[sizeof e->d_name];
    strcpy(name, e->d_name);
    if (strstr(name, SEGMENT) == NULL)
      continue;
    if (ends_with(name, SEGMENT)) {
      name[strlen(name) - strlen(SEGMENT)] = '\0';
      if (json_object_get(j->uses, name) != NULL)
        continue;
    }
    unlinkat(dirfd(folder), e->d_name, 0);
  }
  closedir(folder);
  return PRECIS_SUCCESS;
}

int precis_journal_read(precis_journal *j, precis_contexts *contexts, precis_context **found,
                        precis_message *why)
{
  char path[4096 + 512];
  int status = PRECIS_SUCCESS;
  *found = NULL;
  snprintf(path, sizeof path, "%s/contexts", j->data);
  DIR *folder = opendir(path);
  if (folder == NULL)
    return failed(path, why);
  for (struct dirent *e; status == PRECIS_SUCCESS && (e = readdir(folder)) != NULL;) {
    if (ends_with(e->d_name, MANIFEST))
      status = add(j, contexts, e->d_name, found, why);
    else if (strstr(e->d_name, MANIFEST) != NULL)
      unlinkat(dirfd(folder), e->d_name, 0);
  }
  closedir(folder);
  return status == PRECIS_SUCCESS ? remove_leftovers(j, why) : status;
}
