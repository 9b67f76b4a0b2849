/* Layouts, shares of heads and what queries see: pure bookkeeping, checked by counting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/layout/balance.h"
#include "src/layout/layout.h"
#include "src/layout/split.h"
#include "src/layout/visible.h"

enum { RANKS_MOST = 64 };

/* find() and row() are inverses, shares add up, and consecutive runs are what they claim. */
static void check_layout(const precis_layout *layout)
{
  int64_t total = 0, seen = 0;
  for (int r = 0; r < layout->ranks; r++)
    total += precis_layout_share(layout, r);
  assert_int_equal(total, layout->rows);
  for (int64_t row = 0; row < layout->rows;) {
    int rank;
    int64_t local, back, run = precis_layout_find(layout, row, &rank, &local);
    assert_true(run >= 1 && row + run <= layout->rows);
    assert_true(rank >= 0 && rank < layout->ranks);
    for (int64_t i = 0; i < run; i++, seen++) {
      assert_true(precis_layout_row(layout, rank, local + i, &back) >= 1);
      assert_int_equal(back, row + i);
      assert_true(local + i < precis_layout_share(layout, rank));
    }
    row += run;
  }
  assert_int_equal(seen, layout->rows);
}

/* Rows that two ranges share, one by one. */
static void check_overlap(const precis_layout *layout)
{
  for (int i = 0; i < 8; i++) {
    int64_t first = layout->rows * i / 9, end = layout->rows - layout->rows * i / 11, count = 0;
    int a = layout->ranks * i / 10, b = layout->ranks - i * layout->ranks / 20;
    for (int64_t row = first; row < end; row++) {
      int rank;
      int64_t local;
      precis_layout_find(layout, row, &rank, &local);
      count += rank >= a && rank < b;
    }
    assert_int_equal(precis_layout_overlap(layout, first, end, a, b), count);
  }
}

/* Rows that change rank, one by one, with nodes in order and not. */
static void leaving(void **state)
{
  (void)state;
  enum { RANKS = 7, ROWS = 1000 };
  const int64_t start[RANKS + 1] = {0, 10, 10, 400, 401, 600, 999, ROWS};
  const int nodes[2][RANKS] = {{0, 0, 0, 1, 1, 2, 2}, {0, 1, 2, 0, 1, 2, 0}};
  const precis_layout home = precis_layout_consecutive(RANKS, start);
  for (int i = 0; i < 8; i++) {
    const int *node = nodes[i % 2];
    precis_layout to = precis_layout_dealt(RANKS, ROWS, 1 + i);
    precis_wire counted = {0, 0};
    for (int64_t row = 0; row < ROWS; row++) {
      int from, there;
      int64_t local;
      precis_layout_find(&home, row, &from, &local);
      precis_layout_find(&to, row, &there, &local);
      if (from != there)
        *(node[from] == node[there] ? &counted.node : &counted.network) += 1;
    }
    precis_wire wire = precis_balance_leaving(start, &to, node);
    assert_int_equal(wire.node, counted.node);
    assert_int_equal(wire.network, counted.network);
  }
}

static void dealt(void **state)
{
  (void)state;
  const int64_t rows[] = {0, 1, 2, 7, 63, 64, 65, 1000};
  for (int ranks = 1; ranks <= RANKS_MOST; ranks += ranks < 8 ? 1 : 7)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
      for (int pairs = 1; pairs <= 4; pairs++) {
        precis_layout layout = precis_layout_dealt(ranks, rows[i], pairs);
        check_layout(&layout);
        check_overlap(&layout);
      }
}

static void consecutive(void **state)
{
  (void)state;
  const int64_t start[] = {0, 0, 3, 3, 3, 10, 11, 11};
  precis_layout layout = precis_layout_consecutive(7, start);
  check_layout(&layout);
  check_overlap(&layout);
  const int64_t none[] = {0, 0};
  layout = precis_layout_consecutive(1, none);
  check_layout(&layout);
}

/* Dealt causal work is even to a block's rounding. */
static void dealt_is_even(void **state)
{
  (void)state;
  for (int ranks = 2; ranks <= 8; ranks++) {
    const int64_t n = 4096;
    precis_layout layout = precis_layout_dealt(ranks, n, 2);
    int64_t most = 0, sum = n * (n + 1) / 2;
    for (int r = 0; r < ranks; r++) {
      int64_t pairs = 0, row;
      for (int64_t i = 0; i < precis_layout_share(&layout, r); i++) {
        precis_layout_row(&layout, r, i, &row);
        pairs += row + 1;
      }
      most = pairs > most ? pairs : most;
    }
    assert_true((double)most * ranks <= 1.05 * (double)sum);
  }
}

static precis_query_map make_map(int causal, int64_t keys, const int64_t *start,
                                 const int64_t *first, int ranks)
{
  return (precis_query_map){
      .ranks = ranks, .causal = causal, .keys = keys, .start = start, .first_position = first};
}

static int64_t sees(const precis_query_map *map, int64_t query)
{
  int64_t position = precis_visible_position(map, query);
  return !map->causal || position >= map->keys ? map->keys : position < 0 ? 0 : position + 1;
}

/* Closed forms against counting, with positions before, across and beyond the keys. */
static void visible(void **state)
{
  (void)state;
  const int64_t start[] = {0, 4, 4, 30, 55}, first[] = {-2, 99, 5, 35};
  for (int causal = 0; causal <= 1; causal++) {
    precis_query_map map = make_map(causal, 50, start, first, 4);
    for (int64_t a = 0; a <= 55; a++) {
      double pairs = 0;
      for (int64_t b = a; b <= 55; b++) {
        assert_true(precis_visible_pairs(&map, a, b) == pairs);
        pairs += b < 55 ? (double)sees(&map, b) : 0;
      }
    }
    for (int64_t position = 0; position < 50; position++) {
      int64_t count = 0;
      for (int64_t i = 0; i < 55; i++)
        count += !causal || precis_visible_position(&map, i) >= position;
      assert_int_equal(precis_visible_by(&map, position), count);
    }
  }
}

/* Pieces cover every query of every head once, and their work is even. */
static void split(void **state)
{
  (void)state;
  const int64_t start[] = {0, 100, 100, 250, 400, 400}, first[] = {0, 0, 100, 250, 0};
  for (int causal = 0; causal <= 1; causal++)
    for (int heads = 1; heads <= 12; heads++) {
      precis_query_map map = make_map(causal, 400, start, first, 5);
      precis_cut cuts[6];
      precis_split_heads(&map, heads, cuts);
      int64_t next = 0;
      double all = heads * precis_visible_pairs(&map, 0, 400);
      for (int r = 0; r < 5; r++) {
        double work = 0;
        for (int i = 0; i < precis_split_pieces(cuts + r); i++) {
          precis_piece piece = precis_split_piece(cuts + r, 400, i);
          assert_int_equal(piece.head * (int64_t)400 + piece.first, next);
          assert_true(piece.end >= piece.first && piece.end <= 400);
          next = piece.head * (int64_t)400 + piece.end;
          work += precis_visible_pairs(&map, piece.first, piece.end);
        }
        assert_true(work <= all / 5 + 800);
      }
      assert_int_equal(next, heads * (int64_t)400);
    }
}

static void split_nothing(void **state)
{
  (void)state;
  const int64_t start[] = {0, 2, 3}, first[] = {0, 0}, none[] = {0, 0, 0};
  precis_cut cuts[3];
  precis_query_map map = make_map(1, 0, start, first, 2);
  precis_split_heads(&map, 2, cuts);
  assert_int_equal(cuts[1].head, 1);
  map = make_map(1, 0, none, first, 2);
  precis_split_heads(&map, 3, cuts);
  for (int r = 0; r < 2; r++)
    for (int i = 0; i < precis_split_pieces(cuts + r); i++) {
      precis_piece piece = precis_split_piece(cuts + r, 0, i);
      assert_int_equal(piece.end, piece.first);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dealt), cmocka_unit_test(leaving),   cmocka_unit_test(consecutive), cmocka_unit_test(dealt_is_even),
      cmocka_unit_test(visible), cmocka_unit_test(split),       cmocka_unit_test(split_nothing),
  };
  return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
