/* log.h - what the service says of itself, on standard error, one line an event */
#ifndef PRECIS_SERVICE_LOG_H
#define PRECIS_SERVICE_LOG_H

#include <jansson.h>

typedef enum precis_log_form { PRECIS_LOG_TEXT, PRECIS_LOG_JSON, PRECIS_LOG_NONE } precis_log_form;

/* The order is that of the words of --log-level. */
typedef enum precis_log_level {
  PRECIS_LOG_ERROR,
  PRECIS_LOG_WARNING,
  PRECIS_LOG_INFO,
  PRECIS_LOG_DEBUG
} precis_log_level;

typedef struct precis_log {
  precis_log_form form;
  precis_log_level level; /* what is less urgent is not said */
} precis_log;

/* One line: the time, the level, the event (one word), the message, then the fields, an object that
 * is taken over, or NULL. Texts may come from strangers: control characters do not get through.
 * From any thread. */
void precis_log_write(const precis_log *log, precis_log_level level, const char *event,
                      json_t *fields, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Whether a line of that level would be written: for those that cost something to put together. */
int precis_log_wants(const precis_log *log, precis_log_level level);

#endif
