/* Arrays read from files, by any number of ranks. */
#include "tests/scratch.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <sys/stat.h>

#include "mpi/files/files.h"
#include "src/precis.h"

#define EVERYWHERE MPI_COMM_WORLD

enum { HEADER_MOST = 4096 };

/* The header of a .safetensors file: length and text. Returns its length. */
static size_t put_header(unsigned char *to, const char *text)
{
  size_t length = strlen(text);
  for (int i = 0; i < 8; i++)
    to[i] = (unsigned char)(length >> 8 * i & 0xff);
  memcpy(to + 8, text, length);
  return 8 + length;
}

static void put_file(const scratch *s, const char *name, const char *header, const void *data,
                     size_t data_bytes)
{
  unsigned char *bytes = malloc(HEADER_MOST + data_bytes);
  size_t begin = put_header(bytes, header);
  memcpy(bytes + begin, data, data_bytes);
  scratch_put(s, name, bytes, begin + data_bytes);
  free(bytes);
}

static precis_file_array open_array(scratch *s, const char *file, const char *name)
{
  precis_file_array array = {0};
  precis_message why = {""};
  int status = precis_file_open(&s->world, scratch_path(s, file).text, name, NULL, &array, &why);
  if (status != PRECIS_SUCCESS)
    fprintf(stderr, "%s\n", why.text);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  return array;
}

/* What 300 rows of 7 hold: numbers that are exact in every type. */
enum { ROWS = 300, WIDTH = 7 };

static float value_at(int64_t i)
{
  return (float)(i % 251 - 125) / 4; /* 8 bits of fraction fit BF16 */
}

/* For 0, infinities, and numbers that float16 holds without loss as normal ones. */
static uint16_t to_half(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  uint32_t half = x == 0 ? 0 : isinf(x) ? 0x7c00 : (magnitude >> 13) - (112 << 10);
  return (uint16_t)(sign | half);
}

static uint16_t to_brain(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)(bits >> 16);
}

static void convert(precis_dtype dtype, float x, unsigned char *to)
{
  uint16_t small = dtype == PRECIS_F16 ? to_half(x) : to_brain(x);
  double large = (double)x;
  switch (dtype) {
  case PRECIS_F32:
    memcpy(to, &x, sizeof x);
    break;
  case PRECIS_F64:
    memcpy(to, &large, sizeof large);
    break;
  default:
    memcpy(to, &small, sizeof small);
  }
}

/* As a .npy file where the format has the type. The offset of the data is odd in .safetensors. */
static void put_typed(const scratch *s, const char *name, precis_dtype dtype, int npy)
{
  size_t size = (size_t)precis_dtype_size(dtype), bytes = ROWS * WIDTH * size;
  unsigned char *data = malloc(bytes), *file = malloc(bytes + HEADER_MOST);
  char text[256];
  for (int i = 0; i < ROWS * WIDTH; i++)
    convert(dtype, value_at(i), data + (size_t)i * size);
  if (npy) {
    int length =
        snprintf(text, sizeof text, "{'descr': '<f%zu', 'fortran_order': False, 'shape': (%d, %d)}",
                 size, ROWS, WIDTH);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (unsigned char)length;
    file[9] = 0;
    memcpy(file + 10, text, (size_t)length);
    memcpy(file + 10 + length, data, bytes);
    scratch_put(s, name, file, 10 + (size_t)length + bytes);
  } else {
    snprintf(text, sizeof text,
             "{\"z\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
             "\"x\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":[0,%zu]}}",
             precis_dtype_name(dtype), ROWS, WIDTH, bytes);
    for (size_t used = strlen(text); used % 2 == 0; used++)
      strcat(text, " ");
    put_file(s, name, text, data, bytes);
  }
  free(data);
  free(file);
}

/* Reads a range of this rank and compares. */
static int read_is_right(scratch *s, precis_file_array *array, int64_t first, int64_t rows)
{
  float *out = malloc((size_t)(rows * WIDTH + 1) * sizeof *out);
  precis_message why = {""};
  out[rows * WIDTH] = 4711;
  int good = precis_file_read(&s->world, array, first, rows, 0, out, &why) == PRECIS_SUCCESS;
  for (int64_t i = 0; good && i < rows * WIDTH; i++)
    good = out[i] == value_at(first * WIDTH + i);
  good = good && out[rows * WIDTH] == 4711;
  free(out);
  return good;
}

static void every_type_every_range(void **state)
{
  scratch *s = *state;
  static const precis_dtype types[] = {PRECIS_F32, PRECIS_F16, PRECIS_F64, PRECIS_BF16};
  static const int64_t pieces[] = {PRECIS_PIECE_BYTES, 1000, 8, 3};
  int rank = s->world.rank, ranks = s->world.ranks;
  for (int i = 0; i < 7; i++) {
    put_typed(s, "x", types[i % 4], i > 3);
    precis_file_array array = open_array(s, "x", "x");
    assert_all(EVERYWHERE, array.tensor.dtype == types[i % 4] && array.tensor.axes == 2);
    assert_all(EVERYWHERE, array.tensor.shape[0] == ROWS && array.tensor.shape[1] == WIDTH);
    for (int p = 0; p < 4; p++) {
      s->world.piece_bytes = pieces[p];
      int64_t first = ROWS * rank / ranks, end = ROWS * (rank + 1) / ranks;
      assert_all(EVERYWHERE, read_is_right(s, &array, first, end - first));
      assert_all(EVERYWHERE, read_is_right(s, &array, 0, ROWS));
      assert_all(EVERYWHERE, read_is_right(s, &array, rank, rank)); /* none on rank 0 */
      assert_all(EVERYWHERE, read_is_right(s, &array, ROWS, 0));
      assert_all(EVERYWHERE, read_is_right(s, &array, ROWS - 1, rank == ranks - 1));
    }
    s->world.piece_bytes = PRECIS_PIECE_BYTES;
    precis_file_close(&array);
    precis_file_close(&array); /* nothing happens */
  }
  scratch_clear(s);
}

static void ranges_outside(void **state)
{
  scratch *s = *state;
  put_typed(s, "x", PRECIS_F32, 1);
  precis_file_array array = open_array(s, "x", "keys");
  static const int64_t bad[][2] = {{-1, 1},   {0, -1},       {0, ROWS + 1},
                                   {ROWS, 1}, {ROWS + 1, 0}, {INT64_MAX, INT64_MAX}};
  for (int i = 0; i < 6; i++) {
    float out[WIDTH];
    precis_message why = {""};
    int last = s->world.rank == s->world.ranks - 1;
    int status = precis_file_read(&s->world, &array, last ? bad[i][0] : 0, last ? bad[i][1] : 1, 0,
                                  out, &why);
    assert_all(EVERYWHERE, status == PRECIS_ERR_ARGUMENT && scratch_same(status, &why));
    assert_all(EVERYWHERE, strstr(why.text, "/x: \"keys\" has 300 rows; ") != NULL);
  }
  precis_file_close(&array);
  scratch_clear(s);
}

/* One value in row 2 (of 3, two numbers each), and what becomes of it. */
static const struct {
  const char *dtype;
  size_t size;
  unsigned char bytes[8]; /* little-endian */
  int masks;              /* allowed as a mask */
  const char *says;       /* NULL: always allowed */
} specials[] = {
    {"F16", 2, {0x01, 0x00}, 1, NULL}, /* subnormal */
    {"F16", 2, {0x00, 0x7c}, 0, "row 2 of \"b\" holds inf"},
    {"F16", 2, {0x00, 0xfc}, 1, "row 2 of \"b\" holds -inf"},
    {"F16", 2, {0x01, 0x7c}, 0, "row 2 of \"b\" holds nan"},
    {"F16", 2, {0xff, 0xff}, 0, "row 2 of \"b\" holds nan"},
    {"BF16", 2, {0x01, 0x00}, 1, NULL},
    {"BF16", 2, {0x80, 0xff}, 1, "row 2 of \"b\" holds -inf"},
    {"BF16", 2, {0xc0, 0x7f}, 0, "row 2 of \"b\" holds nan"},
    {"F32", 4, {0xff, 0xff, 0x7f, 0x7f}, 1, NULL}, /* the largest */
    {"F32", 4, {0x00, 0x00, 0x80, 0xff}, 1, "row 2 of \"b\" holds -inf"},
    {"F32", 4, {0x01, 0x00, 0x80, 0xff}, 0, "row 2 of \"b\" holds nan"},
    {"F64", 8, {0, 0, 0, 0, 0, 0, 0xf0, 0xff}, 1, "row 2 of \"b\" holds -inf"},
    {"F64", 8, {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, 0, "row 2 of \"b\" holds nan"},
    /* beyond float32: no number, and no mask either */
    {"F64",
     8,
     {0x9c, 0x75, 0x00, 0x88, 0x3c, 0xe4, 0x37, 0x7e},
     0,
     "row 2 of \"b\" holds 1.0000000000000001e+300, which is"},
    {"F64",
     8,
     {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0xff},
     0,
     "holds -1.7976931348623157e+308, which is beyond"},
    {"F64", 8, {1, 0, 0, 0, 0, 0, 0, 0}, 1, NULL}, /* becomes 0 */
};

static void special_values(void **state)
{
  scratch *s = *state;
  for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
    unsigned char data[6 * 8] = {0};
    char text[128];
    snprintf(text, sizeof text,
             "{\"b\":{\"dtype\":\"%s\",\"shape\":[3,2],\"data_offsets\":[0,%zu]}}",
             specials[i].dtype, 6 * specials[i].size);
    memcpy(data + 5 * specials[i].size, specials[i].bytes, specials[i].size);
    if (i % 2) /* an honest -infinity before it */
      convert(specials[i].size == 8         ? PRECIS_F64
              : specials[i].size == 4       ? PRECIS_F32
              : specials[i].dtype[0] == 'F' ? PRECIS_F16
                                            : PRECIS_BF16,
              -INFINITY, data + 4 * specials[i].size);
    put_file(s, "b", text, data, 6 * specials[i].size);
    precis_file_array array = open_array(s, "b", "b");
    for (int may_mask = i % 2; may_mask < 2; may_mask++) {
      float out[6];
      precis_message why = {""};
      int last = s->world.rank == s->world.ranks - 1; /* the others do not even read the row */
      int status =
          precis_file_read(&s->world, &array, last ? 1 : 0, last ? 2 : 1, may_mask, out, &why);
      int fine = specials[i].says == NULL || (may_mask && specials[i].masks);
      assert_all(EVERYWHERE, status == (fine ? PRECIS_SUCCESS : PRECIS_ERR_NONFINITE) &&
                                 scratch_same(status, &why));
      assert_all(EVERYWHERE, fine || strstr(why.text, specials[i].says) != NULL);
      assert_all(EVERYWHERE, fine || strstr(why.text, s->folder) == why.text);
    }
    precis_file_close(&array);
  }
  scratch_clear(s);
}

/* Biases that other programs put for a mask are masks, though float32 does not hold them. */
static void masks(void **state)
{
  scratch *s = *state;
  const double bias[6] = {-DBL_MAX, -1e38, (double)PRECIS_BIAS_MASK, -9e36, -INFINITY, 1.5};
  put_file(s, "b", "{\"b\":{\"dtype\":\"F64\",\"shape\":[6],\"data_offsets\":[0,48]}}", bias,
           sizeof bias);
  precis_file_array array = open_array(s, "b", "b");
  float out[6];
  precis_message why = {""};
  int status = precis_file_read(&s->world, &array, 0, 6, PRECIS_FILE_BIAS, out, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  for (int i = 0; i < 6; i++)
    assert_all(EVERYWHERE, out[i] == (i == 3 ? -9e36f : i == 5 ? 1.5f : -INFINITY));
  status = precis_file_read(&s->world, &array, 0, 6, PRECIS_FILE_LOGS, out, &why);
  assert_all(EVERYWHERE, status == PRECIS_ERR_NONFINITE);
  precis_file_close(&array);
  scratch_clear(s);
}

/* An array of (5, 3, 2) whose element at (t, h, d) is 100 t + 10 h + d, in Fortran order or in C
 * order, big-endian or not. */
static void put_ordered(const scratch *s, precis_dtype dtype, int fortran, int big)
{
  enum { T = 5, H = 3, D = 2 };
  unsigned char bytes[10 + 118 + T * H * D * 8] = "\x93NUMPY\x01\x00\x76\x00";
  size_t size = (size_t)precis_dtype_size(dtype);
  int length = snprintf((char *)bytes + 10, 119,
                        "{'descr': '%cf%zu', 'fortran_order': %s, 'shape': (5, 3, 2), }",
                        big ? '>' : '<', size, fortran ? "True" : "False");
  memset(bytes + 10 + length, ' ', (size_t)(118 - length));
  for (int t = 0; t < T; t++)
    for (int h = 0; h < H; h++)
      for (int d = 0; d < D; d++) {
        int at = fortran ? t + T * (h + H * d) : (t * H + h) * D + d;
        unsigned char *to = bytes + 128 + (size_t)at * size;
        convert(dtype, (float)(100 * t + 10 * h + d), to);
        for (size_t b = 0; b < size / 2 && big; b++) {
          unsigned char one = to[b];
          to[b] = to[size - 1 - b];
          to[size - 1 - b] = one;
        }
      }
  scratch_put(s, "o.npy", bytes, 128 + T * H * D * size);
}

/* What NumPy writes of transposed views and of arrays from other machines is simply read. */
static void orders(void **state)
{
  scratch *s = *state;
  const precis_dtype types[] = {PRECIS_F32, PRECIS_F16, PRECIS_F64};
  for (int i = 0; i < 3 * 4 * 3; i++) {
    put_ordered(s, types[i % 3], i / 3 % 2, i / 6 % 2);
    s->world.piece_bytes = i / 12 == 0 ? PRECIS_PIECE_BYTES : i / 12 == 1 ? 1 : 17;
    precis_file_array array = open_array(s, "o.npy", "o");
    for (int first = 0; first <= 5; first++)
      for (int rows = 0; rows <= 5 - first; rows++) {
        float out[30];
        precis_message why = {""};
        int mine = s->world.rank % 2 == 0 ? rows : 0; /* not all read alike */
        int good = precis_file_read(&s->world, &array, first, mine, PRECIS_FILE_FINITE, out,
                                    &why) == PRECIS_SUCCESS;
        for (int t = 0; t < mine; t++)
          for (int c = 0; c < 6; c++)
            good = good && out[t * 6 + c] == (float)(100 * (first + t) + 10 * (c / 2) + c % 2);
        assert_all(EVERYWHERE, good);
      }
    precis_file_close(&array);
  }
  s->world.piece_bytes = PRECIS_PIECE_BYTES;
  scratch_clear(s);
}

/* The row that is named is the row. */
static void bad_in_fortran_order(void **state)
{
  scratch *s = *state;
  unsigned char bytes[128 + 6 * 4] = "\x93NUMPY\x01\x00\x76\x00";
  static const char text[] = "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }";
  memset(bytes + 10, ' ', 118);
  memcpy(bytes + 10, text, sizeof text - 1);
  convert(PRECIS_F32, NAN, bytes + 128 + 4 * 4); /* (1, 1) */
  scratch_put(s, "o.npy", bytes, sizeof bytes);
  precis_file_array array = open_array(s, "o.npy", "o");
  float out[6];
  precis_message why = {""};
  int status = precis_file_read(&s->world, &array, 0, 3, PRECIS_FILE_FINITE, out, &why);
  assert_all(EVERYWHERE,
             status == PRECIS_ERR_NONFINITE && strstr(why.text, "row 1 of \"o\" holds nan"));
  precis_file_close(&array);
  scratch_clear(s);
}

/* Opening fails alike on all ranks. */
static void refused(scratch *s, const char *file, const char *tensor, int expected,
                    const char *says)
{
  precis_file_array array = {.path = (char *)(uintptr_t) "untouched"};
  precis_message why = {""};
  int status = precis_file_open(&s->world, scratch_path(s, file).text, tensor, NULL, &array, &why);
  if (status != expected || strstr(why.text, says) == NULL)
    fprintf(stderr, "%s: got %d \"%s\", expected %d \"%s\"\n", file, status, why.text, expected,
            says);
  assert_all(EVERYWHERE, status == expected && scratch_same(status, &why));
  assert_all(EVERYWHERE, strstr(why.text, says) != NULL && strstr(why.text, s->folder) == why.text);
  assert_all(EVERYWHERE, strcmp(array.path, "untouched") == 0);
}

/* Files of other formats are told what they are and what to do, whatever their names say. */
static void foreign(void **state)
{
  scratch *s = *state;
  static const struct {
    const char *begin;
    size_t bytes;
    const char *says;
  } files[] = {
      {"version https://git-lfs.github.com/spec/v1\n", 43, "git lfs pull"},
      {"/annex/objects/SHA256E-s1--2", 28, "git annex get"},
      {"PK\x03\x04\x14\0\0\0\x08\0q.npy", 15, ".npz"},
      {"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0", 16, "HDF5"},
      {"\x80\x02}q\0.", 6, "pickle"},
      {"\x80\x04\x95\x05\0\0\0\0\0\0\0", 11, "pickle"},
      {"\x1f\x8b\x08\0\0\0\0\0\0\x03xxxx", 14, "gunzip"},
      {"\x28\xb5\x2f\xfdxxxxxxxxxxxx", 16, "unzstd"},
      {"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0", 16, "GGUF"},
      {"<!DOCTYPE html><html>", 21, "web page"},
      {"{\"metadata\": {\"total_size\": 1}}", 32, "JSON"},
  };
  const char *const names[] = {"f.safetensors", "f.npy"};
  for (size_t i = 0; i < 2 * sizeof files / sizeof *files; i++) {
    scratch_put(s, names[i % 2], (const unsigned char *)files[i / 2].begin, files[i / 2].bytes);
    refused(s, names[i % 2], "q", PRECIS_ERR_FORMAT, files[i / 2].says);
  }
  scratch_clear(s);
}

static void bad_files(void **state)
{
  scratch *s = *state;
  refused(s, "missing.npy", "q", PRECIS_ERR_IO, strerror(ENOENT));
  refused(s, ".", "q", PRECIS_ERR_IO, strerror(EISDIR));
  if (s->world.rank == 0)
    mkfifo(scratch_path(s, "pipe.npy").text, 0666);
  refused(s, "pipe.npy", "q", PRECIS_ERR_IO, "not a regular file");
  scratch_put(s, "empty.npy", "", 0);
  refused(s, "empty.npy", "q", PRECIS_ERR_FORMAT, "is empty");
  scratch_put(s, "text.npy", "1.0, 2.0", 8);
  refused(s, "text.npy", "q", PRECIS_ERR_FORMAT,
          "neither .npy nor .safetensors: begins with bytes 31 2e 30 2c 20 32 2e 30");
  scratch_put(s, "short", "abc", 3);
  refused(s, "short", "q", PRECIS_ERR_FORMAT, "begins with bytes 61 62 63");
  scratch_put(s, "short.safetensors", "abc", 3);
  refused(s, "short.safetensors", "q", PRECIS_ERR_FORMAT,
          "truncated .safetensors header: the file has 3 bytes");
  scratch_put(s, "huge.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{", 9);
  refused(s, "huge.safetensors", "q", PRECIS_ERR_FORMAT, "header of 9223372036854775807 bytes");
  scratch_put(s, "long.safetensors", "\x10\0\0\0\0\0\0\0{}", 10);
  refused(s, "long.safetensors", "q", PRECIS_ERR_FORMAT, "expected 16 bytes, found 2");
  scratch_put(s, "short.npy", "\x93NUMPY\1\0\x40", 9);
  refused(s, "short.npy", "q", PRECIS_ERR_FORMAT, "truncated .npy header");
  put_file(s, "f", "{}", "", 0);
  refused(s, "f", "q", PRECIS_ERR_FORMAT, "no tensor \"q\" among its 0 tensors");
  put_file(s, "f", "{\"q\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "12345678",
           8);
  refused(s, "f", "q", PRECIS_ERR_FORMAT, "tensor \"q\" has dtype I64");
  put_file(s, "f", "{\"q\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "1234567",
           7);
  refused(s, "f", "q", PRECIS_ERR_FORMAT, "truncated: the tensors take 8 bytes of data, found 7");
  if (s->world.rank == 0)
    chmod(scratch_path(s, "f").text, 0);
  MPI_Barrier(EVERYWHERE);
  if (geteuid() != 0) /* root may do anything */
    refused(s, "f", "q", PRECIS_ERR_IO, strerror(EACCES));
  scratch_clear(s);
}

static void optional_tensor(void **state)
{
  scratch *s = *state;
  float one = 1;
  put_file(s, "f", "{\"q\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", &one, 4);
  precis_file_array array = {0};
  precis_message why = {""};
  int found = -1;
  int status = precis_file_open(&s->world, scratch_path(s, "f").text, "bias", &found, &array, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS && found == 0 && array.path == NULL);
  status = precis_file_open(&s->world, scratch_path(s, "f").text, "q", &found, &array, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS && found == 1 && strcmp(array.name, "q") == 0);
  precis_file_close(&array);
  scratch_clear(s);
}

/* A file that loses its end while it is open. */
static void cut_while_open(void **state)
{
  scratch *s = *state;
  put_typed(s, "x", PRECIS_F16, 1);
  precis_file_array array = open_array(s, "x", "x");
  int cut = s->world.rank == 0 ? truncate(scratch_path(s, "x").text, 1000) : 0;
  assert_all(EVERYWHERE, cut == 0);
  float *out = malloc(ROWS * WIDTH * sizeof *out);
  precis_message why = {""};
  int last = s->world.rank == s->world.ranks - 1;
  int status = precis_file_read(&s->world, &array, 0, last ? ROWS : 1, 0, out, &why);
  assert_all(EVERYWHERE, status == PRECIS_ERR_IO && scratch_same(status, &why));
  assert_all(EVERYWHERE, strstr(why.text, "cannot read 4200 bytes of \"x\" at offset ") != NULL);
  free(out);
  precis_file_close(&array);
  scratch_clear(s);
}

/* Offsets and counts beyond 32 bits, in a file that is mostly a hole. */
static void beyond_4_gib(void **state)
{
  scratch *s = *state;
  int64_t rows = INT64_C(9) << 28; /* of two float16: 9 GiB */
  char text[256];
  snprintf(text, sizeof text,
           "{\"x\":{\"dtype\":\"F16\",\"shape\":[%lld,2],\"data_offsets\":[0,%lld]}}",
           (long long)rows, (long long)rows * 4);
  static const uint16_t ones[2] = {0x3c00, 0xbc00};
  put_file(s, "x", text, ones, 4);
  int good = 1;
  if (s->world.rank == 0) {
    FILE *file = fopen(scratch_path(s, "x").text, "r+b");
    off_t last = 8 + (off_t)strlen(text) + (off_t)rows * 4 - 4;
    good = file != NULL && fseeko(file, last, SEEK_SET) == 0 && fwrite(ones, 4, 1, file) == 1;
    good = file != NULL && fclose(file) == 0 && good;
  }
  assert_all(EVERYWHERE, good);
  precis_file_array array = open_array(s, "x", "x");
  float out[4] = {0};
  precis_message why = {""};
  int odd = s->world.rank % 2;
  int status = precis_file_read(&s->world, &array, odd ? rows - 2 : 0, 2, 0, out, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  assert_all(EVERYWHERE, out[odd ? 2 : 0] == 1 && out[odd ? 3 : 1] == -1 && out[odd ? 0 : 2] == 0);
  precis_file_close(&array);
  scratch_clear(s);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_type_every_range),
      cmocka_unit_test(ranges_outside),
      cmocka_unit_test(special_values),
      cmocka_unit_test(bad_files),
      cmocka_unit_test(optional_tensor),
      cmocka_unit_test(cut_while_open),
      cmocka_unit_test(beyond_4_gib),
      cmocka_unit_test(masks),
      cmocka_unit_test(orders),
      cmocka_unit_test(bad_in_fortran_order),
      cmocka_unit_test(foreign),
  };
  MPI_Init(&argc, &argv);
  int failed = cmocka_run_group_tests(tests, scratch_make, scratch_remove);
  MPI_Finalize();
  return failed;
}
