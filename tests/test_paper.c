/* Plans on paper: limits, crossings, assumed scores. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/oracle/generate.h"
#include "src/paper/paper.h"
#include "src/paper/sample.h"
#include "src/base/problem.h"

static precis_paper paper_of(int64_t tokens, int ranks, double tol)
{
  precis_paper p = {.problem = {.heads = 8, .kv_heads = 2, .dim = 16},
                    .queries = tokens,
                    .keys = tokens,
                    .ranks = ranks,
                    .ranks_per_node = ranks < 4 ? ranks : 4,
                    .spread = .2,
                    .signal = PRECIS_SIGNAL,
                    .tol = tol,
                    .rates = precis_rates_nominal(1)};
  assert_int_equal(precis_problem_settle(&p.problem, NULL), PRECIS_SUCCESS);
  return p;
}

static precis_paper_plan plan_of(const precis_paper *p, precis_paper_fits *fits)
{
  precis_paper_plan plan;
  assert_int_equal(precis_paper_fit_all(p, fits), PRECIS_SUCCESS);
  assert_int_equal(precis_paper_make(p, fits, &plan, NULL), PRECIS_SUCCESS);
  return plan;
}

/* Moments of a Gaussian that is hardly cut: 1, 0, s^2, 0, 3 s^4, and e^{s^2 / 2} for e^y. */
static void scores(void **state)
{
  (void)state;
  static double moments[PRECIS_SAMPLE_QUERIES * PRECIS_SAMPLE_MOMENTS],
      lengths[PRECIS_SAMPLE_QUERIES];
  const precis_paper_scores unit = {
      .dim = 16, .queries = 1000, .keys = 1000, .spread = .3, .bound = 4, .unit = 1};
  precis_head_sample s = precis_paper_sample(&unit, moments, lengths);
  assert_int_equal(s.rows, PRECIS_SAMPLE_QUERIES);
  assert_true(s.bound == 4 && s.unit * s.lengths[0] == 4);
  const double *row = s.moments + 5 * PRECIS_SAMPLE_MOMENTS;
  assert_true(row[0] == PRECIS_SAMPLE_KEYS && fabs(row[1] / row[0]) < 1e-9);
  assert_true(fabs(row[2] / row[0] / .09 - 1) < .01 &&
              fabs(row[4] / row[0] / (3 * .0081) - 1) < .05);
  assert_true(fabs(row[PRECIS_SAMPLE_EXP] / row[0] / exp(.045) - 1) < 1e-3);
  /* Longer queries have wider scores and reach farther; more tokens reach farther. */
  precis_paper_scores gauss = {.dim = 16, .queries = 1000, .keys = 1000, .spread = .3};
  s = precis_paper_sample(&gauss, moments, lengths);
  assert_true(lengths[PRECIS_SAMPLE_QUERIES - 1] > 1.5 * lengths[0]);
  assert_true(moments[(PRECIS_SAMPLE_QUERIES - 1) * PRECIS_SAMPLE_MOMENTS + 2] > 2 * moments[2]);
  double few = precis_paper_bound(&gauss);
  gauss.keys = 1000000;
  assert_true(few > 1.2 && precis_paper_bound(&gauss) > few &&
              precis_paper_bound(&gauss) < 2 * few);
}

/* What is chosen is the fastest of what is possible. */
static void fastest(void **state)
{
  (void)state;
  for (int ranks = 1; ranks <= 64; ranks *= 8)
    for (int64_t tokens = 64; tokens < 100000000; tokens *= 32) {
      precis_paper_fits fits;
      precis_paper p = paper_of(tokens, ranks, 1e-2);
      precis_paper_plan plan = plan_of(&p, &fits);
      assert_true(plan.predicted[plan.move].seconds > 0 && plan.why[0] != '\0');
      for (int move = PRECIS_MOVE_TILES; move < PRECIS_MOVES && ranks > 1; move++)
        assert_true(plan.predicted[move].seconds == 0 || plan.failing > .05 ||
                    plan.predicted[move].seconds >= plan.predicted[plan.move].seconds);
    }
  precis_paper_fits fits;
  precis_paper exact = paper_of(10000000, 8, 0), wide = paper_of(10000000, 8, 1e-2);
  assert_true(plan_of(&exact, &fits).move != PRECIS_MOVE_SUMMARIES);
  assert_int_equal(plan_of(&wide, &fits).move, PRECIS_MOVE_SUMMARIES);
  /* Values that do not follow the keys have next to nothing to say. */
  wide.signal = 0;
  assert_true(plan_of(&wide, &fits).move != PRECIS_MOVE_SUMMARIES);
  wide.tol_of = PRECIS_UNIT_RANGE;
  assert_int_equal(plan_of(&wide, &fits).move, PRECIS_MOVE_SUMMARIES);
  wide.tol_of = PRECIS_UNIT_LSE;
  assert_int_equal(plan_of(&wide, &fits).move, PRECIS_MOVE_SUMMARIES);
  wide.spread = 3;
  precis_paper_plan plan = plan_of(&wide, &fits);
  assert_true(plan.move != PRECIS_MOVE_SUMMARIES && strstr(plan.why, "scores may reach") != NULL);
}

/* On either side of a crossing the plan is what the crossing says. */
static void crossings(void **state)
{
  (void)state;
  precis_paper p = paper_of(1000000, 8, 1e-2);
  precis_paper_fits fits;
  precis_paper_crossing keys;
  assert_int_equal(precis_paper_fit_all(&p, &fits), PRECIS_SUCCESS);
  assert_int_equal(precis_paper_cross_keys(&p, &fits, &keys), PRECIS_SUCCESS);
  assert_true(keys.from > 0 && keys.from < 1000000 && keys.until == 0);
  for (int above = 0; above < 2; above++) {
    precis_paper near = p;
    precis_paper_plan plan;
    near.keys = near.queries = above ? keys.from * 11 / 10 : keys.from * 9 / 10;
    assert_int_equal(precis_paper_make(&near, &fits, &plan, NULL), PRECIS_SUCCESS);
    assert_true((plan.move == PRECIS_MOVE_SUMMARIES) == above);
  }
}

/* A limit is kept or refused, and never makes a plan faster. */
static void limits(void **state)
{
  (void)state;
  precis_paper p = paper_of(1000000, 8, 1e-2);
  precis_paper_fits fits;
  precis_paper_plan free_plan = plan_of(&p, &fits);
  int64_t peak = free_plan.predicted[free_plan.move].peak_bytes;
  int kept = 0, refused = 0;
  for (int part = 16; part > 0; part--) {
    precis_paper_plan plan;
    precis_message why = {""};
    p.memory_limit = peak / 16 * part;
    int status = precis_paper_make(&p, &fits, &plan, &why);
    if (status == PRECIS_SUCCESS) {
      assert_true(plan.predicted[plan.move].peak_bytes <= p.memory_limit);
      assert_true(plan.predicted[plan.move].seconds >= free_plan.predicted[free_plan.move].seconds);
      kept++;
    } else {
      assert_int_equal(status, PRECIS_ERR_MEMORY);
      assert_non_null(strstr(why.text, "are missing"));
      refused++;
    }
  }
  assert_true(kept > 0 && refused > 0);
}

static void checked(void **state)
{
  (void)state;
  precis_message why = {""};
  precis_paper p = paper_of(1000, 4, 1e-2);
  assert_int_equal(precis_paper_check(&p, &why), PRECIS_SUCCESS);
  p.ranks_per_node = 5;
  assert_int_equal(precis_paper_check(&p, &why), PRECIS_ERR_ARGUMENT);
  p.ranks_per_node = 4;
  p.keys = (int64_t)1 << 58;
  assert_int_equal(precis_paper_check(&p, &why), PRECIS_ERR_ARGUMENT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scores), cmocka_unit_test(fastest), cmocka_unit_test(crossings),
      cmocka_unit_test(limits), cmocka_unit_test(checked),
  };
  return cmocka_run_group_tests_name("paper", tests, NULL, NULL);
}
