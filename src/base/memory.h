/* memory.h - arrays */
#ifndef PRECIS_SRC_BASE_MEMORY_H
#define PRECIS_SRC_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* count elements of `size` bytes, aligned to a cache line, contents undefined. Never NULL for count
 * 0. NULL if there is no memory, or count is negative or too large for the address space. Release
 * with free(). */
void *precis_memory_array(int64_t count, size_t size);

/* The same for room of which a call may need little, however much there is: large pages, which are
 * cleared whole at their first use, would be most of the work of such a call. */
void *precis_memory_scratch(int64_t count, size_t size);

#endif
