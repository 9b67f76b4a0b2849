#include "src/model/machine_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis.h"
#include "src/base/size.h"

static const char SPACES[] = " \t\r";

typedef struct reader {
  const char *name;
  int line;
  precis_rates rates;
  int line_of[PRECIS_RATE_FIELDS_MOST]; /* where each key was given, 0: not yet */
  precis_message *why;
} reader;

/* The next word of a line, or what is left of it without spaces at the end. */
static char *take_word(char **rest)
{
  char *word = *rest + strspn(*rest, SPACES);
  char *end = word + strcspn(word, SPACES);
  *rest = *end ? end + 1 : end;
  *end = '\0';
  return word;
}

static int find_field(const char *key)
{
  for (int i = 0; precis_rate_fields[i].key != NULL; i++)
    if (strcmp(precis_rate_fields[i].key, key) == 0)
      return i;
  return -1;
}

static int take_value(reader *r, const precis_rate_field *field, const char *text)
{
  char name[128];
  double value;
  snprintf(name, sizeof name, "%.60s:%d: %s", r->name, r->line, field->key);
  if (precis_number_parse(name, text, field->least, field->most, &value, r->why))
    return PRECIS_ERR_FORMAT;
  *precis_rate_of(&r->rates, field) = value;
  return PRECIS_SUCCESS;
}

/* key = value unit */
static int take_line(reader *r, char *line)
{
  line[strcspn(line, "#")] = '\0';
  if (line[strspn(line, SPACES)] == '\0')
    return PRECIS_SUCCESS;
  char *equals = strchr(line, '=');
  if (equals == NULL)
    return precis_message_set(r->why, PRECIS_ERR_FORMAT, "%s:%d: '%.40s' is not 'key = value unit'",
                              r->name, r->line, line + strspn(line, SPACES));
  *equals = '\0';
  char *before = line, *after = equals + 1;
  const char *key = take_word(&before), *value = take_word(&after), *unit = take_word(&after);
  const char *more = take_word(&after);
  int i = find_field(key);
  if (i < 0 || *take_word(&before) != '\0')
    return precis_message_set(r->why, PRECIS_ERR_FORMAT, "%s:%d: unknown key '%.40s'", r->name,
                              r->line, key);
  const precis_rate_field *field = &precis_rate_fields[i];
  if (r->line_of[i] != 0)
    return precis_message_set(r->why, PRECIS_ERR_FORMAT,
                              "%s:%d: %s is given twice, first in line %d", r->name, r->line, key,
                              r->line_of[i]);
  if (strcmp(unit, field->unit) != 0 || *more != '\0')
    return precis_message_set(r->why, PRECIS_ERR_FORMAT,
                              "%s:%d: %s is '%s %s%s%s', its unit is '%s'", r->name, r->line, key,
                              value, unit, *more ? " " : "", more, field->unit);
  r->line_of[i] = r->line;
  return take_value(r, field, value);
}

static int check_complete(reader *r)
{
  for (int i = 0; precis_rate_fields[i].key != NULL; i++)
    if (r->line_of[i] == 0)
      return precis_message_set(r->why, PRECIS_ERR_FORMAT, "%s: %s is missing", r->name,
                                precis_rate_fields[i].key);
  if (r->rates.threads != floor(r->rates.threads))
    return precis_message_set(r->why, PRECIS_ERR_FORMAT, "%s: threads is %g, must be whole",
                              r->name, r->rates.threads);
  return PRECIS_SUCCESS;
}

int precis_machine_text_parse(const char *name, const char *text, precis_rates *rates,
                              precis_message *why)
{
  enum { LINE = 400 };
  reader r = {.name = name, .why = why};
  int status = PRECIS_SUCCESS;
  while (*text != '\0' && status == PRECIS_SUCCESS) {
    char line[LINE];
    size_t length = strcspn(text, "\n");
    r.line++;
    if (length >= LINE)
      return precis_message_set(why, PRECIS_ERR_FORMAT, "%s:%d: the line is longer than %d bytes",
                                name, r.line, LINE - 1);
    memcpy(line, text, length);
    line[length] = '\0';
    status = take_line(&r, line);
    text += length + (text[length] == '\n');
  }
  if (status == PRECIS_SUCCESS)
    status = check_complete(&r);
  if (status == PRECIS_SUCCESS)
    *rates = r.rates;
  return status;
}

int precis_machine_file_read(const char *path, precis_rates *rates, precis_message *why)
{
  char *text = malloc(PRECIS_MACHINE_FILE_BYTES + 1);
  if (text == NULL)
    return PRECIS_ERR_MEMORY;
  errno = 0;
  FILE *file = fopen(path, "r");
  size_t length = file ? fread(text, 1, PRECIS_MACHINE_FILE_BYTES + 1, file) : 0;
  int failed = file == NULL || ferror(file), error = errno, status;
  if (file != NULL)
    fclose(file);
  if (failed)
    status = precis_message_set(why, PRECIS_ERR_FORMAT, "%s: cannot be read: %s", path,
                                strerror(error ? error : EIO));
  else if (length > PRECIS_MACHINE_FILE_BYTES || memchr(text, '\0', length) != NULL)
    status = precis_message_set(why, PRECIS_ERR_FORMAT, "%s: is not a machine file", path);
  else {
    text[length] = '\0';
    status = precis_machine_text_parse(path, text, rates, why);
  }
  free(text);
  return status;
}

int precis_machine_text_make(const char *comment, const precis_rates *rates, char *text)
{
  size_t size = PRECIS_MACHINE_FILE_BYTES, at = 0;
  precis_rates copy = *rates;
  while (*comment != '\0') {
    int length = (int)strcspn(comment, "\n");
    at += (size_t)snprintf(text + at, size - at, "# %.*s\n", length < 200 ? length : 200, comment);
    comment += length + (comment[length] == '\n');
  }
  for (const precis_rate_field *f = precis_rate_fields; f->key != NULL; f++) {
    char value[48];
    snprintf(value, sizeof value, "%.4g %s", *precis_rate_of(&copy, f), f->unit);
    at += (size_t)snprintf(text + at, size - at, "%-18s = %-18s # %s\n", f->key, value, f->meaning);
  }
  return (int)at;
}
