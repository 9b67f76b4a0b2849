/* The generator against its published answers, and the shape of what is made of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/random.h"
#include "src/oracle/sample.h"

/* Known answers that come with the authors' Random123 library. */
static void known_answers(void **state)
{
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } cases[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
               {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                {0xffffffff, 0xffffffff},
                {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
               {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                {0xa4093822, 0x299f31d0},
                {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (int i = 0; i < 3; i++) {
    uint32_t out[4];
    precis_random_philox(cases[i].counter, cases[i].key, out);
    assert_memory_equal(out, cases[i].out, sizeof out);
  }
}

static void streams_differ(void **state)
{
  (void)state;
  precis_stream base = {.seed = 1, .tensor = 2, .row = 3, .head = 4},
                other[5] = {base, base, base, base, base};
  other[0].seed = 2;
  other[1].tensor = 3;
  other[2].row = 4;
  other[3].head = 5;
  other[4].row = 3 + (INT64_C(1) << 40);
  for (int i = 0; i < 5; i++)
    assert_int_not_equal(precis_random_word(base, 0), precis_random_word(other[i], 0));
  assert_int_not_equal(precis_random_word(base, 0), precis_random_word(base, 1));
  assert_int_equal(precis_random_word(base, 6), precis_random_word(base, 6));
}

/* A shorter request is the beginning of a longer one. */
static void prefixes(void **state)
{
  (void)state;
  precis_stream stream = {.seed = 9};
  double all[11], part[11];
  precis_random_gauss(stream, 11, all);
  for (int count = 0; count < 11; count++) {
    part[count] = -77;
    precis_random_gauss(stream, count, part);
    assert_memory_equal(all, part, (size_t)count * sizeof *all);
    assert_true(part[count] == -77);
  }
}

/* Mean, variance and fourth moment of n numbers deviate by 1, sqrt(2) and sqrt(96) over sqrt(n);
 * allow five of each. */
static void moments(void **state)
{
  (void)state;
  enum { ROWS = 1000, COUNT = 100 };
  double mean = 0, second = 0, fourth = 0, lag = 0, n = ROWS * COUNT;
  for (int row = 0; row < ROWS; row++) {
    double x[COUNT];
    precis_random_gauss((precis_stream){.seed = 5, .row = row}, COUNT, x);
    for (int i = 0; i < COUNT; i++) {
      mean += x[i] / n;
      second += x[i] * x[i] / n;
      fourth += x[i] * x[i] * x[i] * x[i] / n;
      lag += i > 0 ? x[i] * x[i - 1] / n : 0;
    }
  }
  assert_true(fabs(mean) < 5 / sqrt(n));
  assert_true(fabs(second - 1) < 5 * sqrt(2 / n));
  assert_true(fabs(fourth - 3) < 5 * sqrt(96 / n));
  assert_true(fabs(lag) < 5 / sqrt(n));
}

static void samples(void **state)
{
  (void)state;
  static const int64_t totals[] = {1, 2, 3, 10, 1000, INT64_C(1) << 48};
  static const int64_t wanted[] = {1, 2, 3, 10, 64};
  for (size_t t = 0; t < 6; t++)
    for (size_t w = 0; w < 5; w++) {
      int64_t rows[64], total = totals[t], count = precis_sample_count(total, wanted[w]);
      assert_true(count >= 1 && count <= 64 && count <= total &&
                  (count >= wanted[w] || count == total));
      precis_sample_rows(total, count, 7, rows);
      assert_int_equal(rows[0], 0);
      assert_int_equal(rows[count - 1], total - 1);
      for (int64_t i = 1; i < count; i++)
        assert_true(rows[i] > rows[i - 1]);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers),
                                     cmocka_unit_test(streams_differ), cmocka_unit_test(prefixes),
                                     cmocka_unit_test(moments), cmocka_unit_test(samples)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
