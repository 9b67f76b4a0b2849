#include "src/layout/level.h"

/* How many rows it takes to fill all ranks up to `level`. */
static int64_t room_below(int ranks, const int64_t *held, int64_t level, int64_t most)
{
  int64_t room = 0;
  for (int r = 0; r < ranks && room <= most; r++)
    room += held[r] < level ? level - held[r] : 0;
  return room;
}

/* The highest level that the rows suffice for. */
static int64_t level_of(int ranks, const int64_t *held, int64_t rows)
{
  int64_t low = held[0];
  for (int r = 1; r < ranks; r++)
    low = held[r] < low ? held[r] : low;
  int64_t high = low + rows + 1; /* too high, even with one rank to fill */
  while (high - low > 1) {
    int64_t middle = low + (high - low) / 2;
    if (room_below(ranks, held, middle, rows) <= rows)
      low = middle;
    else
      high = middle;
  }
  return low;
}

void precis_level_deal(int ranks, const int64_t *held, int64_t rows, int64_t *counts)
{
  int64_t level = level_of(ranks, held, rows), left = rows;
  for (int r = 0; r < ranks; r++) {
    counts[r] = held[r] < level ? level - held[r] : 0;
    left -= counts[r];
  }
  /* Fewer rows are left than there are ranks at the level. */
  for (int r = 0; r < ranks && left > 0; r++)
    if (held[r] + counts[r] == level) {
      counts[r]++;
      left--;
    }
}
