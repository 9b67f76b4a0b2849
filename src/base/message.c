#include "src/base/message.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

int precis_message_set(precis_message *message, int status, const char *format, ...)
{
  if (message == NULL)
    return status;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message->text, sizeof message->text, format, arguments);
  va_end(arguments);
  for (char *c = message->text; *c != '\0'; c++)
    if (iscntrl((unsigned char)*c))
      *c = '?';
  return status;
}
