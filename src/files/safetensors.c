#include "src/files/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "src/files/name_list.h"
#include "src/precis.h"

/* The file is at fault. */
#define fault(why, ...) precis_message_set(why, PRECIS_ERR_FORMAT, __VA_ARGS__)

static const char METADATA[] = "__metadata__";
/* The reference implementation has the same limit. */
enum { LENGTH_BYTES = 8, TEXT_MOST = 100000000 };

int precis_safetensors_recognise(const void *prefix, int64_t prefix_bytes)
{
  return prefix_bytes > LENGTH_BYTES && ((const char *)prefix)[LENGTH_BYTES] == '{';
}

static int is_text(const unsigned char *at)
{
  int i = 0;
  while (i < LENGTH_BYTES && at[i] >= ' ' && at[i] <= '~')
    i++;
  return i == LENGTH_BYTES;
}

int precis_safetensors_header_bytes(const char *path, const void *prefix, int64_t prefix_bytes,
                                    int64_t file_bytes, int64_t *header_bytes, precis_message *why)
{
  const unsigned char *at = prefix;
  uint64_t text = 0;
  if (prefix_bytes < LENGTH_BYTES)
    return fault(why, "%s: truncated .safetensors header: the file has %" PRId64 " bytes", path,
                 file_bytes);
  for (int i = 0; i < LENGTH_BYTES; i++)
    text |= (uint64_t)at[i] << 8 * i;
  if (text > TEXT_MOST && is_text(at))
    return fault(
        why,
        "%s: is no .safetensors file: it begins with the text '%.*s', where these have the "
        "length of their header",
        path, LENGTH_BYTES, (const char *)prefix);
  if (text > TEXT_MOST)
    return fault(why,
                 "%s: .safetensors header of %" PRIu64 " bytes, more than the %d that are allowed",
                 path, text, TEXT_MOST);
  if ((int64_t)text > file_bytes - LENGTH_BYTES)
    return fault(why,
                 "%s: truncated .safetensors header: expected %" PRIu64 " bytes, found %" PRId64,
                 path, text, file_bytes - LENGTH_BYTES);
  *header_bytes = LENGTH_BYTES + (int64_t)text;
  return PRECIS_SUCCESS;
}

/* Types as the format names them. Those of less than a byte are packed. */
static const struct {
  const char *name;
  int bits, supported;
  precis_dtype dtype;
} types[] = {
    {"F32", 32, 1, PRECIS_F32},
    {"F16", 16, 1, PRECIS_F16},
    {"BF16", 16, 1, PRECIS_BF16},
    {"F64", 64, 1, PRECIS_F64},
    {"BOOL", 8, 0, 0},
    {"U8", 8, 0, 0},
    {"I8", 8, 0, 0},
    {"I16", 16, 0, 0},
    {"U16", 16, 0, 0},
    {"I32", 32, 0, 0},
    {"U32", 32, 0, 0},
    {"I64", 64, 0, 0},
    {"U64", 64, 0, 0},
    {"C64", 64, 0, 0},
    {"F8_E5M2", 8, 0, 0},
    {"F8_E4M3", 8, 0, 0},
    {"F8_E8M0", 8, 0, 0},
    {"F6_E2M3", 6, 0, 0},
    {"F6_E3M2", 6, 0, 0},
    {"F4", 4, 0, 0},
};
enum { TYPES = sizeof types / sizeof types[0] };

static int find_type(const char *name)
{
  int i = 0;
  while (i < TYPES && strcmp(types[i].name, name) != 0)
    i++;
  return i;
}

/* What the header says of one tensor. Strings and shape belong to the JSON tree. */
typedef struct entry {
  const char *name, *dtype;
  const json_t *shape;
  int64_t begin, end; /* in the data */
} entry;

typedef struct table {
  const char *path;
  entry *entries; /* owned */
  size_t count;
  precis_message *why;
} table;

static int corrupt(const table *t, const char *name, const char *how)
{
  return fault(t->why, "%s: corrupt .safetensors header: tensor \"%.80s\": %s", t->path, name, how);
}

/* A JSON integer that is no less than 0, or -1. */
static int64_t natural(const json_t *value)
{
  return json_is_integer(value) && json_integer_value(value) >= 0
             ? (int64_t)json_integer_value(value)
             : -1;
}

/* Shape times dtype against offsets. A type of the future has a size that is not known here. */
static int check_size(const table *t, const entry *e)
{
  int64_t bits = find_type(e->dtype) < TYPES ? types[find_type(e->dtype)].bits : 0;
  int overflow = 0;
  for (size_t i = 0; i < json_array_size(e->shape); i++) {
    int64_t length = natural(json_array_get(e->shape, i));
    if (length < 0)
      return corrupt(t, e->name, "shape holds something else than lengths of 0 or more");
    overflow |= __builtin_mul_overflow(bits, length, &bits);
  }
  if (overflow)
    return corrupt(t, e->name, "shape is too large");
  if (find_type(e->dtype) < TYPES && (bits % 8 != 0 || bits / 8 != e->end - e->begin))
    return fault(
        t->why,
        "%s: corrupt .safetensors header: tensor \"%.80s\": shape and dtype %s take %" PRId64
        " bytes, data_offsets %" PRId64,
        t->path, e->name, e->dtype, bits / 8 + (bits % 8 != 0), e->end - e->begin);
  return PRECIS_SUCCESS;
}

static int read_entry(table *t, const char *name, const json_t *value)
{
  const json_t *dtype = json_object_get(value, "dtype"),
               *offsets = json_object_get(value, "data_offsets");
  entry *e = &t->entries[t->count++];
  *e = (entry){
      .name = name, .dtype = json_string_value(dtype), .shape = json_object_get(value, "shape")};
  if (!json_is_object(value))
    return corrupt(t, name, "it is not described by an object");
  if (e->dtype == NULL)
    return corrupt(t, name, "dtype is missing or not a string");
  if (!json_is_array(e->shape))
    return corrupt(t, name, "shape is missing or not an array");
  e->begin = natural(json_array_get(offsets, 0));
  e->end = natural(json_array_get(offsets, 1));
  if (json_array_size(offsets) != 2 || e->begin < 0 || e->end < e->begin)
    return corrupt(t, name, "data_offsets is not a pair of offsets, the lower one first");
  return check_size(t, e);
}

static int check_metadata(const table *t, const json_t *metadata)
{
  const char *key;
  const json_t *value;
  int good = json_is_object(metadata) || json_is_null(metadata); /* as the reference has it */
  json_object_foreach ((json_t *)(uintptr_t)metadata, key, value)
    good = good && json_is_string(value);
  if (good)
    return PRECIS_SUCCESS;
  return fault(t->why, "%s: corrupt .safetensors header: %s is not a map of strings", t->path,
               METADATA);
}

static int by_offset(const void *a, const void *b)
{
  const entry *x = a, *y = b;
  if (x->begin != y->begin)
    return x->begin < y->begin ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end);
}

/* The tensors tile the data: no overlap, no hole, and unless data_bytes is -1 nothing left over.
 * Sets *end to where they end. */
static int check_offsets(table *t, int64_t data_bytes, int64_t *end_bytes)
{
  int64_t end = 0;
  if (t->count > 0)
    qsort(t->entries, t->count, sizeof *t->entries, by_offset);
  for (size_t i = 0; i < t->count; end = t->entries[i++].end)
    if (t->entries[i].begin != end)
      return fault(
          t->why,
          "%s: corrupt .safetensors header: tensor \"%.80s\": data_offsets begin at %" PRId64
          ", %s %" PRId64 ", where the data before it end",
          t->path, t->entries[i].name, t->entries[i].begin,
          t->entries[i].begin < end ? "short of" : "past", end);
  *end_bytes = end;
  if (data_bytes >= 0 && end != data_bytes)
    return fault(t->why, "%s: %s: the tensors take %" PRId64 " bytes of data, found %" PRId64,
                 t->path, data_bytes < end ? "truncated" : "trailing data", end, data_bytes);
  return PRECIS_SUCCESS;
}

static int read_table(table *t, json_t *root, int64_t data_bytes, int64_t *end)
{
  const char *name;
  json_t *value;
  int status = PRECIS_SUCCESS;
  t->entries = malloc((json_object_size(root) + 1) * sizeof *t->entries);
  if (t->entries == NULL)
    return precis_message_set(t->why, PRECIS_ERR_MEMORY, "%s: out of memory for the header",
                              t->path);
  json_object_foreach (root, name, value) {
    status = strcmp(name, METADATA) == 0 ? check_metadata(t, value) : read_entry(t, name, value);
    if (status != PRECIS_SUCCESS)
      return status;
  }
  return check_offsets(t, data_bytes, end);
}

/* The entry in our own terms. */
static int convert(const table *t, const entry *e, int64_t header_bytes, precis_tensor *tensor)
{
  int type = find_type(e->dtype);
  size_t axes = json_array_size(e->shape);
  if (type == TYPES || !types[type].supported)
    return fault(t->why,
                 "%s: tensor \"%.80s\" has dtype %.20s, only F32, F16, BF16 and F64 are supported",
                 t->path, e->name, e->dtype);
  if (axes < 1 || axes > PRECIS_TENSOR_AXES)
    return fault(t->why, "%s: tensor \"%.80s\" has %zu axes, only 1 to %d are supported", t->path,
                 e->name, axes, PRECIS_TENSOR_AXES);
  precis_tensor made = {
      .dtype = types[type].dtype, .axes = (int)axes, .offset = header_bytes + e->begin};
  for (size_t i = 0; i < axes; i++)
    made.shape[i] = natural(json_array_get(e->shape, i));
  if (!precis_tensor_fits(&made))
    return fault(t->why, "%s: tensor \"%.80s\": shape %s is too large", t->path, e->name,
                 precis_tensor_shape_text(&made).text);
  *tensor = made;
  return PRECIS_SUCCESS;
}

static int pick(const table *t, const char *name, int64_t header_bytes, int *found,
                precis_tensor *tensor)
{
  size_t i = 0;
  while (i < t->count && strcmp(t->entries[i].name, name) != 0)
    i++;
  if (found != NULL)
    *found = i < t->count;
  if (i < t->count)
    return convert(t, &t->entries[i], header_bytes, tensor);
  if (found != NULL)
    return PRECIS_SUCCESS;
  precis_name_list list = {.used = 0};
  for (i = 0; i < t->count; i++)
    precis_name_list_add(&list, t->entries[i].name);
  return fault(t->why, "%s: no tensor \"%.80s\" among its %zu tensor%s (%s)", t->path, name,
               t->count, t->count == 1 ? "" : "s", t->count > 0 ? list.text : "none");
}

/* The JSON text, to be released by the caller. */
static int read_text(const char *path, const void *header, int64_t header_bytes, json_t **root,
                     precis_message *why)
{
  const char *text = (const char *)header + LENGTH_BYTES;
  int64_t text_bytes = header_bytes - LENGTH_BYTES;
  if (text_bytes < 1 || text[0] != '{')
    return fault(why, "%s: corrupt .safetensors header: it does not begin with '{'", path);
  json_error_t error;
  /* The depth is bounded by jansson itself (JSON_PARSER_MAX_DEPTH). */
  *root = json_loadb(text, (size_t)text_bytes, JSON_REJECT_DUPLICATES, &error);
  if (*root == NULL && json_error_code(&error) == json_error_out_of_memory)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory for the header", path);
  if (*root == NULL)
    return fault(why, "%s: corrupt .safetensors header: byte %d of the JSON text: %s", path,
                 error.position, error.text);
  return PRECIS_SUCCESS;
}

int precis_safetensors_parse(const char *path, const void *header, int64_t header_bytes,
                             int64_t file_bytes, const char *name, int *found,
                             precis_tensor *tensor, precis_message *why)
{
  json_t *root;
  int64_t end;
  int status = read_text(path, header, header_bytes, &root, why);
  if (status != PRECIS_SUCCESS)
    return status;
  table t = {.path = path, .why = why};
  status = read_table(&t, root, file_bytes - header_bytes, &end);
  if (status == PRECIS_SUCCESS)
    status = pick(&t, name, header_bytes, found, tensor);
  free(t.entries);
  json_decref(root);
  return status;
}

int precis_safetensors_each(const char *path, const void *header, int64_t header_bytes,
                            int64_t file_bytes, precis_safetensors_visit *visit, void *context,
                            precis_message *why)
{
  json_t *root;
  int64_t end;
  int status = read_text(path, header, header_bytes, &root, why);
  if (status != PRECIS_SUCCESS)
    return status;
  table t = {.path = path, .why = why};
  status = read_table(&t, root, file_bytes - header_bytes, &end);
  for (size_t i = 0; status == PRECIS_SUCCESS && i < t.count; i++)
    visit(context, t.entries[i].name);
  free(t.entries);
  json_decref(root);
  return status;
}

int precis_safetensors_extent(const char *path, const void *header, int64_t header_bytes,
                              int64_t *file_bytes, precis_message *why)
{
  json_t *root;
  int64_t end = 0;
  int status = read_text(path, header, header_bytes, &root, why);
  if (status != PRECIS_SUCCESS)
    return status;
  table t = {.path = path, .why = why};
  status = read_table(&t, root, -1, &end);
  if (status == PRECIS_SUCCESS && end > INT64_MAX - header_bytes)
    status = fault(why, "%s: corrupt .safetensors header: the data end beyond any file", path);
  if (status == PRECIS_SUCCESS)
    *file_bytes = header_bytes + end;
  free(t.entries);
  json_decref(root);
  return status;
}
