#include "mpi/service/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/service/record.h"
#include "src/problem.h"

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
      "{s:{s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:f, s:f, s:i, s:i, s:f, s:s, s:s, s:s, s:s}}",
      "context", "id", c->id, "name", c->spec.name, "heads", p->heads, "kv_heads", p->kv_heads,
      "dim", p->dim, "value_dim", p->value_dim, "causal", p->causal, "scale", p->scale, "tol",
      c->spec.tol, "guarantee", (int)c->spec.guarantee, "move", (int)c->spec.move, "created",
      c->created, "key", c->key, "parent", c->parent, "owner", c->owner, "sum", c->sum.text);
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

char *precis_manifest_text(const precis_context *c)
{
  json_t *first = context_record(c), *second = NULL;
  char *head = precis_record_format(first), *tail = NULL, *text = NULL;
  if (json_array_size(c->segments) > 0) {
    second = append_record(c->tokens, c->with_bias, "", "", c->sequence, c->segments);
    tail = precis_record_format(second);
  }
  if (head != NULL && (second == NULL) == (tail == NULL))
    text = malloc(strlen(head) + (tail ? strlen(tail) : 0) + 1);
  if (text != NULL)
    strcat(strcpy(text, head), tail ? tail : "");
  free(head);
  free(tail);
  json_decref(first);
  json_decref(second);
  return text;
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
  const char *id, *name, *key, *parent, *owner = "", *sum = ""; /* 0.1.0 knew none of these two */
  int guarantee, move;
  precis_problem *p = &c->spec.problem;
  precis_message why;
  int bad = json_unpack(
      record,
      "{s:{s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:F, s:F, s:i, s:i, s:F, s:s, s:s, s?s, s?s}}",
      "context", "id", &id, "name", &name, "heads", &p->heads, "kv_heads", &p->kv_heads, "dim",
      &p->dim, "value_dim", &p->value_dim, "causal", &p->causal, "scale", &p->scale, "tol",
      &c->spec.tol, "guarantee", &guarantee, "move", &move, "created", &c->created, "key", &key,
      "parent", &parent, "owner", &owner, "sum", &sum);
  if (bad || !copy_text(id, c->id, sizeof c->id) ||
      !copy_text(name, c->spec.name, sizeof c->spec.name) ||
      !copy_text(key, c->key, sizeof c->key) || !copy_text(parent, c->parent, sizeof c->parent) ||
      !copy_text(owner, c->owner, sizeof c->owner) ||
      !copy_text(sum, c->sum.text, sizeof c->sum.text))
    return PRECIS_ERR_FORMAT;
  c->spec.guarantee = (precis_guarantee)guarantee;
  c->spec.move = (precis_move)move;
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

/* The line at text, the first or a later one. */
static int read_line(const char *text, int64_t bytes, int first, precis_context *c)
{
  int64_t length;
  json_t *record = precis_record_parse(text, bytes, &length);
  int status = PRECIS_ERR_FORMAT;
  if (record != NULL)
    status = first ? read_context(record, c) : read_append(record, c);
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
