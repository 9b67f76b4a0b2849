#include "src/files/npz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/files/read.h"
#include "src/precis.h"

/* Of the format (APPNOTE.TXT 4.3): what ends the file, may be followed by a comment of 65,535
 * bytes. Names are as long. */
enum {
  END_BYTES = 22,
  END64_BYTES = 56,
  LOCATOR_BYTES = 20,
  ENTRY_BYTES = 46,
  LOCAL_BYTES = 30,
  COMMENT_MOST = 65535
};
static const int64_t DIRECTORY_MOST = 64 << 20;
static const uint32_t ELSEWHERE = 0xffffffff; /* in Zip64's own fields */

#define corrupt(why, path, what)                                                                   \
  precis_message_set(why, PRECIS_ERR_FORMAT, "%s: corrupt .npz file: %s", path, what)

static uint64_t number(const unsigned char *at, int bytes)
{
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; i--)
    value = value << 8 | at[i];
  return value;
}

static int is_signature(const unsigned char *at, char a, char b)
{
  return at[0] == 'P' && at[1] == 'K' && at[2] == (unsigned char)a && at[3] == (unsigned char)b;
}

int precis_npz_recognise(const void *prefix, int64_t prefix_bytes)
{
  return prefix_bytes >= 4 && is_signature(prefix, 3, 4);
}

static int read_at(const char *path, int file, void *to, int64_t offset, int64_t bytes,
                   precis_message *why)
{
  int64_t got = precis_read_at(file, to, offset, bytes);
  return got == bytes ? PRECIS_SUCCESS
                      : precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be read: %s", path,
                                           got < 0 ? strerror(errno) : "it became shorter");
}

typedef struct directory {
  uint64_t offset, bytes, count;
} directory;

/* Zip64's end, if there is one before the end at `end`. */
static int find_end64(const char *path, int file, int64_t end, directory *d, precis_message *why)
{
  unsigned char locator[LOCATOR_BYTES], end64[END64_BYTES];
  if (end < LOCATOR_BYTES)
    return PRECIS_SUCCESS;
  int status = read_at(path, file, locator, end - LOCATOR_BYTES, LOCATOR_BYTES, why);
  if (status != PRECIS_SUCCESS || !is_signature(locator, 6, 7))
    return status;
  uint64_t at = number(locator + 8, 8);
  if (at > (uint64_t)end || (uint64_t)end - at < END64_BYTES + LOCATOR_BYTES)
    return corrupt(why, path, "its directory is not where it says");
  status = read_at(path, file, end64, (int64_t)at, END64_BYTES, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (!is_signature(end64, 6, 6))
    return corrupt(why, path, "its directory is not where it says");
  *d = (directory){number(end64 + 48, 8), number(end64 + 40, 8), number(end64 + 32, 8)};
  return PRECIS_SUCCESS;
}

static int find_directory(const char *path, int file, int64_t file_bytes, directory *d,
                          precis_message *why)
{
  int64_t most = END_BYTES + COMMENT_MOST, bytes = file_bytes < most ? file_bytes : most,
          at = bytes - END_BYTES, end;
  unsigned char *tail = malloc((size_t)bytes + 1);
  if (tail == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", path);
  int status = read_at(path, file, tail, file_bytes - bytes, bytes, why);
  if (status == PRECIS_SUCCESS) {
    while (at >= 0 && !(is_signature(tail + at, 5, 6) &&
                        (int64_t)number(tail + at + 20, 2) == bytes - END_BYTES - at))
      at--;
    if (at < 0)
      status = corrupt(why, path, "there is no directory at its end");
  }
  if (status == PRECIS_SUCCESS) {
    *d = (directory){number(tail + at + 16, 4), number(tail + at + 12, 4),
                     number(tail + at + 10, 2)};
    end = file_bytes - bytes + at;
    status = find_end64(path, file, end, d, why);
    if (status == PRECIS_SUCCESS &&
        (d->offset > (uint64_t)end || d->bytes > (uint64_t)end - d->offset))
      status = corrupt(why, path, "its directory is not where it says");
    if (status == PRECIS_SUCCESS && d->bytes > (uint64_t)DIRECTORY_MOST)
      status = corrupt(why, path, "its directory is larger than 64 MiB");
  }
  free(tail);
  return status;
}

/* An entry of the directory: sizes, and offset of the local header. */
typedef struct entry {
  uint64_t stored, size, local;
  uint64_t method, flags;
  const unsigned char *name, *extra;
  size_t name_bytes, extra_bytes, bytes; /* bytes: of all */
} entry;

/* Of Zip64: those that are elsewhere, in this order. Returns 0 where one is missing. */
static int take_extra(entry *e)
{
  uint64_t *wanted[] = {&e->size, &e->stored, &e->local};
  const unsigned char *at = NULL;
  size_t left = 0;
  for (size_t i = 0; i + 4 <= e->extra_bytes;) {
    size_t bytes = (size_t)number(e->extra + i + 2, 2);
    if (bytes > e->extra_bytes - i - 4)
      break;
    if (number(e->extra + i, 2) == 1) {
      at = e->extra + i + 4;
      left = bytes;
    }
    i += 4 + bytes;
  }
  for (int i = 0; i < 3; i++) {
    if (*wanted[i] != ELSEWHERE)
      continue;
    if (left < 8)
      return 0;
    *wanted[i] = number(at, 8);
    at += 8;
    left -= 8;
  }
  return 1;
}

static int read_entry(const unsigned char *at, size_t left, entry *e)
{
  if (left < ENTRY_BYTES || !is_signature(at, 1, 2))
    return 0;
  *e = (entry){.stored = number(at + 20, 4),
               .size = number(at + 24, 4),
               .local = number(at + 42, 4),
               .method = number(at + 10, 2),
               .flags = number(at + 8, 2),
               .name = at + ENTRY_BYTES,
               .name_bytes = (size_t)number(at + 28, 2),
               .extra_bytes = (size_t)number(at + 30, 2)};
  e->extra = e->name + e->name_bytes;
  e->bytes = ENTRY_BYTES + e->name_bytes + e->extra_bytes + (size_t)number(at + 32, 2);
  return e->bytes <= left && take_extra(e) && e->local <= INT64_MAX && e->stored <= INT64_MAX;
}

/* Errors: MEMORY. */
static int show(const char *path, const entry *e, precis_npz_visit *visit, void *context,
                precis_message *why)
{
  static const char ENDING[] = ".npy";
  const size_t ending = sizeof ENDING - 1;
  if (e->name_bytes <= ending || memcmp(e->name + e->name_bytes - ending, ENDING, ending) != 0 ||
      memchr(e->name, '\0', e->name_bytes) != NULL)
    return PRECIS_SUCCESS;
  char *name = calloc(e->name_bytes, 1);
  if (name == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", path);
  memcpy(name, e->name, e->name_bytes - ending);
  precis_npz_member member = {.name = name,
                              .local = (int64_t)e->local,
                              .bytes = (int64_t)e->stored,
                              .compressed =
                                  e->method != 0 || (e->flags & 1) || e->stored != e->size};
  visit(context, &member);
  free(name);
  return PRECIS_SUCCESS;
}

int precis_npz_each(const char *path, int file, int64_t file_bytes, precis_npz_visit *visit,
                    void *context, precis_message *why)
{
  directory d = {0, 0, 0};
  int status = find_directory(path, file, file_bytes, &d, why);
  if (status != PRECIS_SUCCESS)
    return status;
  unsigned char *bytes = malloc((size_t)d.bytes + 1);
  if (bytes == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory for its directory", path);
  status = read_at(path, file, bytes, (int64_t)d.offset, (int64_t)d.bytes, why);
  size_t at = 0;
  for (uint64_t i = 0; i < d.count && status == PRECIS_SUCCESS; i++) {
    entry e = {.bytes = 0};
    if (!read_entry(bytes + at, (size_t)d.bytes - at, &e))
      status = corrupt(why, path, "its directory is damaged");
    else
      status = show(path, &e, visit, context, why);
    at += status == PRECIS_SUCCESS ? e.bytes : 0;
  }
  free(bytes);
  return status;
}

int precis_npz_place(const char *path, int file, int64_t file_bytes,
                     const precis_npz_member *member, int64_t *begin, precis_message *why)
{
  unsigned char local[LOCAL_BYTES];
  if (member->compressed)
    return precis_message_set(
        why, PRECIS_ERR_FORMAT,
        "%s: %.80s is compressed, so that rows cannot be found in it: write it with numpy.savez(), "
        "not savez_compressed()",
        path, member->name);
  if (member->local > file_bytes - LOCAL_BYTES)
    return corrupt(why, path, "a member is not where it says");
  int status = read_at(path, file, local, member->local, LOCAL_BYTES, why);
  if (status != PRECIS_SUCCESS)
    return status;
  int64_t at =
      member->local + LOCAL_BYTES + (int64_t)number(local + 26, 2) + (int64_t)number(local + 28, 2);
  if (!is_signature(local, 3, 4) || at > file_bytes || member->bytes > file_bytes - at)
    return corrupt(why, path, "a member is not where it says");
  *begin = at;
  return PRECIS_SUCCESS;
}
