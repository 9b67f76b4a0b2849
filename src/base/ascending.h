/* ascending.h - looking something up in numbers that ascend */
#ifndef PRECIS_SRC_BASE_ASCENDING_H
#define PRECIS_SRC_BASE_ASCENDING_H

#include <stdint.h>

/* How many are below the value, which is where the first of the others is. */
static inline int64_t precis_ascending_below(const int64_t *numbers, int64_t count, int64_t value)
{
  int64_t low = 0, high = count;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (numbers[middle] < value)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

#endif
