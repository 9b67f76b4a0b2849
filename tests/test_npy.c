/* Headers of .npy files, good and bad. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/files/npy.h"
#include "src/precis.h"

/* The bytes before the data, in new memory. */
static char *make_header(int version, const char *text, int64_t *bytes)
{
  int64_t length = (int64_t)strlen(text), offset = version == 1 ? 10 : 12;
  char *header = malloc((size_t)(offset + length));
  memcpy(header, "\x93NUMPY", 6);
  header[6] = (char)version;
  header[7] = 0;
  for (int i = 8; i < offset; i++)
    header[i] = (char)(length >> 8 * (i - 8) & 0xff);
  memcpy(header + offset, text, (size_t)length);
  *bytes = offset + length;
  return header;
}

/* Parses a file that has this text and so many bytes of data. */
static int parse(int version, const char *text, int64_t data_bytes, precis_tensor *tensor,
                 precis_message *why)
{
  int64_t bytes, found = 0;
  char *header = make_header(version, text, &bytes);
  why->text[0] = '\0';
  assert_true(precis_npy_recognise(header, bytes));
  int status =
      precis_npy_header_bytes("f.npy", header, PRECIS_NPY_PREFIX, bytes + data_bytes, &found, why);
  if (status == PRECIS_SUCCESS) {
    assert_int_equal(found, bytes);
    status = precis_npy_parse("f.npy", header, bytes, bytes + data_bytes, tensor, why);
  }
  free(header);
  return status;
}

typedef struct good {
  const char *text;
  int64_t data_bytes;
  precis_dtype dtype;
  int axes;
  int64_t shape[4];
} good;

static const good goods[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), }   \n",
     240,
     PRECIS_F32,
     3,
     {3, 4, 5}},
    {"{'descr': '<f2', 'fortran_order': False, 'shape': (7,), }\n", 14, PRECIS_F16, 1, {7}},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}", 48, PRECIS_F64, 2, {2, 3}},
    {"{\"shape\":(2,3,1,2,),\"fortran_order\":False,\"descr\":\"<f4\"}\n",
     48,
     PRECIS_F32,
     4,
     {2, 3, 1, 2}},
    {" { 'shape' : ( 3L , 4L ) , 'fortran_order' : False , 'descr' : '<f4' , } ",
     48,
     PRECIS_F32,
     2,
     {3, 4}},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4, 5), }\n",
     0,
     PRECIS_F32,
     3,
     {0, 4, 5}},
    /* Fortran order that is C order */
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (6,), }\n", 24, PRECIS_F32, 1, {6}},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 6, 1), }\n",
     24,
     PRECIS_F32,
     3,
     {1, 6, 1}},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (5, 0, 7), }\n",
     0,
     PRECIS_F32,
     3,
     {5, 0, 7}},
};

static void good_headers(void **state)
{
  (void)state;
  for (int version = 1; version <= 3; version++)
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++) {
      const good *g = &goods[i];
      precis_tensor t = {0};
      precis_message why;
      assert_int_equal(parse(version, g->text, g->data_bytes, &t, &why), PRECIS_SUCCESS);
      assert_int_equal(t.dtype, g->dtype);
      assert_int_equal(t.axes, g->axes);
      assert_memory_equal(t.shape, g->shape, sizeof t.shape);
      assert_int_equal(t.offset, (version == 1 ? 10 : 12) + (int64_t)strlen(g->text));
    }
}

#define HEAD "{'descr': '<f4', 'fortran_order': False, 'shape': "

/* Text, bytes of data, and what the message must say. */
static const struct {
  const char *text;
  int64_t data_bytes;
  const char *says;
} bads[] = {
    {"{'descr': '>i4', 'fortran_order': False, 'shape': (3,), }", 12,
     "descr '>i4' is not supported"},
    {"{'descr': '<V2', 'fortran_order': False, 'shape': (3,), }", 6,
     "likely bfloat16, which .npy cannot name: save x.astype('float32')"},
    {"{'descr': '|V2', 'fortran_order': False, 'shape': (3,), }", 6, "likely bfloat16"},
    {"{'descr': '=f4', 'fortran_order': False, 'shape': (3,), }", 12,
     "descr '=f4' is not supported"},
    {"{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", 12,
     "descr '<i4' is not supported"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", 12, "descr '|O' is not supported"},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }", 24, "'<f2', '<f4' and '<f8' are"},
    {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (3,), }", 12, "structured type"},
    {"{'descr': 4, 'fortran_order': False, 'shape': (3,), }", 12, "expected a type such as '<f4'"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (3,), }", 12, "expected True or False"},
    {HEAD "(), }", 4, "shape is ()"},
    {HEAD "(3), }", 12, "expected ',' in shape"},
    {HEAD "3, }", 12, "expected the '(' of shape"},
    {HEAD "[3], }", 12, "expected the '(' of shape"},
    {HEAD "(3.0,), }", 12, "expected ',' in shape"},
    {HEAD "(,), }", 12, "expected a length in shape"},
    {HEAD "(3, x), }", 12, "expected a length in shape at character 54, found 'x), }'"},
    {HEAD "(3 4), }", 48, "expected ',' in shape"},
    {HEAD "(-3,), }", 12, "shape holds -3, which is negative"},
    {HEAD "(9223372036854775808,), }", 12, "shape holds 9223372036854775808, which is too large"},
    {HEAD "(9223372036854775807,), }", 12, "shape (9223372036854775807,) is too large"},
    {HEAD "(4294967296, 4294967296), }", 12, "is too large"},
    {HEAD "(0, 4294967296, 4294967296), }", 0, "is too large"},
    {HEAD "(1, 1, 1, 1, 1), }", 4, "more than 4 axes"},
    {HEAD "(3, 4), }", 47, "truncated: F32 of shape (3, 4) takes 48 bytes of data, found 47"},
    {HEAD "(3, 4), }", 0, "found 0"},
    {HEAD "(3, 4), }", 49, "trailing data: F32 of shape (3, 4) takes 48 bytes of data, found 49"},
    {HEAD "(3, 4), } x", 48, "expected the end"},
    {HEAD "(3, 4)", 48, "expected ',' or '}'"},
    {HEAD "(3, 4", 48, "expected ',' in shape"},
    {HEAD "(3, 4), ", 48, "expected a key"},
    {HEAD "(3, 4), 'shape': (3, 4)}", 48, "repeated key 'shape'"},
    {HEAD "(3, 4), 'more': 1}", 48, "unknown key 'more'"},
    {"{'descr': '<f4', 'shape': (3, 4)}", 48, "no key 'fortran_order'"},
    {"{}", 0, "no key 'descr'"},
    {"{'descr': '<f4", 0, "expected a type"},
    {"{'descr", 0, "expected a key"},
    {"{'descr' '<f4'}", 0, "expected ':'"},
    {"", 0, "expected '{'"},
    {"\n\n  ", 0, "expected '{'"},
    {"garbage", 0, "expected '{' at character 0, found 'garbage'"},
};

static void bad_headers(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
    precis_tensor t = {.axes = 99};
    precis_message why;
    assert_int_equal(parse(1 + (int)(i % 3), bads[i].text, bads[i].data_bytes, &t, &why),
                     PRECIS_ERR_FORMAT);
    assert_int_equal(t.axes, 99);
    assert_non_null(strstr(why.text, "f.npy: "));
    if (strstr(why.text, bads[i].says) == NULL)
      fail_msg("\"%s\" does not say \"%s\"", why.text, bads[i].says);
  }
}

/* Errors before the text is looked at. */
static void bad_lengths(void **state)
{
  (void)state;
  precis_message why;
  int64_t bytes = -1;
  unsigned char prefix[PRECIS_NPY_PREFIX] = "\x93NUMPY";
  static const unsigned char versions[][2] = {{0, 0}, {1, 1}, {4, 0}, {255, 255}};
  for (int i = 0; i < 4; i++) {
    memcpy(prefix + 6, versions[i], 2);
    assert_int_equal(precis_npy_header_bytes("f.npy", prefix, 12, 1000, &bytes, &why),
                     PRECIS_ERR_FORMAT);
    assert_non_null(strstr(why.text, "is not supported"));
  }
  memcpy(prefix + 6, "\1\0\xff\xff", 4);
  for (int have = 6; have < 12; have++) {
    assert_int_equal(precis_npy_header_bytes("f.npy", prefix, have, have, &bytes, &why),
                     PRECIS_ERR_FORMAT);
    assert_non_null(strstr(why.text, "truncated .npy header"));
  }
  assert_int_equal(precis_npy_header_bytes("f.npy", prefix, 12, 65544, &bytes, &why),
                   PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "expected 65535 bytes, found 65534"));
  assert_int_equal(precis_npy_header_bytes("f.npy", prefix, 12, 65545, &bytes, &why),
                   PRECIS_SUCCESS);
  assert_int_equal(bytes, 65545);
  memcpy(prefix + 6, "\2\0\xff\xff\xff\xff", 6);
  assert_int_equal(precis_npy_header_bytes("f.npy", prefix, 12, INT64_MAX, &bytes, &why),
                   PRECIS_ERR_FORMAT);
  assert_non_null(
      strstr(why.text, ".npy header of 4294967295 bytes, more than the 1048576 that are allowed"));
  assert_false(precis_npy_recognise("\x93NUMPZ", 6));
  assert_false(precis_npy_recognise("\x93NUMP", 5));
}

/* Every header cut short, and every byte of it changed: refused or understood, never a fault. */
static void damaged_headers(void **state)
{
  (void)state;
  static const char text[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), }\n";
  precis_tensor t;
  precis_message why;
  for (size_t length = 0; length < sizeof text - 3; length++) {
    char *cut = strndup(text, length);
    assert_int_equal(parse(1, cut, 240, &t, &why), PRECIS_ERR_FORMAT);
    free(cut);
  }
  for (size_t i = 0; i < sizeof text - 1; i++)
    for (int c = 1; c < 256; c++) {
      char changed[sizeof text];
      memcpy(changed, text, sizeof text);
      changed[i] = (char)c;
      int status = parse(1, changed, 240, &t, &why);
      assert_true(status == PRECIS_SUCCESS || status == PRECIS_ERR_FORMAT);
    }
}

static void formatted_headers(void **state)
{
  (void)state;
  precis_tensor tensors[] = {
      {.dtype = PRECIS_F32, .axes = 3, .shape = {1536, 12, 32}},
      {.dtype = PRECIS_F16, .axes = 1, .shape = {5}},
      {.dtype = PRECIS_F64, .axes = 2, .shape = {0, 9}},
      {.dtype = PRECIS_F32, .axes = 4, .shape = {INT64_C(1) << 59, 1, 1, 1}}};
  for (int i = 0; i < 4; i++) {
    precis_tensor parsed, *made = &tensors[i];
    precis_message why;
    char *header;
    int64_t bytes, again;
    assert_int_equal(precis_npy_format(made, &header, &bytes, &why), PRECIS_SUCCESS);
    assert_int_equal(bytes % 64, 0);
    assert_int_equal(header[bytes - 1], '\n');
    assert_int_equal(made->offset, bytes);
    int64_t file_bytes = bytes + precis_tensor_bytes(made);
    assert_int_equal(precis_npy_header_bytes("f", header, bytes, file_bytes, &again, &why),
                     PRECIS_SUCCESS);
    assert_int_equal(again, bytes);
    assert_int_equal(precis_npy_parse("f", header, bytes, file_bytes, &parsed, &why),
                     PRECIS_SUCCESS);
    assert_memory_equal(parsed.shape, made->shape, sizeof parsed.shape);
    assert_int_equal(parsed.dtype, made->dtype);
    free(header);
  }
}

static void unformattable(void **state)
{
  (void)state;
  precis_tensor bad[] = {{.dtype = PRECIS_BF16, .axes = 1, .shape = {5}},
                         {.dtype = PRECIS_F32, .axes = 2, .shape = {5, -1}},
                         {.dtype = PRECIS_F32, .axes = 2, .shape = {INT64_MAX, 2}}};
  for (int i = 0; i < 3; i++) {
    precis_message why;
    char *header;
    int64_t bytes;
    assert_int_equal(precis_npy_format(&bad[i], &header, &bytes, &why), PRECIS_ERR_ARGUMENT);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_headers),      cmocka_unit_test(bad_headers),
      cmocka_unit_test(bad_lengths),       cmocka_unit_test(damaged_headers),
      cmocka_unit_test(formatted_headers), cmocka_unit_test(unformattable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
