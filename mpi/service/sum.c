#include "mpi/service/sum.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/precis.h"

enum { BLOCK = 1 << 20, SUM_BYTES = 32 };

int precis_sum_begin(precis_summing *s, precis_message *why)
{
  if (gnutls_hash_init(&s->hash, GNUTLS_DIG_SHA256) == 0)
    return PRECIS_SUCCESS;
  s->hash = NULL;
  return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for a checksum");
}

void precis_sum_add(precis_summing *s, const void *bytes, int64_t count)
{
  gnutls_hash(s->hash, bytes, (size_t)count);
}

precis_sum precis_sum_end(precis_summing *s)
{
  unsigned char bytes[SUM_BYTES];
  precis_sum sum;
  gnutls_hash_deinit(s->hash, bytes);
  s->hash = NULL;
  for (int i = 0; i < PRECIS_SUM_DIGITS / 2; i++)
    snprintf(sum.text + 2 * i, 3, "%02x", bytes[i]);
  return sum;
}

/* Returns 0, or an errno. */
static int add_all(precis_summing *s, int file, char *block)
{
  for (;;) {
    ssize_t got = read(file, block, BLOCK);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return got == 0 ? 0 : errno;
    precis_sum_add(s, block, got);
  }
}

int precis_sum_file(const char *path, precis_sum *sum, precis_message *why)
{
  precis_summing s;
  char *block = malloc(BLOCK);
  int file = open(path, O_RDONLY | O_CLOEXEC), error = file < 0 ? errno : 0;
  int status = block ? precis_sum_begin(&s, why)
                     : precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for a checksum");
  if (status == PRECIS_SUCCESS) {
    error = file < 0 ? error : add_all(&s, file, block);
    *sum = precis_sum_end(&s);
    if (error != 0)
      status =
          precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be read: %s", path, strerror(error));
  }
  if (file >= 0)
    close(file);
  free(block);
  return status;
}
