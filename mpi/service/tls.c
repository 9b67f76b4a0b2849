#include "mpi/service/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/precis.h"

enum { FILE_MOST = 1 << 20 };

static int failed(const char *path, const char *text, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be used for TLS: %s", path, text);
}

/* The whole file as a text. */
static int read_text(const char *path, int secret, char **text, precis_message *why)
{
  struct stat info;
  FILE *file = fopen(path, "re");
  if (file == NULL || fstat(fileno(file), &info) != 0) {
    int error = errno;
    if (file != NULL)
      fclose(file);
    return failed(path, strerror(error), why);
  }
  int status = PRECIS_SUCCESS;
  if (secret && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    status = failed(path, "others may read it: chmod 600 it", why);
  *text = status == PRECIS_SUCCESS ? calloc(FILE_MOST + 1, 1) : NULL;
  if (status == PRECIS_SUCCESS && *text == NULL)
    status = PRECIS_ERR_MEMORY;
  if (status == PRECIS_SUCCESS && (fread(*text, 1, FILE_MOST, file) == 0 || ferror(file)))
    status = failed(path, "it is empty, or cannot be read", why);
  fclose(file);
  return status;
}

int precis_tls_load(const char *certificate, const char *key, precis_tls *tls, precis_message *why)
{
  precis_tls made = {NULL, NULL};
  int status = read_text(certificate, 0, &made.certificate, why);
  if (status == PRECIS_SUCCESS)
    status = read_text(key, 1, &made.key, why);
  if (status == PRECIS_SUCCESS)
    *tls = made;
  else
    precis_tls_free(&made);
  return status;
}

void precis_tls_free(precis_tls *tls)
{
  if (tls->key != NULL)
    explicit_bzero(tls->key, strlen(tls->key));
  free(tls->key);
  free(tls->certificate);
  *tls = (precis_tls){NULL, NULL};
}
