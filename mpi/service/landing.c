#define _GNU_SOURCE /* O_TMPFILE */
#include "mpi/service/landing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/precis.h"

static int failed(const char *path, int error, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be written: %s", path, strerror(error));
}

typedef struct folder {
  char text[PRECIS_LANDING_PATH];
} folder;

static folder folder_of(const char *path)
{
  folder f;
  const char *slash = strrchr(path, '/');
  snprintf(f.text, sizeof f.text, "%.*s", slash ? (int)(slash - path) + 1 : 2, slash ? path : "./");
  return f;
}

int precis_landing_sync_folder(const char *path)
{
  folder f = folder_of(path);
  int file = open(f.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
  if (file < 0)
    return errno;
  /* Some file systems cannot do this, or need not. */
  if (fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP)
    error = errno;
  close(file);
  return error;
}

int precis_landing_open(const char *path, precis_landing *l, precis_message *why)
{
  folder f = folder_of(path);
  l->aside[0] = '\0';
  l->file = -1;
  if (snprintf(l->path, sizeof l->path, "%s", path) >= (int)sizeof l->path)
    return failed(path, ENAMETOOLONG, why);
#ifdef O_TMPFILE
  l->file = open(f.text, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
#endif
  if (l->file < 0 && errno != ENOENT && errno != EACCES && errno != ENOSPC) {
    snprintf(l->aside, sizeof l->aside, "%s.part", path);
    l->file = open(l->aside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  }
  return l->file >= 0 ? PRECIS_SUCCESS : failed(path, errno, why);
}

int precis_landing_write(precis_landing *l, const void *bytes, int64_t count, int64_t offset,
                         precis_message *why)
{
  for (int64_t done = 0; done < count;) {
    ssize_t put =
        pwrite(l->file, (const char *)bytes + done, (size_t)(count - done), (off_t)(offset + done));
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return failed(l->path, put < 0 ? errno : ENOSPC, why);
    done += put;
  }
  return PRECIS_SUCCESS;
}

/* Over NFS an answer may get lost and the request be repeated: that there are two names then tells
 * that it was done. */
static int linked_after_all(const precis_landing *l)
{
  struct stat here, there;
  return l->aside[0] != '\0' && fstat(l->file, &here) == 0 && stat(l->path, &there) == 0 &&
         here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/* Returns 0, or an errno. */
static int give_name(precis_landing *l)
{
  char self[64];
  snprintf(self, sizeof self, "/proc/self/fd/%d", l->file);
  int linked = l->aside[0] != '\0' ? link(l->aside, l->path)
                                   : linkat(AT_FDCWD, self, AT_FDCWD, l->path, AT_SYMLINK_FOLLOW);
  if (linked == 0)
    return 0;
  int error = errno;
  return linked_after_all(l) ? 0 : error;
}

int precis_landing_commit(precis_landing *l, int *file, precis_message *why)
{
  int error = fsync(l->file) == 0 ? 0 : errno;
  if (error == 0)
    error = give_name(l);
  if (error == 0) {
    error = precis_landing_sync_folder(l->path);
    if (error != 0)
      unlink(l->path);
  }
  int status = error == 0 ? PRECIS_SUCCESS : failed(l->path, error, why);
  /* A second name that stays does no harm but to those who look into the folder. */
  if (l->aside[0] != '\0')
    unlink(l->aside);
  l->aside[0] = '\0';
  if (error == 0 && file != NULL)
    *file = l->file;
  else if (close(l->file) != 0 && error == 0) {
    status = failed(l->path, errno, why);
    unlink(l->path);
  }
  l->file = -1;
  return status;
}

void precis_landing_discard(precis_landing *l)
{
  if (l->file < 0)
    return;
  close(l->file);
  if (l->aside[0] != '\0')
    unlink(l->aside);
  l->file = -1;
}
