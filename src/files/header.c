#include "src/files/header.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/files/foreign.h"
#include "src/files/name_list.h"
#include "src/files/npy.h"
#include "src/files/npz.h"
#include "src/files/read.h"
#include "src/precis.h"
#include "src/files/safetensors.h"

enum { PREFIX = 16 };
_Static_assert((int)PREFIX >= (int)PRECIS_NPY_PREFIX &&
                   (int)PREFIX >= (int)PRECIS_SAFETENSORS_PREFIX,
               "the prefix tells the formats apart");
_Static_assert(sizeof(off_t) == 8, "compile with _FILE_OFFSET_BITS=64");

static int read_error(const char *path, int error, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be read: %s", path, strerror(error));
}

static int open_file(const char *path, int *file, int64_t *bytes, precis_message *why)
{
  struct stat info;
  /* Without O_NONBLOCK a named pipe would wait for a writer. */
  int opened = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (opened < 0)
    return read_error(path, errno, why);
  int error = fstat(opened, &info) != 0 ? errno
              : S_ISDIR(info.st_mode)   ? EISDIR
                                        : 0,
      status = PRECIS_SUCCESS;
  if (error != 0)
    status = read_error(path, error, why);
  else if (!S_ISREG(info.st_mode))
    status = precis_message_set(why, PRECIS_ERR_IO,
                                "%s: cannot be read by row ranges: not a regular file", path);
  if (status != PRECIS_SUCCESS) {
    close(opened);
    return status;
  }
  *file = opened;
  *bytes = (int64_t)info.st_size;
  return PRECIS_SUCCESS;
}

/* From `offset` on. */
static int read_at(const char *path, int file, char *to, int64_t offset, int64_t bytes,
                   precis_message *why)
{
  int64_t got = precis_read_at(file, to, offset, bytes);
  if (got < 0)
    return read_error(path, errno, why);
  return got == bytes ? PRECIS_SUCCESS
                      : precis_message_set(why, PRECIS_ERR_IO,
                                           "%s: became shorter while it was read", path);
}

static int ends_with(const char *path, const char *ending)
{
  size_t length = strlen(path), part = strlen(ending);
  return length >= part && strcmp(path + length - part, ending) == 0;
}

static int unknown_format(const char *path, const unsigned char *prefix, int64_t prefix_bytes,
                          precis_message *why)
{
  char begin[3 * 8 + 1] = "";
  for (int i = 0; i < 8 && i < prefix_bytes; i++)
    sprintf(begin + 3 * i, " %02x", prefix[i]);
  if (prefix_bytes == 0)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: is empty", path);
  return precis_message_set(why, PRECIS_ERR_FORMAT,
                            "%s: neither .npy nor .safetensors: begins with bytes%s", path, begin);
}

/* What is known of the file before its header is read. */
typedef struct source {
  const char *path;
  int file;
  int64_t bytes; /* of the file */
  int64_t begin; /* of the array's own file in it, a .npz; else 0 ... */
  int64_t size;  /* ... and its bytes */
  int is_npy;
  int64_t header_bytes;
} source;

/* An array that is looked for in a .npz file. */
typedef struct search {
  const char *name;
  int found;
  precis_npz_member member; /* its name is `name` */
  precis_name_list all;
} search;

static void look(void *context, const precis_npz_member *member)
{
  search *s = context;
  precis_name_list_add(&s->all, member->name);
  if (s->found || strcmp(member->name, s->name) != 0)
    return;
  s->member = *member;
  s->member.name = s->name;
  s->found = 1;
}

/* Narrows the source down to the array. found NULL: it must be there. */
static int enter_npz(source *s, const char *name, int *found, precis_message *why)
{
  search sought = {.name = name};
  int status = precis_npz_each(s->path, s->file, s->bytes, look, &sought, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (sought.all.count == 0)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: is %s", s->path,
                              precis_foreign_format("PK\003\004", 4));
  if (found != NULL)
    *found = sought.found;
  if (!sought.found)
    return found != NULL ? PRECIS_SUCCESS
                         : precis_message_set(why, PRECIS_ERR_FORMAT,
                                              "%s: no array \"%.80s\" among its %zu array%s (%s)",
                                              s->path, name, sought.all.count,
                                              sought.all.count == 1 ? "" : "s", sought.all.text);
  s->size = sought.member.bytes;
  return precis_npz_place(s->path, s->file, s->bytes, &sought.member, &s->begin, why);
}

static int measure(source *s, precis_message *why)
{
  char prefix[PREFIX];
  int64_t prefix_bytes = s->size < PREFIX ? s->size : PREFIX;
  int status = read_at(s->path, s->file, prefix, s->begin, prefix_bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  s->is_npy = precis_npy_recognise(prefix, prefix_bytes);
  if (s->is_npy)
    return precis_npy_header_bytes(s->path, prefix, prefix_bytes, s->size, &s->header_bytes, why);
  if (s->begin > 0)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: a member is no .npy file", s->path);
  const char *foreign = precis_foreign_format(prefix, prefix_bytes);
  if (foreign != NULL && !precis_safetensors_recognise(prefix, prefix_bytes))
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: is %s", s->path, foreign);
  /* A damaged file of that name gets a message that says what is damaged. */
  if (precis_safetensors_recognise(prefix, prefix_bytes) ||
      (ends_with(s->path, ".safetensors") && s->bytes > 0))
    return precis_safetensors_header_bytes(s->path, prefix, prefix_bytes, s->bytes,
                                           &s->header_bytes, why);
  return unknown_format(s->path, (const unsigned char *)prefix, prefix_bytes, why);
}

/* The whole header, to be released by the caller. */
static int load(source *s, char **header, precis_message *why)
{
  int status = measure(s, why);
  if (status != PRECIS_SUCCESS)
    return status;
  *header = malloc((size_t)s->header_bytes);
  if (*header == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY,
                              "%s: out of memory for a header of %" PRId64 " bytes", s->path,
                              s->header_bytes);
  return read_at(s->path, s->file, *header, s->begin, s->header_bytes, why);
}

static int open_source(source *s, int *is_npz, precis_message *why)
{
  char prefix[PREFIX];
  int status = open_file(s->path, &s->file, &s->bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  s->size = s->bytes;
  int64_t prefix_bytes = s->bytes < PREFIX ? s->bytes : PREFIX;
  status = read_at(s->path, s->file, prefix, 0, prefix_bytes, why);
  if (status != PRECIS_SUCCESS)
    close(s->file);
  *is_npz = status == PRECIS_SUCCESS && precis_npz_recognise(prefix, prefix_bytes) &&
            !precis_safetensors_recognise(prefix, prefix_bytes);
  return status;
}

static int read_tensor(source *s, const char *name, int *found, precis_tensor *tensor,
                       precis_message *why)
{
  char *header = NULL;
  int status = load(s, &header, why);
  if (status == PRECIS_SUCCESS && s->is_npy) {
    status = precis_npy_parse(s->path, header, s->header_bytes, s->size, tensor, why);
    if (status == PRECIS_SUCCESS) {
      tensor->offset += s->begin;
      if (found != NULL)
        *found = 1;
    }
  } else if (status == PRECIS_SUCCESS) {
    status = precis_safetensors_parse(s->path, header, s->header_bytes, s->bytes, name, found,
                                      tensor, why);
  }
  free(header);
  return status;
}

int precis_header_read(const char *path, const char *name, int *found, precis_tensor *tensor,
                       int64_t *file_bytes, precis_message *why)
{
  source s = {.path = path};
  int is_npz, there = 1, status = open_source(&s, &is_npz, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (is_npz)
    status = enter_npz(&s, name, found ? &there : NULL, why);
  if (status == PRECIS_SUCCESS && there)
    status = read_tensor(&s, name, found, tensor, why);
  else if (status == PRECIS_SUCCESS)
    *found = 0;
  if (status == PRECIS_SUCCESS)
    *file_bytes = s.bytes;
  close(s.file);
  return status;
}

typedef struct showing {
  precis_safetensors_visit *visit;
  void *context;
} showing;

static void show(void *context, const precis_npz_member *member)
{
  const showing *to = context;
  to->visit(to->context, member->name);
}

int precis_header_each(const char *path, precis_safetensors_visit *visit, void *context,
                       precis_message *why)
{
  source s = {.path = path};
  char *header = NULL;
  int is_npz, status = open_source(&s, &is_npz, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (is_npz)
    status = precis_npz_each(path, s.file, s.bytes, show, &(showing){visit, context}, why);
  else
    status = load(&s, &header, why);
  if (status == PRECIS_SUCCESS && !is_npz && !s.is_npy)
    status = precis_safetensors_each(path, header, s.header_bytes, s.bytes, visit, context, why);
  free(header);
  close(s.file);
  return status;
}
