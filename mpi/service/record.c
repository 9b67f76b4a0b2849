#include "mpi/service/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUM_DIGITS = 16 };

/* FNV-1a. */
static uint64_t sum_of(const char *text, size_t bytes)
{
  uint64_t sum = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < bytes; i++)
    sum = (sum ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
  return sum;
}

char *precis_record_format(const json_t *object)
{
  char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
  size_t bytes = text ? strlen(text) : 0;
  char *line = text ? malloc(bytes + SUM_DIGITS + 3) : NULL;
  if (line != NULL)
    sprintf(line, "%s\t%0*" PRIx64 "\n", text, SUM_DIGITS, sum_of(text, bytes));
  free(text);
  return line;
}

json_t *precis_record_parse(const char *text, int64_t bytes, int64_t *used)
{
  const char *end = memchr(text, '\n', (size_t)bytes), *tab;
  char sum[SUM_DIGITS + 1];
  if (end == NULL || end - text < SUM_DIGITS + 1)
    return NULL;
  tab = end - SUM_DIGITS - 1;
  snprintf(sum, sizeof sum, "%0*" PRIx64, SUM_DIGITS, sum_of(text, (size_t)(tab - text)));
  if (*tab != '\t' || memcmp(tab + 1, sum, SUM_DIGITS) != 0)
    return NULL;
  *used = end - text + 1;
  return json_loadb(text, (size_t)(tab - text), 0, NULL);
}
