#include "mpi/service/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/precis.h"
#include "src/base/size.h"

enum { RANDOM_BYTES = 32, SHORTEST = 16, FILE_MOST = 1 << 18 };

static int failed(const char *path, const char *what, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: the token cannot be %s: %s", path, what,
                            strerror(errno));
}

static int make(const char *path, int file, char *text, precis_message *why)
{
  unsigned char bytes[RANDOM_BYTES];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
    return failed(path, "made", why);
  for (int i = 0; i < RANDOM_BYTES; i++)
    sprintf(text + 2 * i, "%02x", bytes[i]);
  if (dprintf(file, "%s\n", text) < 0 || fsync(file) != 0)
    return failed(path, "written", why);
  return PRECIS_SUCCESS;
}

/* Nobody else may have put it there, or read it. */
static int check_file(const char *path, int file, precis_message *why)
{
  struct stat info;
  if (fstat(file, &info) != 0)
    return failed(path, "read", why);
  if (!S_ISREG(info.st_mode) || (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return precis_message_set(why, PRECIS_ERR_IO,
                              "%s: others may read the token: chmod 600 it, or remove it", path);
  if (info.st_uid != geteuid())
    return precis_message_set(why, PRECIS_ERR_IO, "%s: belongs to user %ld, not to %ld who serves",
                              path, (long)info.st_uid, (long)geteuid());
  if (info.st_nlink != 1)
    return precis_message_set(why, PRECIS_ERR_IO, "%s: has %ld names, must have one", path,
                              (long)info.st_nlink);
  return PRECIS_SUCCESS;
}

/* text: FILE_MOST + 1 bytes. */
static int read_text(const char *path, int file, char *text, precis_message *why)
{
  int status = check_file(path, file, why);
  for (ssize_t got = 1, all = 0; status == PRECIS_SUCCESS && got > 0; all += got) {
    got = read(file, text + all, (size_t)(FILE_MOST - all));
    if (got < 0)
      status = failed(path, "read", why);
  }
  return status;
}

static int good_token(const char *text)
{
  size_t length = strlen(text);
  return length >= SHORTEST && length < PRECIS_TOKEN_MOST &&
         strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") ==
             length;
}

static int good_name(const char *text)
{
  size_t length = strlen(text);
  return length >= 1 && length <= PRECIS_TOKEN_NAME &&
         strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") ==
             length;
}

/* A word after the name. */
static int read_word(const char *word, precis_token *token, precis_message *why)
{
  const struct {
    const char *name;
    int64_t *to;
  } quotas[] = {{"contexts=", &token->quota.contexts},
                {"tokens=", &token->quota.tokens},
                {"bytes=", &token->quota.bytes}};
  int reads = strcmp(word, "read") == 0;
  if (reads || strcmp(word, "write") == 0) {
    token->may_write = !reads;
    return PRECIS_SUCCESS;
  }
  for (int i = 0; i < 3; i++) {
    size_t length = strlen(quotas[i].name);
    if (strncmp(word, quotas[i].name, length) == 0)
      return precis_size_parse(quotas[i].name, word + length, 1, INT64_MAX / 2, quotas[i].to, why);
  }
  return precis_message_set(why, PRECIS_ERR_FORMAT,
                            "'%.40s' is none of read, write, contexts=N, tokens=N, bytes=N", word);
}

/* Changes the line. *there: whether it has a token. */
static int read_line(char *line, precis_token *token, int *there, precis_message *why)
{
  char *rest = line, *word;
  int words = 0, status = PRECIS_SUCCESS;
  *token = (precis_token){.name = "default", .may_write = 1};
  line[strcspn(line, "#\r")] = '\0';
  while (status == PRECIS_SUCCESS && (word = strsep(&rest, " \t")) != NULL) {
    if (word[0] == '\0')
      continue;
    if (words == 0 && good_token(word))
      strcpy(token->text, word);
    else if (words == 0)
      status = precis_message_set(why, PRECIS_ERR_FORMAT,
                                  "holds no token: %d to %d letters and digits are wanted",
                                  SHORTEST, PRECIS_TOKEN_MOST - 1);
    else if (words == 1 && good_name(word))
      strcpy(token->name, word);
    else
      status = words == 1 ? precis_message_set(why, PRECIS_ERR_FORMAT, "'%.40s' is no name", word)
                          : read_word(word, token, why);
    words++;
  }
  *there = words > 0;
  return status;
}

static int add(precis_tokens *tokens, const precis_token *token, precis_message *why)
{
  for (int i = 0; i < tokens->count; i++)
    if (strcmp(tokens->list[i].text, token->text) == 0)
      return precis_message_set(why, PRECIS_ERR_FORMAT, "the token is there twice");
  precis_token *more = calloc((size_t)tokens->count + 1, sizeof *more);
  if (more == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  if (tokens->count > 0)
    memcpy(more, tokens->list, (size_t)tokens->count * sizeof *more);
  more[tokens->count] = *token;
  int count = tokens->count + 1;
  precis_tokens_free(tokens);
  *tokens = (precis_tokens){more, count};
  return PRECIS_SUCCESS;
}

static int read_lines(const char *path, char *text, precis_tokens *tokens, precis_message *why)
{
  precis_message found = {""};
  char *rest = text, *line;
  int number = 0, there, status = PRECIS_SUCCESS;
  while (status == PRECIS_SUCCESS && (line = strsep(&rest, "\n")) != NULL) {
    precis_token token;
    number++;
    status = read_line(line, &token, &there, &found);
    if (status == PRECIS_SUCCESS && there)
      status = add(tokens, &token, &found);
    explicit_bzero(&token, sizeof token);
  }
  if (status != PRECIS_SUCCESS)
    return precis_message_set(why, status, "%s: line %d: %s", path, number, found.text);
  if (tokens->count == 0)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: holds no token", path);
  return status;
}

int precis_tokens_load(const char *path, precis_tokens *tokens, precis_message *why)
{
  precis_tokens made = {NULL, 0};
  char *text = calloc(FILE_MOST + 1, 1);
  if (text == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for %s", path);
  int fresh = 1, file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0 && errno == EEXIST) {
    fresh = 0;
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  }
  int status = file < 0 ? failed(path, fresh ? "written" : "read", why)
               : fresh  ? make(path, file, text, why)
                        : read_text(path, file, text, why);
  if (file >= 0)
    close(file);
  if (status != PRECIS_SUCCESS && fresh && file >= 0)
    unlink(path);
  if (status == PRECIS_SUCCESS)
    status = read_lines(path, text, &made, why);
  explicit_bzero(text, FILE_MOST);
  free(text);
  if (status == PRECIS_SUCCESS)
    *tokens = made;
  else
    precis_tokens_free(&made);
  return status;
}

void precis_tokens_free(precis_tokens *tokens)
{
  if (tokens->list != NULL)
    explicit_bzero(tokens->list, (size_t)tokens->count * sizeof *tokens->list);
  free(tokens->list);
  *tokens = (precis_tokens){NULL, 0};
}

static int equal(const char *token, const char *given)
{
  size_t length = strlen(token), given_length = strlen(given);
  unsigned char differs = length != given_length;
  for (size_t i = 0; i < given_length; i++)
    differs |= (unsigned char)(given[i] ^ token[i % (length + 1)]);
  return !differs;
}

const precis_token *precis_tokens_find(const precis_tokens *tokens, const char *given)
{
  const precis_token *found = NULL;
  for (int i = 0; i < tokens->count; i++)
    if (equal(tokens->list[i].text, given))
      found = &tokens->list[i];
  return found;
}

precis_quota precis_tokens_quota(const precis_tokens *tokens, const char *name)
{
  for (int i = 0; i < tokens->count; i++)
    if (strcmp(tokens->list[i].name, name) == 0)
      return tokens->list[i].quota;
  return (precis_quota){0, 0, 0};
}
