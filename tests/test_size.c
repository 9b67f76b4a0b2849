/* Numbers as people type them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/precis.h"
#include "src/base/size.h"
#include "tests/fuzz.h"

static void accepted(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    int64_t value;
  } cases[] = {{"0", 0},
               {"7", 7},
               {"007", 7},
               {"-3", -3},
               {"64k", 64000},
               {"64K", 64000},
               {"64Ki", 65536},
               {"16Mi", INT64_C(16) << 20},
               {"3M", 3000000},
               {"2G", 2000000000},
               {"2Gi", INT64_C(2) << 30},
               {"1e9", 1000000000},
               {"1E+3", 1000},
               {"1.5k", 1500},
               {"1.5Ki", 1536},
               {"2.50e3", 2500},
               {"1000e-3", 1},
               {"0.001k", 1},
               {"0e99999", 0},
               {"9223372036854775807", INT64_MAX},
               {"-9223372036854775808", INT64_MIN}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t value = -77;
    precis_message why = {""};
    int status = precis_size_parse("--n", cases[i].text, INT64_MIN, INT64_MAX, &value, &why);
    if (status != PRECIS_SUCCESS)
      fail_msg("'%s': %s", cases[i].text, why.text);
    assert_int_equal(value, cases[i].value);
  }
}

static void refused(void **state)
{
  (void)state;
  static const char *const cases[] = {"",
                                      " ",
                                      "k",
                                      "12q",
                                      "1 k",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "--1",
                                      "0x10",
                                      "1e",
                                      "1e+",
                                      "1.",
                                      ".5",
                                      "1.5",
                                      "1e-1",
                                      "1kk",
                                      "1KiB",
                                      "1ki",
                                      "1m",
                                      "inf",
                                      "nan",
                                      "1,5",
                                      "1.2.3",
                                      "-",
                                      "1e1e1",
                                      "1_000",
                                      "\xc2\xb2",
                                      "123456789012345678901234567890123456789e-30",
                                      "1e99999999999999999999x"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t value = -77;
    precis_message why = {""};
    if (precis_size_parse("--n", cases[i], INT64_MIN, INT64_MAX, &value, &why) !=
        PRECIS_ERR_ARGUMENT)
      fail_msg("'%s' was accepted as %lld", cases[i], (long long)value);
    assert_int_equal(value, -77);
    assert_non_null(strstr(why.text, "--n is '"));
  }
}

static void out_of_range(void **state)
{
  (void)state;
  static const char *const cases[] = {
      "0",
      "-5",
      "101",
      "1k",
      "1e30",
      "9223372036854775808",
      "1e99999999999999999999",
      "123456789012345678901234567890123456789012345678901234567890"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t value = -77;
    precis_message why = {""};
    assert_int_equal(precis_size_parse("--n", cases[i], 1, 100, &value, &why), PRECIS_ERR_ARGUMENT);
    assert_int_equal(value, -77);
    assert_non_null(strstr(why.text, "must be from 1 to 100"));
  }
}

static void numbers(void **state)
{
  (void)state;
  double value = -77;
  assert_int_equal(precis_number_parse("--x", "1e-6", 0, 1, &value, NULL), PRECIS_SUCCESS);
  assert_true(value == 1e-6);
  assert_int_equal(precis_number_parse("--x", "0", 0, 1, &value, NULL), PRECIS_SUCCESS);
  static const char *const bad[] = {"",      " 1",   "1 ",  "0x1p-3", "inf", "nan",
                                    "1e999", "0.5k", "1..", "-0.1",   "1.1"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    value = -77;
    assert_int_equal(precis_number_parse("--x", bad[i], 0, 1, &value, NULL), PRECIS_ERR_ARGUMENT);
    assert_true(value == -77);
  }
}

/* Ports beyond 16 bits were cut off: 70000 listened at 4464. */
static void ports(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    int port; /* -1: refused */
  } cases[] = {{"0", 0},      {"1", 1},      {"080", 80},   {"65535", 65535},
               {"65536", -1}, {"70000", -1}, {"99999", -1}, {"4295032832", -1},
               {"", -1},      {"-1", -1},    {"+1", -1},    {" 1", -1},
               {"1 ", -1},    {"0x50", -1},  {"8k", -1},    {"18446744073709551696", -1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    precis_message why = {""};
    int port = -1, status = precis_port_parse("--listen", cases[i].text, strlen(cases[i].text), 0,
                                              &port, &why);
    assert_int_equal(port, cases[i].port);
    assert_int_equal(status, port < 0 ? PRECIS_ERR_ARGUMENT : PRECIS_SUCCESS);
    assert_true(port >= 0 || strstr(why.text, "from 0 to 65535") != NULL);
  }
  int port = -1;
  assert_int_equal(precis_port_parse("--url", "8080/path", 4, 1, &port, NULL), 0);
  assert_int_equal(port, 8080);
  assert_int_equal(precis_port_parse("--url", "0", 1, 1, &port, NULL), PRECIS_ERR_ARGUMENT);
}

static void lists(void **state)
{
  (void)state;
  int value = -1;
  static const int wanted[] = {0, 0, 7, 0, 0, 7};
  for (int turn = 0; turn < 6; turn++) {
    assert_int_equal(precis_list_parse("L", "0 0,7", turn, 9, &value, NULL), 0);
    assert_int_equal(value, wanted[turn]);
  }
  static const char *const bad[] = {"", " ", "x", "0 x", "-1", "10", "0 4294967296", "0;1"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    precis_message why = {""};
    assert_int_equal(precis_list_parse("L", bad[i], 0, 9, &value, &why), PRECIS_ERR_ARGUMENT);
    assert_true(strncmp(why.text, "L ", 2) == 0);
  }
}

/* Texts of the characters that numbers have, and others, see tests/fuzz_numbers.c. */
static void any_text(void **state)
{
  (void)state;
  static const char alphabet[] = "00112345678999..eE+-kKMGi ,x";
  uint64_t x = 88172645463325252u;
  for (int i = 0; i < 1000000; i++) {
    uint8_t text[24];
    size_t length = 1 + (size_t)i % (sizeof text - 1);
    for (size_t c = 0; c < length; c++) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      text[c] = c == 0 ? (uint8_t)(x >> 32) : (uint8_t)alphabet[(x >> 32) % (sizeof alphabet - 1)];
    }
    LLVMFuzzerTestOneInput(text, length);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(accepted),     cmocka_unit_test(refused),
                                     cmocka_unit_test(out_of_range), cmocka_unit_test(numbers),
                                     cmocka_unit_test(ports),        cmocka_unit_test(lists),
                                     cmocka_unit_test(any_text)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
