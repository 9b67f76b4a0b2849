#include "src/layout/layout.h"

#include <stddef.h>

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

precis_layout precis_layout_consecutive(int ranks, const int64_t *start)
{
  return (precis_layout){.ranks = ranks, .rows = start[ranks], .start = start};
}

precis_layout precis_layout_dealt(int ranks, int64_t rows, int pairs)
{
  precis_layout layout = {.ranks = ranks, .rows = rows, .rounds = 2 * pairs};
  int64_t blocks = (int64_t)ranks * layout.rounds;
  layout.block = rows / blocks + (rows % blocks != 0);
  layout.block = layout.block > 0 ? layout.block : 1;
  return layout;
}

/* The place in the sequence of the block that a rank gets in a round, counted in blocks. */
static int64_t block_of(const precis_layout *layout, int rank, int round)
{
  int turn = round % 2 == 0 ? rank : layout->ranks - 1 - rank;
  return (int64_t)round * layout->ranks + turn;
}

static int64_t block_rows(const precis_layout *layout, int64_t block)
{
  int64_t first = block * layout->block;
  return first >= layout->rows ? 0 : least(layout->block, layout->rows - first);
}

int64_t precis_layout_share(const precis_layout *layout, int rank)
{
  if (layout->start != NULL)
    return layout->start[rank + 1] - layout->start[rank];
  int64_t share = 0;
  for (int round = 0; round < layout->rounds; round++)
    share += block_rows(layout, block_of(layout, rank, round));
  return share;
}

/* The last rank whose share starts at or before the row: the one that holds it, as those after are
 * empty up to there. */
static int find_consecutive(const precis_layout *layout, int64_t row)
{
  int low = 0, high = layout->ranks - 1;
  while (low < high) {
    int middle = low + (high - low + 1) / 2;
    if (layout->start[middle] <= row)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

int64_t precis_layout_find(const precis_layout *layout, int64_t row, int *rank, int64_t *local)
{
  if (layout->start != NULL) {
    *rank = find_consecutive(layout, row);
    *local = row - layout->start[*rank];
    return layout->start[*rank + 1] - row;
  }
  int64_t block = row / layout->block, within = row % layout->block;
  int round = (int)(block / layout->ranks), turn = (int)(block % layout->ranks);
  *rank = round % 2 == 0 ? turn : layout->ranks - 1 - turn;
  /* Only the sequence's last block is short, and the blocks that a rank got before it are whole. */
  *local = round * layout->block + within;
  return least(layout->block - within, layout->rows - row);
}

int64_t precis_layout_row(const precis_layout *layout, int rank, int64_t local, int64_t *row)
{
  if (layout->start != NULL) {
    *row = layout->start[rank] + local;
    return layout->start[rank + 1] - *row;
  }
  int64_t within = local % layout->block;
  *row = block_of(layout, rank, (int)(local / layout->block)) * layout->block + within;
  return least(layout->block - within, layout->rows - *row);
}

/* Rows that two ranges share. */
static int64_t shared(int64_t first, int64_t end, int64_t low, int64_t high)
{
  low = first > low ? first : low;
  high = least(end, high);
  return high > low ? high - low : 0;
}

int64_t precis_layout_overlap(const precis_layout *layout, int64_t first, int64_t end, int a, int b)
{
  if (layout->start != NULL)
    return shared(first, end, layout->start[a], layout->start[b]);
  int64_t round_rows = layout->block * layout->ranks, rows = 0;
  end = least(end, layout->rows);
  for (int64_t round = first / round_rows; round * round_rows < end; round++) {
    int64_t low = round % 2 == 0 ? a : layout->ranks - b, begin = round * round_rows;
    rows += shared(first, end, begin + low * layout->block, begin + (low + b - a) * layout->block);
  }
  return rows;
}
