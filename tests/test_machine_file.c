/* Machine files: what is written is read again; what is wrong is named. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/model/machine_file.h"
#include "src/precis.h"

/* The file that the writer makes, with line `replace` (by its key; NULL: none) put otherwise. */
static char *text_with(const char *key, const char *replacement)
{
  precis_rates rates = precis_rates_nominal(2);
  char *text = malloc(PRECIS_MACHINE_FILE_BYTES), *made = malloc(2 * PRECIS_MACHINE_FILE_BYTES);
  precis_machine_text_make("two lines\nof comment\n", &rates, text);
  char *line = key ? strstr(text, key) : NULL;
  if (line == NULL)
    snprintf(made, 2 * PRECIS_MACHINE_FILE_BYTES, "%s%s", text, replacement);
  else
    snprintf(made, 2 * PRECIS_MACHINE_FILE_BYTES, "%.*s%s%s", (int)(line - text), text, replacement,
             strchr(line, '\n'));
  free(text);
  return made;
}

static void round_trip(void **state)
{
  (void)state;
  precis_rates rates = precis_rates_nominal(2), read = {0};
  double value = 1.25;
  for (const precis_rate_field *f = precis_rate_fields; f->key != NULL; f++, value *= 1.0625)
    *precis_rate_of(&rates, f) = f->most < 2 ? value * f->most / 10 : fmin(1e4 * value, f->most);
  rates.threads = 3;
  char *text = malloc(PRECIS_MACHINE_FILE_BYTES);
  int length = precis_machine_text_make("a comment\n", &rates, text);
  assert_int_equal(length, strlen(text));
  precis_message why = {""};
  assert_int_equal(precis_machine_text_parse("m", text, &read, &why), PRECIS_SUCCESS);
  for (const precis_rate_field *f = precis_rate_fields; f->key != NULL; f++) {
    double written = *precis_rate_of(&rates, f), got = *precis_rate_of(&read, f);
    assert_true(fabs(got - written) <= 5e-4 * written);
  }
  free(text);
}

/* Comments, empty lines, spaces, a file without a newline at its end. */
static void lenient(void **state)
{
  (void)state;
  precis_rates rates = {0};
  char *text = text_with("fit_time", "\n\n  # nothing\n\tfit_time=2e-3 s# two milliseconds \r");
  precis_message why = {""};
  text[strlen(text) - 1] = '\0';
  assert_int_equal(precis_machine_text_parse("m", text, &rates, &why), PRECIS_SUCCESS);
  assert_true(rates.fit_time == 2e-3);
  free(text);
}

static const struct {
  const char *key, *replacement, *words;
} bad[] = {
    {NULL, "speed = 1 s\n", "m:30: unknown key 'speed'"},
    {NULL, "fit_time = 1e-3 s\n", "m:30: fit_time is given twice, first in line 29"},
    {"tile_flops", "", "m: tile_flops is missing"},
    {"tile_flops", "tile_flops = fast flop/s", "m:10: tile_flops is 'fast', must be a number"},
    {"tile_flops", "tile_flops = 1e11flop/s", "its unit is 'flop/s'"},
    {"tile_flops", "tile_flops = 1e11", "tile_flops is '1e11 ', its unit is 'flop/s'"},
    {"tile_flops", "tile_flops = 1e11 flop/s per rank", "its unit is 'flop/s'"},
    {"tile_flops", "tile_flops = 100 Gflop/s", "tile_flops is '100 Gflop/s', its unit is 'flop/s'"},
    {"tile_flops", "tile_flops = -1 flop/s", "m:10: tile_flops is -1, must be from 1000 to 1e+18"},
    {"tile_flops", "tile_flops = nan flop/s", "must be a number"},
    {"tile_flops", "tile_flops = inf flop/s", "must be a number"},
    {"tile_flops", "tile_flops = 0x10000 flop/s", "must be a number"},
    {"tile_flops", "tile_flops = 1e999 flop/s", "must be a number"},
    {"tile_flops", "tile_flops 1e11 flop/s", "m:10: 'tile_flops 1e11 flop/s' is not 'key = value"},
    {"tile_flops", "tile flops = 1e11 flop/s", "unknown key 'tile'"},
    {"tile_flops", "= 1e11 flop/s", "unknown key ''"},
    {"threads", "threads = 1.5", "threads is 1.5, must be whole"},
    {"threads", "threads = 0", "m:3: threads is 0, must be from 1 to 4096"},
};

static void named(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *text = text_with(bad[i].key, bad[i].replacement);
    precis_rates rates = {.threads = 77};
    precis_message why = {""};
    int status = precis_machine_text_parse("m", text, &rates, &why);
    if (status != PRECIS_ERR_FORMAT || strstr(why.text, bad[i].words) == NULL)
      fprintf(stderr, "%s: %d, %s\n", bad[i].replacement, status, why.text);
    assert_int_equal(status, PRECIS_ERR_FORMAT);
    assert_non_null(strstr(why.text, bad[i].words));
    assert_true(rates.threads == 77);
    free(text);
  }
}

static void long_line(void **state)
{
  (void)state;
  char text[1000];
  memset(text, ' ', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  precis_rates rates;
  precis_message why = {""};
  assert_int_equal(precis_machine_text_parse("m", text, &rates, &why), PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "m:1: the line is longer"));
}

static void write_file(const char *path, const void *data, size_t size)
{
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, size, file), size);
  fclose(file);
}

static void files(void **state)
{
  (void)state;
  char path[] = "/tmp/precis-machine-XXXXXX";
  int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  close(descriptor);
  precis_rates rates;
  precis_message why = {""};
  char *text = text_with(NULL, "");
  write_file(path, text, strlen(text));
  assert_int_equal(precis_machine_file_read(path, &rates, &why), PRECIS_SUCCESS);
  assert_true(rates.threads == 2);
  write_file(path, "a\0b", 3); /* no text */
  assert_int_equal(precis_machine_file_read(path, &rates, &why), PRECIS_ERR_FORMAT);
  write_file(path, "", 0);
  assert_int_equal(precis_machine_file_read(path, &rates, &why), PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "threads is missing"));
  unlink(path);
  assert_int_equal(precis_machine_file_read(path, &rates, &why), PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "cannot be read: No such file"));
  assert_int_equal(precis_machine_file_read("/tmp", &rates, &why), PRECIS_ERR_FORMAT);
  free(text);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip), cmocka_unit_test(lenient), cmocka_unit_test(named),
      cmocka_unit_test(long_line),  cmocka_unit_test(files),
  };
  return cmocka_run_group_tests_name("machine_file", tests, NULL, NULL);
}
