/* spec.h - what a client asks for when it makes a context, from JSON */
#ifndef PRECIS_SERVICE_SPEC_H
#define PRECIS_SERVICE_SPEC_H

#include <stddef.h>

#include "mpi/service/contexts.h"

enum { PRECIS_SPEC_BYTES = 1 << 16 }; /* more is refused */

/* Checks everything. Errors: ARGUMENT, with *field, a static string, and words. */
int precis_spec_parse(const char *text, size_t bytes, precis_spec *spec, const char **field,
                      precis_message *why);

#endif
