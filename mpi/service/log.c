#include "mpi/service/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const levels[] = {"error", "warning", "info", "debug"};

typedef struct moment {
  char text[40];
} moment;

/* Of the day, in UTC: what to compare with other logs. */
static moment now(void)
{
  struct timespec time;
  struct tm parts;
  moment m;
  clock_gettime(CLOCK_REALTIME, &time);
  gmtime_r(&time.tv_sec, &parts);
  size_t length = strftime(m.text, sizeof m.text, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(m.text + length, sizeof m.text - length, ".%03ldZ", time.tv_nsec / 1000000);
  return m;
}

int precis_log_wants(const precis_log *log, precis_log_level level)
{
  return log->form != PRECIS_LOG_NONE && level <= log->level;
}

/* In quotes only where it would not be one word otherwise. */
static void print_value(FILE *f, const json_t *value)
{
  const char *text = json_string_value(value);
  int plain = text != NULL && text[0] != '\0';
  for (const char *c = text; plain && *c != '\0'; c++)
    plain = *c > ' ' && *c <= '~' && strchr("\"'\\=", *c) == NULL;
  char *dump = plain ? NULL
                     : json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_COMPACT |
                                             JSON_REAL_PRECISION(6));
  fputs(plain ? text : dump ? dump : "?", f);
  free(dump);
}

static void print_text(FILE *f, precis_log_level level, const char *event, json_t *fields,
                       const char *message)
{
  const char *name;
  json_t *value;
  fprintf(f, "precis: %s %s %s", now().text, levels[level], event);
  if (message[0] != '\0')
    fprintf(f, ": %s", message);
  json_object_foreach (fields, name, value) {
    fprintf(f, " %s=", name);
    print_value(f, value);
  }
}

static void print_json(FILE *f, precis_log_level level, const char *event, json_t *fields,
                       const char *message)
{
  json_t *line = json_pack("{s:s, s:s, s:s, s:s}", "time", now().text, "level", levels[level],
                           "event", event, "message", message);
  json_object_update_missing(line, fields);
  char *text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
  fputs(text ? text : "{}", f);
  free(text);
  json_decref(line);
}

void precis_log_write(const precis_log *log, precis_log_level level, const char *event,
                      json_t *fields, const char *format, ...)
{
  char message[700], *line = NULL;
  size_t bytes = 0;
  FILE *f = precis_log_wants(log, level) ? open_memstream(&line, &bytes) : NULL;
  if (f != NULL) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    for (char *c = message; *c != '\0'; c++)
      if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
        *c = '?';
    if (log->form == PRECIS_LOG_JSON)
      print_json(f, level, event, fields, message);
    else
      print_text(f, level, event, fields, message);
    fputc('\n', f);
    /* In one piece, so that lines of several threads are not mixed. Where nobody reads any more
     * there is nothing to be done. */
    if (fclose(f) == 0)
      for (size_t done = 0; done < bytes;) {
        ssize_t put = write(STDERR_FILENO, line + done, bytes - done);
        if (put <= 0)
          break;
        done += (size_t)put;
      }
    free(line);
  }
  json_decref(fields);
}
