/* strip.h - an array that grows in place, and whose present contents another may share
 *
 * Memory is files without names (memfd), mapped one after the other. A fork seals what is there:
 * the whole pages become a file that both map from then on, and each goes on in a file of its own,
 * with a copy of the part of a page that is left. What is sealed is never written again. Growing
 * copies nothing. Room is taken from the system at once, so that it is missing here or nowhere. */
#ifndef PRECIS_SRC_TOKENS_STRIP_H
#define PRECIS_SRC_TOKENS_STRIP_H

#include <stdint.h>

struct precis_strip_file;

typedef struct precis_strip {
  char *at;                         /* where it begins; changes when it grows */
  int64_t bytes;                    /* that there is room for */
  int64_t sealed;                   /* of them, in all files but the last */
  int64_t reserved;                 /* addresses */
  struct precis_strip_file **files; /* the last one is its own */
  int count;
} precis_strip;

/* Zero-initialise. Makes room for so many bytes in all; what is there stays. Errors: MEMORY; the
 * strip is then as it was. */
int precis_strip_reserve(precis_strip *strip, int64_t bytes);

/* Makes `child` of the first `part` bytes, of `used` bytes that are in use. Errors: MEMORY; nothing
 * has changed then but where bytes lie. */
int precis_strip_fork(precis_strip *strip, int64_t used, int64_t part, precis_strip *child);

void precis_strip_free(precis_strip *strip);

/* Bytes of its files that were not weighed with this number (> 0, rising from call to call) yet. */
int64_t precis_strip_weigh(const precis_strip *strip, int64_t number);

#endif
