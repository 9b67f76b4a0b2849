/* allot.h - memory taken by the very lines that say beforehand how much it will be
 *
 * A function that lays arrays out takes an allotment. For a call that runs they are allocated; for
 * one that is foretold they stay NULL, and their bytes add up. */
#ifndef PRECIS_SRC_BASE_ALLOT_H
#define PRECIS_SRC_BASE_ALLOT_H

#include <stddef.h>
#include <stdint.h>

typedef struct precis_allotment {
  int measures;    /* nothing is allocated */
  int failed;      /* some array could not be */
  double bytes;    /* of all so far; shapes on paper may be larger than any memory */
} precis_allotment;

/* As precis_memory_array() and precis_memory_scratch(). */
void *precis_allot_array(precis_allotment *allotment, int64_t count, size_t size);
void *precis_allot_scratch(precis_allotment *allotment, int64_t count, size_t size);

#endif
