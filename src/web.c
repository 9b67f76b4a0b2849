#include "src/web.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/precis.h"
#include "src/web_connect.h"

enum { HEAD_MOST = 1 << 14 };

static int failed(const precis_web *w, const char *what, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: %s: %s", w->url, what, strerror(errno));
}

void precis_web_close(precis_web *w)
{
  if (w->socket >= 0)
    close(w->socket);
  w->socket = -1;
}

void precis_web_answer_free(precis_web_answer *answer)
{
  free(answer->body);
  answer->body = NULL;
}

static int send_all(int socket, const char *bytes, int64_t count)
{
  while (count > 0) {
    ssize_t sent = send(socket, bytes, (size_t)count, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent <= 0)
      return -1;
    bytes += sent;
    count -= sent;
  }
  return 0;
}

/* Returns nonzero if not all could be sent: there may still be an answer. */
static int send_request(const precis_web *w, const precis_web_request *r)
{
  char head[2048];
  int64_t length = 0;
  for (int i = 0; i < r->parts; i++)
    length += r->bytes[i];
  int token = w->token != NULL && w->token[0] != '\0';
  int bytes = snprintf(
      head, sizeof head,
      "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s%s%s%sContent-Length: %" PRId64 "\r\n\r\n",
      r->method, r->path, token ? "Authorization: Bearer " : "", token ? w->token : "",
      token ? "\r\n" : "", r->key ? "Idempotency-Key: " : "", r->key ? r->key : "",
      r->key ? "\r\n" : "", length);
  if (bytes >= (int)sizeof head || send_all(w->socket, head, bytes) != 0)
    return -1;
  for (int i = 0; i < r->parts; i++)
    if (send_all(w->socket, r->part[i], r->bytes[i]) != 0)
      return -1;
  return 0;
}

/* The head up to its empty line; *held bytes were read in all. Returns its length, 0 if the
 * connection ended before it, -1 if it cannot be one. */
static int read_head(int socket, char *head, int *held)
{
  *held = 0;
  while (*held < HEAD_MOST - 1) {
    ssize_t got = recv(socket, head + *held, (size_t)(HEAD_MOST - 1 - *held), 0);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return *held == 0 ? 0 : -1;
    *held += (int)got;
    head[*held] = '\0';
    const char *end = strstr(head, "\r\n\r\n");
    if (end != NULL)
      return (int)(end - head) + 4;
  }
  return -1;
}

/* The value of a header field, without spaces, in a buffer; 0 if there is none. */
static int find_field(const char *head, const char *name, char *value, size_t size)
{
  size_t length = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
      continue;
    line += length + 1;
    line += strspn(line, " \t");
    size_t bytes = strcspn(line, "\r\n");
    if (bytes >= size)
      return 0;
    memcpy(value, line, bytes);
    value[bytes] = '\0';
    return 1;
  }
  return 0;
}

static int bad_answer(const precis_web *w, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: the answer cannot be read", w->url);
}

/* The body, of which the first bytes came with the head. */
static int read_body(const precis_web *w, const char *begin, int64_t begun,
                     precis_web_answer *answer, precis_message *why)
{
  answer->body = answer->bytes < PTRDIFF_MAX ? malloc((size_t)answer->bytes + 1) : NULL;
  if (answer->body == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY,
                              "out of memory for an answer of %" PRId64 " bytes", answer->bytes);
  if (begun > answer->bytes)
    return bad_answer(w, why);
  memcpy(answer->body, begin, (size_t)begun);
  for (int64_t done = begun; done < answer->bytes;) {
    ssize_t got = recv(w->socket, answer->body + done, (size_t)(answer->bytes - done), 0);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return precis_message_set(why, PRECIS_ERR_IO, "%s: the answer broke off", w->url);
    done += got;
  }
  answer->body[answer->bytes] = '\0';
  return PRECIS_SUCCESS;
}

/* *nothing is set if the connection was closed before a byte of an answer. */
static int read_answer(precis_web *w, precis_web_answer *answer, int *nothing, precis_message *why)
{
  char head[HEAD_MOST], value[2048];
  int held, length = read_head(w->socket, head, &held);
  *nothing = length == 0;
  if (length == 0)
    return failed(w, "there is no answer", why);
  if (length < 0 || sscanf(head, "HTTP/1.%*1d %d", &answer->code) != 1)
    return bad_answer(w, why);
  head[length - 2] = '\0';
  char *end;
  answer->bytes = -1;
  if (find_field(head, "Content-Length", value, sizeof value)) {
    answer->bytes = strtoll(value, &end, 10);
    answer->bytes = *end == '\0' ? answer->bytes : -1;
  }
  if (answer->bytes < 0)
    return bad_answer(w, why);
  find_field(head, "Precis-Report", answer->report, sizeof answer->report);
  int status = read_body(w, head + length, held - length, answer, why);
  if (find_field(head, "Connection", value, sizeof value) && strcasecmp(value, "close") == 0)
    precis_web_close(w);
  return status;
}

int precis_web_ask(precis_web *w, const precis_web_request *request, precis_web_answer *answer,
                   precis_message *why)
{
  int status = PRECIS_SUCCESS, nothing = 0;
  for (int turn = 0; turn < 2; turn++) {
    int reused = w->socket >= 0;
    *answer = (precis_web_answer){.code = 0};
    if (!reused)
      status = precis_web_connect(w->url, &w->socket, why);
    if (status != PRECIS_SUCCESS)
      return status;
    int unsent = send_request(w, request);
    status = read_answer(w, answer, &nothing, why);
    if (status == PRECIS_SUCCESS && !unsent)
      return status;
    precis_web_close(w);
    if (!(reused && nothing))
      return status;
  }
  return status;
}
