/* Exact attention in double, and its partials on their way. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/exact/precise.h"
#include "src/base/problem.h"
#include "src/oracle/reference.h"
#include "tests/uniform.h"

enum { HEADS = 2, DIM = 5, DV = 3, KEYS = 333, ROWS = 9, COLUMNS = DV + 1 };

typedef struct fixture {
  precis_problem problem;
  float q[ROWS * DIM], k[KEYS * HEADS * DIM], v[KEYS * HEADS * DV], bias[KEYS];
  int64_t key_position[KEYS], position[ROWS];
  double k_center[HEADS * DIM], v_center[HEADS * DV], per[HEADS * DV], fold[HEADS * DV];
  precis_terms terms;
  precis_keys keys;
  precis_partial partial;
} fixture;

static void make(double size, int with_bias, fixture *f)
{
  uint64_t random = 4;
  *f = (fixture){.problem = {.heads = HEADS, .kv_heads = HEADS, .dim = DIM, .value_dim = DV,
                             .scale = .4}};
  for (int i = 0; i < HEADS * DIM; i++)
    f->k_center[i] = normal(&random);
  for (int i = 0; i < HEADS * DV; i++) {
    f->v_center[i] = normal(&random);
    f->per[i] = 1 + uniform(&random);
    f->fold[i] = i % 2 ? 4 : .5;
  }
  for (int i = 0; i < ROWS * DIM; i++)
    f->q[i] = (float)(size * normal(&random));
  for (int i = 0; i < KEYS * HEADS * DIM; i++)
    f->k[i] = (float)normal(&random);
  for (int i = 0; i < KEYS * HEADS * DV; i++)
    f->v[i] = (float)normal(&random);
  for (int j = 0; j < KEYS; j++) {
    f->bias[j] = j % 4 == 0 || j < 10 ? -INFINITY : (float)(1e6 + normal(&random));
    f->key_position[j] = 3 * j + 5;
  }
  for (int i = 0; i < ROWS; i++) /* before the first key, among them, at one, beyond the last */
    f->position[i] = i == 0 ? 4 : i == 1 ? 5 : i == 2 ? 5000 : 130 * i + i % 3;
  f->terms = (precis_terms){.problem = &f->problem, .k_center = f->k_center,
                            .v_center = f->v_center, .per = f->per, .fold = f->fold,
                            .bias_center = with_bias ? 1e6 : 0};
  f->keys = (precis_keys){.kv_heads = HEADS, .dim = DIM, .value_dim = DV, .rows = KEYS, .k = f->k,
                          .v = f->v, .bias = with_bias ? f->bias : NULL,
                          .position = f->key_position};
  assert_int_equal(precis_partial_create(&f->partial, ROWS, COLUMNS), 0);
}

static int64_t seen_by(const fixture *f, int row, int causal)
{
  int64_t seen = 0;
  while (seen < KEYS && (!causal || f->key_position[seen] <= f->position[row]))
    seen++;
  return seen;
}

static void check_row(const fixture *f, int head, int row, int causal)
{
  double want[DV], lse, offset = f->terms.bias_center;
  const precis_reference_keys keys = {seen_by(f, row, causal), f->k, f->v, f->keys.bias};
  const precis_partial got = precis_partial_at(&f->partial, row, COLUMNS);
  precis_reference_attend(&f->problem, head, f->q + row * DIM, &keys, want, &lse);
  if (lse == -INFINITY) {
    assert_true(*got.m == -INFINITY && *got.l == 0 && got.o[0] == 0 && got.o[DV] == 0);
    return;
  }
  for (int c = 0; c < DIM; c++)
    offset += f->problem.scale * f->q[row * DIM + c] * f->k_center[head * DIM + c];
  assert_true(fabs((*got.m + log2(*got.l)) * log(2) + offset - lse) < 1e-9);
  for (int c = 0; c < DV; c++) {
    int at = head * DV + c;
    assert_true(fabs(got.o[c] / *got.l / f->fold[at] + f->v_center[at] - want[c]) < 1e-10);
  }
  double deviation = got.o[DV] / *got.l; /* a mean of deviations */
  assert_true(deviation > .1 && deviation < 20);
}

/* In several pieces, on threads, with scores small and large. */
static void as_the_oracle(void **state)
{
  (void)state;
  static fixture f;
  for (int i = 0; i < 16; i++) {
    int causal = i % 2, head = i / 2 % 2, with_bias = i / 4 % 2;
    make(i / 8 ? 100 : 1, with_bias, &f);
    int64_t pairs = 0, want = 0;
    for (int64_t first = 0, rows; first < KEYS; first += rows) {
      rows = first + 170 < KEYS ? 170 : KEYS - first;
      pairs += precis_precise_attend(&f.terms, head, &f.keys, first, rows, ROWS, f.q,
                                     causal ? f.position : NULL, 1 + i % 3, &f.partial);
    }
    for (int row = 0; row < ROWS; row++) {
      check_row(&f, head, row, causal);
      want += seen_by(&f, row, causal);
    }
    assert_int_equal(pairs, want);
    precis_partial_free(&f.partial);
  }
}

/* Sums that travel come back to 2^-47, and add up with what is there; exponents of some hundred are
 * rounded to 2^-46. */
static void on_their_way(void **state)
{
  (void)state;
  uint64_t random = 8;
  float wire[1 + 2 * (1 + COLUMNS)];
  assert_int_equal(precis_precise_words(COLUMNS), sizeof wire / sizeof *wire);
  for (int i = 0; i < 3000; i++) {
    double m[2] = {100 * normal(&random), 100 * normal(&random)},
           l[2] = {exp(normal(&random)), exp(normal(&random))}, o[2][COLUMNS], sum[COLUMNS], size[COLUMNS];
    precis_partial a = {&m[0], &l[0], o[0]}, b = {&m[1], &l[1], o[1]};
    for (int c = 0; c < COLUMNS; c++) {
      o[0][c] = normal(&random) * exp(5 * normal(&random));
      o[1][c] = i % 3 ? normal(&random) : 0;
    }
    if (i % 5 == 0) {
      m[1] = -INFINITY;
      l[1] = 0;
      memset(o[1], 0, sizeof o[1]);
    }
    double top = fmax(m[0], m[1]), keep[2] = {exp2(m[0] - top), exp2(m[1] - top)};
    double all = keep[0] * l[0] + keep[1] * l[1];
    for (int c = 0; c < COLUMNS; c++) {
      sum[c] = keep[0] * o[0][c] + keep[1] * o[1][c];
      size[c] = keep[0] * fabs(o[0][c]) + keep[1] * fabs(o[1][c]);
    }
    precis_precise_pack(&a, COLUMNS, wire);
    double scale = exp2(m[0] - wire[0]);
    assert_true(fabs((double)wire[1] + wire[2] - l[0] * scale) <= l[0] * 0x1p-47);
    for (int c = 0; c < COLUMNS; c++)
      assert_true(fabs((double)wire[3 + 2 * c] + wire[4 + 2 * c] - o[0][c] * scale) <=
                  fabs(o[0][c]) * 0x1p-47);
    precis_precise_merge(&b, COLUMNS, wire);
    double off = exp2(m[1] - top);
    assert_true(fabs(l[1] * off - all) <= all * 0x1p-44);
    for (int c = 0; c < COLUMNS; c++)
      assert_true(fabs(o[1][c] * off - sum[c]) <=
                  size[c] * 0x1p-44);
  }
}

/* A partial over no keys changes nothing. */
static void of_nothing(void **state)
{
  (void)state;
  float wire[1 + 2 * (1 + COLUMNS)];
  double m[2] = {-INFINITY, 3}, l[2] = {0, 2}, o[2][COLUMNS] = {{0}, {1, 2, 3, 4}};
  precis_partial a = {&m[0], &l[0], o[0]}, b = {&m[1], &l[1], o[1]};
  precis_precise_pack(&a, COLUMNS, wire);
  for (size_t i = 1; i < sizeof wire / sizeof *wire; i++)
    assert_true(wire[i] == 0);
  precis_precise_merge(&b, COLUMNS, wire);
  assert_true(m[1] == 3 && l[1] == 2 && o[1][3] == 4);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_oracle),
                                     cmocka_unit_test(on_their_way), cmocka_unit_test(of_nothing)};
  return cmocka_run_group_tests_name("precise", tests, NULL, NULL);
}
