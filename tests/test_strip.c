/* Arrays that grow in place and share their beginnings: none sees what another does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/tokens/keys.h"
#include "src/precis.h"
#include "src/tokens/strip.h"

enum { STRIPS = 6, MOST = 700000, GRAIN = 1 << 16 };

/* A strip beside a plain copy of what it should hold. */
typedef struct pair {
  precis_strip strip;
  char *plain;
  int64_t used;
} pair;

static void grow(pair *p, int64_t more, char fill)
{
  assert_int_equal(precis_strip_reserve(&p->strip, p->used + more), PRECIS_SUCCESS);
  assert_true(p->strip.bytes >= p->used + more);
  memset(p->strip.at + p->used, fill, (size_t)more);
  memset(p->plain + p->used, fill, (size_t)more);
  p->used += more;
}

static void fork_pair(pair *from, int64_t part, pair *to)
{
  assert_int_equal(precis_strip_fork(&from->strip, from->used, part, &to->strip), PRECIS_SUCCESS);
  memcpy(to->plain, from->plain, (size_t)part);
  to->used = part;
}

/* Any order of growing, forking at the end or before it, and freeing. */
static void random_families(void **state)
{
  (void)state;
  for (int seed = 0; seed < 20; seed++) {
    pair pairs[STRIPS] = {{{0}, NULL, 0}};
    int alive[STRIPS] = {1};
    srand((unsigned)seed);
    for (int i = 0; i < STRIPS; i++) {
      pairs[i].plain = malloc(MOST);
      assert_non_null(pairs[i].plain);
    }
    grow(&pairs[0], 1 + rand() % 200000, 1);
    for (int step = 0; step < 60; step++) {
      int a = rand() % STRIPS, b = rand() % STRIPS;
      if (!alive[a])
        continue;
      if (!alive[b]) {
        fork_pair(&pairs[a], rand() % 2 ? pairs[a].used : rand() % (pairs[a].used + 1), &pairs[b]);
        alive[b] = 1;
      } else if (b != a && rand() % 3 == 0) {
        precis_strip_free(&pairs[b].strip);
        alive[b] = 0;
      } else if (pairs[a].used < MOST / 2) {
        grow(&pairs[a], rand() % 100000, (char)rand());
      }
      for (int i = 0; i < STRIPS; i++)
        if (alive[i] && pairs[i].used > 0)
          assert_memory_equal(pairs[i].strip.at, pairs[i].plain, (size_t)pairs[i].used);
    }
    for (int i = 0; i < STRIPS; i++) {
      precis_strip_free(&pairs[i].strip);
      free(pairs[i].plain);
    }
  }
}

static void shared_memory_weighs_once(void **state)
{
  precis_strip one = {0}, two;
  (void)state;
  assert_int_equal(precis_strip_reserve(&one, 100 * GRAIN), PRECIS_SUCCESS);
  memset(one.at, 1, 100 * GRAIN);
  assert_int_equal(precis_strip_weigh(&one, 1), 100 * GRAIN);
  assert_int_equal(precis_strip_fork(&one, 100 * GRAIN, 100 * GRAIN, &two), PRECIS_SUCCESS);
  assert_int_equal(precis_strip_weigh(&one, 2) + precis_strip_weigh(&two, 2), 100 * GRAIN);
  assert_int_equal(precis_strip_reserve(&two, 101 * GRAIN), PRECIS_SUCCESS);
  assert_int_equal(precis_strip_weigh(&one, 3) + precis_strip_weigh(&two, 3), 101 * GRAIN);
  precis_strip_free(&one);
  assert_int_equal(precis_strip_weigh(&two, 4), 101 * GRAIN);
  precis_strip_free(&two);
  assert_int_equal(precis_strip_reserve(&one, INT64_C(1) << 60), PRECIS_ERR_MEMORY);
  precis_strip_free(&one);
}

static void add(precis_keys *keys, int64_t position, int64_t rows, int bias)
{
  float k[64], v[64], b[64];
  for (int i = 0; i < 64; i++)
    k[i] = v[i] = b[i] = (float)(position + i);
  assert_int_equal(precis_keys_reserve(keys, rows, bias), PRECIS_SUCCESS);
  precis_keys_add(keys, position, rows, k, v, bias ? b : NULL);
}

/* A fork at a position, in the middle of what there is; biases begin late. */
static void forked_keys(void **state)
{
  precis_keys keys = {.kv_heads = 1, .dim = 1, .value_dim = 1}, child;
  (void)state;
  assert_int_equal(precis_keys_share(&keys), PRECIS_SUCCESS);
  for (int i = 0; i < 1000; i++)
    add(&keys, 64 * i, 32, 0);
  add(&keys, 64000, 32, 1);
  assert_int_equal(precis_keys_fork(&keys, 64 * 500, &child), PRECIS_SUCCESS);
  assert_int_equal(child.rows, 500 * 32);
  add(&child, 100000, 10, 1);
  add(&keys, 200000, 10, 1);
  assert_true(child.k[16000] == 100000 && child.bias[16001] == 100001 && child.bias[5] == 0);
  assert_true(keys.k[16000] == 32000 && keys.bias[32000] == 64000 && keys.bias[31999] == 0);
  assert_int_equal(child.position[16000], 100000);
  assert_int_equal(keys.position[32032], 200000);
  precis_keys_free(&keys);
  assert_true(child.v[15999] == 499 * 64 + 31);
  precis_keys_free(&child);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_families),
      cmocka_unit_test(shared_memory_weighs_once),
      cmocka_unit_test(forked_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
