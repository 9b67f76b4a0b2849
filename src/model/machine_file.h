/* machine_file.h - rates as a small file that people can read and edit
 *
 *   # comment
 *   node_latency = 3.1e-07 s     # comment
 *
 * One key a line, each exactly once, with its unit as precis_rate_fields names it. Nothing is
 * guessed: unknown keys, missing keys, other units and values out of range are errors, which name
 * line, key and value. */
#ifndef PRECIS_SRC_MODEL_MACHINE_FILE_H
#define PRECIS_SRC_MODEL_MACHINE_FILE_H

#include "src/base/message.h"
#include "src/model/rates.h"

enum { PRECIS_MACHINE_FILE_BYTES = 1 << 16 }; /* at most */

/* text: of a file called `name`, ending in a zero. Errors: FORMAT; *rates is then untouched. */
int precis_machine_text_parse(const char *name, const char *text, precis_rates *rates,
                              precis_message *why);

/* Errors: FORMAT (as above, also if the file cannot be opened or is too long). */
int precis_machine_file_read(const char *path, precis_rates *rates, precis_message *why);

/* The text for rates with a comment on top (lines without #, ending in a newline; may be empty)
 * into text[PRECIS_MACHINE_FILE_BYTES]. Returns its length. */
int precis_machine_text_make(const char *comment, const precis_rates *rates, char *text);

#endif
