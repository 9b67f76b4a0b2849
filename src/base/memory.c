#include "src/base/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, HUGE_PAGE = 2 << 20, LARGE = 4 * HUGE_PAGE };

/* The kernel clears and maps each page at its first use, which takes as long as a pass of work over
 * it where pages are small. A wish, no more: what lies at both ends stays in small pages. */
static void wish_for_huge_pages(void *array, size_t bytes)
{
#ifdef MADV_HUGEPAGE
  uintptr_t first = ((uintptr_t)array + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
            end = ((uintptr_t)array + bytes) / HUGE_PAGE * HUGE_PAGE;
  madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
  (void)array;
  (void)bytes;
#endif
}

static void *take(int64_t count, size_t size, size_t *bytes)
{
  if (count < 0 || __builtin_mul_overflow((size_t)count, size, bytes) ||
      *bytes > PTRDIFF_MAX - LINE)
    return NULL;
  /* aligned_alloc wants a multiple of the alignment. */
  return aligned_alloc(LINE, (*bytes / LINE + 1) * LINE);
}

void *precis_memory_array(int64_t count, size_t size)
{
  size_t bytes;
  void *array = take(count, size, &bytes);
  if (array != NULL && bytes >= LARGE)
    wish_for_huge_pages(array, bytes);
  return array;
}

void *precis_memory_scratch(int64_t count, size_t size)
{
  size_t bytes;
  return take(count, size, &bytes);
}
