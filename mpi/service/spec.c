#include "mpi/service/spec.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "src/base/problem.h"

typedef struct rule {
  const char *name;
  enum { WHOLE, NUMBER, TRUTH, WORD, TEXT } type;
  double least, most; /* of numbers; TEXT: most characters */
  const char *words;
  size_t offset;
} rule;

#define AT(member) offsetof(precis_spec, member)

static const rule rules[] = {
    {"name", TEXT, 0, PRECIS_CONTEXT_NAME, 0, AT(name)},
    {"heads", WHOLE, 1, PRECIS_HEADS_MAX, 0, AT(problem.heads)},
    {"kv_heads", WHOLE, 1, PRECIS_HEADS_MAX, 0, AT(problem.kv_heads)},
    {"dim", WHOLE, 1, PRECIS_DIM_MAX, 0, AT(problem.dim)},
    {"value_dim", WHOLE, 1, PRECIS_DIM_MAX, 0, AT(problem.value_dim)},
    {"causal", TRUTH, 0, 0, 0, AT(problem.causal)},
    {"scale", NUMBER, -1e30, 1e30, 0, AT(problem.scale)},
    {"tol", NUMBER, 0, 1e30, 0, AT(tol)},
    {"tol_of", WORD, 0, 0, "outputs|range|lse", AT(tol_of)},
    {"guarantee", WORD, 0, 0, "bound|sampled", AT(guarantee)},
    {"move", WORD, 0, 0, "auto|tiles|heads|queries|summaries", AT(move)},
};
enum { RULES = sizeof rules / sizeof rules[0] };
_Static_assert(sizeof(precis_move) == sizeof(int) && sizeof(precis_guarantee) == sizeof(int) &&
                   sizeof(precis_unit) == sizeof(int),
               "words are stored as int");

static int refuse(const rule *r, precis_message *why)
{
  switch (r->type) {
  case WHOLE:
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s must be a whole number from %.0f to %.0f", r->name, r->least,
                              r->most);
  case NUMBER:
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s must be a number from %g to %g",
                              r->name, r->least, r->most);
  case TRUTH:
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s must be true or false", r->name);
  case WORD:
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s must be one of %s", r->name, r->words);
  case TEXT:
    break;
  }
  return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s must be a text of at most %.0f bytes",
                            r->name, r->most);
}

/* The index of the word among those separated by |, or -1. */
static int find_word(const char *words, const char *word)
{
  size_t length = strlen(word);
  for (int i = 0; words != NULL; i++) {
    if (strcspn(words, "|") == length && strncmp(words, word, length) == 0)
      return i;
    words = strchr(words, '|');
    words = words ? words + 1 : NULL;
  }
  return -1;
}

/* Returns nonzero if the value is good, and then stores it. */
static int store(const rule *r, const json_t *value, precis_spec *spec)
{
  char *place = (char *)spec + r->offset;
  double number = json_number_value(value);
  int good = 0, word;
  switch (r->type) {
  case WHOLE:
    good = json_is_integer(value) && number >= r->least && number <= r->most;
    if (good)
      *(int *)place = (int)json_integer_value(value);
    break;
  case NUMBER:
    good = json_is_number(value) && number >= r->least && number <= r->most;
    if (good)
      *(double *)place = number;
    break;
  case TRUTH:
    good = json_is_boolean(value);
    *(int *)place = json_is_true(value);
    break;
  case WORD:
    word = json_is_string(value) ? find_word(r->words, json_string_value(value)) : -1;
    good = word >= 0;
    *(int *)place = good ? word : 0;
    break;
  case TEXT:
    good = json_is_string(value) && (double)json_string_length(value) <= r->most;
    if (good)
      strcpy(place, json_string_value(value));
    break;
  }
  return good;
}

static int take_members(json_t *root, precis_spec *spec, const char **field, precis_message *why)
{
  const char *key;
  json_t *value;
  json_object_foreach (root, key, value) {
    int i = 0;
    while (i < RULES && strcmp(rules[i].name, key) != 0)
      i++;
    if (i == RULES) {
      *field = "body";
      return precis_message_set(why, PRECIS_ERR_ARGUMENT, "\"%.60s\" is not known", key);
    }
    *field = rules[i].name;
    if (!store(&rules[i], value, spec))
      return refuse(&rules[i], why);
  }
  return PRECIS_SUCCESS;
}

static int check_whole(precis_spec *spec, const char **field, precis_message *why)
{
  const precis_problem *p = &spec->problem;
  *field = p->heads == 0 ? "heads" : p->dim == 0 ? "dim" : NULL;
  if (*field != NULL)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is missing", *field);
  *field = "kv_heads";
  int status = precis_problem_settle(&spec->problem, why);
  if (status != PRECIS_SUCCESS)
    return status;
  /* Rows are sent and counted in ints. */
  *field = "heads";
  if ((int64_t)p->heads * (p->dim > p->value_dim ? p->dim : p->value_dim) > 1 << 20)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "heads times dim, or value_dim, must be at most %d", 1 << 20);
  return PRECIS_SUCCESS;
}

int precis_spec_parse(const char *text, size_t bytes, precis_spec *spec, const char **field,
                      precis_message *why)
{
  json_error_t error;
  precis_spec made = {.tol = 0};
  *field = "body";
  if (bytes == 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "a JSON object with heads and dim is "
                              "wanted");
  json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
  if (root == NULL)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "no JSON: byte %d: %s", error.position,
                              error.text);
  int status = PRECIS_ERR_ARGUMENT;
  if (json_is_object(root))
    status = take_members(root, &made, field, why);
  else
    precis_message_set(why, PRECIS_ERR_ARGUMENT, "must be a JSON object");
  json_decref(root);
  if (status == PRECIS_SUCCESS)
    status = check_whole(&made, field, why);
  if (status == PRECIS_SUCCESS)
    *spec = made;
  return status;
}
