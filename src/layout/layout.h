/* layout.h - which rank holds which rows of a sequence
 *
 * Two kinds: consecutive shares in rank order (what callers give), and shares that are dealt out in
 * blocks, forth and back over the ranks (0 1 2 2 1 0 0 1 2 ...). Under a causal mask, work grows
 * along the sequence; dealt blocks give every rank an equal part of early and late rows, in whole
 * and in every pair of rounds (the zigzag of ring attention is one pair). */
#ifndef PRECIS_SRC_LAYOUT_LAYOUT_H
#define PRECIS_SRC_LAYOUT_LAYOUT_H

#include <stdint.h>

typedef struct precis_layout {
  int ranks;
  int64_t rows; /* of the whole sequence */
  const int64_t *
      start; /* consecutive: ranks + 1 first rows, start[0] = 0, start[ranks] = rows; NULL: dealt */
  int64_t block; /* dealt: rows in a block */
  int rounds;    /* dealt: blocks that each rank gets, some of them empty */
} precis_layout;

/* start is borrowed. */
precis_layout precis_layout_consecutive(int ranks, const int64_t *start);

/* Dealt in at least `pairs` pairs of rounds. */
precis_layout precis_layout_dealt(int ranks, int64_t rows, int pairs);

/* The number of rows of a rank. */
int64_t precis_layout_share(const precis_layout *layout, int rank);

/* Where row `row` of the sequence is: *rank and its number *local there; returns how many rows from
 * it on are next to each other on that rank (at least 1). */
int64_t precis_layout_find(const precis_layout *layout, int64_t row, int *rank, int64_t *local);

/* The inverse: the sequence's row that is `local` on `rank`; returns the number of consecutive ones
 * from it on. */
int64_t precis_layout_row(const precis_layout *layout, int rank, int64_t local, int64_t *row);

/* Of the sequence's rows first .. end - 1, those that ranks a .. b - 1 hold. Takes time in
 * proportion to the rounds that the rows are in. */
int64_t precis_layout_overlap(const precis_layout *layout, int64_t first, int64_t end, int a,
                              int b);

#endif
