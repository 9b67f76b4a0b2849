/* Rows dealt so that all ranks hold about the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/layout/level.h"

enum { RANKS_MOST = 9 };

/* No row could have gone to a rank that holds two fewer. */
static void check(int ranks, const int64_t *held, int64_t rows)
{
  int64_t counts[RANKS_MOST], sum = 0;
  precis_level_deal(ranks, held, rows, counts);
  for (int r = 0; r < ranks; r++) {
    assert_true(counts[r] >= 0);
    sum += counts[r];
  }
  assert_int_equal(sum, rows);
  for (int r = 0; r < ranks; r++)
    for (int s = 0; s < ranks; s++)
      if (counts[r] > 0)
        assert_true(held[r] + counts[r] <= held[s] + counts[s] + 1);
}

static void levels(void **state)
{
  (void)state;
  srand(3);
  for (int trial = 0; trial < 5000; trial++) {
    int64_t held[RANKS_MOST];
    int ranks = 1 + rand() % RANKS_MOST, spread = 1 + rand() % 50;
    for (int r = 0; r < ranks; r++)
      held[r] = rand() % spread;
    check(ranks, held, rand() % (3 * spread));
  }
}

static void one_at_a_time(void **state)
{
  int64_t held[4] = {0}, counts[4];
  (void)state;
  for (int token = 0; token < 103; token++) {
    precis_level_deal(4, held, 1, counts);
    for (int r = 0; r < 4; r++)
      held[r] += counts[r];
  }
  for (int r = 0; r < 4; r++)
    assert_in_range(held[r], 25, 26);
}

static void large_numbers(void **state)
{
  const int64_t held[3] = {INT64_C(1) << 50, 0, 5};
  (void)state;
  check(3, held, 0);
  check(3, held, 1);
  check(3, held, INT64_C(1) << 51);
  check(3, held, (INT64_C(1) << 52) + 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels),
      cmocka_unit_test(one_at_a_time),
      cmocka_unit_test(large_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
