/* What a rank says of itself when there is no end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/waiting.h"

enum { RANKS = 9 };

static void assert_says(const precis_waiting *waiting, const char *expected)
{
  char text[256];
  assert_string_equal(precis_waiting_describe(waiting, text, sizeof text), expected);
}

static void nothing(void **state)
{
  (void)state;
  precis_waiting none = {0}, waiting;
  assert_says(&none, "");
  assert_int_equal(precis_waiting_create(RANKS, &waiting), 0);
  assert_says(&waiting, "");
  precis_waiting_free(&waiting);
  assert_says(&waiting, "");
}

static void steps(void **state)
{
  (void)state;
  precis_waiting waiting;
  assert_int_equal(precis_waiting_create(RANKS, &waiting), 0);
  precis_waiting_step(&waiting, "tiles");
  assert_says(&waiting, "tiles, at work, or waits for all ranks");
  precis_waiting_count(&waiting, 3, 8);
  assert_says(&waiting, "tiles, 3 of 8 done, at work, or waits for all ranks");
  waiting.meets = 1;
  assert_says(&waiting, "tiles, 3 of 8 done, waits for all ranks");
  precis_waiting_step(&waiting, NULL);
  assert_says(&waiting, "waits for all ranks");
  precis_waiting_free(&waiting);
}

static void peers(void **state)
{
  (void)state;
  precis_waiting waiting;
  assert_int_equal(precis_waiting_create(RANKS, &waiting), 0);
  waiting.blocked = 1;
  waiting.from[2] = 1;
  assert_says(&waiting, "waits for a message from rank 2");
  waiting.to[0] = 3;
  assert_says(&waiting, "waits for a message from rank 2, and for rank 0 to take what it sent");
  precis_waiting_step(&waiting, "heads");
  waiting.from[2] = 0;
  assert_says(&waiting, "heads, waits for rank 0 to take what it sent");
  waiting.to[0] = 0;
  waiting.from[4] = waiting.from[8] = 1;
  assert_says(&waiting, "heads, waits for messages from ranks 4, 8");
  for (int r = 1; r < RANKS; r++)
    waiting.from[r] = r;
  assert_says(&waiting, "heads, waits for messages from ranks 1, 2, 3, 4 and 4 more");
  waiting.meet[3] = 1;
  for (int r = 1; r < RANKS; r++)
    waiting.from[r] = r == 5;
  assert_says(&waiting, "heads, waits for a message from rank 5, and for rank 3 on its node");
  waiting.from[5] = 0;
  waiting.meet[4] = 1;
  assert_says(&waiting, "heads, waits for ranks 3, 4 on its node");
  waiting.blocked = 0;
  assert_says(&waiting, "heads, at work, messages under way");
  precis_waiting_free(&waiting);
}

/* Short of room the text is cut, not what lies behind it. */
static void cut(void **state)
{
  (void)state;
  char text[16];
  precis_waiting waiting = {.step = "tiles", .meets = 1};
  for (size_t size = 1; size < sizeof text; size++) {
    memset(text, '#', sizeof text);
    precis_waiting_describe(&waiting, text, size);
    assert_int_equal(strlen(text), size - 1);
    assert_int_equal(text[size], '#');
    assert_memory_equal(text, "tiles, waits for", size - 1);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing), cmocka_unit_test(steps),
                                     cmocka_unit_test(peers), cmocka_unit_test(cut)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
