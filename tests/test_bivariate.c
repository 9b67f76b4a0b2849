/* Polynomials in two parts of a score, their envelopes, and the proof of these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "src/proof/bivariate.h"
#include "src/precis.h"
#include "tests/uniform.h"

static double power(double x, int n)
{
  double result = 1;
  while (n-- > 0)
    result *= x;
  return result;
}

/* Of independent normal parts of these standard deviations. */
static precis_bivariate_moments normal_moments(const precis_feature_set *set, double s1, double s2)
{
  enum { SAMPLE = 4096 };
  precis_bivariate_moments m = {{0}, {0}};
  uint64_t state = 3;
  for (int i = 0; i < SAMPLE; i++) {
    double y1 = s1 * normal(&state), y2 = s2 * normal(&state);
    for (int b = 0; b < set->blocks; b++) {
      double term = power(y1, set->block[b].lead) * power(y2, set->block[b].trail);
      m.mean[b] += term / SAMPLE;
      m.size[b] += fabs(term) / SAMPLE;
    }
  }
  return m;
}

/* Largest |A - e^y| - E over a grid with the edges in it and over random points, in long double. */
static long double excess(const precis_bivariate *f, int points)
{
  const precis_bivariate_domain *d = &f->domain;
  uint64_t state = 1;
  long double worst = -HUGE_VALL;
  for (int i = 0; i <= 2 * points; i++)
    for (int j = 0; j <= points; j++) {
      double y1 = d->lead_bound * cos(3.14159265358979323846 * i / points),
             y2 = d->trail_bound * cos(3.14159265358979323846 * j / points);
      if (i > points) {
        y1 = d->lead_bound * power(2 * uniform(&state) - 1, 3);
        y2 = d->trail_bound * power(2 * uniform(&state) - 1, 3);
      }
      double beyond = (fabs(y1) + fabs(y2)) / d->bound;
      if (beyond > 1) { /* onto the slanted edge, from within */
        y1 /= beyond * (1 + 1e-15);
        y2 /= beyond * (1 + 1e-15);
      }
      long double a = 0, e = 0;
      for (int b = 0; b < f->set.blocks; b++) {
        long double term = 1;
        for (int k = 0; k < f->set.block[b].lead; k++)
          term *= y1;
        for (int k = 0; k < f->set.block[b].trail; k++)
          term *= y2;
        a += f->a[b] * term;
        e += f->e[b] * term;
      }
      worst = fmaxl(worst, fabsl(a - expl((long double)y1 + y2)) - e);
    }
  return worst;
}

static const precis_feature_set sets[] = {
    {64,
     6,
     9,
     11,
     {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {0, 1}, {1, 1}, {0, 2}, {2, 1}, {1, 2}, {2, 2}}},
    {64,
     8,
     7,
     11,
     {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {0, 1}, {1, 1}, {0, 2}, {1, 2}, {2, 2}, {6, 0}}},
    {64, 16, 6, 9, {{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {0, 2}, {4, 0}, {2, 2}, {0, 4}}},
    {64, 16, 6, 7, {{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {0, 2}, {4, 0}}},
    {20, 3, 3, 3, {{0, 0}, {1, 0}, {0, 1}}},
    {20, 3, 1, 1, {{0, 0}}},
    {20, 3, 2, 3, {{0, 0}, {0, 1}, {3, 0}}},
    {9, 3, 4, 6, {{0, 0}, {7, 0}, {0, 6}, {3, 3}, {2, 4}, {8, 0}}},
};

static const precis_bivariate_domain domains[] = {
    {3.4, 2.7, 1.1}, {8, 8, 8},       {8, 8, .01}, {1, .3, .9},
    {.2, .1, .1},    {1e-3, 1, 1e-4}, {5, .01, 5}, {1e-20, 1e-20, 1e-21},
};

/* No point beats the envelope, whatever is fitted. */
static void envelopes_hold(void **state)
{
  (void)state;
  for (size_t s = 0; s < sizeof sets / sizeof *sets; s++)
    for (size_t d = 0; d < sizeof domains / sizeof *domains; d++) {
      precis_bivariate_moments m =
          normal_moments(&sets[s], domains[d].lead_bound / 5, domains[d].trail_bound / 5);
      precis_bivariate f;
      assert_int_equal(precis_bivariate_fit(&sets[s], &domains[d], &m, &f), 0);
      assert_memory_equal(&f.set, &sets[s], sizeof f.set);
      assert_true(f.domain.bound >= domains[d].bound && isfinite(f.objective));
      for (int b = f.set.value_blocks; b < PRECIS_BLOCKS_MAX; b++)
        assert_true(f.a[b] == 0);
      long double over = excess(&f, 60);
      if (over > 0)
        fail_msg("set %zu, domain %zu: the envelope lacks %Lg", s, d, over);
    }
}

/* Whatever is broken by more than the proof can see, it sees: one coefficient after the other is
 * spoilt. */
static void broken_fits_are_rejected(void **state)
{
  (void)state;
  const precis_bivariate_domain domain = {3.4, 2.7, 1.1};
  precis_bivariate_moments m = normal_moments(&sets[0], .24, .07);
  precis_bivariate f;
  assert_int_equal(precis_bivariate_fit(&sets[0], &domain, &m, &f), 0);
  assert_true(precis_bivariate_lacking(&f, 1e-12) <= 1e-12);
  for (int b = 0; b < f.set.blocks; b++)
    for (int which = 0; which < 2; which++)
      for (double off = -.1; off < .2; off += .2) {
        precis_bivariate broken = f;
        double *c = which ? &broken.e[b] : &broken.a[b];
        *c += off * (which ? fabs(*c) : *c != 0 ? fabs(*c) : 1e-2);
        double over = (double)excess(&broken, 200), said = precis_bivariate_lacking(&broken, 1e-9);
        assert_true(said >= over);
        assert_true(said <= 1.2 * fmax(over, 0) + 1e-3);
        broken.e[0] += said;
        assert_true(excess(&broken, 60) <= 0);
      }
  precis_bivariate nan = f;
  nan.a[1] = NAN;
  assert_true(precis_bivariate_lacking(&nan, 1e-3) == HUGE_VAL);
}

/* A spike of half a cell of any grid: a polynomial of high degree whose envelope fails in one small
 * place. */
static void small_faults_are_found(void **state)
{
  (void)state;
  uint64_t random = 5;
  for (int trial = 0; trial < 50; trial++) {
    /* E = k ((y1 - c1)^2 + (y2 - c2)^2) - depth about exact A is impossible with few blocks; a flat
       A has error e^y - 1 - y1 - y2 >= 0, which the envelope undercuts near one point only. */
    precis_feature_set set = {8, 4, 3, 5, {{0, 0}, {1, 0}, {0, 1}, {2, 0}, {0, 2}}};
    precis_bivariate f = {.set = set, .domain = {.02, .01, .01}, .a = {1, 1, 1}};
    double c1 = .008 * (2 * uniform(&random) - 1), c2 = .008 * (2 * uniform(&random) - 1);
    double at = exp(c1 + c2) - 1 - c1 - c2, steep = 1e4;
    /* Touches from above at (c1, c2), less 1e-9 there: lacking within 3e-7 of it. */
    double s1 = expm1(c1 + c2);
    f.e[0] = at - 1e-9 + steep * (c1 * c1 + c2 * c2) - s1 * (c1 + c2);
    f.e[1] = s1 - 2 * steep * c1;
    f.e[2] = s1 - 2 * steep * c2;
    f.e[3] = f.e[4] = steep;
    double said = precis_bivariate_lacking(&f, 1e-11);
    assert_true(said >= .999e-9 && said <= 1.2e-9);
  }
}

static void bad_arguments(void **state)
{
  (void)state;
  const precis_feature_set *set = &sets[0], gaps = {5, 5, 1, 2, {{0, 0}, {2, 0}}};
  precis_bivariate_moments m = normal_moments(set, .2, .1), wrong;
  const precis_bivariate_domain good = {3, 2, 1};
  static const precis_bivariate_domain bad[] = {{0, 1, 1},   {8.1, 1, 1}, {1, 0, 1},   {1, 1, 0},
                                                {NAN, 1, 1}, {1, NAN, 1}, {1, 1, NAN}, {-1, 1, 1}};
  precis_bivariate f = {.objective = 77};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(precis_bivariate_fit(set, &bad[i], &m, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_bivariate_fit(&gaps, &good, &m, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_bivariate_fit(NULL, &good, &m, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_bivariate_fit(set, NULL, &m, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_bivariate_fit(set, &good, NULL, &f), PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_bivariate_fit(set, &good, &m, NULL), PRECIS_ERR_ARGUMENT);
  for (int i = 0; i < 4; i++) {
    wrong = m;
    wrong.size[i == 0 ? 0 : 2] = i == 0 ? 0 : i == 1 ? -1 : i == 2 ? NAN : wrong.mean[2] / 2;
    assert_int_equal(precis_bivariate_fit(set, &good, &wrong, &f), PRECIS_ERR_ARGUMENT);
  }
  assert_true(f.objective == 77);
}

static void equal_in_equal_out(void **state)
{
  (void)state;
  const precis_bivariate_domain domain = {3.4, 2.7, 1.1};
  precis_bivariate_moments m = normal_moments(&sets[1], .24, .07);
  precis_bivariate first, again;
  assert_int_equal(precis_bivariate_fit(&sets[1], &domain, &m, &first), 0);
  assert_int_equal(precis_bivariate_fit(&sets[1], &domain, &m, &again), 0);
  assert_memory_equal(first.a, again.a, sizeof first.a);
  assert_memory_equal(first.e, again.e, sizeof first.e);
}

/* Strange moments steer badly, but nothing untrue comes of it. */
static void strange_moments(void **state)
{
  (void)state;
  const precis_bivariate_domain domain = {3, 2, 1.5};
  precis_bivariate f;
  for (int kind = 0; kind < 4; kind++) {
    precis_bivariate_moments m = {{0}, {0}};
    for (int b = 0; b < sets[0].blocks; b++) {
      m.size[b] = kind == 0 ? b == 0 : kind == 1 ? 1 : kind == 2 ? 1e-30 : power(1e3, b);
      m.mean[b] = kind == 1 ? -1 : b % 2 ? 0 : m.size[b];
    }
    m.mean[0] = m.size[0];
    assert_int_equal(precis_bivariate_fit(&sets[0], &domain, &m, &f), 0);
    assert_true(excess(&f, 60) <= 0);
  }
}

/* In one part alone it is the polynomial, for which polynomial.h finds the optimum. */
static void near_the_optimum(void **state)
{
  (void)state;
  precis_feature_set set = {9, 5, 5, 6, {{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {4, 0}}};
  precis_bivariate_domain domain = {2, 2, 1e-9};
  precis_bivariate_moments m = normal_moments(&set, .3, 1e-10);
  double moments[PRECIS_DEGREE_MAX + 1] = {m.mean[0], m.mean[1], m.mean[2], 0, m.mean[5]};
  precis_polynomial plain;
  precis_bivariate f;
  assert_int_equal(precis_bivariate_fit(&set, &domain, &m, &f), 0);
  assert_int_equal(precis_polynomial_fit(2, 4, 2, moments, &plain), 0);
  assert_true(f.objective < 1.03 * plain.objective);
  assert_true(f.objective > .97 * plain.objective);
}

static void converted_polynomials(void **state)
{
  (void)state;
  const precis_polynomial f = {
      .degree = 2, .envelope_degree = 3, .bound = 3, .a = {1, -2, 3}, .e = {4, -5, 6, -7}};
  precis_bivariate g = precis_bivariate_of(&f, 7);
  assert_true(g.set.dim == 7 && g.set.lead == 7 && g.set.value_blocks == 3 && g.set.blocks == 4);
  assert_true(g.domain.bound == 3 && g.domain.lead_bound == 3 && g.domain.trail_bound == 0);
  for (double y = -3; y <= 3; y += .5) {
    assert_true(fabs(precis_bivariate_value(&g, y, 0) - precis_polynomial_value(&f, y)) < 1e-12);
    assert_true(fabs(precis_bivariate_envelope(&g, y, 0) - precis_polynomial_envelope(&f, y)) <
                1e-12);
    assert_true(fabs(precis_bivariate_magnitude(&g, y, 0) - precis_polynomial_magnitude(&f, y)) <
                1e-12);
    assert_true(fabs(precis_bivariate_envelope_magnitude(&g, y, 0) -
                     precis_polynomial_envelope_magnitude(&f, y)) < 1e-12);
  }
}

static void full_sets_are_polynomials(void **state)
{
  (void)state;
  const precis_bivariate_domain domain = {2, 2, 0};
  for (int count_degree = 3; count_degree <= 6; count_degree++) {
    precis_feature_set set = precis_feature_set_full(6, 3, count_degree);
    precis_bivariate_moments m = normal_moments(&set, .3, 1);
    precis_polynomial plain;
    precis_bivariate f;
    assert_int_equal(precis_bivariate_fit(&set, &domain, &m, &f), 0);
    assert_int_equal(precis_polynomial_fit(3, count_degree, 2, m.mean, &plain), 0);
    assert_memory_equal(&f.set, &set, sizeof set);
    assert_memory_equal(f.a, plain.a, sizeof plain.a);
    assert_memory_equal(f.e, plain.e, sizeof plain.e);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(envelopes_hold),
      cmocka_unit_test(broken_fits_are_rejected),
      cmocka_unit_test(small_faults_are_found),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(equal_in_equal_out),
      cmocka_unit_test(strange_moments),
      cmocka_unit_test(near_the_optimum),
      cmocka_unit_test(converted_polynomials),
      cmocka_unit_test(full_sets_are_polynomials),
  };
  return cmocka_run_group_tests_name("bivariate", tests, NULL, NULL);
}
