/* Degrees, their prices, and fits to sampled rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/plan/choose.h"
#include "src/summary/features.h"

enum { ROWS = 40, KEYS = 200, MANY = PRECIS_CANDIDATES_MOST };

/* Deterministic, in [-1, 1). */
static double noise(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return (int32_t)*state * 0x1p-31;
}

/* Rows whose scores lie within spread (1 + row / ROWS) of 0; their pairs stay at hand. */
typedef struct sample {
  double w[ROWS][KEYS], d[ROWS][KEYS], y[ROWS][KEYS];
  double moments[ROWS * PRECIS_SAMPLE_MOMENTS], lengths[ROWS];
  precis_head_sample head;
} sample;

/* Deviations within [.625 - reach, .625 + reach]. */
static sample make(double spread, double reach)
{
  sample s = {.head = {.rows = ROWS, .bound = 2.5 * spread, .least_deviation = .25}};
  uint32_t state = 17;
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < KEYS; j++) {
      s.lengths[i] = spread * (1 + (double)i / ROWS);
      s.w[i][j] = exp(noise(&state));
      s.y[i][j] = spread * (1 + (double)i / ROWS) * noise(&state) * noise(&state);
      s.d[i][j] = .625 + reach * noise(&state);
      precis_sample_add(s.moments + i * PRECIS_SAMPLE_MOMENTS, s.w[i][j], s.d[i][j], s.y[i][j]);
    }
  return s;
}

/* A copy points at itself. */
static void point(sample *s)
{
  s->head.moments = s->moments;
  s->head.lengths = s->lengths;
  s->head.unit = 1;
}

/* So many roundings that nothing is left, and as few as can be. */
static const precis_summary_rounding DROWNED = {12, 1 << 24, 2, 0}, FEW = {0, 0, 0, 0};

static void moments_of_a_row(void **state)
{
  (void)state;
  sample s = make(1, .375);
  for (int m = 0; m <= PRECIS_DEGREE_MAX; m++) {
    double sum = 0, with = 0, square = 0, deviating[2] = {0};
    for (int j = 0; j < KEYS; j++) {
      sum += s.w[3][j] * pow(s.y[3][j], m);
      with += s.w[3][j] * pow(s.y[3][j], m) * exp(s.y[3][j]);
      square += s.w[3][j] * exp(2 * s.y[3][j]);
      deviating[0] += s.w[3][j] * s.d[3][j];
      deviating[1] += s.w[3][j] * s.d[3][j] * s.y[3][j] * s.y[3][j];
    }
    const double *row = s.moments + 3 * PRECIS_SAMPLE_MOMENTS;
    assert_true(fabs(row[m] - sum) < 1e-10);
    if (m <= PRECIS_SAMPLE_DEGREE)
      assert_true(fabs(row[PRECIS_SAMPLE_EXP + m] - with) < 1e-10);
    assert_true(fabs(row[PRECIS_SAMPLE_SQUARE] - square) < 1e-9);
    assert_true(fabs(row[PRECIS_SAMPLE_DEVIATION] - deviating[0]) < 1e-10);
    assert_true(fabs(row[PRECIS_SAMPLE_DEVIATION + 1] - deviating[1]) < 1e-10);
  }
}

static int usable(const double *moments)
{
  int good = moments[0] > 0;
  for (int m = 0; m <= PRECIS_DEGREE_MAX; m++)
    good = good && isfinite(moments[m]) && (m % 2 || moments[m] >= 0);
  return good;
}

/* The longest rows steer; rows without weight, or with next to none, do not get in the way. */
static void moments_to_fit(void **state)
{
  (void)state;
  double moments[PRECIS_DEGREE_MAX + 1], fewer[PRECIS_DEGREE_MAX + 1];
  sample s = make(1, .375);
  sample alone = s;
  alone.head.moments = alone.moments + (ROWS - 10) * PRECIS_SAMPLE_MOMENTS;
  alone.head.lengths = alone.lengths + (ROWS - 10);
  alone.head.rows = 10;
  point(&s);
  precis_choose_moments(&s.head, moments);
  precis_choose_moments(&alone.head, fewer);
  assert_true(usable(moments) && usable(fewer));
  assert_true(moments[2] > 0 && fabs(moments[2] / fewer[2] - 1) < .2);

  for (int i = 0; i < ROWS; i++) {
    double *row = s.moments + i * PRECIS_SAMPLE_MOMENTS;
    memset(row, 0, PRECIS_SAMPLE_MOMENTS * sizeof *row);
    if (i % 2)
      precis_sample_add(row, 5e-324, .5, -1.5); /* w e^y vanishes, w does not */
  }
  precis_choose_moments(&s.head, moments);
  assert_true(usable(moments));
  precis_polynomial fit;
  assert_int_equal(precis_choose_fit(&s.head, 2, 4, NULL, &fit), 0);

  precis_head_sample none = {.rows = 0, .moments = s.moments, .bound = 2};
  precis_choose_moments(&none, moments);
  assert_true(usable(moments));
  none.bound = 0;
  assert_int_equal(precis_choose_fit(&none, 1, 2, NULL, &fit), 0);
}

static const double AWAY = .3;     /* |out - mu| that rows are judged by */
static const double GRAINS = 2e-5; /* what FEW roundings add at most */

/* Of a row, from its pairs. */
static precis_certificate certificate_of(const sample *s, int i, const precis_polynomial *f)
{
  precis_error_mass mass = {0, 0};
  double total = 0;
  for (int j = 0; j < KEYS; j++) {
    double e = s->w[i][j] * precis_polynomial_envelope(f, s->y[i][j]);
    mass.all += e;
    mass.deviating += e * s->d[i][j];
    total += s->w[i][j] * precis_polynomial_value(f, s->y[i][j]);
  }
  return precis_certificate_make(&mass, total, AWAY);
}

static double failing_at(const sample *s, const precis_polynomial *f,
                         const precis_summary_rounding *rounding, precis_unit unit, double error)
{
  const precis_goal goal = {unit, error, AWAY};
  return precis_choose_failing(&s->head, f, rounding, &goal);
}

static void fits(void **state)
{
  (void)state;
  sample s = make(.5, 0); /* as moments know little of deviations that differ from key to key */
  point(&s);
  double before = INFINITY;
  for (int degree = 1; degree <= 6; degree++) {
    precis_polynomial f;
    assert_int_equal(precis_choose_fit(&s.head, degree, degree, NULL, &f), 0);
    assert_true(f.degree == degree && f.bound == s.head.bound);
    for (double y = -f.bound; y <= f.bound; y += f.bound / 50)
      assert_true(fabs(precis_polynomial_value(&f, y) - exp(y)) <=
                  precis_polynomial_envelope(&f, y));
    double worst = 0, best = INFINITY, of_lse = 0;
    for (int i = 0; i < ROWS; i++) {
      precis_certificate c = certificate_of(&s, i, &f);
      worst = fmax(worst, c.error);
      best = fmin(best, c.error);
      of_lse = fmax(of_lse, c.lse_error);
    }
    assert_true(worst < before);
    before = worst;
    /* All rows fail just below the best certificate there is, none just above the worst. */
    double up = 1 + 1e-9, down = 1 - 1e-9;
    assert_true(failing_at(&s, &f, &FEW, PRECIS_UNIT_RANGE, worst * up + GRAINS) == 0);
    assert_true(failing_at(&s, &f, &FEW, PRECIS_UNIT_RANGE, worst * down) > 0);
    assert_true(failing_at(&s, &f, &FEW, PRECIS_UNIT_RANGE, best * down) == 1);
    assert_true(failing_at(&s, &f, &FEW, PRECIS_UNIT_LSE, of_lse * up + GRAINS) == 0);
    assert_true(failing_at(&s, &f, &FEW, PRECIS_UNIT_LSE, of_lse * down) > 0);
    /* Long rows may be off by more than the mean one where that is what errors are relative to. */
    assert_true(failing_at(&s, &f, &FEW, PRECIS_UNIT_OUTPUTS, worst * down) <=
                failing_at(&s, &f, &FEW, PRECIS_UNIT_RANGE, worst * down));
    /* Rounding drowns everything. */
    assert_true(failing_at(&s, &f, &DROWNED, PRECIS_UNIT_RANGE, 1) == 1);
  }
}

/* Rows that see nothing neither fail nor count. */
static void failing(void **state)
{
  (void)state;
  sample s = make(.5, .375);
  point(&s);
  precis_polynomial f;
  assert_int_equal(precis_choose_fit(&s.head, 2, 2, NULL, &f), 0);
  double before = 2;
  for (double tol = 1e-6; tol < 1; tol *= 1.5) {
    double share = failing_at(&s, &f, &FEW, PRECIS_UNIT_RANGE, tol);
    assert_true(share >= 0 && share <= before);
    before = share;
  }
  assert_true(before == 0);
  memset(s.moments, 0, sizeof s.moments);
  assert_true(failing_at(&s, &f, &DROWNED, PRECIS_UNIT_RANGE, 1e-9) == 0);
  precis_sample_add(s.moments, 1, 1, 0);
  assert_true(failing_at(&s, &f, &DROWNED, PRECIS_UNIT_RANGE, 1e-9) == 1);
  s.head.rows = 0;
  assert_true(failing_at(&s, &f, &DROWNED, PRECIS_UNIT_RANGE, 1e-9) == 0);
}

static void least_squares(void **state)
{
  (void)state;
  sample s = make(.5, .375);
  point(&s);
  double before = INFINITY;
  for (int degree = 1; degree <= 6; degree++) {
    precis_polynomial f;
    double off = precis_choose_least_squares(&s.head, degree, &f), worst = 0;
    for (int i = 0; i < ROWS; i++) {
      double square = 0, total = 0, weights = 0;
      for (int j = 0; j < KEYS; j++) {
        square += s.w[i][j] * pow(precis_polynomial_value(&f, s.y[i][j]) - exp(s.y[i][j]), 2);
        total += s.w[i][j] * exp(s.y[i][j]);
        weights += s.w[i][j];
      }
      worst = fmax(worst, sqrt(square * weights) / total);
    }
    assert_true(fabs(off - worst) < 1e-7 + .01 * worst);
    assert_true(off < before / 3 || off < 1e-6);
    assert_true(precis_polynomial_envelope(&f, 1) == 0);
    before = off;
  }
  /* All scores alike: no polynomial but a constant is determined. */
  precis_polynomial f;
  memset(s.moments, 0, sizeof s.moments);
  assert_true(!(precis_choose_least_squares(&s.head, 2, &f) < 1e9));
}

static precis_scene scene_of(const precis_problem *problem, int ranks, int64_t tokens, int prefixes)
{
  return (precis_scene){.problem = problem,
                        .rates = precis_rates_nominal(1),
                        .ranks = ranks,
                        .nodes = 1,
                        .queries = tokens,
                        .keys = tokens,
                        .new_keys = tokens,
                        .pairs = (double)tokens * (double)tokens * problem->heads,
                        .prefixes = prefixes,
                        .tile_rows = 1024,
                        .thread_memory = 1 << 20,
                        .pieces = 1,
                        .piece_rows = tokens,
                        .needed_heads = {1, 1}};
}

static void candidates(void **state)
{
  (void)state;
  precis_candidate c[MANY];
  const precis_problem problem = {.heads = 8, .kv_heads = 2, .dim = 16, .value_dim = 32};
  for (int ranks = 1; ranks <= 7; ranks += 3)
    for (int prefixes = 0; prefixes < 2; prefixes++) {
      const precis_scene scene = scene_of(&problem, ranks, 5000, prefixes);
      int count = precis_choose_candidates(&scene, 0, MANY, c), degrees = 0;
      assert_true(count > 8 && count <= MANY);
      for (int i = 0; i < count; i++) {
        assert_true(c[i].degree >= 1 && c[i].degree <= 24 && c[i].envelope_degree >= c[i].degree);
        assert_true(c[i].envelope_degree == c[i].degree || c[i].envelope_degree % 2 == 0);
        assert_int_equal(c[i].features, precis_features_count(16, c[i].degree));
        assert_int_equal(c[i].features + c[i].count_features,
                         precis_features_count(16, c[i].envelope_degree));
        assert_true(c[i].seconds > 0 && (i == 0 || c[i].seconds >= c[i - 1].seconds));
        degrees |= 1 << c[i].degree;
      }
      assert_int_equal(degrees, 0x1fffffe);
      precis_candidate few[3];
      assert_int_equal(precis_choose_candidates(&scene, 0, 3, few), 3);
      for (int i = 0; i < 3; i++) /* their seconds count fewer fits */
        assert_true(few[i].degree == c[i].degree && few[i].envelope_degree == c[i].envelope_degree);
    }
  const precis_scene two = scene_of(&problem, 2, 5000, 0);
  int count = precis_choose_candidates(&two, 3, MANY, c);
  assert_true(count >= 3);
  for (int i = 0; i < count; i++)
    assert_int_equal(c[i].degree, 3);
  /* Features that no int64_t can count are no candidates. */
  const precis_problem wide = {.heads = 1, .kv_heads = 1, .dim = 256, .value_dim = 256};
  const precis_scene small = scene_of(&wide, 1, 10, 0);
  count = precis_choose_candidates(&small, 0, MANY, c);
  for (int i = 0; i < count; i++)
    assert_true(c[i].features > 0 && c[i].count_features >= 0 && isfinite(c[i].seconds));
}

/* On a sphere degrees are needed that grow with the bound: few of all that there are deserve a fit,
 * and among them is the cheapest that does. */
static void hopeful_degrees(void **state)
{
  (void)state;
  const precis_problem problem = {.heads = 1, .kv_heads = 1, .dim = 3, .value_dim = 2};
  const precis_scene scene = scene_of(&problem, 1, 100000, 0);
  const precis_goal goal = {PRECIS_UNIT_LSE, 1e-2, 0};
  for (double bound = 6; bound < 17; bound += 2) {
    sample s = {.head = {.rows = ROWS, .bound = bound, .least_deviation = .25}};
    for (int i = 0; i < ROWS; i++) {
      s.lengths[i] = bound;
      for (int j = 0; j < KEYS; j++)
        precis_sample_add(s.moments + i * PRECIS_SAMPLE_MOMENTS, 1, .5,
                          bound * ((2 * j + 1.) / KEYS - 1));
    }
    point(&s);
    precis_candidate all[MANY], some[MANY];
    int count = precis_choose_candidates(&scene, 0, MANY, all), first = -1, high = 0, found = 0;
    precis_polynomial f;
    for (int i = 0; i < count && first < 0; i++)
      if (all[i].degree > 6 &&
          precis_choose_fit(&s.head, all[i].degree, all[i].envelope_degree, NULL, &f) == 0 &&
          precis_choose_failing(&s.head, &f, &FEW, &goal) == 0)
        first = i;
    assert_true(first >= 0);
    memcpy(some, all, sizeof some);
    int left = precis_choose_hopeful(&s.head, &s.head, &goal, count, some);
    for (int i = 0; i < left; i++) {
      high += some[i].degree > 6;
      found |= some[i].degree == all[first].degree &&
               some[i].envelope_degree == all[first].envelope_degree;
      assert_true(i == 0 || some[i].seconds >= some[i - 1].seconds);
    }
    assert_true(found && high < 36);
    /* What was expected of it is about what it has. */
    double expected =
        precis_choose_expected(&s.head, all[first].degree, all[first].envelope_degree, &goal);
    assert_true(expected > .05 && expected < 5);
    memcpy(some, all, sizeof some);
    const precis_goal never = {PRECIS_UNIT_LSE, 1e-300, 0};
    assert_true(precis_choose_hopeful(&s.head, &s.head, &never, 1, some) == 1);
  }
}

/* Where float32 would drown the best fit, one of smaller terms is found. */
static void fits_heed_rounding(void **state)
{
  (void)state;
  sample s = {.head = {.rows = ROWS, .bound = 18, .least_deviation = .25}};
  for (int i = 0; i < ROWS; i++) {
    s.lengths[i] = 18;
    for (int j = 0; j < KEYS; j++)
      precis_sample_add(s.moments + i * PRECIS_SAMPLE_MOMENTS, 1, .5,
                        18 * ((2 * j + 1.) / KEYS - 1));
  }
  point(&s);
  const precis_summary_rounding rounding = {20, 64, 2, 64};
  precis_polynomial f, g;
  assert_int_equal(precis_choose_fit(&s.head, 20, 20, NULL, &f), 0);
  assert_int_equal(precis_choose_fit(&s.head, 20, 20, &rounding, &g), 0);
  assert_true(failing_at(&s, &f, &rounding, PRECIS_UNIT_LSE, .01) == 1);
  assert_true(failing_at(&s, &g, &rounding, PRECIS_UNIT_LSE, .01) == 0);
}

/* Repair costs what it takes. Where exact moves are forbidden no price is too high to avoid a row
 * that misses, but none is out of the question either, as something has to be taken. */
static void price_of_failing(void **state)
{
  (void)state;
  assert_true(precis_choose_price_of_failing(0, 0, 0, 1) == 0);
  assert_true(precis_choose_price_of_failing(0, 10, .04, 1) == 10);
  assert_true(precis_choose_price_of_failing(0, 10, .9, 1) == 10);
  double before = 0;
  for (double failing = 1e-4; failing < 1; failing *= 2) {
    double price = precis_choose_price_of_failing(1, 10, failing, failing);
    assert_true(isfinite(price) && price > before && price > 1e3);
    assert_true(price > precis_choose_price_of_failing(1, 10, 0, 1) * failing);
    before = price;
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(moments_of_a_row),
      cmocka_unit_test(moments_to_fit),
      cmocka_unit_test(fits),
      cmocka_unit_test(failing),
      cmocka_unit_test(least_squares),
      cmocka_unit_test(candidates),
      cmocka_unit_test(hopeful_degrees),
      cmocka_unit_test(fits_heed_rounding),
      cmocka_unit_test(price_of_failing),
  };
  return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
