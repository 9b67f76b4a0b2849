/* message.h - the words that go with an error code
 *
 * Whoever finds an error explains it: functions that can fail on user input take a precis_message
 * and return precis_message_set(...), so that code and text are made in one place and travel
 * together. */
#ifndef PRECIS_SRC_BASE_MESSAGE_H
#define PRECIS_SRC_BASE_MESSAGE_H

typedef struct precis_message {
  char text[480]; /* one line, no newline at the end, "" while there is nothing to say */
} precis_message;

/* Formats into message->text (cut to fit, control characters replaced, since names come from files)
 * and returns status. message may be NULL. */
int precis_message_set(precis_message *message, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
