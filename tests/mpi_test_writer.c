/* Arrays written to files, by any number of ranks: whole, or not at all. */
#include "tests/scratch.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "mpi/files/files.h"
#include "src/precis.h"

#define EVERYWHERE MPI_COMM_WORLD

static float value_at(int array, int64_t i)
{
  return (float)(i % 9973) - 1000 * (float)array;
}

/* The rows [*first, *first + *rows) of this rank: uneven, and none on rank 1. */
static void share(const scratch *s, int64_t total, int64_t *first, int64_t *rows)
{
  int rank = s->world.rank, ranks = s->world.ranks;
  int64_t from = total * rank / ranks, to = total * (rank + 1) / ranks;
  if (rank == 0 && ranks > 1)
    to = total * 2 / ranks;
  if (rank == 1)
    from = to;
  *first = from;
  *rows = to - from;
}

static int64_t width_of(const precis_output *array)
{
  int64_t width = 1;
  for (int i = 1; i < array->axes; i++)
    width *= array->shape[i];
  return width;
}

/* Writes this rank's share of one array in two calls. */
static int write_share(scratch *s, precis_writer *writer, const precis_output *arrays, int a,
                       precis_message *why)
{
  int64_t first, rows, width = width_of(&arrays[a]);
  share(s, arrays[a].shape[0], &first, &rows);
  float *data = malloc((size_t)(rows * width + 1) * sizeof *data);
  for (int64_t i = 0; i < rows * width; i++)
    data[i] = value_at(a, first * width + i);
  int64_t half = rows / 2;
  int status = precis_writer_rows(writer, a, first + half, rows - half, data + half * width, why);
  if (status == PRECIS_SUCCESS)
    status = precis_writer_rows(writer, a, first, half, data, why);
  free(data);
  return status;
}

static int write_file(scratch *s, const char *name, const precis_output *arrays, int count,
                      precis_message *why)
{
  precis_writer *writer = NULL;
  int status =
      precis_writer_create(&s->world, scratch_path(s, name).text, arrays, count, &writer, why);
  for (int a = 0; a < count && status == PRECIS_SUCCESS; a++)
    status = write_share(s, writer, arrays, a, why);
  if (status == PRECIS_SUCCESS)
    status = precis_writer_commit(&writer, why);
  precis_writer_discard(&writer);
  assert_all(EVERYWHERE, writer == NULL && scratch_same(status, why));
  return status;
}

/* Every rank reads all of an array. */
static int holds(scratch *s, const char *name, const precis_output *arrays, int a)
{
  precis_file_array array = {0};
  precis_message why = {""};
  int64_t rows = arrays[a].shape[0], width = width_of(&arrays[a]);
  float *data = malloc((size_t)(rows * width + 1) * sizeof *data);
  int good = precis_file_open(&s->world, scratch_path(s, name).text, arrays[a].name, NULL, &array,
                              &why) == PRECIS_SUCCESS;
  good = good && array.tensor.dtype == PRECIS_F32 && array.tensor.axes == arrays[a].axes;
  good = good &&
         memcmp(array.tensor.shape, arrays[a].shape, (size_t)arrays[a].axes * sizeof(int64_t)) == 0;
  good = good && precis_file_read(&s->world, &array, 0, rows, 0, data, &why) == PRECIS_SUCCESS;
  for (int64_t i = 0; good && i < rows * width; i++)
    good = data[i] == value_at(a, i);
  free(data);
  precis_file_close(&array);
  return good;
}

static void there_and_back(void **state)
{
  scratch *s = *state;
  static const int64_t pieces[] = {PRECIS_PIECE_BYTES, 1000, 3};
  static const int64_t totals[] = {0, 1, 2, 5, 499};
  for (int p = 0; p < 3; p++)
    for (int t = 0; t < 5; t++) {
      precis_output arrays[] = {{"q", 3, {totals[t], 2, 3}},
                                {"k", 4, {totals[4 - t], 1, 7, 1}},
                                {"b\"\xc3\xa4", 1, {totals[t]}}};
      precis_message why = {""};
      s->world.piece_bytes = pieces[p];
      for (int a = 0; a < 3; a++) { /* over the one before */
        assert_all(EVERYWHERE, write_file(s, "x.npy", &arrays[a], 1, &why) == PRECIS_SUCCESS);
        assert_all(EVERYWHERE, holds(s, "x.npy", &arrays[a], 0));
      }
      assert_all(EVERYWHERE, write_file(s, "x.safetensors", arrays, 3, &why) == PRECIS_SUCCESS);
      for (int a = 0; a < 3; a++)
        assert_all(EVERYWHERE, holds(s, "x.safetensors", arrays, a));
      assert_all(EVERYWHERE, scratch_clear(s) == 2);
    }
  s->world.piece_bytes = PRECIS_PIECE_BYTES;
}

static void infinities_are_written(void **state)
{
  scratch *s = *state;
  precis_output lse = {"lse", 1, {1}};
  precis_writer *writer = NULL;
  precis_message why = {""};
  float data = -INFINITY;
  int status =
      precis_writer_create(&s->world, scratch_path(s, "lse.npy").text, &lse, 1, &writer, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  /* The last rank has the row. */
  status = precis_writer_rows(writer, 0, 0, s->world.rank == s->world.ranks - 1, &data, &why);
  assert_all(EVERYWHERE,
             status == PRECIS_SUCCESS && access(precis_writer_aside(writer), W_OK) == 0);
  assert_all(EVERYWHERE, precis_writer_commit(&writer, &why) == PRECIS_SUCCESS && writer == NULL);
  precis_file_array array = {0};
  status = precis_file_open(&s->world, scratch_path(s, "lse.npy").text, "lse", NULL, &array, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  data = 0;
  assert_all(EVERYWHERE,
             precis_file_read(&s->world, &array, 0, 1, 1, &data, &why) == PRECIS_SUCCESS);
  assert_all(EVERYWHERE, data < 0 && isinf(data));
  precis_file_close(&array);
  assert_all(EVERYWHERE, scratch_clear(s) == 1);
}

static void refused(scratch *s, const char *name, const precis_output *arrays, int count,
                    int expected, const char *says)
{
  precis_message why = {""};
  int status = write_file(s, name, arrays, count, &why);
  if (status != expected || strstr(why.text, says) == NULL)
    fprintf(stderr, "%s: got %d \"%s\", expected %d \"%s\"\n", name, status, why.text, expected,
            says);
  assert_all(EVERYWHERE, status == expected && strstr(why.text, says) != NULL);
}

static void bad_arguments(void **state)
{
  scratch *s = *state;
  precis_output two[] = {{"q", 1, {5}}, {"q", 1, {5}}}, large = {"q", 2, {INT64_MAX, 9}},
                flat = {"q", 0, {1}};
  refused(s, "x", two, 1, PRECIS_ERR_ARGUMENT, "must end in .npy or .safetensors");
  refused(s, "x.npy.gz", two, 1, PRECIS_ERR_ARGUMENT, "must end in .npy or .safetensors");
  refused(s, "x.npy", two, 2, PRECIS_ERR_ARGUMENT, "one array, not 2");
  refused(s, "x.npy", two, 0, PRECIS_ERR_ARGUMENT, "no arrays");
  refused(s, "x.safetensors", two, 2, PRECIS_ERR_ARGUMENT, "tensor \"q\"");
  refused(s, "x.npy", &large, 1, PRECIS_ERR_ARGUMENT, "(9223372036854775807, 9)");
  refused(s, "x.safetensors", &flat, 1, PRECIS_ERR_ARGUMENT, "tensor \"q\"");
  assert_all(EVERYWHERE, scratch_clear(s) == 0);
}

static void bad_places(void **state)
{
  scratch *s = *state;
  precis_output array = {"q", 1, {5}}, huge = {"q", 1, {INT64_C(1) << 59}};
  int made = s->world.rank != 0 || (mkdir(scratch_path(s, "folder.npy").text, 0777) == 0 &&
                                    symlink("/dev/full", scratch_path(s, "full.npy").text) == 0);
  assert_all(EVERYWHERE, made);
  refused(s, "missing/x.npy", &array, 1, PRECIS_ERR_IO, strerror(ENOENT));
  refused(s, "folder.npy", &array, 1, PRECIS_ERR_IO, strerror(EISDIR));
  refused(s, "full.npy", &array, 1, PRECIS_ERR_IO, "not a regular file");
  refused(s, "huge.npy", &huge, 1, PRECIS_ERR_IO, "huge.npy: ");
  assert_all(EVERYWHERE, scratch_clear(s) == 2);
}

/* A failure in the middle: the file that was there before stays. */
static precis_writer *begin_over(scratch *s, const precis_output *array)
{
  precis_writer *writer = NULL;
  precis_message why = {""};
  assert_all(EVERYWHERE, write_file(s, "x.npy", array, 1, &why) == PRECIS_SUCCESS);
  int status =
      precis_writer_create(&s->world, scratch_path(s, "x.npy").text, array, 1, &writer, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  return writer;
}

static void bad_rows(void **state)
{
  scratch *s = *state;
  static const int64_t bad[][3] = {{0, -1, 1},        {0, 0, -1}, {0, 5, 1}, {0, 0, 6},
                                   {0, INT64_MAX, 2}, {1, 0, 1},  {-1, 0, 1}};
  precis_output array = {"q", 2, {5, 3}};
  for (int i = 0; i < 7; i++) {
    precis_writer *writer = begin_over(s, &array);
    precis_message why = {""};
    float data[15] = {0};
    int64_t none[3] = {0, 0, 0};
    const int64_t *r = s->world.rank == s->world.ranks - 1 ? bad[i] : none;
    int status = precis_writer_rows(writer, (int)r[0], r[1], r[2], data, &why);
    assert_all(EVERYWHERE, status == PRECIS_ERR_ARGUMENT && scratch_same(status, &why));
    assert_all(EVERYWHERE, access(precis_writer_aside(writer), F_OK) != 0);
    /* given up */
    assert_all(EVERYWHERE, precis_writer_rows(writer, 0, 0, 0, data, &why) == PRECIS_ERR_INTERNAL);
    if (i % 2)
      assert_all(EVERYWHERE, precis_writer_commit(&writer, &why) == PRECIS_ERR_INTERNAL);
    precis_writer_discard(&writer);
    assert_all(EVERYWHERE, writer == NULL && holds(s, "x.npy", &array, 0));
  }
  assert_all(EVERYWHERE, scratch_clear(s) == 1);
}

static void missing_rows(void **state)
{
  scratch *s = *state;
  precis_output array = {"q", 2, {5, 3}};
  precis_writer *writer = begin_over(s, &array);
  precis_message why = {""};
  float data[12] = {0};
  assert_all(EVERYWHERE,
             precis_writer_rows(writer, 0, 0, s->world.rank ? 0 : 4, data, &why) == PRECIS_SUCCESS);
  int status = precis_writer_commit(&writer, &why);
  assert_all(EVERYWHERE,
             status == PRECIS_ERR_INTERNAL && scratch_same(status, &why) && writer == NULL);
  assert_all(EVERYWHERE, strstr(why.text, "48 bytes were written, not 60") != NULL);
  assert_all(EVERYWHERE, holds(s, "x.npy", &array, 0));
  assert_all(EVERYWHERE, scratch_clear(s) == 1);
}

/* One rank's disk fails: a limit on the size of files stands for it, as it fails just so. */
static void failing_disk(void **state)
{
  scratch *s = *state;
  precis_output array = {"q", 2, {500, 64}};
  precis_writer *writer = begin_over(s, &array);
  precis_message why = {""};
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  struct rlimit saved, low;
  getrlimit(RLIMIT_FSIZE, &saved);
  low = (struct rlimit){4096, saved.rlim_max};
  int last = s->world.rank == s->world.ranks - 1;
  if (last)
    setrlimit(RLIMIT_FSIZE, &low);
  int status = write_share(s, writer, &array, 0, &why);
  if (last)
    setrlimit(RLIMIT_FSIZE, &saved);
  signal(SIGXFSZ, handler);
  int mine = s->world.ranks == 2; /* rank 1 has no rows */
  assert_all(EVERYWHERE, mine || (status == PRECIS_ERR_IO && scratch_same(status, &why)));
  assert_all(EVERYWHERE, mine || strstr(why.text, strerror(EFBIG)) != NULL);
  precis_writer_discard(&writer);
  assert_all(EVERYWHERE, holds(s, "x.npy", &array, 0));
  assert_all(EVERYWHERE, scratch_clear(s) == 1);
}

static void full_disk(void **state)
{
  scratch *s = *state;
  int mounted = 0;
  if (s->world.rank == 0)
    mounted = mkdir(scratch_path(s, "small").text, 0777) == 0 &&
              mount("none", scratch_path(s, "small").text, "tmpfs", 0, "size=256k") == 0;
  MPI_Bcast(&mounted, 1, MPI_INT, 0, EVERYWHERE);
  if (!mounted) {
    scratch_clear(s);
    if (s->world.rank == 0)
      print_message("a small file system takes the right to mount one\n");
    skip();
  }
  precis_output fits = {"q", 1, {100}}, large = {"q", 1, {100000}};
  precis_message small = {""}, why = {""};
  int good = write_file(s, "small/x.npy", &fits, 1, &small);
  int status = write_file(s, "small/x.npy", &large, 1, &why);
  int kept = holds(s, "small/x.npy", &fits, 0);
  scratch inside = *s;
  snprintf(inside.folder, sizeof inside.folder, "%.55s/small", s->folder);
  int left = scratch_clear(&inside);
  if (s->world.rank == 0)
    umount2(inside.folder, MNT_DETACH);
  assert_all(EVERYWHERE, good == PRECIS_SUCCESS && status == PRECIS_ERR_IO && kept && left == 1);
  assert_all(EVERYWHERE, strstr(why.text, strerror(ENOSPC)) != NULL);
  scratch_clear(s);
}

/* The rows [first, first + rows) of one array, evenly over the ranks. */
static int write_rows(scratch *s, precis_writer *writer, const precis_output *arrays, int a,
                      int64_t first, int64_t rows, precis_message *why)
{
  int64_t width = width_of(&arrays[a]), from = first + rows * s->world.rank / s->world.ranks,
          to = first + rows * (s->world.rank + 1) / s->world.ranks;
  float *data = malloc((size_t)((to - from) * width + 1) * sizeof *data);
  for (int64_t i = 0; i < (to - from) * width; i++)
    data[i] = value_at(a, from * width + i);
  int status = precis_writer_rows(writer, a, from, to - from, data, why);
  free(data);
  return status;
}

typedef struct part_name {
  char text[64];
} part_name;

/* Some rows by one writer, which saves and leaves them; the name of what it leaves. */
static part_name leave_rows(scratch *s, const char *name, const precis_output *arrays, int count,
                            int64_t rows)
{
  precis_writer *writer = NULL;
  precis_message why = {""};
  part_name left;
  int status =
      precis_writer_create(&s->world, scratch_path(s, name).text, arrays, count, &writer, &why);
  for (int a = 0; a < count && status == PRECIS_SUCCESS; a++)
    status = write_rows(s, writer, arrays, a, 0, rows, &why);
  if (status == PRECIS_SUCCESS)
    status = precis_writer_save(writer, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  const char *aside = precis_writer_aside(writer);
  snprintf(left.text, sizeof left.text, "%s", strrchr(aside, '/') + 1);
  precis_writer_leave(&writer);
  assert_all(EVERYWHERE, writer == NULL && access(scratch_path(s, left.text).text, F_OK) == 0 &&
                             access(scratch_path(s, name).text, F_OK) != 0);
  return left;
}

static void left_and_resumed(void **state)
{
  scratch *s = *state;
  precis_output arrays[] = {{"out", 3, {17, 2, 3}}, {"lse", 2, {17, 2}}};
  static const char *const names[] = {"x.npy", "x.safetensors"};
  for (int f = 0; f < 2; f++) {
    precis_writer *writer = NULL;
    precis_message why = {""};
    part_name left = leave_rows(s, names[f], arrays, f + 1, 11);
    int status = precis_writer_resume(&s->world, scratch_path(s, names[f]).text, arrays, f + 1,
                                      left.text, 11, &writer, &why);
    assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
    for (int a = 0; a < f + 1 && status == PRECIS_SUCCESS; a++)
      status = write_rows(s, writer, arrays, a, 11, 6, &why);
    if (status == PRECIS_SUCCESS)
      status = precis_writer_commit(&writer, &why);
    assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
    for (int a = 0; a < f + 1; a++)
      assert_all(EVERYWHERE, holds(s, names[f], arrays, a));
  }
  assert_all(EVERYWHERE, scratch_clear(s) == 2);
}

static void cannot_resume(scratch *s, const precis_output *array, const char *left, int expected)
{
  precis_writer *writer = NULL;
  precis_message why = {""};
  int status = precis_writer_resume(&s->world, scratch_path(s, "x.npy").text, array, 1, left, 2,
                                    &writer, &why);
  assert_all(EVERYWHERE, status == expected && scratch_same(status, &why) && writer == NULL);
}

/* What does not fit is refused and left alone; so is what was saved when a later call fails. */
static void left_alone(void **state)
{
  scratch *s = *state;
  precis_output array = {"q", 2, {5, 3}}, longer = {"q", 2, {6, 3}}, turned = {"q", 2, {3, 5}};
  precis_writer *writer = NULL;
  precis_message why = {""};
  part_name left = leave_rows(s, "x.npy", &array, 1, 2);
  cannot_resume(s, &longer, left.text, PRECIS_ERR_FORMAT);
  cannot_resume(s, &turned, left.text, PRECIS_ERR_FORMAT);
  cannot_resume(s, &array, "x.npy", PRECIS_ERR_FORMAT);
  cannot_resume(s, &array, "x.npy.0-9999.part", PRECIS_ERR_IO);
  int status = precis_writer_resume(&s->world, scratch_path(s, "x.npy").text, &array, 1, left.text,
                                    2, &writer, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  assert_all(EVERYWHERE, precis_writer_rows(writer, 0, 9, 1, NULL, &why) == PRECIS_ERR_ARGUMENT);
  assert_all(EVERYWHERE, access(scratch_path(s, left.text).text, F_OK) == 0);
  assert_all(EVERYWHERE, precis_writer_save(writer, &why) == PRECIS_ERR_INTERNAL);
  assert_all(EVERYWHERE, precis_writer_commit(&writer, &why) == PRECIS_ERR_INTERNAL);
  assert_all(EVERYWHERE, writer == NULL && access(scratch_path(s, left.text).text, F_OK) == 0);
  status = precis_writer_resume(&s->world, scratch_path(s, "x.npy").text, &array, 1, left.text, 2,
                                &writer, &why);
  assert_all(EVERYWHERE, status == PRECIS_SUCCESS);
  precis_writer_discard(&writer);
  assert_all(EVERYWHERE, writer == NULL && scratch_clear(s) == 0);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(there_and_back),   cmocka_unit_test(infinities_are_written),
      cmocka_unit_test(bad_arguments),    cmocka_unit_test(bad_places),
      cmocka_unit_test(bad_rows),         cmocka_unit_test(missing_rows),
      cmocka_unit_test(failing_disk),     cmocka_unit_test(full_disk),
      cmocka_unit_test(left_and_resumed), cmocka_unit_test(left_alone),
  };
  MPI_Init(&argc, &argv);
  int failed = cmocka_run_group_tests(tests, scratch_make, scratch_remove);
  MPI_Finalize();
  return failed;
}
