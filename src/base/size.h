/* size.h - numbers as people type them: "64k", "1e9", "16Mi", "0.25"
 *
 * Strict: the whole text must be a number, nothing is cut off, rounded or wrapped around. `name`
 * says in messages whose value it is ("--tokens"). Errors: ARGUMENT; *value is then untouched. */
#ifndef PRECIS_SRC_BASE_SIZE_H
#define PRECIS_SRC_BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/message.h"

/* A whole number in [least, most]: digits, a fraction, an exponent, a unit, all but the digits
 * optional. Units are k (or K), M, G: powers of 1000; Ki, Mi, Gi: powers of 1024. "1.5k" is
 * 1500, "1.5" is an error. */
int precis_size_parse(const char *name, const char *text, int64_t least, int64_t most,
                      int64_t *value, precis_message *why);

/* A finite decimal number in [least, most], without unit. */
int precis_number_parse(const char *name, const char *text, double least, double most,
                        double *value, precis_message *why);

/* A port of TCP: digits alone, in [least, 65535]. text need not end with a zero: `length`
 * characters of it. */
int precis_port_parse(const char *name, const char *text, size_t length, int least, int *port,
                      precis_message *why);

/* The number that entry number `turn` of a list has ("0 0 1" or "0,0,1", taken from its beginning
 * again where it ends), all of them in [0, most]. */
int precis_list_parse(const char *name, const char *text, int64_t turn, int most, int *value,
                      precis_message *why);

#endif
