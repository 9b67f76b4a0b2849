#include "src/files/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis.h"

/* The file is at fault. */
#define fault(why, ...) precis_message_set(why, PRECIS_ERR_FORMAT, __VA_ARGS__)

static const char MAGIC[] = "\x93NUMPY";
enum { MAGIC_BYTES = 6, ALIGNMENT = 64, TEXT_MOST = 1 << 20 };
/* Bytes of magic, version and length, which precede the text; version 1 has two bytes for the
 * length, later ones four. */
enum { TEXT_OFFSET_1 = 10, TEXT_OFFSET_2 = 12 };

int precis_npy_recognise(const void *prefix, int64_t prefix_bytes)
{
  return prefix_bytes >= MAGIC_BYTES && memcmp(prefix, MAGIC, MAGIC_BYTES) == 0;
}

static int64_t text_offset(const unsigned char *header)
{
  return header[MAGIC_BYTES] == 1 ? TEXT_OFFSET_1 : TEXT_OFFSET_2;
}

int precis_npy_header_bytes(const char *path, const void *prefix, int64_t prefix_bytes,
                            int64_t file_bytes, int64_t *header_bytes, precis_message *why)
{
  const unsigned char *at = prefix;
  if (prefix_bytes < MAGIC_BYTES + 2 || prefix_bytes < text_offset(at))
    return fault(why, "%s: truncated .npy header: the file has %" PRId64 " bytes", path,
                 file_bytes);
  int major = at[MAGIC_BYTES], minor = at[MAGIC_BYTES + 1];
  if (major < 1 || major > 3 || minor != 0)
    return fault(why, "%s: .npy version %d.%d is not supported (1.0, 2.0, 3.0 are)", path, major,
                 minor);
  int64_t text = at[8] | at[9] << 8;
  if (major > 1)
    text |= (int64_t)at[10] << 16 | (int64_t)at[11] << 24;
  if (text > TEXT_MOST)
    return fault(why, "%s: .npy header of %" PRId64 " bytes, more than the %d that are allowed",
                 path, text, TEXT_MOST);
  if (text > file_bytes - text_offset(at))
    return fault(why, "%s: truncated .npy header: expected %" PRId64 " bytes, found %" PRId64, path,
                 text, file_bytes - text_offset(at));
  *header_bytes = text_offset(at) + text;
  return PRECIS_SUCCESS;
}

/* Where in the text we are. */
typedef struct reader {
  const char *path, *begin, *at, *end;
  precis_message *why;
} reader;

static int length_of(const char *from, const char *to, int most)
{
  return to - from < most ? (int)(to - from) : most;
}

static int unexpected(const reader *r, const char *expected)
{
  return fault(r->why, "%s: corrupt .npy header: expected %s at character %d, found '%.*s'",
               r->path, expected, (int)(r->at - r->begin), length_of(r->at, r->end, 24), r->at);
}

static void skip_space(reader *r)
{
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
    r->at++;
}

static int take(reader *r, char c)
{
  skip_space(r);
  if (r->at == r->end || *r->at != c)
    return 0;
  r->at++;
  return 1;
}

static int take_word(reader *r, const char *word)
{
  skip_space(r);
  size_t length = strlen(word);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
    return 0;
  r->at += length;
  return 1;
}

/* Escapes are not needed for any string that we understand. */
static int take_string(reader *r, const char **string, int *length)
{
  skip_space(r);
  if (r->at == r->end || (*r->at != '\'' && *r->at != '"'))
    return 0;
  const char *begin = r->at + 1, *stop = memchr(begin, *r->at, (size_t)(r->end - begin));
  if (stop == NULL)
    return 0;
  *string = begin;
  *length = (int)(stop - begin);
  r->at = stop + 1;
  return 1;
}

static int equal(const char *string, int length, const char *word)
{
  return (size_t)length == strlen(word) && memcmp(string, word, (size_t)length) == 0;
}

static int parse_descr(reader *r, precis_tensor *tensor)
{
  static const struct {
    const char *descr;
    precis_dtype dtype;
  } known[] = {{"f4", PRECIS_F32}, {"f2", PRECIS_F16}, {"f8", PRECIS_F64}};
  const char *descr;
  int length;
  skip_space(r);
  if (r->at < r->end && *r->at == '[')
    return fault(r->why,
                 "%s: descr is a structured type, only '<f2', '<f4' and '<f8' are supported",
                 r->path);
  if (!take_string(r, &descr, &length))
    return unexpected(r, "a type such as '<f4'");
  int big = length > 1 && descr[0] == '>';
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if ((big || (length > 1 && descr[0] == '<')) && equal(descr + 1, length - 1, known[i].descr)) {
      tensor->dtype = known[i].dtype;
      tensor->big_endian = big;
      return PRECIS_SUCCESS;
    }
  /* What NumPy, which has no such type, makes of an array of bfloat16. */
  if (length == 3 && equal(descr + 1, 2, "V2"))
    return fault(r->why,
                 "%s: descr '%.*s' is likely bfloat16, which .npy cannot name: save "
                 "x.astype('float32'), or a .safetensors file",
                 r->path, length, descr);
  return fault(r->why,
               "%s: descr '%.*s' is not supported, only '<f2', '<f4' and '<f8' are, and '>f2' ...: "
               "save x.astype('float32')",
               r->path, length < 40 ? length : 40, descr);
}

static int parse_order(reader *r, int *fortran)
{
  *fortran = take_word(r, "True");
  if (*fortran || take_word(r, "False"))
    return PRECIS_SUCCESS;
  return unexpected(r, "True or False for fortran_order");
}

static int parse_length(reader *r, int64_t *length)
{
  skip_space(r);
  const char *begin = r->at;
  int negative = take(r, '-'), overflow = 0;
  const char *digits = r->at;
  *length = 0;
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
    overflow |= __builtin_mul_overflow(*length, 10, length) ||
                __builtin_add_overflow(*length, *r->at - '0', length);
  if (r->at == digits)
    return unexpected(r, "a length in shape");
  if (negative || overflow)
    return fault(r->why, "%s: shape holds %.*s, which is %s", r->path, length_of(begin, r->at, 40),
                 begin, negative ? "negative" : "too large");
  take(r, 'L'); /* Python 2 wrote long integers so */
  return PRECIS_SUCCESS;
}

static int parse_shape(reader *r, precis_tensor *tensor)
{
  tensor->axes = 0;
  if (!take(r, '('))
    return unexpected(r, "the '(' of shape");
  while (!take(r, ')')) {
    if (tensor->axes == PRECIS_TENSOR_AXES)
      return fault(r->why, "%s: shape has more than %d axes", r->path, PRECIS_TENSOR_AXES);
    int status = parse_length(r, &tensor->shape[tensor->axes++]);
    if (status != PRECIS_SUCCESS)
      return status;
    if (take(r, ','))
      continue;
    if (tensor->axes == 1 || !take(r, ')'))
      return unexpected(r, "',' in shape");
    break;
  }
  if (tensor->axes == 0)
    return fault(r->why, "%s: shape is (), a single number, not an array", r->path);
  return PRECIS_SUCCESS;
}

static int parse_text(reader *r, precis_tensor *tensor, int *fortran)
{
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  int seen[3] = {0};
  if (!take(r, '{'))
    return unexpected(r, "'{'");
  while (!take(r, '}')) {
    const char *key;
    int length, which = 0, status;
    if (!take_string(r, &key, &length))
      return unexpected(r, "a key");
    while (which < 3 && !equal(key, length, keys[which]))
      which++;
    if (which == 3 || seen[which]++)
      return fault(r->why, "%s: corrupt .npy header: %s key '%.*s'", r->path,
                   which == 3 ? "unknown" : "repeated", length < 40 ? length : 40, key);
    if (!take(r, ':'))
      return unexpected(r, "':'");
    status = which == 0   ? parse_descr(r, tensor)
             : which == 1 ? parse_order(r, fortran)
                          : parse_shape(r, tensor);
    if (status != PRECIS_SUCCESS)
      return status;
    if (!take(r, ',') && (r->at == r->end || *r->at != '}'))
      return unexpected(r, "',' or '}'");
  }
  skip_space(r);
  if (r->at != r->end)
    return unexpected(r, "the end");
  for (int i = 0; i < 3; i++)
    if (!seen[i])
      return fault(r->why, "%s: corrupt .npy header: no key '%s'", r->path, keys[i]);
  return PRECIS_SUCCESS;
}

/* Fortran order is C order where at most one axis is longer than 1, and where there is nothing to
 * order. */
static int order_matters(const precis_tensor *tensor)
{
  int longer = 0, empty = 0;
  for (int i = 0; i < tensor->axes; i++) {
    longer += tensor->shape[i] > 1;
    empty |= tensor->shape[i] == 0;
  }
  return longer > 1 && !empty;
}

/* All but the length of the file. */
static int parse_tensor(const char *path, const void *header, int64_t header_bytes,
                        precis_tensor *tensor, precis_message *why)
{
  const char *begin = (const char *)header + text_offset(header);
  reader r = {path, begin, begin, (const char *)header + header_bytes, why};
  precis_tensor parsed = {.offset = header_bytes};
  int fortran = 0;
  int status = parse_text(&r, &parsed, &fortran);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_shape_text shape = precis_tensor_shape_text(&parsed);
  if (!precis_tensor_fits(&parsed))
    return fault(why, "%s: shape %s is too large", path, shape.text);
  parsed.fortran = fortran && order_matters(&parsed);
  *tensor = parsed;
  return PRECIS_SUCCESS;
}

int precis_npy_parse(const char *path, const void *header, int64_t header_bytes, int64_t file_bytes,
                     precis_tensor *tensor, precis_message *why)
{
  precis_tensor parsed;
  int status = parse_tensor(path, header, header_bytes, &parsed, why);
  if (status != PRECIS_SUCCESS)
    return status;
  int64_t expected = precis_tensor_bytes(&parsed), found = file_bytes - header_bytes;
  if (expected != found)
    return fault(why, "%s: %s: %s of shape %s takes %" PRId64 " bytes of data, found %" PRId64,
                 path, found < expected ? "truncated" : "trailing data",
                 precis_dtype_name(parsed.dtype), precis_tensor_shape_text(&parsed).text, expected,
                 found);
  *tensor = parsed;
  return PRECIS_SUCCESS;
}

int precis_npy_extent(const char *path, const void *header, int64_t header_bytes,
                      int64_t *file_bytes, precis_message *why)
{
  precis_tensor parsed;
  int status = parse_tensor(path, header, header_bytes, &parsed, why);
  if (status == PRECIS_SUCCESS)
    *file_bytes = header_bytes + precis_tensor_bytes(&parsed);
  return status;
}

int precis_npy_format(precis_tensor *tensor, char **header, int64_t *header_bytes,
                      precis_message *why)
{
  const char *descr = tensor->dtype == PRECIS_F32   ? "<f4"
                      : tensor->dtype == PRECIS_F16 ? "<f2"
                      : tensor->dtype == PRECIS_F64 ? "<f8"
                                                    : NULL;
  if (descr == NULL || !precis_tensor_fits(tensor))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, ".npy cannot hold %s of shape %s",
                              precis_dtype_name(tensor->dtype),
                              precis_tensor_shape_text(tensor).text);
  char text[256];
  int used = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                      descr, precis_tensor_shape_text(tensor).text);
  /* Spaces and one newline, so that the data are aligned. */
  int64_t bytes = (TEXT_OFFSET_1 + used + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  int64_t length = bytes - TEXT_OFFSET_1;
  char *made = malloc((size_t)bytes);
  if (made == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY,
                              "out of memory for a header of %" PRId64 " bytes", bytes);
  memset(made, ' ', (size_t)bytes);
  memcpy(made, MAGIC, MAGIC_BYTES);
  made[6] = 1;
  made[7] = 0;
  made[8] = (char)(length & 0xff);
  made[9] = (char)(length >> 8);
  memcpy(made + TEXT_OFFSET_1, text, (size_t)used);
  made[bytes - 1] = '\n';
  tensor->offset = bytes;
  *header = made;
  *header_bytes = bytes;
  return PRECIS_SUCCESS;
}
