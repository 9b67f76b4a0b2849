#include "mpi/world/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "src/precis.h"

enum { PATH_BYTES = 512, KEPT_FREE = 1 << 18 /* for what MPI itself may still want */ };

const char *precis_room_place(void)
{
  const char *const names[] = {"PRECIS_SHARED_MEMORY", "OMPI_MCA_osc_sm_backing_directory"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *place = getenv(names[i]);
    if (place != NULL && place[0] == '/')
      return place;
  }
  return "/dev/shm";
}

int64_t precis_room_free(void)
{
  struct statvfs s;
  const char *place = precis_room_place();
  if (statvfs(place, &s) != 0 || (s.f_flag & ST_RDONLY) || access(place, W_OK | X_OK) != 0)
    return 0;
  if (s.f_blocks == 0) /* a tmpfs without a limit */
    return INT64_MAX;
  double bytes = (double)s.f_bavail * (double)s.f_frsize;
  return bytes < 0x1p62 ? (int64_t)bytes : INT64_MAX;
}

int64_t precis_room_share(int mates)
{
  int64_t bytes = precis_room_free(), share = (bytes - KEPT_FREE) / mates;
  return bytes == INT64_MAX ? INT64_MAX : share > 1 ? share : 1;
}

/* A new file of no bytes; path: "" where there is none. Returns its descriptor, or -1. */
static int create_file(char path[PATH_BYTES])
{
  int length = snprintf(path, PATH_BYTES, "%s/precis-XXXXXX", precis_room_place());
  int file = length < PATH_BYTES ? mkstemp(path) : -1;
  if (file < 0)
    path[0] = '\0';
  else
    fcntl(file, F_SETFD, FD_CLOEXEC);
  return file;
}

static int open_file(const char *path)
{
  return path[0] != '\0' ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
}

/* Pages that are there, and not merely allowed: a full file system says so now. */
static int reserve(int file, int64_t first, int64_t bytes)
{
  int error;
  do
    error = posix_fallocate(file, (off_t)first, (off_t)bytes);
  while (error == EINTR);
  return error == 0;
}

int precis_room_map(const precis_world *world, int64_t first, int64_t bytes, int64_t total,
                    void **base)
{
  char path[PATH_BYTES] = "";
  void *at = MAP_FAILED;
  int local, file = -1, failed, any = 1;
  MPI_Comm_rank(world->node_comm, &local);
  if (local == 0)
    file = create_file(path);
  int broken = MPI_Bcast(path, PATH_BYTES, MPI_CHAR, 0, world->node_comm) != MPI_SUCCESS;
  if (local != 0)
    file = open_file(path);
  failed = broken || file < 0 || !reserve(file, first, bytes);
  if (!failed)
    at = mmap(NULL, (size_t)total, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  failed |= at == MAP_FAILED;
  if (MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, world->node_comm))
    any = 1;
  if (file >= 0)
    close(file);
  if (local == 0 && path[0] != '\0')
    unlink(path); /* the memory lives as long as it is mapped */
  if (any && at != MAP_FAILED)
    munmap(at, (size_t)total);
  if (any)
    return PRECIS_ERR_MEMORY;
  *base = at;
  return PRECIS_SUCCESS;
}

void precis_room_unmap(void *base, int64_t total)
{
  munmap(base, (size_t)total);
}
