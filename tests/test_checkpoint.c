/* Checkpoints as text: there and back, and everything that may be wrong with them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cli/checkpoint.h"
#include "src/precis.h"

/* Of two heads and three stretches; any numbers. */
static precis_worth example_worth(int64_t rows)
{
  precis_worth w;
  assert_int_equal(precis_worth_create(2, &w), PRECIS_SUCCESS);
  w.count = 3;
  for (int i = 0; i < 3; i++)
    w.end[i] = i < 2 ? 1000 * (i + 1) : rows;
  for (int i = 0; i < 2 * PRECIS_WORTH_COLUMNS; i++)
    w.columns[i] = 1.0 / (i + 3);
  for (int i = 0; i < 2 * 3 * PRECIS_WORTH_PARTS; i++)
    w.parts[i] = i == 7 ? INFINITY : -1.0 / (i + 7);
  return w;
}

static precis_checkpoint example(void)
{
  precis_checkpoint c = {.rows = INT64_C(5000000000),
                         .of = INT64_C(9000000001),
                         .estimate = 0x1.23456789abcdep-20,
                         .out = "out \"1\".npy.17-0.part",
                         .lse = "lse.npy.17-0.part",
                         .bounds = "b.npy.17-0.part",
                         .worth = example_worth(INT64_C(5000000000))};
  precis_facts_add(&c.facts, "--tol", "%.17g", 0.1);
  precis_facts_add(&c.facts, "--causal", "%s", "given");
  return c;
}

static int same(const precis_checkpoint *a, const precis_checkpoint *b)
{
  const precis_worth *v = &a->worth, *w = &b->worth;
  int good = a->rows == b->rows && a->of == b->of && a->estimate == b->estimate &&
             strcmp(a->out, b->out) == 0 && strcmp(a->lse, b->lse) == 0 &&
             strcmp(a->bounds, b->bounds) == 0 && v->heads == w->heads && v->count == w->count &&
             memcmp(v->end, w->end, (size_t)v->count * sizeof *v->end) == 0 &&
             memcmp(v->array, w->array, (size_t)precis_worth_numbers(v) * sizeof *v->array) == 0;
  return good && precis_checkpoint_compare("x", &a->facts, &b->facts, NULL) == PRECIS_SUCCESS;
}

static void there_and_back(void **state)
{
  (void)state;
  precis_checkpoint all[] = {example(), example(), example()};
  all[1].estimate = INFINITY;
  all[1].of = all[1].rows; /* all is done, but perhaps not for good */
  all[1].lse[0] = all[1].bounds[0] = '\0';
  memset(all[2].out, 'x', PRECIS_PART - 1);
  for (int i = 2; i < PRECIS_FACTS_MOST + 3; i++) { /* the last ones find no room */
    char name[40];
    snprintf(name, sizeof name, "%d, and a name that is too long", i);
    precis_facts_add(&all[2].facts, name, "%200d", i);
  }
  assert_int_equal(all[2].facts.count, PRECIS_FACTS_MOST);
  for (int i = 0; i < 3; i++) {
    precis_checkpoint found;
    precis_message why = {""};
    char *text;
    assert_int_equal(precis_checkpoint_format(&all[i], &text, &why), PRECIS_SUCCESS);
    assert_int_equal(precis_checkpoint_parse("x", text, strlen(text), &found, &why),
                     PRECIS_SUCCESS);
    assert_true(same(&all[i], &found));
    free(text);
    precis_worth_free(&found.worth);
    precis_worth_free(&all[i].worth);
  }
}

/* Returns the text with the first `old` replaced by `new`. */
static char *edited(const char *text, const char *old, const char *new)
{
  const char *at = strstr(text, old);
  if (at == NULL)
    fail_msg("no %s in %s", old, text);
  size_t before = (size_t)(at - text), size = strlen(text) + strlen(new) + 1;
  char *made = malloc(size);
  snprintf(made, size, "%.*s%s%s", (int)before, text, new, at + strlen(old));
  return made;
}

static void refused(const char *text, size_t length, const char *says)
{
  precis_checkpoint found = {.rows = -7};
  precis_message why = {""};
  int status = precis_checkpoint_parse("some.json", text, length, &found, &why);
  if (status != PRECIS_ERR_FORMAT || strstr(why.text, says) == NULL ||
      strstr(why.text, "some.json") == NULL)
    fail_msg("got %d \"%s\", expected \"%s\" for %s", status, why.text, says, text);
  assert_int_equal(found.rows, -7);
}

static void malformed(void **state)
{
  (void)state;
  static const struct {
    const char *old, *new, *says;
  } edits[] = {
      {"\"rows\": 5000000000", "\"rows\": 0", "\"rows\""},
      {"\"rows\": 5000000000", "\"rows\": -1", "\"rows\""},
      {"\"rows\": 5000000000", "\"rows\": 9000000002", "\"rows\""},
      {"\"rows\": 5000000000", "\"rows\": 5e9", "\"rows\""},
      {"\"rows\": 5000000000", "\"rows\": \"7\"", "\"rows\""},
      {"\"rows\": 5000000000", "\"rows\": 99999999999999999999", "too big"},
      {"\"rows\": 5000000000", "\"rows\": 1, \"rows\": 2", "duplicate"},
      {"\"of\"", "\"off\"", "\"of\""},
      {"\"progress\": {", "\"progress\": 7, \"more\": {", "\"rows\""},
      {"\"out\": \"out", "\"out\": 5, \"more\": \"", "\"out\""},
      {"\"lse\": \"lse", "\"less\": \"", "\"lse\""},
      {"\"bounds\": \"b", "\"bound\": \"", "\"bounds\""},
      {"\"estimate\": ", "\"estimate\": -", "\"estimate\""},
      {"\"estimate\": ", "\"estimate\": true, \"more\": ", "\"estimate\""},
      {"\"heads\": {", "\"heads\": 7, \"more\": {", "\"sum\""},
      {"\"most\": [", "\"most\": [1, ", "\"most\""},
      {"\"range\": [", "\"range\": [\"1\"], \"more\": [", "\"range\""},
      {"\"stretches\": [", "\"stretches\": [], \"more\": [", "\"stretches\""},
      {"\"end\": 1000,", "\"end\": 0,", "\"end\""},
      {"\"end\": 2000,", "\"end\": 1000,", "\"end\""},
      {"\"end\": 5000000000,", "\"end\": 5000000001,", "\"stretches\""},
      {"\"relied\": [", "\"relied\": [0, ", "\"relied\""},
      {"\"squares\": [", "\"squares\": {}, \"more\": [", "\"squares\""},
      {"\"facts\": {", "\"facts\": [], \"more\": {", "\"facts\""},
      {"\"--causal\": \"given\"", "\"--causal\": 1", "\"facts\""},
      {"\"--causal\"", "\"--causal, or a name that is too long\"", "\"facts\""},
  };
  precis_checkpoint c = example();
  char *text, large[600], value[PRECIS_PART + 1] = "";
  assert_int_equal(precis_checkpoint_format(&c, &text, NULL), PRECIS_SUCCESS);
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    char *bad = edited(text, edits[i].old, edits[i].new);
    refused(bad, strlen(bad), edits[i].says);
    free(bad);
  }
  memset(value, 'x', PRECIS_PART); /* one too many */
  snprintf(large, sizeof large, "\"out\": \"%s", value);
  char *bad = edited(text, "\"out\": \"out", large);
  refused(bad, strlen(bad), "\"out\"");
  free(bad);
  for (size_t length = 0; length < strlen(text); length++) /* cut off anywhere */
    refused(text, length, "line");
  refused("[]", 2, "\"rows\"");
  refused("{\"a\": \"\\u0000\"}", 15, "line");
  refused("{\"a\": \"\xff\"}", 10, "line");
  free(text);
  precis_worth_free(&c.worth);
}

static void differences(void **state)
{
  (void)state;
  precis_facts was = {0}, is = {0};
  precis_message why = {""};
  precis_facts_add(&was, "--tol", "0.1");
  precis_facts_add(&was, "--causal", "given");
  precis_facts_add(&was, "gone", "1");
  precis_facts_add(&is, "--causal", "given");
  precis_facts_add(&is, "--tol", "0.2");
  precis_facts_add(&is, "new", "2");
  assert_int_equal(precis_checkpoint_compare("x.json", &was, &is, &why), PRECIS_ERR_MISMATCH);
  assert_string_equal(why.text,
                      "x.json: the run that was interrupted differs: --tol was 0.1 and is 0.2, new "
                      "was not there and is 2, gone was 1 and is not there");
  for (int i = 0; i < 15; i++) { /* more than a message holds */
    char name[PRECIS_FACT_NAME];
    snprintf(name, sizeof name, "more %d", i);
    precis_facts_add(&is, name, "%70d", i);
  }
  assert_int_equal(precis_checkpoint_compare("x.json", &was, &is, &why), PRECIS_ERR_MISMATCH);
  assert_null(strstr(why.text, "more 14"));
  assert_int_equal(precis_checkpoint_compare("x.json", &is, &is, &why), PRECIS_SUCCESS);
}

/* One head: what a batch of one row, at a distance, by this bound, adds. */
static void add_row(precis_worth *w, precis_worth_batch *b, int64_t end, double distance,
                    double bound, double tol)
{
  precis_head_worth *s = &b->worth[0];
  double sum = s->sum + distance, rows = s->rows + 1;
  double mean = sum / rows, ratio = bound / fmax(mean, distance);
  b->heads[0] = (precis_head_report){.promise_outputs = ratio, .mean_signal = mean};
  *s = (precis_head_worth){.relied = bound > tol * distance ? bound / tol : 0,
                           .bound = bound,
                           .squares = ratio * ratio,
                           .largest = distance,
                           .sum = sum,
                           .most = sum,
                           .rows = rows};
  precis_worth_add(w, end, b);
}

/* Rows come nearer to what the mean query gets: the first ones relied on too much. */
static void relied(void **state)
{
  (void)state;
  enum { ROWS = 500 };
  const double tol = 0.01;
  precis_head_report head, report_head;
  precis_head_worth sums = {0};
  precis_worth_batch a = {&head, &sums};
  precis_worth w;
  precis_report report = {0};
  assert_int_equal(precis_worth_create(1, &w), PRECIS_SUCCESS);
  double worst = 0, squares = 0;
  for (int i = 0; i < ROWS; i++) { /* rows at 1 and .2 in turns, then nearly none */
    double distance = i >= 100 ? 0.01 : i % 2 ? 0.2 : 1, bound = i < 100 ? 0.005 : 1e-5;
    add_row(&w, &a, i + 1, distance, bound, tol);
  }
  double mean = precis_worth_mean(&w, 0);
  assert_true(w.count <= w.most && w.end[w.count - 1] == ROWS);
  assert_true(fabs(mean - 64. / ROWS) < 1e-12);
  for (int i = 0; i < ROWS; i++) {
    double distance = i >= 100 ? 0.01 : i % 2 ? 0.2 : 1, bound = i < 100 ? 0.005 : 1e-5;
    worst = fmax(worst, bound / fmax(distance, mean));
    squares += pow(bound / fmax(distance, mean), 2);
  }
  int shorts = 0;
  for (int i = 0; i < w.count; i++) {
    int64_t first = i > 0 ? w.end[i - 1] : 0;
    int is = precis_worth_is_short(&w, i);
    /* Rows at .2 relied on R of .5; those at 1 on none, the late ones on 1e-3. */
    int should = first < 100 && (first % 2 == 1 || w.end[i] - first > 1);
    assert_true(w.end[i] > first && w.end[i] - first <= 4 * (ROWS / w.most));
    assert_int_equal(is, should);
    shorts += is;
  }
  assert_true(shorts > 1);
  precis_worth_report(&w, INFINITY, &report_head, &report);
  assert_true(report.promise_outputs >= worst && worst > tol);
  assert_true(report.promise_outputs_rms >= sqrt(squares / ROWS));
  assert_true(report.promise_outputs <= 0.005 / mean * (1 + 1e-9));
  precis_worth_report(&w, tol, &report_head, &report);
  assert_true(report.promise_outputs == tol && report.mean_signal == mean);
  precis_worth_free(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(there_and_back),
      cmocka_unit_test(malformed),
      cmocka_unit_test(differences),
      cmocka_unit_test(relied),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
