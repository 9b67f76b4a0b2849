/* record.h - lines of a journal: JSON, a tab, and a sum over the text, by which a line that was not
 * written to its end is known */
#ifndef PRECIS_SERVICE_RECORD_H
#define PRECIS_SERVICE_RECORD_H

#include <jansson.h>
#include <stdint.h>

/* With the newline, malloc'ed; NULL without memory. */
char *precis_record_format(const json_t *object);

/* The record that begins at text, of `bytes` bytes to the end of the file, to be released by the
 * caller; *used is its length. NULL if it is damaged or cut. */
json_t *precis_record_parse(const char *text, int64_t bytes, int64_t *used);

#endif
