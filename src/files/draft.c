#define _GNU_SOURCE /* fallocate() */
#include "src/files/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/precis.h"

_Static_assert(sizeof(off_t) == 8, "compile with _FILE_OFFSET_BITS=64");

enum { LINKS_MOST = 40, TRIES_MOST = 1000, SUFFIX_MOST = 48 };

static int failure(const char *path, int error, precis_message *why)
{
  if (error == ENOMEM)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: cannot be written: out of memory", path);
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be written: %s", path, strerror(error));
}

/* The length of the directory part, its slash included. */
static size_t directory_length(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Replaces the path of a symbolic link by what it leads to. Returns 1, 0 if it is no link, or -1
 * with errno. */
static int follow(char **path)
{
  char link[PATH_MAX];
  ssize_t length = readlink(*path, link, sizeof link);
  if (length < 0)
    return errno == EINVAL || errno == ENOENT ? 0 : -1;
  size_t before = length > 0 && link[0] == '/' ? 0 : directory_length(*path);
  if ((size_t)length == sizeof link) {
    errno = ENAMETOOLONG;
    return -1;
  }
  char *joined = malloc(before + (size_t)length + 1);
  if (joined == NULL)
    return -1;
  memcpy(joined, *path, before);
  memcpy(joined + before, link, (size_t)length);
  joined[before + (size_t)length] = '\0';
  free(*path);
  *path = joined;
  return 1;
}

/* Returns 0 or an errno. realpath() would not do: the file need not exist. */
static int follow_all(char **path)
{
  for (int i = 0; i < LINKS_MOST; i++) {
    int followed = follow(path);
    if (followed <= 0)
      return followed == 0 ? 0 : errno;
  }
  return ELOOP;
}

/* Finds the target, and whether it may be replaced. */
static int find_target(precis_draft *draft, precis_message *why)
{
  struct stat info;
  draft->rights = -1;
  if (stat(draft->path, &info) == 0) {
    if (S_ISDIR(info.st_mode))
      return failure(draft->path, EISDIR, why);
    if (!S_ISREG(info.st_mode))
      return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be written: not a regular file",
                                draft->path);
    /* rename() would not ask. */
    if (access(draft->path, W_OK) != 0)
      return failure(draft->path, errno, why);
    draft->rights = info.st_mode & 0777;
  } else if (errno != ENOENT) {
    return failure(draft->path, errno, why);
  }
  int error = follow_all(&draft->target);
  return error == 0 ? PRECIS_SUCCESS : failure(draft->path, error, why);
}

static const char ENDING[] = ".part";

static struct {
  void (*made)(void *context, const char *aside);
  void *context;
} told;

void precis_draft_tell(void (*made)(void *context, const char *aside), void *context)
{
  told.made = made;
  told.context = context;
}

static int open_aside(precis_draft *draft, precis_message *why)
{
  size_t length = strlen(draft->target);
  draft->aside = malloc(length + SUFFIX_MOST);
  if (draft->aside == NULL)
    return failure(draft->path, ENOMEM, why);
  memcpy(draft->aside, draft->target, length);
  draft->file = -1;
  /* What replaces a private file is private from the start; the rights follow at the end. */
  mode_t mode = draft->rights >= 0 ? 0600 : 0666;
  /* Jobs on other machines may have the same process number. */
  for (int i = 0; draft->file < 0 && i < TRIES_MOST && (i == 0 || errno == EEXIST); i++) {
    snprintf(draft->aside + length, SUFFIX_MOST, ".%ld-%d%s", (long)getpid(), i, ENDING);
    draft->file = open(draft->aside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  }
  if (draft->file < 0)
    return failure(draft->path, errno, why);
  if (told.made != NULL)
    told.made(told.context, draft->aside);
  return PRECIS_SUCCESS;
}

static void forget(precis_draft *draft)
{
  free(draft->path);
  free(draft->target);
  free(draft->aside);
  *draft = (precis_draft){.file = -1};
}

int precis_draft_create(const char *path, precis_draft *draft, precis_message *why)
{
  precis_draft made = {.file = -1, .path = strdup(path), .target = strdup(path)};
  int status = made.path && made.target ? PRECIS_SUCCESS : failure(path, ENOMEM, why);
  if (status == PRECIS_SUCCESS)
    status = find_target(&made, why);
  if (status == PRECIS_SUCCESS)
    status = open_aside(&made, why);
  if (status == PRECIS_SUCCESS)
    *draft = made;
  else
    forget(&made);
  return status;
}

const char *precis_draft_name(const char *path)
{
  return path + directory_length(path);
}

/* The name may come from a file that anybody has edited: it must not lead elsewhere. */
static int check_name(const precis_draft *draft, const char *name, precis_message *why)
{
  const char *target = precis_draft_name(draft->target);
  size_t length = strlen(target), whole = strlen(name), tail = strlen(ENDING);
  if (strchr(name, '/') == NULL && whole > length + tail && strncmp(name, target, length) == 0 &&
      name[length] == '.' && strcmp(name + whole - tail, ENDING) == 0)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: '%.255s' is no part of it", draft->path,
                            name);
}

static int open_left(precis_draft *draft, const char *name, int64_t bytes, precis_message *why)
{
  size_t folder = directory_length(draft->target);
  struct stat info;
  draft->aside = malloc(folder + strlen(name) + 1);
  if (draft->aside == NULL)
    return failure(draft->path, ENOMEM, why);
  memcpy(draft->aside, draft->target, folder);
  strcpy(draft->aside + folder, name);
  draft->file = open(draft->aside, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (draft->file < 0 || fstat(draft->file, &info) != 0)
    return failure(draft->aside, errno, why);
  if (!S_ISREG(info.st_mode) || (bytes >= 0 && info.st_size != bytes))
    return precis_message_set(why, PRECIS_ERR_FORMAT,
                              "%s: is not the part of %" PRId64 " bytes that was left",
                              draft->aside, bytes);
  return PRECIS_SUCCESS;
}

int precis_draft_reopen(const char *path, const char *name, int64_t bytes, precis_draft *draft,
                        precis_message *why)
{
  precis_draft made = {.file = -1, .path = strdup(path), .target = strdup(path)};
  int status = made.path && made.target ? PRECIS_SUCCESS : failure(path, ENOMEM, why);
  if (status == PRECIS_SUCCESS)
    status = find_target(&made, why);
  if (status == PRECIS_SUCCESS)
    status = check_name(&made, name, why);
  if (status == PRECIS_SUCCESS)
    status = open_left(&made, name, bytes, why);
  if (status == PRECIS_SUCCESS) {
    *draft = made;
    return status;
  }
  if (made.file >= 0)
    close(made.file);
  forget(&made);
  return status;
}

int precis_draft_reserve(precis_draft *draft, int64_t bytes, precis_message *why)
{
  if (ftruncate(draft->file, (off_t)bytes) != 0)
    return failure(draft->path, errno, why);
#ifdef __linux__
  /* Not posix_fallocate(), which writes into every block where the file system cannot reserve. */
  while (bytes > 0 && fallocate(draft->file, 0, 0, (off_t)bytes) != 0) {
    if (errno == EINTR)
      continue;
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
      break;
    int error = errno;
    return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot reserve %" PRId64 " bytes: %s",
                              draft->path, bytes, strerror(error));
  }
#endif
  return PRECIS_SUCCESS;
}

int precis_draft_write(precis_draft *draft, const void *data, int64_t bytes, int64_t offset,
                       precis_message *why)
{
  for (int64_t done = 0; done < bytes;) {
    ssize_t written = pwrite(draft->file, (const char *)data + done, (size_t)(bytes - done),
                             (off_t)(offset + done));
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return failure(draft->path, written < 0 ? errno : ENOSPC, why);
    done += written;
  }
  return PRECIS_SUCCESS;
}

/* A rename is safe once its directory is. Some file systems cannot do this, or need not. */
static int sync_directory(const char *path)
{
  size_t length = directory_length(path);
  char *directory = length > 0 ? strndup(path, length) : strdup(".");
  if (directory == NULL)
    return ENOMEM;
  int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
  free(directory);
  if (file < 0)
    return errno == EACCES ? 0 : errno; /* a directory may be written but not read */
  if (fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS)
    error = errno;
  close(file);
  return error;
}

int precis_draft_commit(precis_draft *draft, precis_message *why)
{
  int error = 0, file = draft->file;
  if ((draft->rights >= 0 && fchmod(file, (mode_t)draft->rights) != 0) || fsync(file) != 0)
    error = errno;
  draft->file = -1;
  if (close(file) != 0 && error == 0)
    error = errno;
  if (error == 0 && rename(draft->aside, draft->target) != 0)
    error = errno;
  if (error != 0 && !draft->kept)
    unlink(draft->aside);
  if (error == 0)
    error = sync_directory(draft->target);
  int status = error == 0 ? PRECIS_SUCCESS : failure(draft->path, error, why);
  forget(draft);
  return status;
}

void precis_draft_discard(precis_draft *draft)
{
  if (draft->path == NULL)
    return;
  close(draft->file);
  unlink(draft->aside);
  forget(draft);
}

void precis_draft_leave(precis_draft *draft)
{
  if (draft->path == NULL)
    return;
  close(draft->file);
  forget(draft);
}
