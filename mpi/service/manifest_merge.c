/* manifest_merge.c - lines that keep a manifest and the list of segments short */
#include "mpi/service/manifest.h"

json_t *precis_manifest_merge(int64_t first, int64_t count, const precis_segment *to)
{
  json_t *list = precis_manifest_segments(to, 1),
         *record = json_pack("{s:{s:I, s:I, s:o?}}", "merge", "first", (json_int_t)first, "count",
                             (json_int_t)count, "segment", json_incref(json_array_get(list, 0)));
  json_decref(list);
  return record;
}

json_t *precis_manifest_splice(const json_t *segments, int64_t first, int64_t count, json_t *entry)
{
  json_t *list = json_array();
  int bad = list == NULL;
  for (int64_t i = 0; i < (int64_t)json_array_size(segments) && !bad; i++) {
    if (i == first)
      bad = json_array_append(list, entry) != 0;
    if (i < first || i >= first + count)
      bad |= json_array_append(list, json_array_get(segments, (size_t)i)) != 0;
  }
  if (!bad)
    return list;
  json_decref(list);
  return NULL;
}

static int64_t rows_in(const json_t *segments, int64_t first, int64_t count)
{
  int64_t rows = 0;
  for (int64_t i = first; i < first + count; i++)
    rows += (int64_t)json_integer_value(
        json_array_get(json_array_get(segments, (size_t)i), 1));
  return rows;
}

int precis_manifest_read_merge(json_t *merge, precis_context *c)
{
  json_int_t first, count, have = (json_int_t)json_array_size(c->segments);
  json_t *entry;
  precis_segment segment;
  if (json_unpack(merge, "{s:I, s:I, s:o}", "first", &first, "count", &count, "segment", &entry) !=
          0 ||
      first < 0 || count < 1 || count > have || first > have - count ||
      precis_manifest_segment(entry, &segment) != PRECIS_SUCCESS ||
      segment.rows != rows_in(c->segments, first, count))
    return PRECIS_ERR_FORMAT;
  json_t *list = precis_manifest_splice(c->segments, first, count, entry);
  if (list == NULL)
    return PRECIS_ERR_MEMORY;
  json_decref(c->segments);
  c->segments = list;
  c->merged = 1;
  return PRECIS_SUCCESS;
}

json_t *precis_manifest_before(const precis_context *c)
{
  return json_pack("{s:{s:b, s:O}}", "before", "merged", c->merged, "keys", c->keys);
}

int precis_manifest_read_before(json_t *before, precis_context *c)
{
  json_t *keys;
  int merged;
  if (json_unpack(before, "{s:b, s:o}", "merged", &merged, "keys", &keys) != 0 ||
      !json_is_object(keys))
    return PRECIS_ERR_FORMAT;
  c->merged |= merged;
  return json_object_update(c->keys, keys) == 0 ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}
