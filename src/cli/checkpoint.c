#include "src/cli/checkpoint.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/json.h"
#include "src/precis.h"
#include "src/base/problem.h"

void precis_facts_add(precis_facts *facts, const char *name, const char *format, ...)
{
  if (facts->count == PRECIS_FACTS_MOST)
    return;
  va_list arguments;
  va_start(arguments, format);
  snprintf(facts->all[facts->count].name, PRECIS_FACT_NAME, "%s", name);
  vsnprintf(facts->all[facts->count].value, PRECIS_FACT_VALUE, format, arguments);
  va_end(arguments);
  facts->count++;
}

static json_t *facts_object(const precis_facts *facts)
{
  json_t *object = json_object();
  for (int i = 0; i < facts->count; i++)
    json_object_set_new(object, facts->all[i].name, json_string(facts->all[i].value));
  return object;
}

static json_t *numbers(const double *x, int count)
{
  json_t *list = json_array();
  for (int i = 0; i < count; i++)
    json_array_append_new(list, precis_json_number(x[i]));
  return list;
}

static json_t *stretch_object(const precis_worth *w, int stretch)
{
  json_t *object = json_pack("{s:o}", "end", precis_json_integer(w->end[stretch]));
  for (int part = 0; part < PRECIS_WORTH_PARTS; part++)
    json_object_set_new(
        object, precis_worth_part_names[part],
        numbers(precis_worth_part_of(w, stretch, (precis_worth_part)part), w->heads));
  return object;
}

static json_t *worth_object(const precis_worth *w)
{
  json_t *object = json_object(), *stretches = json_array();
  for (int column = 0; column < PRECIS_WORTH_COLUMNS; column++)
    json_object_set_new(object, precis_worth_names[column],
                        numbers(precis_worth_column_of(w, (precis_worth_column)column), w->heads));
  for (int i = 0; i < w->count; i++)
    json_array_append_new(stretches, stretch_object(w, i));
  json_object_set_new(object, "stretches", stretches);
  return object;
}

int precis_checkpoint_format(const precis_checkpoint *c, char **text, precis_message *why)
{
  json_t *all = json_pack("{s:s, s:{s:o, s:o}, s:{s:s, s:s, s:s}, s:o, s:o, s:o}", "precis",
                          precis_version(), "progress", "rows", precis_json_integer(c->rows), "of",
                          precis_json_integer(c->of), "parts", "out", c->out, "lse", c->lse,
                          "bounds", c->bounds, "estimate", precis_json_number(c->estimate), "heads",
                          worth_object(&c->worth), "facts", facts_object(&c->facts));
  if (all == NULL)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "the name of an output is no UTF-8, so that no checkpoint can be "
                              "written of it");
  *text = json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
  json_decref(all);
  return *text != NULL ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

/* Everything must be there, of the type and size that it was written with. Returns what is wrong,
 * or NULL. */
static const char *take_text(const json_t *from, const char *key, size_t size, char *to)
{
  const char *text = json_string_value(json_object_get(from, key));
  if (text == NULL || strlen(text) >= size)
    return key;
  strcpy(to, text);
  return NULL;
}

static const char *take_integer(const json_t *from, const char *key, int64_t *to)
{
  const json_t *value = json_object_get(from, key);
  *to = (int64_t)json_integer_value(value);
  return json_is_integer(value) ? NULL : key;
}

/* null is infinity. */
static const char *take_bound(const json_t *from, const char *key, double *to)
{
  const json_t *value = json_object_get(from, key);
  *to = json_is_null(value) ? INFINITY : json_number_value(value);
  return (json_is_number(value) || json_is_null(value)) && *to >= 0 ? NULL : key;
}

static const char *take_facts(const json_t *from, precis_facts *facts)
{
  if (!json_is_object(from) || json_object_size(from) > PRECIS_FACTS_MOST)
    return "facts";
  const char *key, *wrong = NULL;
  json_t *value;
  facts->count = 0;
  json_object_foreach ((json_t *)(uintptr_t)from, key, value) {
    if (strlen(key) >= PRECIS_FACT_NAME || wrong != NULL)
      return "facts";
    strcpy(facts->all[facts->count].name, key);
    if (take_text(from, key, PRECIS_FACT_VALUE, facts->all[facts->count++].value) != NULL)
      wrong = "facts";
  }
  return wrong;
}

/* null is infinity. */
static const char *take_numbers(const json_t *from, const char *key, int count, double *to)
{
  const json_t *list = json_object_get(from, key);
  if (!json_is_array(list) || json_array_size(list) != (size_t)count)
    return key;
  for (int i = 0; i < count; i++) {
    const json_t *value = json_array_get(list, (size_t)i);
    to[i] = json_is_null(value) ? INFINITY : json_number_value(value);
    if (!json_is_null(value) && !json_is_number(value))
      return key;
  }
  return NULL;
}

static const char *take_stretch(const json_t *from, int stretch, precis_worth *w)
{
  const char *wrong = take_integer(from, "end", &w->end[stretch]);
  for (int part = 0; part < PRECIS_WORTH_PARTS && wrong == NULL; part++)
    wrong = take_numbers(from, precis_worth_part_names[part], w->heads,
                         precis_worth_part_of(w, stretch, (precis_worth_part)part));
  int64_t before = stretch > 0 ? w->end[stretch - 1] : 0;
  return wrong != NULL ? wrong : w->end[stretch] > before ? NULL : "end";
}

/* Stretches end where the rows do. */
static const char *take_worth(const json_t *from, int64_t rows, precis_worth *w)
{
  const json_t *stretches = json_object_get(from, "stretches");
  const char *wrong = NULL;
  size_t count = json_array_size(stretches);
  for (int column = 0; column < PRECIS_WORTH_COLUMNS && wrong == NULL; column++)
    wrong = take_numbers(from, precis_worth_names[column], w->heads,
                         precis_worth_column_of(w, (precis_worth_column)column));
  if (wrong == NULL && (count < 1 || count > (size_t)w->most))
    wrong = "stretches";
  for (size_t i = 0; i < count && wrong == NULL; i++)
    wrong = take_stretch(json_array_get(stretches, i), (int)i, w);
  if (wrong != NULL)
    return wrong;
  w->count = (int)count;
  return w->end[count - 1] == rows ? NULL : "stretches";
}

static const char *take_all(const json_t *all, precis_checkpoint *c)
{
  const json_t *progress = json_object_get(all, "progress"), *parts = json_object_get(all, "parts");
  const char *wrong = take_integer(progress, "rows", &c->rows);
  wrong = wrong ? wrong : take_integer(progress, "of", &c->of);
  wrong = wrong ? wrong : c->rows < 1 || c->rows > c->of ? "rows" : NULL;
  wrong = wrong ? wrong : take_text(parts, "out", sizeof c->out, c->out);
  wrong = wrong ? wrong : take_text(parts, "lse", sizeof c->lse, c->lse);
  wrong = wrong ? wrong : take_text(parts, "bounds", sizeof c->bounds, c->bounds);
  wrong = wrong ? wrong : take_bound(all, "estimate", &c->estimate);
  wrong = wrong ? wrong : take_facts(json_object_get(all, "facts"), &c->facts);
  return wrong ? wrong : take_worth(json_object_get(all, "heads"), c->rows, &c->worth);
}

int precis_checkpoint_parse(const char *name, const char *text, size_t length,
                            precis_checkpoint *checkpoint, precis_message *why)
{
  json_error_t error;
  precis_checkpoint found = {.rows = 0};
  json_t *all = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
  if (all == NULL)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: line %d: %s", name, error.line,
                              error.text);
  size_t heads = json_array_size(json_object_get(json_object_get(all, "heads"), "sum"));
  int status = precis_worth_create(heads <= PRECIS_HEADS_MAX ? (int)heads : 0, &found.worth);
  const char *wrong = status == PRECIS_SUCCESS ? take_all(all, &found) : NULL;
  json_decref(all);
  if (wrong != NULL)
    status = precis_message_set(why, PRECIS_ERR_FORMAT, "%s: \"%s\" is missing or makes no sense",
                                name, wrong);
  if (status == PRECIS_SUCCESS)
    *checkpoint = found;
  else
    precis_worth_free(&found.worth);
  return status;
}

static const char *value_of(const precis_facts *facts, const char *name)
{
  for (int i = 0; i < facts->count; i++)
    if (strcmp(facts->all[i].name, name) == 0)
      return facts->all[i].value;
  return NULL;
}

/* Adds to a list of differences, as far as it has room. */
static void add_difference(char *list, size_t size, const char *name, const char *was,
                           const char *is)
{
  size_t length = strlen(list);
  snprintf(list + length, size - length, "%s%s was %s and is %s", length > 0 ? ", " : "", name,
           was ? was : "not there", is ? is : "not there");
}

int precis_checkpoint_compare(const char *name, const precis_facts *found, const precis_facts *now,
                              precis_message *why)
{
  char list[300] = "";
  for (int i = 0; i < now->count; i++) {
    const char *was = value_of(found, now->all[i].name);
    if (was == NULL || strcmp(was, now->all[i].value) != 0)
      add_difference(list, sizeof list, now->all[i].name, was, now->all[i].value);
  }
  for (int i = 0; i < found->count; i++)
    if (value_of(now, found->all[i].name) == NULL)
      add_difference(list, sizeof list, found->all[i].name, found->all[i].value, NULL);
  if (list[0] == '\0')
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_MISMATCH,
                            "%s: the run that was interrupted differs: %s", name, list);
}
