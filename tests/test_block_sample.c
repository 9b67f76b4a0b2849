/* Feature sets worth trying, and how sampled rows judge them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "src/plan/block_sample.h"
#include "src/plan/block_sets.h"
#include "tests/uniform.h"

static void sets_are_valid(void **state)
{
  (void)state;
  static precis_feature_set sets[PRECIS_BLOCK_SETS_MOST];
  static const int dims[] = {1, 2, 3, 16, 64, 256};
  for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
    int dim = dims[d], leads[PRECIS_LEADS_MOST], kinds = precis_block_leads(dim, leads);
    int count = precis_block_sets(dim, sets), full = 0, slim = 0;
    assert_true(count > 0 && count < PRECIS_BLOCK_SETS_MOST);
    assert_true(kinds <= PRECIS_LEADS_MOST && leads[kinds - 1] == dim);
    for (int i = 0; i < count; i++) {
      int known = 0;
      assert_true(precis_feature_set_valid(&sets[i]) && sets[i].dim == dim);
      for (int k = 0; k < kinds; k++)
        known |= leads[k] == sets[i].lead;
      assert_true(known);
      for (int b = 0; b < sets[i].blocks; b++)
        assert_true(sets[i].block[b].lead <= PRECIS_BLOCK_LEAD_MOST &&
                    sets[i].block[b].trail <= PRECIS_BLOCK_TRAIL_MOST);
      full += sets[i].lead == dim;
      slim += sets[i].value_blocks < sets[i].blocks;
    }
    assert_true(full > 10 && slim > 5 && (dim == 1) == (full == count));
  }
}

enum { ROWS = 40, KEYS = 200 };

static const double LEAST = .25; /* deviation */

/* Rows of growing spread; the last saw no key. */
static void make_rows(double deviation, precis_block_row *row)
{
  uint64_t state = 3;
  memset(row, 0, ROWS * sizeof *row);
  for (int i = 0; i < ROWS; i++) {
    double unit = deviation * (.5 + i / (double)ROWS);
    row[i].lead_bound = 8 * unit;
    row[i].trail_bound = 4 * unit;
    for (int j = 0; j < KEYS && i < ROWS - 1; j++) {
      double y1 = fmax(-3, fmin(normal(&state), 3)) * unit,
             y2 = fmax(-3, fmin(normal(&state), 3)) * unit / 4;
      precis_block_row_add(&row[i], 1 + uniform(&state), LEAST + .75 * uniform(&state), y1, y2);
    }
  }
}

static void rows_are_sums(void **state)
{
  (void)state;
  precis_block_row row = {.lead_bound = 7};
  precis_block_row_add(&row, 2, .25, .5, -.25);
  precis_block_row_add(&row, 1, .5, -1, 0);
  assert_true(row.weights == 3 && row.lead_bound == 7);
  assert_true(fabs(row.normaliser - 2 * exp(.25) - exp(-1)) < 1e-14);
  assert_true(row.square == 2 * .0625 + 1);
  assert_true(row.mean[0][0] == 3 && row.mean[1][0] == 0 && row.size[1][0] == 2);
  assert_true(row.mean[2][1] == 2 * .25 * -.25 && row.size[2][1] == 2 * .25 * .25);
  assert_true(row.deviating[0][0] == 1 && row.deviating[2][1] == .25 * row.mean[2][1]);
  assert_true(row.mean[8][0] == 2 * 0x1p-8 + 1 && row.mean[0][4] == 2 * 0x1p-8);
}

static const precis_feature_set set = {
    64, 6, 7, 9, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {0, 1}, {1, 1}, {0, 2}, {2, 2}, {4, 0}}};

static void moments_are_those_of_long_rows(void **state)
{
  (void)state;
  static precis_block_row row[ROWS];
  precis_bivariate_moments all, some, none;
  make_rows(.3, row);
  precis_block_moments(ROWS, row, &set, &all);
  precis_block_moments(8, row + ROWS - 9, &set, &some);
  for (int b = 0; b < set.blocks; b++) {
    assert_true(fabs(all.mean[b] - some.mean[b]) < .3 * all.size[b]);
    assert_true(all.size[b] >= fabs(all.mean[b]));
  }
  precis_block_moments(1, row + ROWS - 1, &set, &none);
  assert_true(none.mean[0] == 1 && none.size[0] == 1 && none.mean[1] == 0);
}

/* What is fitted does no better than was said, over many strengths of the scores and tolerances. */
static void hopeless_ones_fail(void **state)
{
  (void)state;
  static precis_block_row row[ROWS];
  const precis_summary_rounding rounding = {4, 256, 2, 600};
  int hopeless = 0, good = 0;
  for (double deviation = .02; deviation < .5; deviation *= 1.6) {
    make_rows(deviation, row);
    precis_bivariate_domain domain = {8 * deviation, 7 * deviation, 2 * deviation};
    precis_bivariate_moments m;
    precis_bivariate f;
    precis_block_moments(ROWS, row, &set, &m);
    assert_int_equal(precis_bivariate_fit(&set, &domain, &m, &f), 0);
    double last = 1;
    for (double tol = 1e-6; tol < 1; tol *= 3) {
      const precis_goal goal = {PRECIS_UNIT_RANGE, tol, .1};
      double said = precis_block_estimate(ROWS, row, &set, 1, &goal);
      double failing = precis_block_failing(ROWS, row, &f, &rounding, LEAST, &goal);
      assert_true(said <= failing && failing <= last);
      assert_true(said <= precis_block_estimate(ROWS, row, &set, 0, &goal));
      last = failing;
      hopeless += said == 1;
      good += failing == 0;
    }
  }
  assert_true(hopeless > 3 && good > 3);
}

/* Rounding alone, once it is as large as the tolerance. */
static void rounding_counts(void **state)
{
  (void)state;
  static precis_block_row row[ROWS];
  const precis_summary_rounding little = {4, 256, 2, 600}, much = {4, 256, 2, 1 << 22};
  precis_bivariate f = {.set = set, .domain = {1, 1, 1}, .a = {1, 1, .5, 1. / 6, 1, 1, .5}};
  make_rows(.01, row);
  const precis_goal goal = {PRECIS_UNIT_RANGE, 1e-3, .1}, of_lse = {PRECIS_UNIT_LSE, 1e-3, .1};
  assert_true(precis_block_failing(ROWS, row, &f, &little, LEAST, &goal) == 0);
  assert_true(precis_block_failing(ROWS, row, &f, &much, LEAST, &goal) == 1);
  assert_true(precis_block_failing(ROWS, row, &f, &little, LEAST, &of_lse) == 0);
  assert_true(precis_block_failing(ROWS, row, &f, &much, LEAST, &of_lse) == 1);
  assert_true(precis_block_failing(0, row, &f, &much, LEAST, &goal) == 0);
}

/* Relative to what a row's own query changes, rows with more to say may be off by more: of rows that
 * are alike but for the spread of their scores, those above the mean spread fail later. */
static void long_rows_may_be_off(void **state)
{
  (void)state;
  static precis_block_row row[ROWS];
  const precis_summary_rounding rounding = {4, 256, 2, 600};
  precis_bivariate_domain domain = {2.4, 2.1, .6};
  precis_bivariate_moments m;
  precis_bivariate f;
  int fewer = 0;
  make_rows(.3, row);
  precis_block_moments(ROWS, row, &set, &m);
  assert_int_equal(precis_bivariate_fit(&set, &domain, &m, &f), 0);
  for (double tol = 1e-5; tol < 1; tol *= 1.2) {
    const precis_goal goal = {PRECIS_UNIT_RANGE, tol, .1}, relative = {PRECIS_UNIT_OUTPUTS, tol, .1};
    double all = precis_block_failing(ROWS, row, &f, &rounding, LEAST, &goal),
           some = precis_block_failing(ROWS, row, &f, &rounding, LEAST, &relative);
    assert_true(some <= all);
    fewer += some < all;
  }
  assert_true(fewer > 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sets_are_valid),
      cmocka_unit_test(rows_are_sums),
      cmocka_unit_test(moments_are_those_of_long_rows),
      cmocka_unit_test(hopeless_ones_fail),
      cmocka_unit_test(rounding_counts),
      cmocka_unit_test(long_rows_may_be_off),
  };
  return cmocka_run_group_tests_name("block sample", tests, NULL, NULL);
}
