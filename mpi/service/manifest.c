#include "mpi/service/manifest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/service/record.h"
#include "mpi/sequence/signal.h"
#include "src/base/memory.h"
#include "src/base/problem.h"

static precis_manifest_path path_of(const char *data, const char *id, const char *ending)
{
  precis_manifest_path path;
  snprintf(path.text, sizeof path.text, "%s/contexts/%s%s", data, id, ending);
  return path;
}

precis_manifest_path precis_manifest_at(const char *data, const char *id)
{
  return path_of(data, id, PRECIS_MANIFEST_ENDING);
}

precis_manifest_path precis_manifest_grave_at(const char *data, const char *id)
{
  return path_of(data, id, PRECIS_MANIFEST_GRAVE);
}

precis_manifest_path precis_manifest_anew_at(const char *data, const char *id)
{
  return path_of(data, id, PRECIS_MANIFEST_ANEW);
}

int precis_manifest_is_named(const char *file, const char *ending, char *id)
{
  size_t digits = file[0] == 'c' ? strspn(file + 1, "0123456789abcdef") : 0;
  snprintf(id, PRECIS_CONTEXT_ID, "%.*s", PRECIS_SEGMENT_JOB + 1, file);
  return digits == PRECIS_SEGMENT_JOB && strcmp(file + 1 + digits, ending) == 0;
}

static json_t *context_record(const precis_context *c)
{
  const precis_problem *p = &c->spec.problem;
  return json_pack(
      "{s:{s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:f, s:f, s:i, s:i, s:f, s:s, s:s, s:s, s:s, s:i}}",
      "context", "id", c->id, "name", c->spec.name, "heads", p->heads, "kv_heads", p->kv_heads,
      "dim", p->dim, "value_dim", p->value_dim, "causal", p->causal, "scale", p->scale, "tol",
      c->spec.tol, "guarantee", (int)c->spec.guarantee, "move", (int)c->spec.move, "created",
      c->created, "key", c->key, "parent", c->parent, "owner", c->owner, "sum", c->sum.text,
      "tol_of", (int)c->spec.tol_of);
}

static json_t *append_record(int64_t rows, int with_bias, const char *key, const char *sum,
                             int64_t sequence, json_t *segments)
{
  return json_pack("{s:{s:I, s:b, s:s, s:s, s:I, s:O}}", "append", "rows", (json_int_t)rows, "bias",
                   with_bias, "key", key, "sum", sum, "sequence", (json_int_t)sequence, "segments",
                   segments);
}

json_t *precis_manifest_append(const precis_stage *stage, json_t *segments)
{
  return append_record(stage->rows, stage->with_bias, stage->key, stage->sum.text,
                       stage->context->sequence + 1, segments);
}

static json_t *numbers(const double *x, int64_t count)
{
  json_t *list = json_array();
  for (int64_t i = 0; i < count; i++)
    json_array_append_new(list, isfinite(x[i]) ? json_real(x[i]) : json_null());
  return list;
}

json_t *precis_manifest_unit(const precis_context *c, int with_mean)
{
  const precis_problem *p = &c->spec.problem;
  const double *mean = c->unit + 1, *sums = mean + (int64_t)p->heads * p->dim;
  json_t *unit = json_pack("{s:o, s:o, s:o}", "sum", numbers(sums, p->heads), "most",
                           numbers(sums + p->heads, p->heads), "rows",
                           numbers(sums + 2 * (int64_t)p->heads, p->heads));
  if (unit != NULL && with_mean)
    json_object_set_new(unit, "mean_query", numbers(mean, (int64_t)p->heads * p->dim));
  return json_pack("{s:o}", "unit", unit);
}

/* Another line; NULL without memory, and then what was there is freed. Takes the record. */
static char *add_line(char *text, json_t *record)
{
  char *line = precis_record_format(record),
       *both = line && text ? realloc(text, strlen(text) + strlen(line) + 1) : NULL;
  json_decref(record);
  if (both != NULL)
    strcat(both, line);
  else
    free(text);
  free(line);
  return both;
}

char *precis_manifest_text(const precis_context *c)
{
  char *text = add_line(calloc(1, 1), context_record(c));
  if (json_array_size(c->segments) > 0)
    text = add_line(text, append_record(c->tokens, c->with_bias, "", "", c->sequence, c->segments));
  if (c->merged || json_object_size(c->keys) > 0)
    text = add_line(text, precis_manifest_before(c));
  return c->unit != NULL ? add_line(text, precis_manifest_unit(c, 1)) : text;
}

json_t *precis_manifest_segments(const precis_segment *segments, int count)
{
  json_t *list = json_array();
  for (int i = 0; i < count && list != NULL; i++) {
    json_t *pair = json_pack("[s, I, s]", segments[i].name, (json_int_t)segments[i].rows,
                             segments[i].sum.text);
    if (json_array_append_new(list, pair) != 0) {
      json_decref(list);
      return NULL;
    }
  }
  return list;
}

static int copy_text(const char *from, char *to, size_t size)
{
  return from != NULL && snprintf(to, size, "%s", from) < (int)size;
}

static int read_context(json_t *record, precis_context *c)
{
  /* 0.1.0 knew none of these three, and had one unit. */
  const char *id, *name, *key, *parent, *owner = "", *sum = "";
  int guarantee, move, tol_of = PRECIS_UNIT_RANGE;
  precis_problem *p = &c->spec.problem;
  precis_message why;
  int bad = json_unpack(
      record,
      "{s:{s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:F, s:F, s:i, s:i, s:F, s:s, s:s, s?s, s?s, s?i}}",
      "context", "id", &id, "name", &name, "heads", &p->heads, "kv_heads", &p->kv_heads, "dim",
      &p->dim, "value_dim", &p->value_dim, "causal", &p->causal, "scale", &p->scale, "tol",
      &c->spec.tol, "guarantee", &guarantee, "move", &move, "created", &c->created, "key", &key,
      "parent", &parent, "owner", &owner, "sum", &sum, "tol_of", &tol_of);
  if (bad || !copy_text(id, c->id, sizeof c->id) ||
      !copy_text(name, c->spec.name, sizeof c->spec.name) ||
      !copy_text(key, c->key, sizeof c->key) || !copy_text(parent, c->parent, sizeof c->parent) ||
      !copy_text(owner, c->owner, sizeof c->owner) ||
      !copy_text(sum, c->sum.text, sizeof c->sum.text))
    return PRECIS_ERR_FORMAT;
  c->spec.guarantee = (precis_guarantee)guarantee;
  c->spec.move = (precis_move)move;
  c->spec.tol_of = (precis_unit)tol_of;
  if (tol_of < PRECIS_UNIT_OUTPUTS || tol_of > PRECIS_UNIT_LSE)
    return PRECIS_ERR_FORMAT;
  return precis_problem_settle(p, &why) == PRECIS_SUCCESS ? PRECIS_SUCCESS : PRECIS_ERR_FORMAT;
}

int precis_manifest_segment(const json_t *entry, precis_segment *segment)
{
  const char *name = json_string_value(json_array_get(entry, 0)),
             *sum = json_string_value(json_array_get(entry, 2));
  const json_t *rows = json_array_get(entry, 1);
  segment->rows = (int64_t)json_integer_value(rows);
  if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL ||
      !copy_text(name, segment->name, sizeof segment->name) || !json_is_integer(rows) ||
      segment->rows < 0 || !copy_text(sum ? sum : "", segment->sum.text, sizeof segment->sum.text))
    return PRECIS_ERR_FORMAT;
  return PRECIS_SUCCESS;
}

/* The rows of the segments, or -1. */
static int64_t rows_of(json_t *segments)
{
  int64_t sum = 0;
  size_t i;
  json_t *entry;
  json_array_foreach(segments, i, entry)
  {
    precis_segment segment;
    if (precis_manifest_segment(entry, &segment) != PRECIS_SUCCESS ||
        __builtin_add_overflow(sum, segment.rows, &sum))
      return -1;
  }
  return sum;
}

static int read_append(json_t *record, precis_context *c)
{
  json_int_t rows, sequence;
  int with_bias;
  const char *key, *sum = "";
  json_t *segments;
  if (json_unpack(record, "{s:{s:I, s:b, s:s, s?s, s:I, s:o}}", "append", "rows", &rows, "bias",
                  &with_bias, "key", &key, "sum", &sum, "sequence", &sequence, "segments",
                  &segments) != 0 ||
      rows_of(segments) != rows)
    return PRECIS_ERR_FORMAT;
  if (json_array_extend(c->segments, segments) != 0)
    return PRECIS_ERR_MEMORY;
  c->tokens += rows;
  c->with_bias |= with_bias;
  c->sequence = sequence;
  precis_contexts_remember(c, key, sum, rows);
  return PRECIS_SUCCESS;
}

/* null is infinity, of sums that are bounds. */
static int read_numbers(json_t *list, int64_t count, double *to)
{
  if (!json_is_array(list) || (int64_t)json_array_size(list) != count)
    return PRECIS_ERR_FORMAT;
  for (int64_t i = 0; i < count; i++) {
    const json_t *value = json_array_get(list, (size_t)i);
    to[i] = json_is_null(value) ? INFINITY : json_number_value(value);
    if (!json_is_null(value) && !json_is_number(value))
      return PRECIS_ERR_FORMAT;
  }
  return PRECIS_SUCCESS;
}

/* The mean query is in the first of them alone. */
static int read_unit(json_t *unit, precis_context *c)
{
  const precis_problem *p = &c->spec.problem;
  json_t *mean_query = json_object_get(unit, "mean_query");
  int first = c->unit == NULL;
  if (first && mean_query == NULL)
    return PRECIS_ERR_FORMAT;
  if (first)
    c->unit = precis_memory_array(precis_signal_numbers(p), sizeof *c->unit);
  if (c->unit == NULL)
    return PRECIS_ERR_MEMORY;
  double *mean = c->unit + 1, *sums = mean + (int64_t)p->heads * p->dim;
  c->unit[0] = 1;
  int status = PRECIS_SUCCESS;
  if (mean_query != NULL)
    status = read_numbers(mean_query, (int64_t)p->heads * p->dim, mean);
  static const char *const names[] = {"sum", "most", "rows"};
  for (int i = 0; i < 3 && status == PRECIS_SUCCESS; i++)
    status = read_numbers(json_object_get(unit, names[i]), p->heads, sums + i * (int64_t)p->heads);
  for (int h = 0; h < p->heads && status == PRECIS_SUCCESS; h++)
    c->unit_recorded = fmax(c->unit_recorded, sums[2 * (int64_t)p->heads + h]);
  return status;
}

static int read_later(json_t *record, precis_context *c)
{
  json_t *unit = json_object_get(record, "unit"), *merge = json_object_get(record, "merge"),
         *before = json_object_get(record, "before");
  if (merge != NULL)
    return precis_manifest_read_merge(merge, c);
  if (before != NULL)
    return precis_manifest_read_before(before, c);
  return unit != NULL ? read_unit(unit, c) : read_append(record, c);
}

/* The line at text, the first or a later one. */
static int read_line(const char *text, int64_t bytes, int first, precis_context *c)
{
  int64_t length;
  json_t *record = precis_record_parse(text, bytes, &length);
  int status = PRECIS_ERR_FORMAT;
  if (record != NULL)
    status = first ? read_context(record, c) : read_later(record, c);
  json_decref(record);
  return status;
}

int precis_manifest_parse(const char *label, const char *text, int64_t bytes, precis_context *c,
                          int64_t *used, precis_message *why)
{
  int line = 0, status = PRECIS_SUCCESS;
  const char *end;
  *used = 0;
  while (status == PRECIS_SUCCESS &&
         (end = memchr(text + *used, '\n', (size_t)(bytes - *used))) != NULL) {
    int64_t length = end + 1 - (text + *used);
    line++;
    status = read_line(text + *used, length, line == 1, c);
    *used += status == PRECIS_SUCCESS ? length : 0;
  }
  if (status == PRECIS_ERR_MEMORY)
    return precis_message_set(why, status, "%s: out of memory", label);
  if (line == 0 || status != PRECIS_SUCCESS)
    return precis_message_set(why, PRECIS_ERR_FORMAT,
                              "%s: is no manifest that this version can read: line %d is damaged",
                              label, line == 0 ? 1 : line);
  return PRECIS_SUCCESS;
}
