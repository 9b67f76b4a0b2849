/* .npz files: arrays that are stored in a zip archive, and everything that may be wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/files/header.h"
#include "src/files/npy.h"
#include "src/precis.h"

enum { MOST = 4096 };

typedef struct archive {
  unsigned char bytes[MOST], directory[MOST];
  size_t used, directory_used, members, data[4]; /* data: where the arrays' numbers begin */
  int zip64;
} archive;

static size_t put(unsigned char *to, size_t at, uint64_t value, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++)
    to[at + i] = (unsigned char)(value >> 8 * i);
  return at + bytes;
}

static void add_bytes(archive *a, const void *from, size_t bytes)
{
  memcpy(a->bytes + a->used, from, bytes);
  a->used += bytes;
}

/* rows x 2 of float32: 0, 1, 2, ... method 8 would be deflate. */
static void add(archive *a, const char *name, int rows, int method)
{
  char *header;
  int64_t header_bytes;
  precis_tensor t = {.dtype = PRECIS_F32, .axes = 2, .shape = {rows, 2}};
  assert_int_equal(precis_npy_format(&t, &header, &header_bytes, NULL), PRECIS_SUCCESS);
  size_t local = a->used, size = (size_t)header_bytes + (size_t)rows * 8, length = strlen(name),
         extra = a->zip64 ? 28 : 0, at = a->directory_used;
  a->used = put(a->bytes, local, 0x04034b50, 4);
  memset(a->bytes + a->used, 0, 26);
  put(a->bytes, local + 8, (uint64_t)method, 2);
  put(a->bytes, local + 26, length, 2);
  put(a->bytes, local + 28, 5, 2); /* what extra fields there are here says nothing of those there */
  a->used = local + 30;
  add_bytes(a, name, length);
  add_bytes(a, "\xfe\xca\x01\0x", 5);
  add_bytes(a, header, (size_t)header_bytes);
  a->data[a->members++] = a->used;
  for (int i = 0; i < 2 * rows; i++)
    add_bytes(a, &(float){(float)i}, 4);
  free(header);
  memset(a->directory + at, 0, 46);
  put(a->directory, at, 0x02014b50, 4);
  put(a->directory, at + 10, (uint64_t)method, 2);
  put(a->directory, at + 20, a->zip64 ? 0xffffffff : size, 4);
  put(a->directory, at + 24, a->zip64 ? 0xffffffff : size, 4);
  put(a->directory, at + 28, length, 2);
  put(a->directory, at + 30, extra, 2);
  put(a->directory, at + 42, a->zip64 ? 0xffffffff : local, 4);
  memcpy(a->directory + at + 46, name, length);
  at += 46 + length;
  if (a->zip64) {
    put(a->directory, at, 1, 2);
    put(a->directory, at + 2, 24, 2);
    put(a->directory, at + 4, size, 8);
    put(a->directory, at + 12, size, 8);
    put(a->directory, at + 20, local, 8);
    at += 28;
  }
  a->directory_used = at;
}

static void finish(archive *a, const char *comment)
{
  size_t begin = a->used, length = strlen(comment);
  add_bytes(a, a->directory, a->directory_used);
  if (a->zip64) {
    size_t end64 = a->used;
    memset(a->bytes + end64, 0, 76);
    put(a->bytes, end64, 0x06064b50, 4);
    put(a->bytes, end64 + 32, a->members, 8);
    put(a->bytes, end64 + 40, a->directory_used, 8);
    put(a->bytes, end64 + 48, begin, 8);
    put(a->bytes, end64 + 56, 0x07064b50, 4);
    put(a->bytes, end64 + 64, end64, 8);
    a->used += 76;
  }
  memset(a->bytes + a->used, 0, 22);
  put(a->bytes, a->used, 0x06054b50, 4);
  put(a->bytes, a->used + 10, a->zip64 ? 0xffff : a->members, 2);
  put(a->bytes, a->used + 12, a->zip64 ? 0xffffffff : a->directory_used, 4);
  put(a->bytes, a->used + 16, a->zip64 ? 0xffffffff : begin, 4);
  put(a->bytes, a->used + 20, length, 2);
  a->used += 22;
  add_bytes(a, comment, length);
}

static char path[] = "/tmp/precis-npz-XXXXXX";

static int read_bytes(const void *bytes, size_t count, const char *name, int *found,
                      precis_tensor *t, precis_message *why)
{
  int64_t file_bytes;
  FILE *file = fopen(path, "w");
  assert_true(file != NULL && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
  why->text[0] = '\0';
  return precis_header_read(path, name, found, t, &file_bytes, why);
}

static void count_names(void *context, const char *name)
{
  (void)name;
  ++*(int *)context;
}

static void arrays(void **state)
{
  (void)state;
  for (int zip64 = 0; zip64 < 2; zip64++) {
    archive a = {.zip64 = zip64};
    precis_message why;
    precis_tensor t;
    int found = 7, names = 0;
    add(&a, "q.npy", 3, 0);
    add(&a, "notes.txt", 1, 0);
    add(&a, "layer.0/k.npy", 5, 0);
    finish(&a, zip64 ? "" : "a comment, PK\005\006 and so on");
    assert_int_equal(read_bytes(a.bytes, a.used, "q", NULL, &t, &why), PRECIS_SUCCESS);
    assert_true(t.shape[0] == 3 && t.offset == (int64_t)a.data[0]);
    assert_int_equal(read_bytes(a.bytes, a.used, "layer.0/k", &found, &t, &why), PRECIS_SUCCESS);
    assert_true(found == 1 && t.shape[0] == 5 && t.offset == (int64_t)a.data[2]);
    assert_int_equal(read_bytes(a.bytes, a.used, "bias", &found, &t, &why), PRECIS_SUCCESS);
    assert_true(found == 0 && t.shape[0] == 5);
    assert_int_equal(read_bytes(a.bytes, a.used, "v", NULL, &t, &why), PRECIS_ERR_FORMAT);
    assert_non_null(strstr(why.text, "no array \"v\" among its 2 arrays (q, layer.0/k)"));
    assert_int_equal(precis_header_each(path, count_names, &names, &why), PRECIS_SUCCESS);
    assert_int_equal(names, 2);
  }
}

static void refused(void **state)
{
  (void)state;
  archive a = {.zip64 = 0}, other = {.zip64 = 0};
  precis_message why;
  precis_tensor t;
  add(&a, "q.npy", 3, 8);
  finish(&a, "");
  assert_int_equal(read_bytes(a.bytes, a.used, "q", NULL, &t, &why), PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "not savez_compressed()"));
  add(&other, "archive/data.pkl", 3, 0);
  finish(&other, "");
  assert_int_equal(read_bytes(other.bytes, other.used, "q", NULL, &t, &why), PRECIS_ERR_FORMAT);
  assert_non_null(strstr(why.text, "PyTorch"));
}

/* Cut anywhere it is refused; with any byte changed it is read, or refused, in words. */
static void damaged(void **state)
{
  (void)state;
  for (int zip64 = 0; zip64 < 2; zip64++) {
    archive a = {.zip64 = zip64};
    precis_message why;
    precis_tensor t;
    add(&a, "q.npy", 2, 0);
    add(&a, "k.npy", 1, 0);
    finish(&a, "");
    for (size_t bytes = 1; bytes < a.used; bytes++) {
      assert_int_equal(read_bytes(a.bytes, bytes, "q", NULL, &t, &why), PRECIS_ERR_FORMAT);
      assert_true(strstr(why.text, path) == why.text);
    }
    for (size_t i = 0; i < a.used; i++)
      for (int by = 1; by < 256; by += 127) {
        a.bytes[i] ^= (unsigned char)by;
        int status = read_bytes(a.bytes, a.used, "q", NULL, &t, &why);
        a.bytes[i] ^= (unsigned char)by;
        assert_true(status == PRECIS_SUCCESS ||
                    (status == PRECIS_ERR_FORMAT && strstr(why.text, path) == why.text));
        if (status == PRECIS_SUCCESS)
          assert_true(t.offset + precis_tensor_bytes(&t) <= (int64_t)a.used);
      }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(arrays), cmocka_unit_test(refused),
                                     cmocka_unit_test(damaged)};
  int file = mkstemp(path);
  if (file < 0)
    return 1;
  close(file);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  unlink(path);
  return failed;
}
