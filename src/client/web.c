#include "src/client/web.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "src/precis.h"
#include "src/client/web_answer.h"

/* How long, and how often, to ask for a request that was sent again while it was still under way.
 */
enum { BUSY_TURNS = 100, BUSY_PAUSE = 100000000 /* nanoseconds */, BUSY = 409 };

void precis_web_close(precis_web *w)
{
  precis_web_link_close(&w->link);
}

void precis_web_answer_free(precis_web_answer *answer)
{
  free(answer->body);
  answer->body = NULL;
}

int precis_web_make_key(char key[PRECIS_WEB_KEY])
{
  uint64_t number[2];
  if (getrandom(number, sizeof number, 0) != sizeof number)
    return 0;
  snprintf(key, PRECIS_WEB_KEY, "%016" PRIx64 "%016" PRIx64, number[0], number[1]);
  return 1;
}

/* Returns nonzero if not all could be sent: there may still be an answer. */
static int send_request(precis_web *w, const precis_web_url *u, const precis_web_request *r)
{
  char head[4096];
  int64_t length = 0;
  for (int i = 0; i < r->parts; i++)
    length += r->bytes[i];
  int token = w->token != NULL && w->token[0] != '\0';
  int bytes = snprintf(
      head, sizeof head,
      "%s %s%s HTTP/1.1\r\nHost: %s\r\n%s%s%s%s%s%s%s%s%sContent-Length: %" PRId64 "\r\n\r\n",
      r->method, u->prefix, r->path, u->authority, token ? "Authorization: Bearer " : "",
      token ? w->token : "", token ? "\r\n" : "", r->key ? "Idempotency-Key: " : "",
      r->key ? r->key : "", r->key ? "\r\n" : "", r->accept ? "Accept: " : "",
      r->accept ? r->accept : "", r->accept ? "\r\n" : "", length);
  if (bytes >= (int)sizeof head || precis_web_link_send(&w->link, head, bytes) != 0)
    return -1;
  for (int i = 0; i < r->parts; i++)
    if (precis_web_link_send(&w->link, r->part[i], r->bytes[i]) != 0)
      return -1;
  return 0;
}

/* One turn. *again: the connection was of an earlier request and may have ended since, or it ended
 * in the middle of the answer. */
static int ask_once(precis_web *w, const precis_web_url *u, const precis_web_request *request,
                    precis_web_answer *answer, int *again, precis_message *why)
{
  int begun = 0, last = 1, status = PRECIS_SUCCESS;
  *answer = (precis_web_answer){.code = 0};
  *again = 0;
  if (!w->link.open)
    status = precis_web_link_open(w->url, u, w->ca_file, w->seconds, &w->link, why);
  if (status != PRECIS_SUCCESS)
    return status;
  int unsent = send_request(w, u, request);
  errno = 0;
  status = precis_web_answer_read(w, request->method, answer, &begun, &last, why);
  /* Who was silent for so long will not speak at the second time. */
  *again = status == PRECIS_ERR_IO && errno != ETIMEDOUT;
  if (status != PRECIS_SUCCESS || unsent || last)
    precis_web_close(w);
  return status;
}

/* The first one that was sent may still be under way. */
static int ask_until_done(precis_web *w, const precis_web_url *u, const precis_web_request *request,
                          precis_web_answer *answer, precis_message *why)
{
  int again, status = ask_once(w, u, request, answer, &again, why);
  for (int i = 0; i < BUSY_TURNS && status == PRECIS_SUCCESS && answer->code == BUSY; i++) {
    nanosleep(&(struct timespec){.tv_nsec = BUSY_PAUSE}, NULL);
    precis_web_answer_free(answer);
    status = ask_once(w, u, request, answer, &again, why);
  }
  return status;
}

int precis_web_ask(precis_web *w, const precis_web_request *request, precis_web_answer *answer,
                   precis_message *why)
{
  precis_web_url u;
  int again;
  *answer = (precis_web_answer){.code = 0};
  if (w->seconds <= 0)
    w->seconds = PRECIS_WEB_SECONDS;
  int status = precis_web_url_parse(w->url, &u, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = ask_once(w, &u, request, answer, &again, why);
  if (status == PRECIS_SUCCESS || !again || (request->changes && request->key == NULL))
    return status;
  precis_web_answer_free(answer);
  return ask_until_done(w, &u, request, answer, why);
}
