#define _GNU_SOURCE /* memfd_create(), fallocate() */
#include "src/tokens/strip.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/precis.h"

/* A strip grows by so much at least. Pages of all machines divide it. */
enum { GRAIN = 1 << 16 };
static const int64_t RESERVE_LEAST = INT64_C(1) << 28;

typedef struct precis_strip_file {
  int file, references;
  int64_t bytes, weighed;
} precis_strip_file;

static int64_t round_up(int64_t bytes)
{
  return (bytes + GRAIN - 1) / GRAIN * GRAIN;
}

static precis_strip_file *make_file(int64_t bytes)
{
  precis_strip_file *f = calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  *f = (precis_strip_file){.file = memfd_create("precis", MFD_CLOEXEC), .references = 1};
  if (f->file < 0 || (bytes > 0 && fallocate(f->file, 0, 0, (off_t)bytes) != 0)) {
    if (f->file >= 0)
      close(f->file);
    free(f);
    return NULL;
  }
  f->bytes = bytes;
  return f;
}

static void release_file(precis_strip_file *f)
{
  if (f == NULL || --f->references > 0)
    return;
  close(f->file);
  free(f);
}

static int map_file(char *at, const precis_strip_file *f)
{
  return f->bytes == 0 || mmap(at, (size_t)f->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                               f->file, 0) != MAP_FAILED;
}

/* All files, at new addresses with room for so many bytes. */
static int map_all(precis_strip *s, int64_t bytes)
{
  int64_t reserve = 2 * bytes > RESERVE_LEAST ? 2 * bytes : RESERVE_LEAST, offset = 0;
  char *at =
      mmap(NULL, (size_t)reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    return PRECIS_ERR_MEMORY;
  for (int i = 0; i < s->count; offset += s->files[i++]->bytes)
    if (!map_file(at + offset, s->files[i])) {
      munmap(at, (size_t)reserve);
      return PRECIS_ERR_MEMORY;
    }
  if (s->at != NULL)
    munmap(s->at, (size_t)s->reserved);
  s->at = at;
  s->reserved = reserve;
  return PRECIS_SUCCESS;
}

/* A strip has a file of its own from the first byte on. */
static int make_own(precis_strip *s)
{
  if (s->count > 0)
    return PRECIS_SUCCESS;
  precis_strip_file **files = malloc(sizeof *files), *own = make_file(0);
  if (files == NULL || own == NULL) {
    free(files);
    release_file(own);
    return PRECIS_ERR_MEMORY;
  }
  files[0] = own;
  s->files = files;
  s->count = 1;
  return PRECIS_SUCCESS;
}

int precis_strip_reserve(precis_strip *s, int64_t bytes)
{
  if (s->at != NULL && bytes <= s->bytes)
    return PRECIS_SUCCESS;
  int status = make_own(s);
  if (status == PRECIS_SUCCESS && (s->at == NULL || round_up(bytes) > s->reserved))
    status = map_all(s, round_up(bytes));
  if (status != PRECIS_SUCCESS)
    return status;
  precis_strip_file *own = s->files[s->count - 1];
  int64_t before = own->bytes, more = round_up(bytes) - s->bytes;
  if (more > 0 && fallocate(own->file, 0, (off_t)before, (off_t)more) != 0)
    return PRECIS_ERR_MEMORY;
  own->bytes += more;
  if (!map_file(s->at + s->sealed, own)) {
    own->bytes = before;
    return PRECIS_ERR_MEMORY;
  }
  s->bytes += more;
  return PRECIS_SUCCESS;
}

void precis_strip_free(precis_strip *s)
{
  if (s->at != NULL)
    munmap(s->at, (size_t)s->reserved);
  for (int i = 0; i < s->count; i++)
    release_file(s->files[i]);
  free(s->files);
  *s = (precis_strip){0};
}

/* Of the strip's own file the whole grains of the first `part` bytes are sealed: what follows
 * begins a new file. */
static int seal(precis_strip *s, int64_t used, int64_t part)
{
  int64_t whole = (part - s->sealed) / GRAIN * GRAIN, rest = s->bytes - s->sealed - whole;
  if (whole <= 0)
    return PRECIS_SUCCESS;
  precis_strip_file *own = make_file(rest), *sealed = s->files[s->count - 1];
  precis_strip_file **files = realloc(s->files, (size_t)(s->count + 1) * sizeof *files);
  s->files = files ? files : s->files;
  if (own == NULL || files == NULL)
    goto release;
  for (int64_t done = 0, bytes = used - s->sealed - whole; done < bytes;) {
    ssize_t put =
        pwrite(own->file, s->at + s->sealed + whole + done, (size_t)(bytes - done), (off_t)done);
    if (put <= 0)
      goto release;
    done += put;
  }
  if (!map_file(s->at + s->sealed + whole, own))
    goto release;
  s->files[s->count++] = own;
  sealed->bytes = whole;
  s->sealed += whole;
  /* Should this fail, memory is only given back later. */
  int returned = ftruncate(sealed->file, (off_t)whole);
  (void)returned;
  return PRECIS_SUCCESS;
release:
  release_file(own);
  return PRECIS_ERR_MEMORY;
}

/* The sealed files that lie wholly in the first `part` bytes; a copy takes what is left of them. */
static int share_files(const precis_strip *s, int64_t part, precis_strip *child)
{
  child->files = malloc((size_t)(s->count + 1) * sizeof *child->files);
  if (child->files == NULL)
    return PRECIS_ERR_MEMORY;
  while (child->count < s->count - 1 && child->sealed + s->files[child->count]->bytes <= part) {
    child->files[child->count] = s->files[child->count];
    child->files[child->count]->references++;
    child->sealed += child->files[child->count++]->bytes;
  }
  precis_strip_file *own = make_file(round_up(part - child->sealed));
  if (own == NULL)
    return PRECIS_ERR_MEMORY;
  child->files[child->count++] = own;
  child->bytes = child->sealed + own->bytes;
  return PRECIS_SUCCESS;
}

int precis_strip_fork(precis_strip *s, int64_t used, int64_t part, precis_strip *child)
{
  precis_strip made = {.sealed = 0};
  /* Where less is taken than there is, what is taken is sealed by itself. */
  int status = seal(s, used, part);
  if (status == PRECIS_SUCCESS)
    status = share_files(s, part, &made);
  if (status == PRECIS_SUCCESS)
    status = map_all(&made, made.bytes);
  if (status != PRECIS_SUCCESS) {
    precis_strip_free(&made);
    return status;
  }
  memcpy(made.at + made.sealed, s->at + made.sealed, (size_t)(part - made.sealed));
  *child = made;
  return PRECIS_SUCCESS;
}

int64_t precis_strip_weigh(const precis_strip *s, int64_t number)
{
  int64_t bytes = 0;
  for (int i = 0; i < s->count; i++)
    if (s->files[i]->weighed != number) {
      s->files[i]->weighed = number;
      bytes += s->files[i]->bytes;
    }
  return bytes;
}
