#include "src/base/allot.h"

#include "src/base/memory.h"

static int allocates(precis_allotment *a, int64_t count, size_t size)
{
  a->bytes += (double)count * (double)size;
  return !a->measures;
}

void *precis_allot_array(precis_allotment *a, int64_t count, size_t size)
{
  if (!allocates(a, count, size))
    return NULL;
  void *array = precis_memory_array(count, size);
  a->failed |= array == NULL;
  return array;
}

void *precis_allot_scratch(precis_allotment *a, int64_t count, size_t size)
{
  if (!allocates(a, count, size))
    return NULL;
  void *array = precis_memory_scratch(count, size);
  a->failed |= array == NULL;
  return array;
}
