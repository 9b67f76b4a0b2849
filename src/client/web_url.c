#include "src/client/web_url.h"

#include <stdio.h>
#include <string.h>

#include "src/precis.h"
#include "src/base/size.h"

static int bad(const char *url, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                            "'%s' must be like http://127.0.0.1:8470, https://HOST/PREFIX or "
                            "unix:PATH",
                            url);
}

/* Returns nonzero if it fits. */
static int copy(char *to, size_t size, const char *from, size_t length)
{
  return length < size && snprintf(to, size, "%.*s", (int)length, from) == (int)length;
}

/* HOST[:PORT], of `length` characters. */
static int read_authority(const char *text, size_t length, precis_web_url *u, precis_message *why)
{
  size_t host = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":/");
  int brackets = text[0] == '[', port = u->tls ? 443 : 80;
  if (host > length || host <= 2 * (size_t)brackets ||
      !copy(u->host, sizeof u->host, text + brackets, host - 2 * (size_t)brackets) ||
      !copy(u->authority, sizeof u->authority, text, length) || strchr(u->host, '@') != NULL)
    return PRECIS_ERR_ARGUMENT;
  if (host < length) {
    if (text[host] != ':')
      return PRECIS_ERR_ARGUMENT;
    int status = precis_port_parse("--url", text + host + 1, length - host - 1, 1, &port, why);
    if (status != PRECIS_SUCCESS)
      return status;
  }
  snprintf(u->port, sizeof u->port, "%d", port);
  return PRECIS_SUCCESS;
}

int precis_web_url_parse(const char *url, precis_web_url *parsed, precis_message *why)
{
  precis_web_url u = {.authority = "localhost"};
  precis_message said = {""};
  if (strncmp(url, "unix:", 5) == 0) {
    if (url[5] == '\0' || !copy(u.path, sizeof u.path, url + 5, strlen(url + 5)))
      return bad(url, why);
    *parsed = u;
    return PRECIS_SUCCESS;
  }
  u.tls = strncmp(url, "https://", 8) == 0;
  if (!u.tls && strncmp(url, "http://", 7) != 0)
    return bad(url, why);
  const char *text = url + (u.tls ? 8 : 7), *rest = text + strcspn(text, "/");
  size_t length = strlen(rest);
  while (length > 0 && rest[length - 1] == '/')
    length--;
  int status = read_authority(text, (size_t)(rest - text), &u, &said);
  if (status != PRECIS_SUCCESS && said.text[0] != '\0')
    return precis_message_set(why, status, "%s", said.text);
  if (status != PRECIS_SUCCESS || strpbrk(url, "?# \t\r\n") != NULL ||
      !copy(u.prefix, sizeof u.prefix, rest, length))
    return bad(url, why);
  *parsed = u;
  return PRECIS_SUCCESS;
}
