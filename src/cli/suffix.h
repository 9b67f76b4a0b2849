/* suffix.h - what the name of a file ends in, which says what form it is to have */
#ifndef PRECIS_CLI_SUFFIX_H
#define PRECIS_CLI_SUFFIX_H

#include <string.h>

/* `ending` with its dot. */
static inline int precis_ends_in(const char *path, const char *ending)
{
  size_t length = strlen(path), tail = strlen(ending);
  return length >= tail && strcmp(path + length - tail, ending) == 0;
}

#endif
