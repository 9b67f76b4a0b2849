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

/* A row whose values are within these; deviations are not known. */
static precis_certificate plain(double t, int value_dim, const float *out, const double *most,
                                const double *least)
{
  static const double center[3];
  double per_range[3];
  for (int c = 0; c < value_dim; c++)
    per_range[c] = precis_certificate_per_range(most[c], least[c]);
  const precis_error_mass mass = {t, INFINITY};
  const precis_value_range values = {value_dim, most, least, center, per_range};
  return precis_certificate_make(&mass, &values, out);
}

static void formula(void **state)
{
  (void)state;
  const double most[] = {2, 1, 5}, least[] = {0, -1, 5};
  const float out[] = {.5f, .25f, 5};
  precis_certificate c = plain(.2, 3, out, most, least);
  assert_true(fabs(c.error - .25 * .75) < 1e-15); /* the first column: 1.5 of 2 */
  assert_true(fabs(c.lse_error + log(.8)) < 1e-15);

  c = plain(0, 3, out, most, least);
  assert_true(c.error == 0 && c.lse_error == 0);

  const float beyond[] = {3, 0, 5}; /* what is computed may leave the range */
  assert_true(fabs(plain(.5, 3, beyond, most, least).error - 1.5) < 1e-15);

  const float constant[] = {5};
  assert_true(plain(.5, 1, constant, most + 2, least + 2).error == 0);
}

/* Deviations help where they are small, and never harm. */
static void by_deviations(void **state)
{
  (void)state;
  const double most[] = {2, 1, 5}, least[] = {0, -1, 5}, center[] = {1, 0, 5},
               per_range[] = {.5, .5, 0};
  const precis_value_range values = {3, most, least, center, per_range};
  const float out[] = {.5f, .25f, 5}; /* at most a quarter of the range from the centre */
  precis_certificate c = precis_certificate_make(&(precis_error_mass){.2, .02}, &values, out);
  assert_true(fabs(c.error - (.02 + .2 * .25) / .8) < 1e-15);
  assert_true(fabs(c.lse_error + log(.8)) < 1e-15);
  c = precis_certificate_make(&(precis_error_mass){.2, .2}, &values, out);
  assert_true(fabs(c.error - .25 * .75) < 1e-15);
  c = precis_certificate_make(&(precis_error_mass){.2, 0}, &(precis_value_range){0}, NULL);
  assert_true(c.error == 0);
  assert_true(precis_certificate_likely(&(precis_error_mass){.02, INFINITY}, 1, .0123));
  assert_false(precis_certificate_likely(&(precis_error_mass){.02, INFINITY}, 1, .0122));
  assert_true(precis_certificate_likely(&(precis_error_mass){.02, .004}, 1, .0062));
  assert_false(precis_certificate_likely(&(precis_error_mass){1, 0}, 1, 1));
}

/* What gathers all of E with deviations alone proves a little less, and never too much. */
static void masses(void **state)
{
  (void)state;
  const precis_error_mass sums = {.1, .03}, rounding = {.002, .001}, lost = {-1e-9, -1e-9};
  precis_error_mass m = precis_certificate_mass(&sums, &rounding, 1, 0);
  assert_true(fabs(m.all - .102) < 1e-15 && fabs(m.deviating - .031) < 1e-15);
  m = precis_certificate_mass(&sums, &rounding, 1, .25);
  assert_true(fabs(m.all - .126) < 1e-15 && fabs(m.deviating - .031) < 1e-15);
  m = precis_certificate_mass(&lost, &rounding, 1, 0);
  assert_true(m.all == .002 && m.deviating == .001);
}

static void nothing_proved(void **state)
{
  (void)state;
  const double most[] = {1, 1}, least[] = {0, 0}, bad[] = {1, 1.5, INFINITY, NAN, -1e-9};
  const float good[] = {.5f, .5f};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    precis_certificate c = plain(bad[i], 2, good, most, least);
    assert_true(c.error == INFINITY && c.lse_error == INFINITY);
  }
  const float lost[][2] = {{NAN, .5f}, {.5f, NAN}, {INFINITY, .5f}, {.5f, -INFINITY}, {NAN, NAN}};
  for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
    assert_true(plain(.1, 2, lost[i], most, least).error == INFINITY);
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

/* Values as bad as can be: all errors pull one way. Where values are the same in all columns but
 * for some far ones, deviations are what bounds it. */
static void turn_against(row *r, const precis_polynomial *f)
{
  for (int j = 0; j < r->keys; j++)
    for (int c = 0; c < COLUMNS; c++)
      r->v[j][c] = precis_polynomial_value(f, r->y[j]) > exp(r->y[j]) ? 1 : -1;
}

/* How far the values of a key are from a centre, as the worst part of a column's range. */
static double deviation_of(const double *v, const precis_value_range *values)
{
  double most = 0;
  for (int c = 0; c < COLUMNS; c++)
    most = fmax(most, fabs(v[c] - values->center[c]) * values->per_range[c]);
  return most;
}

/* Parts of what is allowed that were taken. */
typedef struct shares {
  double all, by_deviations;
} shares;

/* Out and lse with P in place of e^y, the certificate with and without deviations, and the truth.
 */
static void check_row(const row *r, const precis_polynomial *f, shares *taken)
{
  double z = 0, sum[COLUMNS] = {0}, true_z = 0, true_sum[COLUMNS] = {0}, most[COLUMNS],
         least[COLUMNS], center[COLUMNS] = {0}, per_range[COLUMNS];
  float out[COLUMNS];
  precis_error_mass mass = {0, 0};
  const precis_value_range values = {COLUMNS, most, least, center, per_range};
  for (int c = 0; c < COLUMNS; c++) {
    most[c] = -INFINITY, least[c] = INFINITY;
    for (int j = 0; j < r->keys; j++) {
      most[c] = fmax(most[c], r->v[j][c]);
      least[c] = fmin(least[c], r->v[j][c]);
      center[c] += r->v[j][c] / r->keys;
    }
    per_range[c] = precis_certificate_per_range(most[c], least[c]);
  }
  for (int j = 0; j < r->keys; j++) {
    double e = exp(r->y[j]), p = j < r->exact ? e : precis_polynomial_value(f, r->y[j]);
    double off = j < r->exact ? 0 : r->w[j] * precis_polynomial_envelope(f, r->y[j]);
    z += r->w[j] * p;
    true_z += r->w[j] * e;
    mass.all += off;
    mass.deviating += off * deviation_of(r->v[j], &values);
    for (int c = 0; c < COLUMNS; c++) {
      sum[c] += r->w[j] * p * r->v[j][c];
      true_sum[c] += r->w[j] * e * r->v[j][c];
    }
  }
  mass.all = z > 0 ? mass.all / z : INFINITY;
  mass.deviating /= z;
  for (int c = 0; c < COLUMNS; c++)
    out[c] = (float)(sum[c] / z);
  precis_certificate with = precis_certificate_make(&mass, &values, out);
  mass.deviating = INFINITY;
  precis_certificate without = precis_certificate_make(&mass, &values, out);
  assert_true(with.error <= without.error && with.lse_error == without.lse_error);
  if (with.error == INFINITY)
    return;
  for (int c = 0; c < COLUMNS; c++) {
    double range = most[c] - least[c], off = fabs(out[c] - true_sum[c] / true_z),
           slack = range * 1e-12 + fabs(out[c]) * 0x1p-23 * (1 + with.error);
    assert_true(off <= with.error * range + slack);
    if (with.error * range > 1e-4 * (1 + fabs(out[c]))) {
      double *part = with.error < without.error * .99 ? &taken->by_deviations : &taken->all;
      *part = fmax(*part, (off - slack) / (with.error * range));
    }
  }
  assert_true(fabs(log(z) - log(true_z)) <= with.lse_error + 1e-12);
}

static void rows(void **state)
{
  (void)state;
  uint64_t random = 3;
  double moments[PRECIS_DEGREE_MAX + 1];
  shares most = {0, 0};
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
      check_row(&r, &f, &most);
    }
  }
  print_message("rows take up to %.3g of what is allowed, %.3g by deviations\n", most.all,
                most.by_deviations);
  assert_true(most.all > .7 && most.by_deviations > .5); /* so the bounds are tight */
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
  for (int64_t j = 0; j < s->keys; j++)
    x.d[j] = (float)uniform(state);
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
  double weights = 0, used = 0;
  const precis_summary_rounding rounding = {s->degree, precis_summarise_roundings(), 2,
                                            precis_apply_roundings()};
  for (int64_t j = 0; j < s->keys; j++)
    weights += x->w[j];
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
    precis_error_mass mass =
        precis_certificate_rounding(&rounding, precis_polynomial_magnitude(f, bound),
                                    precis_polynomial_envelope_magnitude(f, bound));
    mass.all *= weights;
    mass.deviating *= weights;
    double den = fabs(x->den[i] - z), num = 0;
    for (int c = 0; c < s->value_dim; c++)
      num = fmax(num, fabs(x->num[i * s->value_dim + c] - sum[c]));
    assert_true(x->env[i] + mass.all >= env + den + num); /* values within 1 span 2 */
    assert_true(x->env_deviating[i] + mass.deviating >= deviating + num);
    used = fmax(used, (env - x->env[i] + den + num) / mass.all);
    used = fmax(used, (deviating - x->env_deviating[i] + num) / mass.deviating);
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
    double mass = precis_certificate_rounding(&rounding, 2, 0).all;
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
      cmocka_unit_test(by_deviations),
      cmocka_unit_test(masses),
      cmocka_unit_test(nothing_proved),
      cmocka_unit_test(rows),
      cmocka_unit_test(rounding_without_end),
      cmocka_unit_test(rounding_covers),
  };
  return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
