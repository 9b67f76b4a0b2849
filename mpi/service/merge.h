/* merge.h - many small segments become one: which, and the file
 *
 * What an append costs must not depend on how often it was merged before: a segment goes into a
 * merge only where what follows it there is as large as it is, so that the one it becomes part of
 * is twice as large or more, and each row is written again no more often than the logarithm of how
 * many there are. */
#ifndef PRECIS_SERVICE_MERGE_H
#define PRECIS_SERVICE_MERGE_H

#include <stdatomic.h>
#include <stdint.h>

#include "mpi/service/segments.h"

enum {
  PRECIS_MERGE_BEYOND = 64, /* segments of a context */
  PRECIS_MERGE_LEAST = 16   /* that are merged together: fewer are not worth a file */
};

/* No merge makes a larger file: large ones are few, and to write them again would be felt. */
#define PRECIS_MERGE_BYTES (INT64_C(1) << 28)

/* The longest run of neighbours to merge. rows: of each of `count` segments; apart[i]: i may not go
 * together with i - 1. Returns its length and sets *first, or returns 0. */
int64_t precis_merge_choose(const int64_t *rows, const unsigned char *apart, int64_t count,
                            int64_t rows_most, int64_t *first);

typedef struct precis_merge {
  const char *data;
  precis_problem problem;
  int with_bias;
  precis_segment *from; /* `count`, owned */
  int64_t count;
  precis_segment to;        /* rows and sum are results */
  precis_segment_path path; /* of the file to write */
  const atomic_int *stop;   /* nonzero: give up */
} precis_merge;

/* Compares each with its sum, and writes one of all their rows, whole and safe on disk, in little
 * memory. After an error there is none. Errors: IO, FORMAT (a source is damaged), MEMORY,
 * INTERRUPTED. */
int precis_merge_write(precis_merge *merge, precis_message *why);

#endif
