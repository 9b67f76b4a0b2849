#include "src/client/web_answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/precis.h"

enum { HEAD_MOST = 1 << 14, BLOCK = 1 << 14, INTERIM_MOST = 20 };

/* What has come in and is not used yet. */
typedef struct source {
  precis_web *web;
  char block[BLOCK];
  int64_t at, held;
} source;

static int broke_off(const precis_web *w, int64_t got, precis_message *why)
{
  if (got < 0 && errno == ETIMEDOUT)
    return precis_message_set(why, PRECIS_ERR_IO, "%s: there is no answer for %g seconds", w->url,
                              w->seconds);
  return precis_message_set(why, PRECIS_ERR_IO, "%s: the answer broke off%s%s", w->url,
                            got < 0 ? ": " : "", got < 0 ? strerror(errno) : "");
}

static int bad_answer(const precis_web *w, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: the answer cannot be read", w->url);
}

/* At least one byte more; *end instead if there is none. */
static int fill(source *s, int *end, precis_message *why)
{
  *end = 0;
  if (s->at < s->held)
    return PRECIS_SUCCESS;
  int64_t got = precis_web_link_receive(&s->web->link, s->block, sizeof s->block);
  if (got < 0)
    return broke_off(s->web, got, why);
  s->at = 0;
  s->held = got;
  *end = got == 0;
  return PRECIS_SUCCESS;
}

/* A line without its end. */
static int read_line(source *s, char *line, int64_t size, precis_message *why)
{
  int64_t length = 0;
  for (;;) {
    int end, status = fill(s, &end, why);
    if (status != PRECIS_SUCCESS || end)
      return status != PRECIS_SUCCESS ? status : broke_off(s->web, 0, why);
    char c = s->block[s->at++];
    if (c == '\n')
      break;
    if (length + 1 >= size)
      return bad_answer(s->web, why);
    line[length++] = c;
  }
  line[length] = '\0';
  if (length > 0 && line[length - 1] == '\r')
    line[length - 1] = '\0';
  return PRECIS_SUCCESS;
}

/* What the head says of the body. */
typedef struct head {
  int64_t length; /* -1: not said */
  int chunked, last;
} head;

/* The value if the line has that name, without spaces before it; or NULL. */
static const char *value_of(const char *line, const char *name)
{
  size_t length = strlen(name);
  if (strncasecmp(line, name, length) != 0 || line[length] != ':')
    return NULL;
  return line + length + 1 + strspn(line + length + 1, " \t");
}

static int take_field(const precis_web *w, const char *line, precis_web_answer *answer, head *h,
                      precis_message *why)
{
  const char *value;
  char *end;
  if ((value = value_of(line, "Content-Length")) != NULL) {
    errno = 0;
    h->length = strtoll(value, &end, 10);
    if (errno != 0 || end == value || end[strspn(end, " \t")] != '\0' || h->length < 0)
      return bad_answer(w, why);
  }
  if ((value = value_of(line, "Transfer-Encoding")) != NULL)
    h->chunked = strcasecmp(value, "chunked") == 0 ? 1 : -1;
  if ((value = value_of(line, "Connection")) != NULL && strcasecmp(value, "close") == 0)
    h->last = 1;
  if ((value = value_of(line, "Precis-Report")) != NULL)
    snprintf(answer->report, sizeof answer->report, "%s", value);
  return PRECIS_SUCCESS;
}

static int read_head(source *s, precis_web_answer *answer, head *h, precis_message *why)
{
  char line[HEAD_MOST];
  int minor, fields = 0, status = read_line(s, line, sizeof line, why);
  *h = (head){.length = -1};
  answer->report[0] = '\0';
  if (status == PRECIS_SUCCESS && sscanf(line, "HTTP/1.%1d %3d", &minor, &answer->code) != 2)
    return bad_answer(s->web, why);
  if (status == PRECIS_SUCCESS)
    h->last = minor == 0;
  while (status == PRECIS_SUCCESS) {
    status = read_line(s, line, sizeof line, why);
    if (status == PRECIS_SUCCESS && line[0] == '\0')
      return status;
    if (status == PRECIS_SUCCESS)
      status = ++fields > 200 ? bad_answer(s->web, why) : take_field(s->web, line, answer, h, why);
  }
  return status;
}

/* Room for so many bytes more, and a zero. */
static int make_room(precis_web_answer *answer, int64_t more, precis_message *why)
{
  char *larger = more < PTRDIFF_MAX - answer->bytes - 1
                     ? realloc(answer->body, (size_t)(answer->bytes + more + 1))
                     : NULL;
  if (larger == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY,
                              "out of memory for an answer of %" PRId64 " bytes", more);
  answer->body = larger;
  return PRECIS_SUCCESS;
}

/* So many bytes go to the body. */
static int take_bytes(source *s, int64_t count, precis_web_answer *answer, precis_message *why)
{
  int status = make_room(answer, count, why);
  while (status == PRECIS_SUCCESS && count > 0) {
    int end;
    status = fill(s, &end, why);
    if (status == PRECIS_SUCCESS && end)
      status = broke_off(s->web, 0, why);
    if (status != PRECIS_SUCCESS)
      break;
    int64_t some = s->held - s->at < count ? s->held - s->at : count;
    memcpy(answer->body + answer->bytes, s->block + s->at, (size_t)some);
    answer->bytes += some;
    s->at += some;
    count -= some;
  }
  return status;
}

static int take_chunks(source *s, precis_web_answer *answer, precis_message *why)
{
  char line[1024], *end;
  for (;;) {
    int status = read_line(s, line, sizeof line, why);
    if (status != PRECIS_SUCCESS)
      return status;
    errno = 0;
    long long count = strtoll(line, &end, 16);
    if (errno != 0 || end == line || count < 0 || (*end != '\0' && *end != ';' && *end != ' '))
      return bad_answer(s->web, why);
    if (count == 0)
      break;
    status = take_bytes(s, count, answer, why);
    if (status == PRECIS_SUCCESS)
      status = read_line(s, line, sizeof line, why);
    if (status != PRECIS_SUCCESS || line[0] != '\0')
      return status != PRECIS_SUCCESS ? status : bad_answer(s->web, why);
  }
  int status; /* what may follow the last chunk says nothing to us */
  while ((status = read_line(s, line, sizeof line, why)) == PRECIS_SUCCESS && line[0] != '\0')
    ;
  return status;
}

static int take_all(source *s, precis_web_answer *answer, precis_message *why)
{
  for (;;) {
    int end, status = fill(s, &end, why);
    if (status != PRECIS_SUCCESS || end)
      return status;
    status = take_bytes(s, s->held - s->at, answer, why);
    if (status != PRECIS_SUCCESS)
      return status;
  }
}

static int read_body(source *s, const char *method, head *h, precis_web_answer *answer,
                     precis_message *why)
{
  int none = strcmp(method, "HEAD") == 0 || answer->code == 204 || answer->code == 304;
  if (none)
    return PRECIS_SUCCESS;
  if (h->chunked < 0)
    return bad_answer(s->web, why);
  if (h->chunked)
    return take_chunks(s, answer, why);
  if (h->length >= 0)
    return take_bytes(s, h->length, answer, why);
  h->last = 1;
  return take_all(s, answer, why);
}

int precis_web_answer_read(precis_web *w, const char *method, precis_web_answer *answer, int *begun,
                           int *last, precis_message *why)
{
  source s = {.web = w};
  head h;
  int end = 0, status = fill(&s, &end, why);
  *begun = status == PRECIS_SUCCESS && !end;
  *last = 1;
  if (status == PRECIS_SUCCESS && end)
    status = precis_message_set(why, PRECIS_ERR_IO, "%s: there is no answer", w->url);
  for (int i = 0; status == PRECIS_SUCCESS; i++) {
    status = i < INTERIM_MOST ? read_head(&s, answer, &h, why) : bad_answer(w, why);
    if (status == PRECIS_SUCCESS && (answer->code >= 200 || answer->code == 101))
      break;
  }
  if (status == PRECIS_SUCCESS)
    status = make_room(answer, 0, why);
  if (status == PRECIS_SUCCESS)
    status = read_body(&s, method, &h, answer, why);
  if (status != PRECIS_SUCCESS)
    return status;
  answer->body[answer->bytes] = '\0';
  /* Bytes that nobody has asked for would be taken for the next answer. */
  *last = h.last || s.at < s.held;
  return status;
}
