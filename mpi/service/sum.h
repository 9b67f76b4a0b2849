/* sum.h - sums over bytes by which it is known whether a file is still what was written */
#ifndef PRECIS_SERVICE_SUM_H
#define PRECIS_SERVICE_SUM_H

#include <stdint.h>

#include "src/base/message.h"

/* The first half of SHA-256, in hexadecimal digits. */
enum { PRECIS_SUM_DIGITS = 32 };

typedef struct precis_sum {
  char text[PRECIS_SUM_DIGITS + 1]; /* "": nobody has summed */
} precis_sum;

/* Bytes are added piece by piece. */
typedef struct precis_summing {
  struct hash_hd_st *hash; /* NULL: cannot be begun, or has ended */
} precis_summing;

/* Errors: MEMORY. */
int precis_sum_begin(precis_summing *summing, precis_message *why);
void precis_sum_add(precis_summing *summing, const void *bytes, int64_t count);
precis_sum precis_sum_end(precis_summing *summing);

/* Of a whole file. Errors: IO, MEMORY. */
int precis_sum_file(const char *path, precis_sum *sum, precis_message *why);

#endif
