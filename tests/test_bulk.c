/* Keys and queries made ready for a summary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "src/summary/bulk.h"

enum { ROWS = 37, HEADS = 3, DIM = 7, VALUE_DIM = 5, GROUP = 2 };

typedef struct room {
  float k[ROWS * HEADS * DIM], v[ROWS * HEADS * VALUE_DIM], bias[ROWS],
      q[ROWS * HEADS * GROUP * DIM];
  double k_center[DIM], v_center[VALUE_DIM], per[VALUE_DIM], fold[VALUE_DIM],
      q_center[DIM];
  precis_keys keys;
  precis_bulk bulk; /* of the middle head */
} room;

/* Deterministic, in [-1, 1). */
static double noise(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return (int32_t)*state * 0x1p-31;
}

static void fill(room *r, double offset)
{
  uint32_t state = 5;
  for (size_t i = 0; i < sizeof r->k / sizeof *r->k; i++)
    r->k[i] = (float)(offset + noise(&state));
  for (size_t i = 0; i < sizeof r->v / sizeof *r->v; i++)
    r->v[i] = (float)noise(&state);
  for (size_t i = 0; i < sizeof r->q / sizeof *r->q; i++)
    r->q[i] = (float)noise(&state);
  for (int j = 0; j < ROWS; j++)
    r->bias[j] = j % 5 == 1 ? -INFINITY : (float)(1000 * noise(&state));
  for (int c = 0; c < DIM; c++) {
    r->k_center[c] = offset + .1 * noise(&state);
    r->q_center[c] = noise(&state);
  }
  for (int c = 0; c < VALUE_DIM; c++) {
    r->v_center[c] = noise(&state);
    r->fold[c] = ldexp(1, 3 * c - 4);
  }
  r->keys = (precis_keys){.kv_heads = HEADS,
                          .dim = DIM,
                          .value_dim = VALUE_DIM,
                          .rows = ROWS,
                          .k = r->k,
                          .v = r->v,
                          .bias = r->bias};
  r->bulk = (precis_bulk){.kv_head = 1,
                          .k_center = r->k_center,
                          .v_center = r->v_center,
                          .norm = {VALUE_DIM, 0, r->per},
                          .fold = r->fold,
                          .q_center = r->q_center,
                          .scale = -.4,
                          .exponent = 3};
}

static const float *key(const room *r, int row)
{
  return r->k + (row * HEADS + 1) * DIM;
}

/* Both radii come within a factor of sqrt(2) of each other. */
static void exponent(void **state)
{
  (void)state;
  for (double key_radius = 1e-18; key_radius < 1e18; key_radius *= 3.7)
    for (double query_radius = 1e-18; query_radius < 1e18; query_radius *= 5.1) {
      int e = precis_bulk_exponent(key_radius, query_radius);
      double ratio = ldexp(key_radius, -e) / ldexp(query_radius, e);
      assert_true(ratio > .49 && ratio < 2.01);
    }
  const double none[][2] = {{0, 1}, {1, 0}, {0, 0}, {NAN, 1}, {1, NAN}};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    assert_int_equal(precis_bulk_exponent(none[i][0], none[i][1]), 0);
}

static void weights(void **state)
{
  (void)state;
  room r;
  double log_weight[ROWS], most;
  fill(&r, 0);
  most = precis_bulk_weights(&r.bulk, &r.keys, 0, ROWS, log_weight);
  double largest = -INFINITY;
  for (int j = 0; j < ROWS; j++) {
    long double want = r.bias[j];
    for (int c = 0; c < DIM; c++)
      want += -.4L * r.q_center[c] * (key(&r, j)[c] - (long double)r.k_center[c]);
    assert_true(j % 5 == 1 ? log_weight[j] == -INFINITY : fabsl(log_weight[j] - want) < 1e-12L);
    largest = fmax(largest, log_weight[j]);
  }
  assert_true(most == largest);

  double part[4];
  assert_true(precis_bulk_weights(&r.bulk, &r.keys, 2, 4, part) <= most);
  for (int j = 0; j < 4; j++)
    assert_true(part[j] == log_weight[2 + j]);
  assert_true(precis_bulk_weights(&r.bulk, &r.keys, 6, 1, part) == -INFINITY); /* a masked one */
  assert_true(precis_bulk_weights(&r.bulk, &r.keys, 0, 0, part) == -INFINITY);
  r.keys.bias = NULL;
  precis_bulk_weights(&r.bulk, &r.keys, 0, ROWS, log_weight);
  for (int j = 0; j < ROWS; j++)
    assert_true(fabs(log_weight[j]) < 10);
}

/* Logarithms that lie thousands apart: what is far below vanishes, nothing overflows. */
static void scaled_weights(void **state)
{
  (void)state;
  const double log_weight[] = {5000, 4999, 5000 - 80, 5000 - 100, -5000, -1e30, -INFINITY};
  enum { COUNT = sizeof log_weight / sizeof *log_weight };
  float w[COUNT];
  precis_bulk_scale_weights(COUNT, log_weight, 5000, w);
  assert_true(w[0] == 1);
  for (int i = 1; i < 3; i++)
    assert_true(fabs(w[i] / exp(log_weight[i] - 5000) - 1) < 1e-7);
  assert_true(w[3] >= 0 && w[3] < 1e-43f);
  for (int i = 4; i < COUNT; i++)
    assert_true(w[i] == 0);
  precis_bulk_scale_weights(1, log_weight + 6, -INFINITY,
                            w); /* of a prefix in which all is masked */
  assert_true(w[0] == 0);
  precis_bulk_scale_weights(0, log_weight, 0, NULL);
}

static void keys(void **state)
{
  (void)state;
  room r;
  float k[ROWS * DIM], v[ROWS * VALUE_DIM];
  fill(&r, 1e4);
  precis_bulk_keys(&r.bulk, &r.keys, 1, ROWS - 1, k, v);
  for (int j = 1; j < ROWS; j++) {
    int masked = j % 5 == 1;
    for (int c = 0; c < DIM; c++) {
      double want = masked ? 0 : (key(&r, j)[c] - r.k_center[c]) / 8;
      assert_true(fabs(k[(j - 1) * DIM + c] - want) <= fabs(want) * 0x1p-24);
    }
    for (int c = 0; c < VALUE_DIM; c++) {
      double want =
          masked ? 0 : (r.v[(j * HEADS + 1) * VALUE_DIM + c] - r.v_center[c]) * r.fold[c];
      assert_true(fabs(v[(j - 1) * VALUE_DIM + c] - want) <= fabs(want) * 0x1p-24);
    }
  }
}

/* How far a key's values are from their centre in the norm of the certificate, never below; a column
 * that the norm leaves out has no part in it. */
static void check_deviations(room *r, int largest)
{
  float all[ROWS], some[5], raised[ROWS];
  r->bulk.norm.largest = largest;
  r->bulk.least_deviation = 0;
  precis_bulk_deviations(&r->bulk, &r->keys, 0, ROWS, all);
  precis_bulk_deviations(&r->bulk, &r->keys, 4, 5, some);
  r->bulk.least_deviation = .25;
  precis_bulk_deviations(&r->bulk, &r->keys, 0, ROWS, raised);
  for (int j = 0; j < ROWS; j++) {
    long double want = 0;
    int masked = j % 5 == 1;
    for (int c = 0; c < VALUE_DIM && !masked; c++) {
      long double off = r->per[c] * (r->v[(j * HEADS + 1) * VALUE_DIM + c] -
                                     (long double)r->v_center[c]);
      want = largest ? fmaxl(want, fabsl(off)) : hypotl(want, off);
    }
    assert_true(all[j] >= want && all[j] <= want * (1 + 0x1p-20L));
    assert_true(j < 4 || j > 8 || some[j - 4] == all[j]);
    assert_true(masked ? raised[j] == 0
                       : raised[j] >= .25 && (raised[j] == all[j] || all[j] < raised[j]));
    assert_true(masked || raised[j] <= fmax(.25 * (1 + 0x1p-20), all[j]));
  }
}

static void deviations(void **state)
{
  (void)state;
  room r;
  fill(&r, 0);
  for (int c = 0; c < VALUE_DIM; c++)
    r.per[c] = c == 3 ? 0 : 1. / (2 + c);
  check_deviations(&r, 0);
  check_deviations(&r, 1);
  assert_true(precis_bulk_least_deviation(.5) == .25 && precis_bulk_least_deviation(0) > 0);
}

static void queries(void **state)
{
  (void)state;
  room r;
  float q[ROWS * GROUP * DIM];
  precis_bulk_norms norm[ROWS * GROUP];
  double radius = 0, sums[DIM] = {0};
  fill(&r, 0);
  const float *first = r.q + GROUP * DIM;
  precis_bulk_queries(&r.bulk, DIM, GROUP, ROWS, first, HEADS * GROUP * DIM, q, norm);
  precis_bulk_query_sums(DIM, GROUP, ROWS, first, HEADS * GROUP * DIM, sums);
  for (int i = 0; i < ROWS * GROUP; i++) {
    const float *from = first + i / GROUP * (HEADS * GROUP * DIM) + i % GROUP * DIM;
    long double square = 0;
    for (int c = 0; c < DIM; c++) {
      long double off = from[c] - (long double)r.q_center[c];
      square += off * off;
      sums[c] -= from[c];
      assert_true(fabsl(q[i * DIM + c] + .4L * 8 * off) <= fabsl(off) * 4 * 0x1p-24L);
    }
    assert_true(norm[i].plain >= sqrtl(square) && norm[i].plain <= sqrtl(square) * (1 + 1e-11L));
    assert_true(norm[i].lead == norm[i].plain && norm[i].trail == 0);
    radius = fmax(radius, norm[i].plain);
  }
  for (int c = 0; c < DIM; c++)
    assert_true(fabs(sums[c]) < 1e-12);
  double found = precis_bulk_query_radius(DIM, GROUP, ROWS, first, HEADS * GROUP * DIM, r.q_center);
  assert_true(fabs(found / radius - 1) < 1e-14);
  assert_true(precis_bulk_query_radius(DIM, GROUP, 0, NULL, 0, r.q_center) == 0);
}

/* Of no row may the norm come out below the true one. */
static void norms_are_safe(void **state)
{
  (void)state;
  enum { WIDE = 256, MANY = 500 };
  static float q[MANY * WIDE];
  double center[WIDE];
  uint32_t random = 9;
  for (int dim = 1; dim <= WIDE; dim = dim * 3 + 1) {
    for (int i = 0; i < MANY * dim; i++)
      q[i] = (float)(noise(&random) * exp(20 * noise(&random)));
    for (int c = 0; c < dim; c++)
      center[c] = 100 * noise(&random);
    for (int i = 0; i < MANY; i++) {
      long double square = 0;
      for (int c = 0; c < dim; c++)
        square +=
            (q[i * dim + c] - (long double)center[c]) * (q[i * dim + c] - (long double)center[c]);
      double found = precis_bulk_query_radius(dim, 1, 1, q + i * dim, dim, center);
      assert_true(found >= sqrtl(square) && found <= sqrtl(square) * (1 + 1e-11L));
    }
  }
}

/* Axes of no meaning: an upper triangular map and its inverse transposed. */
static void give_axes(room *r, double *to_queries, double *to_keys)
{
  double inverse[DIM * DIM] = {0};
  uint32_t random = 3;
  for (int c = 0; c < DIM; c++)
    for (int i = 0; i < DIM; i++)
      to_queries[c * DIM + i] = i > c ? noise(&random) : i == c ? 1.5 : 0;
  for (int n = 0; n < DIM; n++) /* M^T to the left, so that column n of the inverse is made */
    for (int i = DIM - 1; i >= 0; i--) {
      double sum = i == n;
      for (int j = i + 1; j < DIM; j++)
        sum -= to_queries[i * DIM + j] * inverse[j * DIM + n];
      inverse[i * DIM + n] = sum / 1.5;
    }
  for (int c = 0; c < DIM; c++)
    for (int i = 0; i < DIM; i++)
      to_keys[c * DIM + i] = inverse[i * DIM + c];
  r->bulk.to_queries = to_queries;
  r->bulk.to_keys = to_keys;
  r->bulk.lead = 2;
}

static void in_axes(void **state)
{
  (void)state;
  room r;
  float q[ROWS * GROUP * DIM], k[ROWS * DIM], v[ROWS * VALUE_DIM];
  double to_queries[DIM * DIM], to_keys[DIM * DIM];
  double leads[2][DIM + 1] = {{0}}, trails[2][DIM + 1] = {{0}}, most[2][2] = {{0}};
  precis_bulk_norms norm[ROWS * GROUP];
  fill(&r, 0);
  give_axes(&r, to_queries, to_keys);
  const float *first = r.q + GROUP * DIM;
  precis_bulk_queries(&r.bulk, DIM, GROUP, ROWS, first, HEADS * GROUP * DIM, q, norm);
  precis_bulk_keys(&r.bulk, &r.keys, 0, ROWS, k, v);
  precis_bulk_query_reach(&r.bulk, DIM, GROUP, ROWS, first, HEADS * GROUP * DIM, leads[0],
                          trails[0]);
  precis_bulk_key_reach(&r.bulk, &r.keys, 0, 3, leads[1], trails[1]);
  precis_bulk_key_reach(&r.bulk, &r.keys, 3, ROWS - 3, leads[1], trails[1]);
  for (int i = 0; i < ROWS * GROUP; i++) {
    const float *from = first + i / GROUP * (HEADS * GROUP * DIM) + i % GROUP * DIM;
    double square[2] = {0};
    for (int c = 0; c < DIM; c++)
      square[c >= 2] += (double)q[i * DIM + c] * q[i * DIM + c] / 64;
    assert_true(fabs(.4 * norm[i].lead - sqrt(square[0])) < 1e-6 * norm[i].lead);
    assert_true(fabs(.4 * norm[i].trail - sqrt(square[1])) < 1e-6 * norm[i].trail);
    most[0][0] = fmax(most[0][0], .16 * norm[i].lead * norm[i].lead);
    most[0][1] = fmax(most[0][1], .16 * norm[i].trail * norm[i].trail);
    for (int j = 0; j < ROWS; j++) { /* scores are what they were */
      double plain = 0, turned = 0, size = 0;
      for (int c = 0; c < DIM; c++) {
        plain += -.4 * (from[c] - r.q_center[c]) * (key(&r, j)[c] - r.k_center[c]);
        turned += (double)q[i * DIM + c] * k[j * DIM + c];
        size += fabs((double)q[i * DIM + c] * k[j * DIM + c]);
      }
      assert_true(j % 5 == 1 || fabs(turned - plain) < 1e-6 * size);
    }
  }
  for (int j = 0; j < ROWS; j++) {
    double square[2] = {0};
    for (int c = 0; c < DIM; c++)
      square[c >= 2] += (double)k[j * DIM + c] * k[j * DIM + c] * 64;
    most[1][0] = fmax(most[1][0], square[0]);
    most[1][1] = fmax(most[1][1], square[1]);
  }
  for (int i = 0; i < 2; i++) {
    assert_true(fabs(leads[i][2] / most[i][0] - 1) < 1e-6);
    assert_true(fabs(trails[i][2] / most[i][1] - 1) < 1e-6);
    assert_true(leads[i][0] == 0 && trails[i][DIM] == 0);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exponent),       cmocka_unit_test(weights),
      cmocka_unit_test(scaled_weights), cmocka_unit_test(keys),
      cmocka_unit_test(deviations),     cmocka_unit_test(queries),
      cmocka_unit_test(norms_are_safe), cmocka_unit_test(in_axes),
  };
  return cmocka_run_group_tests_name("bulk", tests, NULL, NULL);
}
