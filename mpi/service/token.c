#include "mpi/service/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/precis.h"

enum { RANDOM_BYTES = 32, SHORTEST = 16 };

static int failed(const char *path, const char *what, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: the token cannot be %s: %s", path, what,
                            strerror(errno));
}

static int make(const char *path, int file, precis_token *token, precis_message *why)
{
  unsigned char bytes[RANDOM_BYTES];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
    return failed(path, "made", why);
  for (int i = 0; i < RANDOM_BYTES; i++)
    sprintf(token->text + 2 * i, "%02x", bytes[i]);
  if (dprintf(file, "%s\n", token->text) < 0 || fsync(file) != 0)
    return failed(path, "written", why);
  return PRECIS_SUCCESS;
}

static int read_token(const char *path, int file, precis_token *token, precis_message *why)
{
  struct stat info;
  if (fstat(file, &info) != 0)
    return failed(path, "read", why);
  if (!S_ISREG(info.st_mode) || (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return precis_message_set(why, PRECIS_ERR_IO,
                              "%s: others may read the token: chmod 600 it, or remove it", path);
  ssize_t bytes = read(file, token->text, PRECIS_TOKEN_MOST);
  if (bytes < 0)
    return failed(path, "read", why);
  token->text[bytes] = '\0';
  token->text[strcspn(token->text, "\r\n")] = '\0';
  size_t length = strlen(token->text);
  if (length < SHORTEST || length >= PRECIS_TOKEN_MOST ||
      strspn(token->text,
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") != length)
    return precis_message_set(why, PRECIS_ERR_FORMAT,
                              "%s: holds no token: %d to %d letters and digits are wanted", path,
                              SHORTEST, PRECIS_TOKEN_MOST - 1);
  return PRECIS_SUCCESS;
}

int precis_token_load(const char *path, precis_token *token, precis_message *why)
{
  int fresh = 1, file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0 && errno == EEXIST) {
    fresh = 0;
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  }
  if (file < 0)
    return failed(path, fresh ? "written" : "read", why);
  int status = fresh ? make(path, file, token, why) : read_token(path, file, token, why);
  close(file);
  if (status != PRECIS_SUCCESS && fresh)
    unlink(path);
  return status;
}

int precis_token_equal(const precis_token *token, const char *given)
{
  size_t length = strlen(token->text), given_length = strlen(given);
  unsigned char differs = length != given_length;
  for (size_t i = 0; i < given_length; i++)
    differs |= (unsigned char)(given[i] ^ token->text[i % (length + 1)]);
  return !differs;
}
