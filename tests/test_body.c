/* Arrays out of a stream: cut anywhere, the same values come out; what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/files/body.h"
#include "src/files/npy.h"
#include "src/precis.h"
#include "src/files/safetensors.h"

enum { TOKENS = 37, K_ROW = 6, V_ROW = 4, MOST = 1 << 14 };

typedef struct taken {
  float values[PRECIS_BODY_ARRAYS][TOKENS * K_ROW];
  int64_t count[PRECIS_BODY_ARRAYS];
  int begun, in_order;
} taken;

static int begin(void *context, const precis_body_array *arrays, precis_message *why)
{
  taken *t = context;
  (void)arrays;
  (void)why;
  t->begun++;
  t->in_order = 1;
  return PRECIS_SUCCESS;
}

static int values(void *context, int array, int64_t first, int64_t count, const float *x,
                  precis_message *why)
{
  taken *t = context;
  (void)why;
  t->in_order &= first == t->count[array] && count > 0 && count <= PRECIS_BODY_BLOCK;
  memcpy(t->values[array] + first, x, (size_t)count * sizeof *x);
  t->count[array] += count;
  return PRECIS_SUCCESS;
}

static precis_body make_body(taken *t, int64_t announced)
{
  precis_body body = {.label = "body",
                      .arrays = {{.name = "k"}, {.name = "v"}, {.name = "bias", .optional = 1}},
                      .count = 3,
                      .sink = {begin, values, t},
                      .announced = announced};
  *t = (taken){.begun = 0};
  precis_body_begin(&body);
  return body;
}

/* v before k, with k in half and another tensor between. Returns the length. */
static int64_t make_file(char *file)
{
  const char *names[] = {"v", "other", "k"};
  precis_tensor tensors[] = {
      {.dtype = PRECIS_F32, .axes = 3, .shape = {TOKENS, 2, 2}, .offset = 0},
      {.dtype = PRECIS_F64, .axes = 1, .shape = {3}, .offset = 0},
      {.dtype = PRECIS_F16, .axes = 3, .shape = {TOKENS, 2, 3}, .offset = 0}};
  char *header;
  int64_t bytes;
  precis_message why;
  assert_int_equal(precis_safetensors_format(names, tensors, 3, &header, &bytes, &why), 0);
  memcpy(file, header, (size_t)bytes);
  free(header);
  for (int i = 0; i < TOKENS * V_ROW; i++)
    memcpy(file + tensors[0].offset + 4 * i, &(float){(float)i}, 4);
  memset(file + tensors[1].offset, 7, 24);
  /* Halves of 1 + i / 1024. */
  for (int i = 0; i < TOKENS * K_ROW; i++)
    memcpy(file + tensors[2].offset + 2 * i, &(uint16_t){(uint16_t)(0x3c00 + i)}, 2);
  return tensors[2].offset + precis_tensor_bytes(&tensors[2]);
}

static void check_values(const taken *t)
{
  assert_int_equal(t->begun, 1);
  assert_true(t->in_order);
  assert_int_equal(t->count[0], TOKENS * K_ROW);
  assert_int_equal(t->count[1], TOKENS * V_ROW);
  assert_int_equal(t->count[2], 0);
  for (int i = 0; i < TOKENS * K_ROW; i++)
    assert_true(t->values[0][i] == 1 + (float)i / 1024);
  for (int i = 0; i < TOKENS * V_ROW; i++)
    assert_true(t->values[1][i] == (float)i);
}

/* Feeds pieces of random lengths, and ends. */
static int feed(precis_body *body, const char *file, int64_t bytes, int64_t most, uint64_t seed)
{
  precis_message why;
  int status = PRECIS_SUCCESS;
  for (int64_t at = 0, turn = 0; at < bytes && status == PRECIS_SUCCESS; turn++) {
    int64_t count = 1 + (int64_t)(seed * 2654435761u + (uint64_t)turn * 40503u) % most;
    count = count < bytes - at ? count : bytes - at;
    status = precis_body_take(body, file + at, count, &why);
    at += count;
  }
  if (status == PRECIS_SUCCESS)
    status = precis_body_end(body, &why);
  precis_body_free(body);
  return status;
}

static void cut_anywhere(void **state)
{
  static char file[MOST];
  int64_t bytes = make_file(file);
  (void)state;
  for (int64_t most = 1; most < 400; most += most < 20 ? 1 : 37)
    for (int known = 0; known < 2; known++) {
      taken t;
      precis_body body = make_body(&t, known ? bytes : -1);
      assert_int_equal(feed(&body, file, bytes, most, (uint64_t)most), PRECIS_SUCCESS);
      check_values(&t);
    }
}

static void refuses_what_is_damaged(void **state)
{
  static char file[MOST];
  int64_t bytes = make_file(file);
  taken t;
  (void)state;
  for (int64_t length = 0; length < bytes; length += length < 200 ? 1 : 13) {
    precis_body body = make_body(&t, -1);
    assert_int_equal(feed(&body, file, length, 50, 1), PRECIS_ERR_FORMAT);
    body = make_body(&t, length);
    assert_int_equal(feed(&body, file, length, 50, 1), PRECIS_ERR_FORMAT);
  }
  precis_body body = make_body(&t, -1);
  assert_int_equal(feed(&body, file, bytes + 1, 50, 1), PRECIS_ERR_FORMAT);
  body = make_body(&t, bytes + 1);
  assert_int_equal(feed(&body, file, bytes + 1, 50, 1), PRECIS_ERR_FORMAT);
  body = make_body(&t, -1);
  assert_int_equal(feed(&body, "\x02\0\0\0\0\0\0\0{}", 10, 5, 1), PRECIS_ERR_FORMAT);
  body = make_body(&t, -1);
  assert_int_equal(feed(&body, "\0\0\0\1\0\0\0\0{                ", 24, 5, 1), PRECIS_ERR_FORMAT);
  body = make_body(&t, -1);
  assert_int_equal(feed(&body, "this is no file at all", 22, 5, 1), PRECIS_ERR_FORMAT);
}

static void one_array_as_npy(void **state)
{
  precis_tensor tensor = {.dtype = PRECIS_F32, .axes = 2, .shape = {TOKENS, 5}, .offset = 0};
  char *header, *file;
  int64_t bytes, all;
  precis_message why;
  taken t;
  (void)state;
  assert_int_equal(precis_npy_format(&tensor, &header, &bytes, &why), 0);
  all = bytes + TOKENS * 5 * 4;
  file = realloc(header, (size_t)all);
  assert_non_null(file);
  for (int i = 0; i < TOKENS * 5; i++)
    memcpy(file + bytes + 4 * i, &(float){(float)i}, 4);
  precis_body body = make_body(&t, all);
  body.count = 1;
  assert_int_equal(feed(&body, file, all, 11, 3), PRECIS_SUCCESS);
  assert_int_equal(t.count[0], TOKENS * 5);
  for (int i = 0; i < TOKENS * 5; i++)
    assert_true(t.values[0][i] == (float)i);
  body = make_body(&t, all);
  assert_int_equal(feed(&body, file, all, 11, 3), PRECIS_ERR_FORMAT); /* there is no v */
  body = make_body(&t, -1);
  body.count = 1;
  assert_int_equal(feed(&body, file, all - 1, 11, 3), PRECIS_ERR_FORMAT);
  free(file);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cut_anywhere),
      cmocka_unit_test(refuses_what_is_damaged),
      cmocka_unit_test(one_array_as_npy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
