/* What is proved of a row, against what is true of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "src/summary/apply.h"
#include "src/base/blas.h"
#include "src/proof/certificate.h"
#include "src/base/memory.h"
#include "src/tokens/norm.h"
#include "src/proof/polynomial.h"
#include "src/summary/summarise.h"
#include "tests/uniform.h"

static precis_certificate make(double t, double u, double away)
{
  return precis_certificate_make(&(precis_error_mass){t, u}, 1, away);
}

static void formula(void **state)
{
  (void)state;
  precis_certificate c = make(.2, .02, .25);
  assert_true(fabs(c.error - (.02 + .2 * .25) / .8) < 1e-15);
  assert_true(fabs(c.lse_error + log(.8)) < 1e-15);
  c = precis_certificate_make(&(precis_error_mass){.6, .06}, 3, .25); /* masses are not over Z */
  assert_true(fabs(c.error - (.02 + .2 * .25) / .8) < 1e-15);
  assert_true(fabs(c.lse_error + log(.8)) < 1e-15);
  c = make(0, 0, 5);
  assert_true(c.error == 0 && c.lse_error == 0);
  assert_true(make(0, .1, 5).error == .1); /* an error of the numerator alone */
}

/* In the unit of outputs rows with more to say may be off by as much more, and only there. */
static void likely(void **state)
{
  (void)state;
  const precis_error_mass mass = {.02, .004}, hopeless = {1, 0};
  const double error = (.004 + .02 * .5) / .98, lse = -log(.98), up = 1 + 1e-9, down = 1 - 1e-9;
  const precis_unit units[] = {PRECIS_UNIT_OUTPUTS, PRECIS_UNIT_RANGE, PRECIS_UNIT_LSE};
  for (int i = 0; i < 3; i++) {
    double least = units[i] == PRECIS_UNIT_LSE ? lse : error;
    const precis_goal over = {units[i], least * up, .5}, under = {units[i], least * down, .5},
                      part = precis_goal_times((precis_goal){units[i], 3 * least, .5}, .4),
                      third = precis_goal_times((precis_goal){units[i], 3 * least, .5}, .3);
    assert_true(precis_certificate_ratio(&mass, 1, 1, &over) <= 1);
    assert_true(precis_certificate_ratio(&mass, 1, .1, &over) <= 1); /* R is there for short rows */
    assert_true(precis_certificate_ratio(&mass, 1, 1, &under) > 1);
    assert_true(precis_certificate_ratio(&mass, 1, 1, &part) <= 1);
    assert_true(precis_certificate_ratio(&mass, 1, 1, &third) > 1);
    assert_int_equal(precis_certificate_ratio(&mass, 1, 2, &under) <= 1,
                     units[i] == PRECIS_UNIT_OUTPUTS);
    assert_true(precis_certificate_ratio(&hopeless, 1, 1, &over) == INFINITY);
    assert_true(precis_certificate_ratio(&mass, -1, 1, &over) == INFINITY);
  }
}

/* What gathers all of E with deviations alone proves a little less, and never too much. */
static void masses(void **state)
{
  (void)state;
  const precis_error_mass sums = {.1, .03}, lost = {-1e-9, -1e-9};
  const precis_weight_mass weights = {2, .5};
  precis_error_mass m = precis_certificate_mass(&sums, .001, &weights, 0);
  assert_true(fabs(m.all - .102) < 1e-15 && fabs(m.deviating - .0305) < 1e-15);
  m = precis_certificate_mass(&sums, .001, &weights, .25);
  assert_true(fabs(m.all - (.0305 * 4 + .002)) < 1e-15 && fabs(m.deviating - .0305) < 1e-15);
  /* Rounding may leave less than nothing, which E is not. */
  m = precis_certificate_mass(&lost, .001, &weights, 0);
  assert_true(m.all == .002 && m.deviating == .0005);
  m = precis_certificate_mass(&lost, .001, &weights, .25);
  assert_true(m.all == .004 && m.deviating == .0005);
  assert_true(precis_certificate_mass(&sums, INFINITY, &weights, 0).all == INFINITY);
}

static void nothing_proved(void **state)
{
  (void)state;
  const double bad[] = {1, 1.5, INFINITY, NAN, -1e-9}, lost[] = {NAN, INFINITY};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    precis_certificate c = make(bad[i], .1, .5);
    assert_true(c.error == INFINITY && c.lse_error == INFINITY);
  }
  for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
    assert_true(make(.1, .1, lost[i]).error == INFINITY);
    assert_true(make(.1, lost[i], .1).error == INFINITY);
  }
  const double divisors[] = {0, -1, NAN};
  for (size_t i = 0; i < sizeof divisors / sizeof *divisors; i++)
    assert_true(precis_certificate_make(&(precis_error_mass){.1, .1}, divisors[i], .1).error ==
                INFINITY);
  /* No weight and no mass: neither is anything known. */
  assert_true(precis_certificate_make(&(precis_error_mass){0, 0}, 0, 0).error == INFINITY);
}

/* A row in double: keys with log weights, scores within the bound, values; some of the keys exact.
 */
enum { COLUMNS = 3 };

typedef struct row {
  int keys, exact;
  double w[64], y[64], v[64][COLUMNS];
} row;

static row make_row(uint64_t *state, double bound, double spread)
{
  row r = {.keys = 1 + (int)(uniform(state) * 63)};
  r.exact = (int)(uniform(state) * r.keys);
  double lean = normal(state);
  for (int j = 0; j < r.keys; j++) {
    r.w[j] = exp(spread * normal(state));
    r.y[j] = bound * cos(3.14159265358979 * uniform(state));
    for (int c = 0; c < COLUMNS; c++)
      r.v[j][c] = c * 1e3 + lean * r.y[j] + normal(state) * pow(uniform(state), 1 + 4 * c);
  }
  return r;
}

/* Values as bad as can be: all errors pull one way. */
static void turn_against(row *r, const precis_polynomial *f)
{
  for (int j = 0; j < r->keys; j++)
    for (int c = 0; c < COLUMNS; c++)
      r->v[j][c] = precis_polynomial_value(f, r->y[j]) > exp(r->y[j]) ? 1 : -1;
}

/* The norms that certificates are in, with deviations and ranges of this row's own values. */
static precis_norm norm_of(const row *r, int largest, double *center, double *per)
{
  for (int c = 0; c < COLUMNS; c++) {
    double most = -INFINITY, least = INFINITY, square = 0;
    center[c] = 0;
    for (int j = 0; j < r->keys; j++) {
      most = fmax(most, r->v[j][c]);
      least = fmin(least, r->v[j][c]);
      center[c] += r->v[j][c] / r->keys;
    }
    for (int j = 0; j < r->keys; j++)
      square += (r->v[j][c] - center[c]) * (r->v[j][c] - center[c]) / r->keys;
    per[c] = most > least ? 1 / (largest ? most - least : sqrt(square)) : 0;
  }
  return (precis_norm){COLUMNS, largest, per};
}

/* Out and lse with P in place of e^y and some error of numerator and divisor on top, the
 * certificate, and the truth. Returns the part of what is allowed that was taken; 0 where nothing
 * is proved. */
static double check_row(const row *r, const precis_polynomial *f, int largest, double off)
{
  double z = 0, sum[COLUMNS] = {0}, true_z = 0, truth[COLUMNS] = {0}, out[COLUMNS],
         center[COLUMNS], per[COLUMNS];
  precis_error_mass mass = {0, 0};
  const precis_norm norm = norm_of(r, largest, center, per);
  for (int j = 0; j < r->keys; j++) {
    double e = exp(r->y[j]), p = j < r->exact ? e * (1 + off) : precis_polynomial_value(f, r->y[j]),
           wrong = r->w[j] * (j < r->exact ? fabs(off) * e : precis_polynomial_envelope(f, r->y[j]));
    z += r->w[j] * p;
    true_z += r->w[j] * e;
    mass.all += wrong;
    mass.deviating += wrong * precis_norm_distance_double(&norm, r->v[j], center);
    for (int c = 0; c < COLUMNS; c++) {
      sum[c] += r->w[j] * p * (r->v[j][c] - center[c]);
      truth[c] += r->w[j] * e * (r->v[j][c] - center[c]);
    }
  }
  for (int c = 0; c < COLUMNS; c++) {
    out[c] = center[c] + sum[c] / z;
    truth[c] = center[c] + truth[c] / true_z;
  }
  precis_certificate proved =
      precis_certificate_make(&mass, z, precis_norm_distance_double(&norm, out, center));
  if (proved.error == INFINITY)
    return 0;
  double wrong = precis_norm_distance_double(&norm, out, truth),
         slack = 1e-9 * (1 + proved.error); /* of values about 2000 in double */
  assert_true(wrong <= proved.error + slack);
  assert_true(fabs(log(z) - log(true_z)) <= proved.lse_error + 1e-12);
  return proved.error > 1e-4 ? (wrong - slack) / proved.error : 0;
}

static void rows(void **state)
{
  (void)state;
  uint64_t random = 3;
  double moments[PRECIS_DEGREE_MAX + 1];
  double most[2] = {0, 0};
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
      if (j % 4 == 3) /* one key far from all others */
        for (int c = 0; c < COLUMNS; c++)
          r.v[r.keys - 1][c] = 5;
      for (int largest = 0; largest < 2; largest++) {
        most[largest] = fmax(most[largest], check_row(&r, &f, largest, 0));
        check_row(&r, &f, largest, j % 3 ? 1e-3 : -1e-3);
      }
    }
  }
  print_message("rows take up to %.3g and %.3g of what is allowed\n", most[0], most[1]);
  assert_true(most[0] > .5 && most[1] > .5); /* so the bounds are tight */
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
  float *d, *values32, *counts32, *deviating32;
  double *num, *den, *env, *env_deviating;
  double *values, *counts, *deviating;
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
  x.d = array(s->keys, sizeof *x.d);
  for (int64_t j = 0; j < s->keys; j++) {
    double square = 0;
    for (int c = 0; c < s->value_dim; c++)
      square += (double)x.v[j * s->value_dim + c] * x.v[j * s->value_dim + c];
    x.d[j] = (float)(sqrt(square) * (1 + 1e-6));
  }
  x.values = array(x.features * s->value_dim, sizeof *x.values);
  x.counts = array(x.features, sizeof *x.counts);
  x.values32 = array(x.features * s->value_dim, sizeof *x.values32);
  x.counts32 = array(x.features, sizeof *x.counts32);
  x.deviating = array(x.features, sizeof *x.deviating);
  x.deviating32 = array(x.features, sizeof *x.deviating32);
  x.num = array(QUERIES * s->value_dim, sizeof *x.num);
  x.den = array(QUERIES, sizeof *x.den);
  x.env = array(QUERIES, sizeof *x.env);
  x.env_deviating = array(QUERIES, sizeof *x.env_deviating);
  for (int64_t i = 0; i < x.features * s->value_dim; i++)
    x.values[i] = 0;
  for (int64_t i = 0; i < x.features; i++)
    x.counts[i] = x.deviating[i] = 0;
  for (int i = 0; i < QUERIES * s->value_dim; i++)
    x.num[i] = 0;
  for (int i = 0; i < QUERIES; i++)
    x.den[i] = x.env[i] = x.env_deviating[i] = 0;
  return x;
}

static void release(summary *x)
{
  void *arrays[] = {x->k,        x->v,   x->w,         x->q,           x->values32,
                    x->counts32, x->num, x->den,       x->env,         x->values,
                    x->counts,   x->d,   x->deviating, x->deviating32, x->env_deviating};
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
  shape.deviations = apply->deviations = 1;
  int64_t one = precis_summarise_scratch(&shape), other = precis_apply_scratch(apply);
  void *scratch = array(one > other ? one : other, 1);
  const precis_weighted_keys keys = {s->keys, x->k, s->dim, x->v, s->value_dim, x->w, x->d};
  const precis_apply_coefficients coefficients = {f->a, f->e};
  const precis_query_rows queries = {QUERIES,      x->q,   s->dim, x->num,
                                     s->value_dim, x->den, x->env, x->env_deviating};
  precis_summarise_add(&shape, &keys, 0, x->features, x->values, x->counts, x->deviating, scratch);
  precis_summary_round(x->features * s->value_dim, 1, x->values, x->values32);
  precis_summary_round(x->features, 1, x->counts, x->counts32);
  precis_summary_round(x->features, 1, x->deviating, x->deviating32);
  for (int64_t done = 0; done < x->features; done += apply->tile_features) {
    int64_t some =
        x->features - done < apply->tile_features ? x->features - done : apply->tile_features;
    const precis_summary_tile tile = {done, some, x->values32 + done * s->value_dim,
                                      x->counts32 + done, x->deviating32 + done};
    precis_apply_tile(apply, &coefficients, &tile, &queries, scratch);
  }
  free(scratch);
}

/* What rounding did to each row, against its share of the error mass. Returns the largest part of
 * what is allowed. */
static double compare(const sizes *s, const precis_polynomial *f, const summary *x)
{
  precis_weight_mass weights = {0, 0};
  double used = 0;
  const precis_summary_rounding rounding = {s->degree, precis_summarise_roundings(), 2,
                                            precis_apply_roundings()};
  for (int64_t j = 0; j < s->keys; j++)
    weights.all += x->w[j], weights.deviating += (double)x->w[j] * x->d[j];
  for (int i = 0; i < QUERIES; i++) {
    double z = 0, env = 0, deviating = 0, sum[PRECIS_FEATURES_DIM_MAX] = {0}, square = 0;
    for (int64_t j = 0; j < s->keys; j++) {
      double y = 0;
      for (int c = 0; c < s->dim; c++)
        y += (double)x->q[i * s->dim + c] * x->k[j * s->dim + c];
      double p = x->w[j] * precis_polynomial_value(f, y);
      z += p;
      env += x->w[j] * precis_polynomial_envelope(f, y);
      deviating += x->w[j] * precis_polynomial_envelope(f, y) * x->d[j];
      for (int c = 0; c < s->value_dim; c++)
        sum[c] += p * x->v[j * s->value_dim + c];
    }
    for (int c = 0; c < s->dim; c++)
      square += (double)x->q[i * s->dim + c] * x->q[i * s->dim + c];
    double bound = sqrt(square * s->bound);
    double each = precis_certificate_rounding(&rounding, precis_polynomial_magnitude(f, bound),
                                              precis_polynomial_envelope_magnitude(f, bound));
    const precis_error_mass sums = {x->env[i], x->env_deviating[i]};
    precis_error_mass mass = precis_certificate_mass(&sums, each, &weights, 0);
    double den = fabs(x->den[i] - z), num = 0;
    for (int c = 0; c < s->value_dim; c++)
      num = hypot(num, x->num[i * s->value_dim + c] - sum[c]);
    assert_true(mass.all >= env + den && mass.deviating >= deviating + num);
    used = fmax(used, (env - x->env[i] + den) / (weights.all * each));
    used = fmax(used, (deviating - x->env_deviating[i] + num) / (weights.deviating * each));
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
    double used = compare(s, &f, &x);
    print_message("dim %d, degree %d: rounding takes %.3g of what is allowed\n", s->dim, s->degree,
                  used);
    release(&x);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(formula),
      cmocka_unit_test(likely),
      cmocka_unit_test(masses),
      cmocka_unit_test(nothing_proved),
      cmocka_unit_test(rows),
      cmocka_unit_test(rounding_without_end),
      cmocka_unit_test(rounding_covers),
  };
  return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
