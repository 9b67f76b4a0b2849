/* Headers of .safetensors files, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/precis.h"
#include "src/files/safetensors.h"

/* Looks for tensor "q" in a file with this text and so many bytes of data. */
static int parse_bytes(const char *text, size_t length, int64_t data_bytes, int *found,
                       precis_tensor *tensor, precis_message *why)
{
  char *header = malloc(8 + length);
  int64_t bytes = 8 + (int64_t)length, measured = 0;
  for (int i = 0; i < 8; i++)
    header[i] = (char)(length >> 8 * i & 0xff);
  memcpy(header + 8, text, length);
  why->text[0] = '\0';
  int status = precis_safetensors_header_bytes(
      "f", header, bytes < PRECIS_SAFETENSORS_PREFIX ? bytes : PRECIS_SAFETENSORS_PREFIX,
      bytes + data_bytes, &measured, why);
  if (status == PRECIS_SUCCESS) {
    assert_int_equal(measured, bytes);
    status = precis_safetensors_parse("f", header, bytes, bytes + data_bytes, "q", found, tensor,
                                      why);
  }
  free(header);
  return status;
}

static int parse(const char *text, int64_t data_bytes, int *found, precis_tensor *tensor,
                 precis_message *why)
{
  return parse_bytes(text, strlen(text), data_bytes, found, tensor, why);
}

#define Q24 "\"q\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}"

static const struct {
  const char *text;
  int64_t data_bytes;
  precis_dtype dtype;
  int axes;
  int64_t shape[4];
  int64_t begin;
} goods[] = {
    {"{" Q24 "}", 24, PRECIS_F32, 2, {2, 3}, 0},
    {"{" Q24 "}       ", 24, PRECIS_F32, 2, {2, 3}, 0},
    {"{\"__metadata__\":{\"a\":\"b\",\"c\":\"\"}," Q24 "}", 24, PRECIS_F32, 2, {2, 3}, 0},
    {"{\"__metadata__\":null," Q24 "}", 24, PRECIS_F32, 2, {2, 3}, 0},
    {"{\"__metadata__\":{}," Q24 "}", 24, PRECIS_F32, 2, {2, 3}, 0},
    {"{\"q\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]}}", 8, PRECIS_F16, 1, {4}, 0},
    {"{\"q\":{\"dtype\":\"BF16\",\"shape\":[4,1,1,2],\"data_offsets\":[0,16]}}",
     16,
     PRECIS_BF16,
     4,
     {4, 1, 1, 2},
     0},
    {"{\"q\":{\"data_offsets\":[0,16],\"shape\":[2],\"dtype\":\"F64\",\"more\":[{}]}}",
     16,
     PRECIS_F64,
     1,
     {2},
     0},
    {"{\"q\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[0,0]}}",
     0,
     PRECIS_F32,
     2,
     {0, 3},
     0},
    /* other tensors, in any order, of any type, also of types that do not exist yet */
    {"{\"q\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[5,13]},"
     "\"a\":{\"dtype\":\"I8\",\"shape\":[5],\"data_offsets\":[0,5]},"
     "\"b\":{\"dtype\":\"X7\",\"shape\":[5,5],\"data_offsets\":[13,20]}}",
     20,
     PRECIS_F32,
     1,
     {2},
     5},
    {"{\"s\":{\"dtype\":\"F4\",\"shape\":[3,2],\"data_offsets\":[0,3]},"
     "\"e\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[3,3]},"
     "\"q\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[3,7]},"
     "\"z\":{\"dtype\":\"C64\",\"shape\":[],\"data_offsets\":[7,15]}}",
     15,
     PRECIS_F32,
     1,
     {1},
     3},
};

static void good_headers(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++) {
    precis_tensor t = {0};
    precis_message why;
    int found = -1;
    if (parse(goods[i].text, goods[i].data_bytes, i % 2 ? &found : NULL, &t, &why) !=
        PRECIS_SUCCESS)
      fail_msg("header %zu: %s", i, why.text);
    assert_int_equal(found, i % 2 ? 1 : -1);
    assert_int_equal(t.dtype, goods[i].dtype);
    assert_int_equal(t.axes, goods[i].axes);
    assert_memory_equal(t.shape, goods[i].shape, sizeof t.shape);
    assert_int_equal(t.offset, 8 + (int64_t)strlen(goods[i].text) + goods[i].begin);
  }
}

/* One tensor q with these properties. */
#define WITH(dtype, shape, offsets)                                                                \
  "{\"q\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
  const char *text;
  int64_t data_bytes;
  const char *says;
} bads[] = {
    {"", 0, "it does not begin with '{'"},
    {" {" Q24 "}", 24, "it does not begin with '{'"},
    {"[]", 0, "it does not begin with '{'"},
    {"{" Q24, 24, "byte 56 of the JSON text"},
    {"{" Q24 "} x", 24, "of the JSON text"},
    {"{" Q24 "}}", 24, "of the JSON text"},
    {"{" Q24 "," Q24 "}", 24, "duplicate"},
    {"{\"q\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24,
     "duplicate"},
    {"{\"\xff\":1}", 0, "of the JSON text"},
    {"{\"__metadata__\":{\"a\":1}," Q24 "}", 24, "__metadata__ is not a map of strings"},
    {"{\"__metadata__\":[]," Q24 "}", 24, "__metadata__ is not a map of strings"},
    {"{\"q\":1}", 0, "tensor \"q\": it is not described by an object"},
    {"{\"q\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "tensor \"q\": dtype is missing"},
    {"{\"q\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "tensor \"q\": shape is missing"},
    {"{\"q\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "tensor \"q\": data_offsets is not a pair"},
    {WITH("4", "[2]", "[0,8]"), 8, "dtype is missing or not a string"},
    {WITH("\"F32\"", "2", "[0,8]"), 8, "shape is missing or not an array"},
    {WITH("\"F32\"", "[-2]", "[0,8]"), 8, "something else than lengths"},
    {WITH("\"F32\"", "[2.0]", "[0,8]"), 8, "something else than lengths"},
    {WITH("\"F32\"", "[\"2\"]", "[0,8]"), 8, "something else than lengths"},
    {WITH("\"F32\"", "[9223372036854775808]", "[0,8]"), 8, "of the JSON text: too big integer"},
    {WITH("\"F32\"", "[4294967296,4294967296]", "[0,8]"), 8, "shape is too large"},
    {WITH("\"F32\"", "[2]", "[0]"), 8, "data_offsets is not a pair"},
    {WITH("\"F32\"", "[2]", "[0,8,9]"), 8, "data_offsets is not a pair"},
    {WITH("\"F32\"", "[2]", "[8,0]"), 8, "data_offsets is not a pair"},
    {WITH("\"F32\"", "[2]", "[-8,0]"), 8, "data_offsets is not a pair"},
    {WITH("\"F32\"", "[2]", "[0,8.0]"), 8, "data_offsets is not a pair"},
    {WITH("\"F32\"", "[2]", "{}"), 8, "data_offsets is not a pair"},
    {WITH("\"F32\"", "[2]", "[0,12]"), 12, "shape and dtype F32 take 8 bytes, data_offsets 12"},
    {WITH("\"F4\"", "[3]", "[0,2]"), 2, "shape and dtype F4 take 2 bytes, data_offsets 2"},
    {WITH("\"F32\"", "[2]", "[4,12]"), 12, "tensor \"q\": data_offsets begin at 4, past 0"},
    {WITH("\"F32\"", "[2]", "[0,8]"), 7, "truncated: the tensors take 8 bytes of data, found 7"},
    {WITH("\"F32\"", "[2]", "[0,8]"), 9,
     "trailing data: the tensors take 8 bytes of data, found 9"},
    {"{" Q24 ",\"b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[20,28]}}", 28,
     "tensor \"b\": data_offsets begin at 20, short of 24"},
    {"{" Q24 ",\"b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[25,33]}}", 33,
     "tensor \"b\": data_offsets begin at 25, past 24"},
    {"{" Q24 ",\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24,
     "data_offsets begin at 0"},
    /* the asked tensor alone */
    {WITH("\"I64\"", "[1]", "[0,8]"), 8, "tensor \"q\" has dtype I64, only F32, F16, BF16 and F64"},
    {WITH("\"X7\"", "[1]", "[0,8]"), 8, "tensor \"q\" has dtype X7, only"},
    {WITH("\"F32\"", "[]", "[0,4]"), 4, "tensor \"q\" has 0 axes"},
    {WITH("\"F32\"", "[1,1,1,1,1]", "[0,4]"), 4, "tensor \"q\" has 5 axes"},
    {WITH("\"F32\"", "[0,4294967296,4294967296]", "[0,0]"), 0, "is too large"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "no tensor \"q\" among its 1 tensor (a)"},
    {"{}", 0, "no tensor \"q\" among its 0 tensors (none)"},
};

static void bad_headers(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
    precis_tensor t = {.axes = 99};
    precis_message why;
    int status = parse(bads[i].text, bads[i].data_bytes, NULL, &t, &why);
    if (status != PRECIS_ERR_FORMAT || strstr(why.text, bads[i].says) == NULL)
      fail_msg("header %zu: \"%s\" does not say \"%s\"", i, why.text, bads[i].says);
    assert_int_equal(t.axes, 99);
    assert_int_equal(strncmp(why.text, "f: ", 3), 0);
  }
}

static void optional_tensor(void **state)
{
  (void)state;
  precis_tensor t = {.axes = 99};
  precis_message why;
  int found = -1;
  assert_int_equal(parse("{}", 0, &found, &t, &why), PRECIS_SUCCESS);
  assert_int_equal(found, 0);
  assert_int_equal(t.axes, 99);
  /* damage elsewhere is still damage */
  assert_int_equal(parse("{}", 5, &found, &t, &why), PRECIS_ERR_FORMAT);
}

static void bad_lengths(void **state)
{
  (void)state;
  precis_message why;
  int64_t bytes = -1;
  unsigned char prefix[9] = {1, 0, 0, 0, 0, 0, 0, 0, '{'};
  assert_true(precis_safetensors_recognise(prefix, 9));
  assert_false(precis_safetensors_recognise(prefix, 8));
  for (int have = 0; have < 8; have++) {
    assert_int_equal(precis_safetensors_header_bytes("f", prefix, have, have, &bytes, &why),
                     PRECIS_ERR_FORMAT);
    assert_non_null(strstr(why.text, "truncated"));
  }
  assert_int_equal(precis_safetensors_header_bytes("f", prefix, 8, 8, &bytes, &why),
                   PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "expected 1 bytes, found 0"));
  memcpy(prefix, "\x00\xe1\xf5\x05", 4); /* 100,000,000 */
  assert_int_equal(precis_safetensors_header_bytes("f", prefix, 9, INT64_MAX, &bytes, &why),
                   PRECIS_SUCCESS);
  assert_int_equal(bytes, 100000008);
  prefix[0]++;
  assert_int_equal(precis_safetensors_header_bytes("f", prefix, 9, INT64_MAX, &bytes, &why),
                   PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "header of 100000001 bytes, more than the 100000000"));
  memset(prefix, 0xff, 8);
  assert_int_equal(precis_safetensors_header_bytes("f", prefix, 9, INT64_MAX, &bytes, &why),
                   PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "header of 18446744073709551615 bytes"));
}

/* Nesting is bounded, or a small file could use up the stack. */
static void deep_nesting(void **state)
{
  (void)state;
  enum { DEPTH = 1000000 };
  char *text = malloc(2 * DEPTH);
  memcpy(text, "{\"q\":", 5);
  memset(text + 5, '[', DEPTH);
  precis_tensor t;
  precis_message why;
  assert_int_equal(parse_bytes(text, 5 + DEPTH, 0, NULL, &t, &why), PRECIS_ERR_FORMAT);
  free(text);
}

/* A header cut short, and every byte of it changed: refused or understood, never a fault. */
static void damaged_headers(void **state)
{
  (void)state;
  static const char text[] = "{\"__metadata__\":{\"a\":\"b\"}," Q24 "}";
  precis_tensor t;
  precis_message why;
  for (size_t length = 0; length < sizeof text - 1; length++)
    assert_int_equal(parse_bytes(text, length, 24, NULL, &t, &why), PRECIS_ERR_FORMAT);
  for (size_t i = 0; i < sizeof text - 1; i++)
    for (int c = 0; c < 256; c++) {
      char changed[sizeof text];
      memcpy(changed, text, sizeof text);
      changed[i] = (char)c;
      int status = parse_bytes(changed, sizeof text - 1, 24, NULL, &t, &why);
      assert_true(status == PRECIS_SUCCESS || status == PRECIS_ERR_FORMAT);
    }
}

static void formatted_header(void **state)
{
  (void)state;
  const char *names[] = {"out", "q", "a \"quoted\"\nname"};
  precis_tensor tensors[] = {{.dtype = PRECIS_F32, .axes = 3, .shape = {5, 2, 3}},
                             {.dtype = PRECIS_F16, .axes = 1, .shape = {5}},
                             {.dtype = PRECIS_F64, .axes = 2, .shape = {0, 9}}};
  precis_message why;
  char *header;
  int64_t bytes;
  assert_int_equal(precis_safetensors_format(names, tensors, 3, &header, &bytes, &why),
                   PRECIS_SUCCESS);
  assert_int_equal(bytes % 8, 0);
  assert_int_equal(tensors[0].offset, bytes);
  assert_int_equal(tensors[1].offset, bytes + 120);
  assert_int_equal(tensors[2].offset, bytes + 130);
  for (int i = 0; i < 3; i++) {
    precis_tensor parsed;
    assert_int_equal(
        precis_safetensors_parse("f", header, bytes, bytes + 130, names[i], NULL, &parsed, &why),
        PRECIS_SUCCESS);
    assert_memory_equal(&parsed, &tensors[i], sizeof parsed);
  }
  free(header);
}

static void unformattable(void **state)
{
  (void)state;
  precis_tensor good[2] = {{.dtype = PRECIS_F32, .axes = 1, .shape = {5}},
                           {.dtype = PRECIS_F32, .axes = 1, .shape = {5}}};
  precis_tensor bad = {.dtype = PRECIS_F32, .axes = 1, .shape = {-5}};
  precis_tensor large[3];
  const char *const same[] = {"a", "a"}, *const reserved[] = {"__metadata__"},
                    *const no_utf8[] = {"\xff"};
  const char *const three[] = {"a", "b", "c"};
  precis_message why;
  char *header = NULL;
  int64_t bytes;
  for (int i = 0; i < 3; i++)
    large[i] = (precis_tensor){.dtype = PRECIS_F32, .axes = 1, .shape = {INT64_C(1) << 59}};
  assert_int_equal(precis_safetensors_format(same, good, 2, &header, &bytes, &why),
                   PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_safetensors_format(reserved, good, 1, &header, &bytes, &why),
                   PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_safetensors_format(no_utf8, good, 1, &header, &bytes, &why),
                   PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_safetensors_format(three, &bad, 1, &header, &bytes, &why),
                   PRECIS_ERR_ARGUMENT);
  assert_int_equal(precis_safetensors_format(three, large, 3, &header, &bytes, &why),
                   PRECIS_ERR_ARGUMENT);
  assert_null(header);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_headers),     cmocka_unit_test(bad_headers),
      cmocka_unit_test(optional_tensor),  cmocka_unit_test(bad_lengths),
      cmocka_unit_test(deep_nesting),     cmocka_unit_test(damaged_headers),
      cmocka_unit_test(formatted_header), cmocka_unit_test(unformattable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
