/* How many queries a batch has. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/cli/batches.h"

static void in_one_go(void **state)
{
  (void)state;
  assert_int_equal(precis_batches_next(1000, 1, 1000, 1, 10), 1000);
  assert_int_equal(precis_batches_next(1000, 1, 1000, 14, 10), 1000); /* hardly longer */
  /* Nothing is known, or wanted. */
  assert_int_equal(precis_batches_next(1000, 1, 0, 5, 10), 1000);
  assert_int_equal(precis_batches_next(1000, 1, 10, 0, 10), 1000);
  assert_int_equal(precis_batches_next(1000, 1, 10, NAN, 10), 1000);
  assert_int_equal(precis_batches_next(1000, 1, 10, 5, 0), 1000);
  assert_int_equal(precis_batches_next(0, 4, 10, 5, 1), 0);
}

static void in_even_parts(void **state)
{
  (void)state;
  assert_int_equal(precis_batches_next(1000, 1, 1000, 100, 10), 100);
  assert_int_equal(precis_batches_next(1000, 1, 100, 10, 30), 250); /* 300 fit: four of 250 */
  assert_int_equal(precis_batches_next(1000, 1, 10, 1e-9, 30),
                   77); /* at most eight times as many */
  assert_int_equal(precis_batches_next(1000, 8, 1000, 1e12, 1), 8);
  assert_int_equal(precis_batches_next(1000, 0, 1000, 1e300, 1e-300), 1);
  assert_int_equal(precis_batches_next(5, 8, 1000, 1e12, 1), 5);
}

/* Whatever a batch takes, all queries are attended to, in no more batches than it takes. */
static void to_the_end(void **state)
{
  (void)state;
  for (int64_t total = 1; total < 3000; total = total * 3 + 1)
    for (double row_seconds = 1e-4; row_seconds < 1e3; row_seconds *= 10) {
      int64_t left = total, rows = 1, batches = 0;
      while (left > 0) {
        rows = precis_batches_next(left, 3, rows, (double)rows * row_seconds, 1);
        assert_true(rows >= 1 && rows <= left);
        assert_true(rows == left || rows >= 3 || (double)rows * row_seconds * 3 > 1);
        left -= rows;
        batches++;
      }
      assert_true((double)batches <= 20 + fmin((double)total, 3 * (double)total * row_seconds));
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_one_go),
      cmocka_unit_test(in_even_parts),
      cmocka_unit_test(to_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
