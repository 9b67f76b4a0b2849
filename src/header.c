#include "src/header.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/foreign.h"
#include "src/npy.h"
#include "src/precis.h"
#include "src/safetensors.h"

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

/* The first `bytes` bytes of the file. */
static int read_begin(const char *path, int file, char *to, int64_t bytes, precis_message *why)
{
  for (int64_t done = 0; done < bytes;) {
    ssize_t got = pread(file, to + done, (size_t)(bytes - done), (off_t)done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return read_error(path, errno, why);
    if (got == 0)
      return precis_message_set(why, PRECIS_ERR_IO, "%s: became shorter while it was read", path);
    done += got;
  }
  return PRECIS_SUCCESS;
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
  int is_npy;
  int64_t header_bytes;
} source;

static int measure(source *s, precis_message *why)
{
  char prefix[PREFIX];
  int64_t prefix_bytes = s->bytes < PREFIX ? s->bytes : PREFIX;
  int status = read_begin(s->path, s->file, prefix, prefix_bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  s->is_npy = precis_npy_recognise(prefix, prefix_bytes);
  if (s->is_npy)
    return precis_npy_header_bytes(s->path, prefix, prefix_bytes, s->bytes, &s->header_bytes, why);
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
  int status = open_file(s->path, &s->file, &s->bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = measure(s, why);
  if (status == PRECIS_SUCCESS) {
    *header = malloc((size_t)s->header_bytes);
    if (*header == NULL)
      status = precis_message_set(why, PRECIS_ERR_MEMORY,
                                  "%s: out of memory for a header of %" PRId64 " bytes", s->path,
                                  s->header_bytes);
  }
  if (status == PRECIS_SUCCESS)
    status = read_begin(s->path, s->file, *header, s->header_bytes, why);
  close(s->file);
  return status;
}

int precis_header_read(const char *path, const char *name, int *found, precis_tensor *tensor,
                       int64_t *file_bytes, precis_message *why)
{
  source s = {.path = path};
  char *header = NULL;
  int status = load(&s, &header, why);
  if (status == PRECIS_SUCCESS && s.is_npy) {
    status = precis_npy_parse(path, header, s.header_bytes, s.bytes, tensor, why);
    if (status == PRECIS_SUCCESS && found != NULL)
      *found = 1;
  } else if (status == PRECIS_SUCCESS) {
    status =
        precis_safetensors_parse(path, header, s.header_bytes, s.bytes, name, found, tensor, why);
  }
  if (status == PRECIS_SUCCESS)
    *file_bytes = s.bytes;
  free(header);
  return status;
}

int precis_header_each(const char *path, precis_safetensors_visit *visit, void *context,
                       precis_message *why)
{
  source s = {.path = path};
  char *header = NULL;
  int status = load(&s, &header, why);
  if (status == PRECIS_SUCCESS && !s.is_npy)
    status = precis_safetensors_each(path, header, s.header_bytes, s.bytes, visit, context, why);
  free(header);
  return status;
}
