/* The oracle itself, against cases worked out by hand and against its own other form. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/oracle/reference.h"

enum { KEYS = 40, DV = 3 };

static const precis_problem PROBLEM = {
    .heads = 2, .kv_heads = 1, .dim = 2, .value_dim = DV, .scale = .7};

typedef struct data {
  float q[2], k[KEYS * 2], v[KEYS * DV], bias[KEYS];
} data;

static data some_data(void)
{
  data made = {.q = {1.5f, -.5f}};
  for (int j = 0; j < KEYS; j++) {
    for (int c = 0; c < 2; c++)
      made.k[j * 2 + c] = (float)sin(3.7 * j + c) * 2;
    for (int c = 0; c < DV; c++)
      made.v[j * DV + c] = (float)cos(1.3 * j + 2 * c);
    made.bias[j] = j % 5 == 0 ? -INFINITY : (float)(.1 * (j % 7));
  }
  return made;
}

/* Two keys with scores log 3 and 0: weights 3/4 and 1/4. */
static void by_hand(void **state)
{
  (void)state;
  precis_problem problem = {.heads = 1, .kv_heads = 1, .dim = 1, .value_dim = 1, .scale = .5};
  const float q = 2, k[] = {1, 0}, v[] = {8, 4}, bias[] = {(float)log(3) - 1, 0};
  precis_reference_keys keys = {2, k, v, bias};
  double out, lse;
  precis_reference_attend(&problem, 0, &q, &keys, &out, &lse);
  assert_true(fabs(out - 7) < 1e-6);
  assert_true(fabs(lse - log(4)) < 1e-6);
}

/* Query heads 0 and 1 of 2 share one kv head of 2 with stride: heads 2 and 3 see the other. */
static void grouped_heads(void **state)
{
  (void)state;
  precis_problem problem = {.heads = 4, .kv_heads = 2, .dim = 1, .value_dim = 1, .scale = 1};
  const float q = 1, k[] = {0, 0, 0, 0}, v[] = {1, 10, 3, 30};
  precis_reference_keys keys = {2, k, v, NULL};
  static const double expected[] = {2, 2, 20, 20};
  for (int head = 0; head < 4; head++) {
    double out, lse;
    precis_reference_attend(&problem, head, &q, &keys, &out, &lse);
    assert_true(fabs(out - expected[head]) < 1e-14);
  }
}

static void nothing_to_see(void **state)
{
  (void)state;
  data d = some_data();
  const float masked[2] = {-INFINITY, -INFINITY};
  precis_reference_keys none = {0, d.k, d.v, NULL}, all_masked = {2, d.k, d.v, masked};
  double out[DV] = {1, 1, 1}, lse = 0, o[DV];
  precis_reference_attend(&PROBLEM, 0, d.q, &none, out, &lse);
  assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0 && lse == -INFINITY);
  out[0] = 1;
  precis_reference_attend(&PROBLEM, 1, d.q, &all_masked, out, &lse);
  assert_true(out[0] == 0 && lse == -INFINITY);
  precis_reference_partial partial = {.o = o}, other = partial;
  precis_reference_clear(DV, &partial);
  precis_reference_add(&PROBLEM, 0, d.q, &all_masked, &partial);
  other = partial;
  precis_reference_merge(DV, &other, &partial);
  out[0] = 1;
  precis_reference_finish(DV, &partial, out, &lse);
  assert_true(out[0] == 0 && lse == -INFINITY);
}

/* Scores far beyond what e^x can hold. */
static void huge_scores(void **state)
{
  (void)state;
  precis_problem problem = {.heads = 1, .kv_heads = 1, .dim = 1, .value_dim = 1, .scale = 1};
  const float q = 1e4f, k[] = {-1, 1, 1}, v[] = {5, 1, 2};
  precis_reference_keys keys = {3, k, v, NULL};
  double out, lse;
  precis_reference_attend(&problem, 0, &q, &keys, &out, &lse);
  assert_true(fabs(out - 1.5) < 1e-14);
  assert_true(fabs(lse - (1e4 + log(2))) < 1e-10);
}

/* Every way to cut the keys in three gives what the two passes give. */
static void parts_merge(void **state)
{
  (void)state;
  data d = some_data();
  precis_reference_keys all = {KEYS, d.k, d.v, d.bias};
  double out[DV], lse, expected[DV], expected_lse;
  precis_reference_attend(&PROBLEM, 1, d.q, &all, expected, &expected_lse);
  for (int first = 0; first <= KEYS; first += 4)
    for (int second = first; second <= KEYS; second += 4) {
      const int cuts[] = {0, first, second, KEYS};
      double o[3][DV];
      precis_reference_partial parts[3];
      for (int i = 0; i < 3; i++) {
        parts[i].o = o[i];
        precis_reference_keys some = {cuts[i + 1] - cuts[i], d.k + 2 * cuts[i], d.v + DV * cuts[i],
                                      d.bias + cuts[i]};
        precis_reference_clear(DV, &parts[i]);
        precis_reference_add(&PROBLEM, 1, d.q, &some, &parts[i]);
      }
      precis_reference_merge(DV, &parts[2], &parts[0]);
      precis_reference_merge(DV, &parts[0], &parts[1]);
      precis_reference_rescale(DV, parts[1].m + 3, &parts[1]);
      precis_reference_finish(DV, &parts[1], out, &lse);
      for (int c = 0; c < DV; c++)
        assert_true(fabs(out[c] - expected[c]) < 1e-14);
      assert_true(fabs(lse - expected_lse) < 1e-14);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(grouped_heads),
                                     cmocka_unit_test(nothing_to_see),
                                     cmocka_unit_test(huge_scores), cmocka_unit_test(parts_merge)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
