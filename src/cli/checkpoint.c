#include "src/cli/checkpoint.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/json.h"
#include "src/precis.h"

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

int precis_checkpoint_format(const precis_checkpoint *c, char **text, precis_message *why)
{
  json_t *all = json_pack("{s:s, s:{s:o, s:o}, s:{s:s, s:s}, s:{s:o, s:o, s:b}, s:o}", "precis",
                          precis_version(), "progress", "rows", precis_json_integer(c->rows), "of",
                          precis_json_integer(c->of), "parts", "out", c->out, "lse", c->lse,
                          "promise", "error", precis_json_number(c->promise), "lse_error",
                          precis_json_number(c->lse_promise), "estimate", c->estimate, "facts",
                          facts_object(&c->facts));
  if (all == NULL)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "the name of an output is no UTF-8, so that no checkpoint can be "
                              "written of it");
  *text = json_dumps(all, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
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

static const char *take_all(const json_t *all, precis_checkpoint *c)
{
  const json_t *progress = json_object_get(all, "progress"), *parts = json_object_get(all, "parts"),
               *promise = json_object_get(all, "promise"),
               *estimate = json_object_get(promise, "estimate");
  const char *wrong = take_integer(progress, "rows", &c->rows);
  wrong = wrong ? wrong : take_integer(progress, "of", &c->of);
  wrong = wrong ? wrong : c->rows < 1 || c->rows >= c->of ? "rows" : NULL;
  wrong = wrong ? wrong : take_text(parts, "out", sizeof c->out, c->out);
  wrong = wrong ? wrong : take_text(parts, "lse", sizeof c->lse, c->lse);
  wrong = wrong ? wrong : take_bound(promise, "error", &c->promise);
  wrong = wrong ? wrong : take_bound(promise, "lse_error", &c->lse_promise);
  wrong = wrong ? wrong : !json_is_boolean(estimate) ? "estimate" : NULL;
  c->estimate = json_is_true(estimate);
  return wrong ? wrong : take_facts(json_object_get(all, "facts"), &c->facts);
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
  const char *wrong = take_all(all, &found);
  json_decref(all);
  if (wrong != NULL)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: \"%s\" is missing or makes no sense",
                              name, wrong);
  *checkpoint = found;
  return PRECIS_SUCCESS;
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
