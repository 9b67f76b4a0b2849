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

static precis_checkpoint example(void)
{
  precis_checkpoint c = {.rows = INT64_C(5000000000),
                         .of = INT64_C(9000000001),
                         .promise = 0x1.23456789abcdep-20,
                         .lse_promise = 1e-7,
                         .estimate = 1,
                         .out = "out \"1\".npy.17-0.part",
                         .lse = "lse.npy.17-0.part"};
  precis_facts_add(&c.facts, "--tol", "%.17g", 0.1);
  precis_facts_add(&c.facts, "--causal", "%s", "given");
  return c;
}

static int same(const precis_checkpoint *a, const precis_checkpoint *b)
{
  int good = a->rows == b->rows && a->of == b->of && a->promise == b->promise &&
             a->lse_promise == b->lse_promise && a->estimate == b->estimate &&
             strcmp(a->out, b->out) == 0 && strcmp(a->lse, b->lse) == 0;
  return good && precis_checkpoint_compare("x", &a->facts, &b->facts, NULL) == PRECIS_SUCCESS;
}

static void there_and_back(void **state)
{
  (void)state;
  precis_checkpoint all[] = {example(), example(), example()};
  all[1].promise = INFINITY;
  all[1].estimate = 0;
  all[1].lse[0] = '\0';
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
      {"\"rows\": 5000000000", "\"rows\": 9000000001", "\"rows\""},
      {"\"rows\": 5000000000", "\"rows\": 5e9", "\"rows\""},
      {"\"rows\": 5000000000", "\"rows\": \"7\"", "\"rows\""},
      {"\"rows\": 5000000000", "\"rows\": 99999999999999999999", "too big"},
      {"\"rows\": 5000000000", "\"rows\": 1, \"rows\": 2", "duplicate"},
      {"\"of\"", "\"off\"", "\"of\""},
      {"\"progress\": {", "\"progress\": 7, \"more\": {", "\"rows\""},
      {"\"out\": \"out", "\"out\": 5, \"more\": \"", "\"out\""},
      {"\"lse\": \"lse", "\"less\": \"", "\"lse\""},
      {"\"error\": ", "\"error\": -", "\"error\""},
      {"\"error\": ", "\"error\": true, \"more\": ", "\"error\""},
      {"\"lse_error\": ", "\"lse_error\": {}, \"more\": ", "\"lse_error\""},
      {"\"estimate\": true", "\"estimate\": 1", "\"estimate\""},
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

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(there_and_back),
      cmocka_unit_test(malformed),
      cmocka_unit_test(differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
