/* scratch.h - cutting the caller's working space into aligned pieces
 *
 * A layout function that takes its pieces from a scratch without memory measures what it needs. */
#ifndef PRECIS_SRC_BASE_SCRATCH_H
#define PRECIS_SRC_BASE_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

enum { PRECIS_SCRATCH_ALIGNMENT = 64 };

typedef struct precis_scratch {
  char *memory; /* aligned to PRECIS_SCRATCH_ALIGNMENT, or NULL to measure */
  int64_t used;
} precis_scratch;

static inline void *precis_scratch_take(precis_scratch *scratch, int64_t count, size_t size)
{
  int64_t at = scratch->used, bytes = count * (int64_t)size;
  scratch->used +=
      (bytes + PRECIS_SCRATCH_ALIGNMENT - 1) / PRECIS_SCRATCH_ALIGNMENT * PRECIS_SCRATCH_ALIGNMENT;
  return scratch->memory ? scratch->memory + at : NULL;
}

#endif
