/* What is proved of a row, against what is true of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "src/apply.h"
#include "src/blas.h"
#include "src/certificate.h"
#include "src/memory.h"
#include "src/polynomial.h"
#include "src/summarise.h"
#include "tests/uniform.h"

static void formula(void **state)
{
  (void)state;
  const double most[] = {2, 1, 5}, least[] = {0, -1, 5};
  const float out[] = {.5f, .25f, 5};
  precis_certificate c = precis_certificate_make(.2, 3, out, most, least);
  assert_true(fabs(c.error - .25 * .75) < 1e-15); /* the first column: 1.5 of 2 */
  assert_true(fabs(c.lse_error + log(.8)) < 1e-15);

  c = precis_certificate_make(0, 3, out, most, least);
  assert_true(c.error == 0 && c.lse_error == 0);

  const float beyond[] = {3, 0, 5}; /* what is computed may leave the range */
  assert_true(fabs(precis_certificate_make(.5, 3, beyond, most, least).error - 1.5) < 1e-15);

  const float constant[] = {5};
  assert_true(precis_certificate_make(.5, 1, constant, most + 2, least + 2).error == 0);
}

static void nothing_proved(void **state)
{
  (void)state;
  const double most[] = {1, 1}, least[] = {0, 0}, bad[] = {1, 1.5, INFINITY, NAN, -1e-9};
  const float good[] = {.5f, .5f};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    precis_certificate c = precis_certificate_make(bad[i], 2, good, most, least);
    assert_true(c.error == INFINITY && c.lse_error == INFINITY);
  }
  const float lost[][2] = {{NAN, .5f}, {.5f, NAN}, {INFINITY, .5f}, {.5f, -INFINITY}, {NAN, NAN}};
  for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
    assert_true(precis_certificate_make(.1, 2, lost[i], most, least).error == INFINITY);
}

/* A row in double: keys with log weights, scores within the bound, values; some of the keys exact.
 */
typedef struct row {
  int keys, exact;
  double w[64], y[64], v[64];
} row;

static row make_row(uint64_t *state, double bound, double spread)
{
  row r = {.keys = 1 + (int)(uniform(state) * 63)};
  r.exact = (int)(uniform(state) * r.keys);
  double lean = normal(state);
  for (int j = 0; j < r.keys; j++) {
    r.w[j] = exp(spread * normal(state));
    r.y[j] = bound * cos(3.14159265358979 * uniform(state));
    r.v[j] = lean * r.y[j] + normal(state) * uniform(state);
  }
  return r;
}

/* Values as bad as can be: all errors pull one way. */
static void turn_against(row *r, const precis_polynomial *f)
{
  for (int j = 0; j < r->keys; j++)
    r->v[j] = precis_polynomial_value(f, r->y[j]) > exp(r->y[j]) ? 1 : -1;
}

/* Out and lse with P in place of e^y, the certificate, and the truth. Returns the part of what is
 * allowed that was taken. */
static double check_row(const row *r, const precis_polynomial *f)
{
  double z = 0, sum = 0, mass = 0, true_z = 0, true_sum = 0, most = -INFINITY, least = INFINITY;
  for (int j = 0; j < r->keys; j++) {
    double e = exp(r->y[j]), p = j < r->exact ? e : precis_polynomial_value(f, r->y[j]);
    z += r->w[j] * p;
    sum += r->w[j] * p * r->v[j];
    true_z += r->w[j] * e;
    true_sum += r->w[j] * e * r->v[j];
    mass += j < r->exact ? 0 : r->w[j] * precis_polynomial_envelope(f, r->y[j]);
    most = fmax(most, r->v[j]);
    least = fmin(least, r->v[j]);
  }
  float out = (float)(sum / z);
  precis_certificate c =
      precis_certificate_make(z > 0 ? mass / z : INFINITY, 1, &out, &most, &least);
  if (c.error == INFINITY)
    return 0;
  double slack = (most - least) * 1e-12 + fabs(out) * 0x1p-23 * (1 + c.error);
  assert_true(fabs(out - true_sum / true_z) <= c.error * (most - least) + slack);
  assert_true(fabs(log(z) - log(true_z)) <= c.lse_error + 1e-12);
  return c.error * (most - least) > 1e-6
             ? (fabs(out - true_sum / true_z) - slack) / (c.error * (most - least))
             : 0;
}

static void rows(void **state)
{
  (void)state;
  uint64_t random = 3;
  double used = 0, moments[PRECIS_DEGREE_MAX + 1];
  for (int i = 0; i < 60; i++) {
    precis_polynomial f;
    double bound = .1 * pow(80, uniform(&random)), power = 1;
    int degree = 1 + (int)(uniform(&random) * 8),
        envelope = degree + 2 * (int)(uniform(&random) * 3);
    for (int m = 0; m <= PRECIS_DEGREE_MAX; m++, power *= bound / 3)
      moments[m] = m % 2 ? 0 : power;
    envelope = envelope > PRECIS_DEGREE_MAX ? PRECIS_DEGREE_MAX : envelope;
    assert_int_equal(precis_polynomial_fit(degree, envelope, bound, moments, &f), 0);
    for (int j = 0; j < 300; j++) {
      row r = make_row(&random, bound, i % 3 ? 1 : 8);
      if (j % 2)
        turn_against(&r, &f);
      used = fmax(used, check_row(&r, &f));
    }
  }
  print_message("rows take up to %.3g of what is allowed\n", used);
  assert_true(used > .7); /* so the bound is about the best there is */
}

/* --- rounding: a whole summary in float32 against the same sums in double ----------------------
 */

typedef struct sizes {
  int dim, value_dim, degree;
  int64_t keys, fast_memory;
  double bound;
} sizes;

enum { QUERIES = 24 };

typedef struct summary {
  float *k, *v, *w, *q;
  float *values32, *counts32, *num, *den, *env;
  double *values, *counts;
  int64_t features;
} summary;

static void *array(int64_t count, size_t size)
{
  void *memory = precis_memory_array(count, size);
  assert_non_null(memory);
  return memory;
}

/* `rows` rows of length at most sqrt(bound). */
static float *inside(uint64_t *state, int64_t count, int dim, double bound)
{
  float *x = array(count * dim, sizeof *x);
  for (int64_t i = 0; i < count; i++) {
    double square = 0, length = sqrt(bound) * pow(uniform(state), .2);
    double axis[PRECIS_FEATURES_DIM_MAX];
    for (int c = 0; c < dim; c++) {
      axis[c] = normal(state);
      square += axis[c] * axis[c];
    }
    for (int c = 0; c < dim; c++)
      x[i * dim + c] = (float)(axis[c] * length / sqrt(square) * (1 - 1e-6));
  }
  return x;
}

static summary create(const sizes *s, uint64_t *state)
{
  summary x = {.features = precis_features_count(s->dim, s->degree)};
  x.k = inside(state, s->keys, s->dim, s->bound);
  x.q = inside(state, QUERIES, s->dim, s->bound);
  x.v = inside(state, s->keys, s->value_dim, 1);
  x.w = array(s->keys, sizeof *x.w);
  for (int64_t j = 0; j < s->keys; j++)
    x.w[j] = (float)pow(uniform(state), 3);
  x.values = array(x.features * s->value_dim, sizeof *x.values);
  x.counts = array(x.features, sizeof *x.counts);
  x.values32 = array(x.features * s->value_dim, sizeof *x.values32);
  x.counts32 = array(x.features, sizeof *x.counts32);
  x.num = array(QUERIES * s->value_dim, sizeof *x.num);
  x.den = array(QUERIES, sizeof *x.den);
  x.env = array(QUERIES, sizeof *x.env);
  for (int64_t i = 0; i < x.features * s->value_dim; i++)
    x.values[i] = 0;
  for (int64_t i = 0; i < x.features; i++)
    x.counts[i] = 0;
  for (int i = 0; i < QUERIES * s->value_dim; i++)
    x.num[i] = 0;
  for (int i = 0; i < QUERIES; i++)
    x.den[i] = x.env[i] = 0;
  return x;
}

static void release(summary *x)
{
  void *arrays[] = {x->k,   x->v,   x->w,   x->q,      x->values32, x->counts32,
                    x->num, x->den, x->env, x->values, x->counts};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
}

static void summarise_and_apply(const sizes *s, const precis_polynomial *f, summary *x,
                                precis_apply_shape *apply)
{
  precis_summarise_shape shape;
  precis_feature_set set = precis_feature_set_full(s->dim, s->degree, s->degree);
  assert_int_equal(precis_summarise_plan(&set, s->value_dim, s->fast_memory, &shape), 0);
  assert_int_equal(precis_apply_plan(&set, s->value_dim, s->fast_memory, apply), 0);
  int64_t one = precis_summarise_scratch(&shape), other = precis_apply_scratch(apply);
  void *scratch = array(one > other ? one : other, 1);
  const precis_weighted_keys keys = {s->keys, x->k, s->dim, x->v, s->value_dim, x->w};
  const precis_apply_coefficients coefficients = {f->a, f->e};
  const precis_query_rows queries = {QUERIES, x->q, s->dim, x->num, s->value_dim, x->den, x->env};
  precis_summarise_add(&shape, &keys, 0, x->features, x->values, x->counts, scratch);
  precis_summary_round(x->features * s->value_dim, 1, x->values, x->values32);
  precis_summary_round(x->features, 1, x->counts, x->counts32);
  for (int64_t done = 0; done < x->features; done += apply->tile_features) {
    int64_t some =
        x->features - done < apply->tile_features ? x->features - done : apply->tile_features;
    const precis_summary_tile tile = {done, some, x->values32 + done * s->value_dim,
                                      x->counts32 + done};
    precis_apply_tile(apply, &coefficients, &tile, &queries, scratch);
  }
  free(scratch);
}

/* What rounding did to each row, against its share of the error mass. Returns the largest part of
 * what is allowed. */
static double compare(const sizes *s, const precis_polynomial *f, const precis_apply_shape *apply,
                      const summary *x)
{
  double weights = 0, used = 0;
  int64_t tiles = (x->features + apply->tile_features - 1) / apply->tile_features;
  const precis_summary_rounding rounding = {s->degree, PRECIS_KEY_BLOCK, 2,
                                            precis_apply_roundings(apply, x->features, tiles)};
  for (int64_t j = 0; j < s->keys; j++)
    weights += x->w[j];
  for (int i = 0; i < QUERIES; i++) {
    double z = 0, env = 0, sum[PRECIS_FEATURES_DIM_MAX] = {0}, square = 0;
    for (int64_t j = 0; j < s->keys; j++) {
      double y = 0;
      for (int c = 0; c < s->dim; c++)
        y += (double)x->q[i * s->dim + c] * x->k[j * s->dim + c];
      double p = x->w[j] * precis_polynomial_value(f, y);
      z += p;
      env += x->w[j] * precis_polynomial_envelope(f, y);
      for (int c = 0; c < s->value_dim; c++)
        sum[c] += p * x->v[j * s->value_dim + c];
    }
    for (int c = 0; c < s->dim; c++)
      square += (double)x->q[i * s->dim + c] * x->q[i * s->dim + c];
    double bound = sqrt(square * s->bound);
    double mass =
        weights * precis_certificate_rounding(&rounding, precis_polynomial_magnitude(f, bound),
                                              precis_polynomial_envelope_magnitude(f, bound));
    double off = fabs(x->den[i] - z);
    for (int c = 0; c < s->value_dim; c++) /* values within 1 of the centre span 2 */
      off = fmax(off, fabs(x->num[i * s->value_dim + c] - sum[c]) + fabs(x->den[i] - z));
    assert_true(x->env[i] + mass >= env + off);
    used = fmax(used, (env - x->env[i] + off) / mass);
  }
  return used;
}

/* More roundings than float32 has room for prove nothing. */
static void rounding_without_end(void **state)
{
  (void)state;
  double before = 0;
  for (int64_t additions = 1; additions < (int64_t)1 << 40; additions *= 4) {
    const precis_summary_rounding rounding = {1, 1, 1, additions};
    double mass = precis_certificate_rounding(&rounding, 2, 0);
    assert_true(mass >= before);
    before = mass;
  }
  assert_true(before == INFINITY);
}

static const sizes roundings[] = {
    {1, 1, 8, 3000, 1 << 18, 8},  {2, 3, 12, 500, 1 << 18, 4},  {4, 4, 6, 2000, 1 << 16, 8},
    {16, 16, 3, 700, 1 << 14, 1}, {64, 64, 2, 600, 1 << 18, 2}, {32, 256, 2, 300, 1 << 12, 1},
};

static void rounding_covers(void **state)
{
  (void)state;
  uint64_t random = 11;
  precis_blas_threads(1);
  for (size_t i = 0; i < sizeof roundings / sizeof *roundings; i++) {
    const sizes *s = &roundings[i];
    precis_polynomial f;
    precis_apply_shape apply;
    double moments[PRECIS_DEGREE_MAX + 1], power = 1;
    for (int m = 0; m <= PRECIS_DEGREE_MAX; m++, power *= s->bound / 3)
      moments[m] = m % 2 ? 0 : power;
    assert_int_equal(precis_polynomial_fit(s->degree, s->degree, s->bound, moments, &f), 0);
    summary x = create(s, &random);
    summarise_and_apply(s, &f, &x, &apply);
    double used = compare(s, &f, &apply, &x);
    print_message("dim %d, degree %d: rounding takes %.3g of what is allowed\n", s->dim, s->degree,
                  used);
    release(&x);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(formula),
      cmocka_unit_test(nothing_proved),
      cmocka_unit_test(rows),
      cmocka_unit_test(rounding_without_end),
      cmocka_unit_test(rounding_covers),
  };
  return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
