#include "mpi/files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/files/header.h"
#include "src/files/read.h"
#include "src/tokens/keys.h"
#include "src/base/memory.h"
#include "src/precis.h"

/* Bytes read at once: enough for any disk, little enough that the values are still in the cache
 * when they are converted and checked. */
static const int64_t TURN_BYTES = 4 << 20;

/* What rank 0 learns from the header. */
typedef struct finding {
  precis_tensor tensor;
  int64_t file_bytes;
  int found;
} finding;

static int find(precis_world *world, const char *path, const char *name, int optional, finding *all,
                precis_message *why)
{
  finding mine = {.found = 1};
  int status = PRECIS_SUCCESS;
  if (world->rank == 0)
    status = precis_header_read(path, name, optional ? &mine.found : NULL, &mine.tensor,
                                &mine.file_bytes, why);
  status = precis_world_agree(world, status, why);
  if (status != PRECIS_SUCCESS)
    return status;
  int failed = precis_world_broadcast(world, &mine, (int)sizeof mine, MPI_BYTE, 0);
  *all = mine;
  return precis_world_agree(world, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS, why);
}

/* Opens the file on this rank. It must be the one that rank 0 has seen: paths may lead elsewhere on
 * other machines. */
static int open_here(precis_world *world, const char *path, int64_t expected, int *file,
                     precis_message *why)
{
  struct stat info;
  *file = open(path, O_RDONLY | O_CLOEXEC);
  if (*file < 0 || fstat(*file, &info) != 0)
    return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be read on rank %d: %s", path,
                              world->rank, strerror(errno));
  if ((int64_t)info.st_size == expected)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_IO,
                            "%s: has %" PRId64 " bytes on rank %d, %" PRId64 " on rank 0", path,
                            (int64_t)info.st_size, world->rank, expected);
}

int precis_file_open(precis_world *world, const char *path, const char *name, int *found,
                     precis_file_array *array, precis_message *why)
{
  finding f;
  int status = find(world, path, name, found != NULL, &f, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (!f.found) {
    *found = 0;
    return PRECIS_SUCCESS;
  }
  precis_file_array made = {
      .tensor = f.tensor, .path = strdup(path), .name = strdup(name), .file = -1};
  if (made.path == NULL || made.name == NULL)
    status = precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", path);
  else
    status = open_here(world, path, f.file_bytes, &made.file, why);
  status = precis_world_agree(world, status, why);
  if (status != PRECIS_SUCCESS) {
    if (made.file >= 0)
      close(made.file);
    free(made.path);
    free(made.name);
    return status;
  }
  *array = made;
  if (found != NULL)
    *found = 1;
  return PRECIS_SUCCESS;
}

static int read_bytes(const precis_file_array *array, int64_t offset, int64_t bytes, void *to,
                      precis_message *why)
{
  int64_t got = precis_read_at(array->file, to, offset, bytes);
  if (got == bytes)
    return PRECIS_SUCCESS;
  return precis_message_set(
      why, PRECIS_ERR_IO,
      "%s: cannot read %" PRId64 " bytes of \"%.80s\" at offset %" PRId64 ": %s", array->path, bytes,
      array->name, offset, got < 0 ? strerror(errno) : "the file became shorter");
}

static double as_double(const void *raw, int64_t at)
{
  double value;
  memcpy(&value, (const char *)raw + at * (int64_t)sizeof value, sizeof value);
  return value;
}

/* The first value that has no place here, or count. A finite F64 that became -infinity is no log of
 * nothing. */
static int64_t find_bad(precis_dtype dtype, const void *raw, const float *x, int64_t count,
                        precis_file_values values)
{
  int look = values == PRECIS_FILE_LOGS && dtype == PRECIS_F64;
  int64_t at = precis_f32_nonfinite(x, count, values != PRECIS_FILE_FINITE && !look);
  for (; look && at < count; at++)
    if (!isfinite(x[at]) && as_double(raw, at) != -INFINITY)
      break;
  return at;
}

/* raw: x in the type of the file. element: number of x[0], of which a row has `width`. */
static int check_finite(const precis_file_array *array, int64_t element, int64_t width,
                        const void *raw, const float *x, int64_t count, precis_file_values values,
                        precis_message *why)
{
  int64_t at = find_bad(array->tensor.dtype, raw, x, count, values);
  if (at == count)
    return PRECIS_SUCCESS;
  int64_t row = (element + at) / width;
  double value = (double)x[at];
  if (array->tensor.dtype == PRECIS_F64)
    value = as_double(raw, at);
  if (isfinite(value))
    return precis_message_set(why, PRECIS_ERR_NONFINITE,
                              "%s: row %" PRId64
                              " of \"%.80s\" holds %.17g, which is beyond the range of float32",
                              array->path, row, array->name, value);
  return precis_message_set(why, PRECIS_ERR_NONFINITE, "%s: row %" PRId64 " of \"%.80s\" holds %s",
                            array->path, row, array->name,
                            isnan(value) ? "nan"
                            : value < 0  ? "-inf"
                                         : "inf");
}

/* `count` elements from element number `at` of the file's own order on, as float32; raw: room for
 * them in the type of the file, which may be x where that is float32. element, width: see
 * check_finite(). */
static int read_stretch(const precis_file_array *array, int64_t at, int64_t count, int64_t element,
                        int64_t width, precis_file_values values, void *raw, float *x,
                        precis_message *why)
{
  const precis_tensor *t = &array->tensor;
  int64_t size = precis_dtype_size(t->dtype);
  int status = read_bytes(array, t->offset + at * size, count * size, raw, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (t->big_endian)
    precis_bytes_swap(raw, size, count);
  precis_dtype_to_f32(t->dtype, raw, count, x);
  if (values == PRECIS_FILE_BIAS)
    precis_bias_settle(x, count);
  return check_finite(array, element, width, raw, x, count, values, why);
}

/* most: elements at a time. buffer: room for them, or NULL where the type is float32. */
static int read_rows(const precis_file_array *array, int64_t first, int64_t rows, int64_t most,
                     precis_file_values values, char *buffer, float *out, precis_message *why)
{
  int64_t width = precis_tensor_row_elements(&array->tensor), count = rows * width;
  int status = PRECIS_SUCCESS;
  for (int64_t done = 0; done < count && status == PRECIS_SUCCESS; done += most) {
    int64_t part = count - done < most ? count - done : most, at = first * width + done;
    status = read_stretch(array, at, part, at, width, values,
                          buffer != NULL ? (void *)buffer : out + done, out + done, why);
  }
  return status;
}

/* Column by column, of each the rows that are wanted. buffer: room for `most` elements, and behind
 * it for as many float32. */
static int read_columns(const precis_file_array *array, int64_t first, int64_t rows, int64_t most,
                        precis_file_values values, char *buffer, float *out, precis_message *why)
{
  const precis_tensor *t = &array->tensor;
  int64_t width = precis_tensor_row_elements(t);
  float *x = (float *)(void *)(buffer + most * (int64_t)sizeof(double));
  int status = PRECIS_SUCCESS;
  for (int64_t place = 0; place < width; place++)
    for (int64_t done = 0; done < rows && status == PRECIS_SUCCESS; done += most) {
      int64_t part = rows - done < most ? rows - done : most,
              at = precis_tensor_column(t, place) * t->shape[0] + first + done;
      status = read_stretch(array, at, part, first + done, 1, values, buffer, x, why);
      for (int64_t i = 0; i < part && status == PRECIS_SUCCESS; i++)
        out[(done + i) * width + place] = x[i];
    }
  return status;
}

static int read_here(precis_world *world, const precis_file_array *array, int64_t first,
                     int64_t rows, precis_file_values values, float *out, precis_message *why)
{
  const precis_tensor *t = &array->tensor;
  if (first < 0 || rows < 0 || rows > t->shape[0] || first > t->shape[0] - rows)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s: \"%.80s\" has %" PRId64 " rows; %" PRId64 " from row %" PRId64
                              " on were asked for",
                              array->path, array->name, t->shape[0], rows, first);
  int64_t size = precis_dtype_size(t->dtype), count = rows * precis_tensor_row_elements(t),
          longest = t->fortran ? rows : count,
          most = (world->piece_bytes < TURN_BYTES ? world->piece_bytes : TURN_BYTES) / size;
  most = most > longest ? longest : most < 1 ? 1 : most;
  if (count == 0)
    return PRECIS_SUCCESS;
  char *buffer = NULL;
  if (t->fortran || t->dtype != PRECIS_F32) {
    buffer = precis_memory_array(most, sizeof(double) + sizeof(float));
    if (buffer == NULL)
      return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory for reading",
                                array->path);
  }
  int status =
      (t->fortran ? read_columns : read_rows)(array, first, rows, most, values, buffer, out, why);
  free(buffer);
  return status;
}

int precis_file_read(precis_world *world, precis_file_array *array, int64_t first, int64_t rows,
                     precis_file_values values, float *out, precis_message *why)
{
  return precis_world_agree(world, read_here(world, array, first, rows, values, out, why), why);
}

void precis_file_close(precis_file_array *array)
{
  if (array->path == NULL)
    return;
  close(array->file);
  free(array->path);
  free(array->name);
  *array = (precis_file_array){.file = -1};
}
