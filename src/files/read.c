#include "src/files/read.h"

#include <errno.h>
#include <unistd.h>

int64_t precis_read_at(int file, void *to, int64_t offset, int64_t bytes)
{
  int64_t done = 0;
  while (done < bytes) {
    ssize_t got = pread(file, (char *)to + done, (size_t)(bytes - done), (off_t)(offset + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    done += got;
  }
  return done;
}
