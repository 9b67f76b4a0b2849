#include "mpi/service/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis.h"

void precis_reply_error(precis_reply *reply, int code, const char *field, const char *format, ...)
{
  char text[600];
  if (reply->code != 0)
    return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  /* Names from clients may be no UTF-8, which JSON must be. */
  for (char *c = text; *c != '\0'; c++)
    if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
      *c = '?';
  snprintf(reply->message, sizeof reply->message, "%s: %.150s", field, text);
  precis_reply_json(
      reply, code,
      json_pack("{s:{s:i, s:s, s:s}}", "error", "status", code, "field", field, "message", text));
}

int precis_reply_code(int status)
{
  switch (status) {
  case PRECIS_ERR_ARGUMENT:
  case PRECIS_ERR_FORMAT:
    return 400;
  case PRECIS_ERR_NONFINITE:
  case PRECIS_ERR_RANGE:
  case PRECIS_ERR_TOLERANCE:
    return 422;
  case PRECIS_ERR_MEMORY:
    return 507;
  default:
    return 500;
  }
}

void precis_reply_json(precis_reply *reply, int code, json_t *object)
{
  char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
  json_decref(object);
  reply->code = text ? code : 507;
  reply->type = "application/json";
  reply->body = text;
  reply->bytes = text ? strlen(text) : 0;
}

void precis_reply_bytes(precis_reply *reply, const char *type, char *body, size_t bytes)
{
  reply->code = 200;
  reply->type = type;
  reply->body = body;
  reply->bytes = bytes;
}

void precis_reply_free(precis_reply *reply)
{
  free(reply->body);
  free(reply->report);
  *reply = (precis_reply){0};
}
