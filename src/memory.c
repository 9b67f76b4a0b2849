#include "src/memory.h"

#include <stdlib.h>

enum { LINE = 64 };

void *precis_memory_array(int64_t count, size_t size)
{
  size_t bytes;
  if (count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes) ||
      bytes > PTRDIFF_MAX - LINE)
    return NULL;
  /* aligned_alloc wants a multiple of the alignment. */
  return aligned_alloc(LINE, (bytes / LINE + 1) * LINE);
}
