#include "src/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, HUGE_PAGE = 2 << 20, LARGE = 4 * HUGE_PAGE };

/* Large arrays in large pages: the kernel clears and maps each page at its first use, which takes as
 * long as a pass of work over it where pages are small. A wish, no more. */
static void wish_for_huge_pages(void *array, size_t bytes)
{
#ifdef MADV_HUGEPAGE
  if (array != NULL)
    madvise(array, bytes, MADV_HUGEPAGE);
#else
  (void)array;
  (void)bytes;
#endif
}

void *precis_memory_array(int64_t count, size_t size)
{
  size_t bytes;
  if (count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes) ||
      bytes > PTRDIFF_MAX - HUGE_PAGE)
    return NULL;
  size_t alignment = bytes < LARGE ? LINE : HUGE_PAGE;
  /* aligned_alloc wants a multiple of the alignment, of which a whole one may be unused: as address,
   * not as memory. */
  void *array = aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
  if (bytes >= LARGE)
    wish_for_huge_pages(array, bytes / HUGE_PAGE * HUGE_PAGE);
  return array;
}
