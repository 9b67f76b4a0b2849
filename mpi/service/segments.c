#include "mpi/service/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/service/landing.h"
#include "src/files/header.h"
#include "src/files/read.h"
#include "src/files/safetensors.h"

enum { ARRAYS = 3 };
static const char *const names[ARRAYS] = {"k", "v", "bias"};

precis_segment_path precis_segment_at(const char *data, const char *name)
{
  precis_segment_path path;
  snprintf(path.text, sizeof path.text, "%s/segments/%s.safetensors", data, name);
  return path;
}

static precis_tensor tensor_of(const precis_problem *p, int array, int64_t rows)
{
  if (array == 2)
    return (precis_tensor){.axes = 1, .shape = {rows}};
  return (precis_tensor){.axes = 3, .shape = {rows, p->kv_heads, array ? p->value_dim : p->dim}};
}

int precis_segment_begin(const char *path, const precis_segment *segment, const precis_problem *p,
                         int with_bias, precis_segment_writing *w, precis_message *why)
{
  precis_tensor tensors[ARRAYS];
  char *header;
  int64_t header_bytes;
  int count = with_bias ? ARRAYS : ARRAYS - 1;
  *w = (precis_segment_writing){.landing = {.file = -1}};
  for (int i = 0; i < count; i++)
    tensors[i] = tensor_of(p, i, segment->rows);
  int status = precis_safetensors_format(names, tensors, count, &header, &header_bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_sum_begin(&w->sum, why);
  if (status == PRECIS_SUCCESS)
    status = precis_landing_open(path, &w->landing, why);
  if (status == PRECIS_SUCCESS)
    status = precis_segment_put(w, header, header_bytes, why);
  free(header);
  return status;
}

int precis_segment_put(precis_segment_writing *w, const void *bytes, int64_t count,
                       precis_message *why)
{
  int status = precis_landing_write(&w->landing, bytes, count, w->at, why);
  precis_sum_add(&w->sum, bytes, count);
  w->at += count;
  return status;
}

int precis_segment_finish(precis_segment_writing *w, int status, precis_segment *segment,
                          precis_message *why)
{
  if (w->sum.hash != NULL)
    segment->sum = precis_sum_end(&w->sum);
  if (status == PRECIS_SUCCESS)
    status = precis_landing_commit(&w->landing, NULL, why);
  precis_landing_discard(&w->landing);
  return status;
}

int precis_segment_write(const char *data, precis_segment *segment, const precis_problem *problem,
                         float *const *arrays, precis_message *why)
{
  precis_segment_writing w;
  precis_segment_path path = precis_segment_at(data, segment->name);
  int status = precis_segment_begin(path.text, segment, problem, arrays[2] != NULL, &w, why);
  for (int i = 0; i < ARRAYS && status == PRECIS_SUCCESS; i++) {
    precis_tensor tensor = tensor_of(problem, i, segment->rows);
    if (arrays[i] != NULL)
      status = precis_segment_put(&w, arrays[i], precis_tensor_bytes(&tensor), why);
  }
  return precis_segment_finish(&w, status, segment, why);
}

int precis_segment_verify(const char *data, const precis_segment *segment, precis_message *why)
{
  precis_segment_path path = precis_segment_at(data, segment->name);
  precis_sum sum;
  if (segment->sum.text[0] == '\0')
    return PRECIS_SUCCESS;
  int status = precis_sum_file(path.text, &sum, why);
  if (status == PRECIS_SUCCESS && strcmp(sum.text, segment->sum.text) != 0)
    status =
        precis_message_set(why, PRECIS_ERR_FORMAT,
                           "%s: is damaged: its sum is not that of what was written", path.text);
  return status;
}

static int same_shape(const precis_tensor *a, const precis_tensor *b)
{
  int same = a->dtype == b->dtype && a->axes == b->axes;
  for (int i = 0; i < a->axes && same; i++)
    same = a->shape[i] == b->shape[i];
  return same;
}

static int read_bytes(const char *path, int file, int64_t offset, int64_t bytes, void *to,
                      precis_message *why)
{
  int64_t got = precis_read_at(file, to, offset, bytes);
  return got == bytes ? PRECIS_SUCCESS
                      : precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be read: %s", path,
                                           got < 0 ? strerror(errno) : "it is too short");
}

/* Rows of one array. A file without bias has zeros. */
static int read_array(const char *path, int file, const precis_segment *segment,
                      const precis_problem *problem, int array, int64_t first, int64_t rows,
                      float *to, precis_message *why)
{
  precis_tensor wanted = tensor_of(problem, array, segment->rows), found;
  int64_t row = precis_tensor_row_elements(&wanted), bytes;
  int there = 0;
  int status = precis_header_read(path, names[array], &there, &found, &bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (!there && array == 2) {
    memset(to, 0, (size_t)rows * sizeof *to);
    return PRECIS_SUCCESS;
  }
  if (!there || !same_shape(&wanted, &found))
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: tensor %s is not as it was written",
                              path, names[array]);
  return read_bytes(path, file, found.offset + first * row * 4, rows * row * 4, to, why);
}

int precis_segment_read(const char *data, const precis_segment *segment,
                        const precis_problem *problem, int64_t first, int64_t rows, float *k,
                        float *v, float *bias, precis_message *why)
{
  precis_segment_path path = precis_segment_at(data, segment->name);
  float *const to[ARRAYS] = {k, v, bias};
  int status = PRECIS_SUCCESS, file = open(path.text, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be read: %s", path.text,
                              strerror(errno));
  for (int i = 0; i < ARRAYS && status == PRECIS_SUCCESS; i++)
    if (to[i] != NULL)
      status = read_array(path.text, file, segment, problem, i, first, rows, to[i], why);
  close(file);
  return status;
}

int precis_segment_check(const char *data, const precis_segment *segment,
                         const precis_problem *problem, precis_message *why)
{
  float none = 0; /* of no row */
  int status = precis_segment_verify(data, segment, why);
  if (status == PRECIS_SUCCESS)
    status = precis_segment_read(data, segment, problem, 0, 0, &none, &none, &none, why);
  return status;
}

int precis_segment_remove(const char *data, const char *name)
{
  precis_segment_path path = precis_segment_at(data, name);
  return unlink(path.text) == 0 || errno == ENOENT ? 0 : errno;
}

void precis_segment_stem(const char *context, int64_t sequence, const char *job,
                         char stem[PRECIS_SEGMENT_NAME])
{
  snprintf(stem, PRECIS_SEGMENT_NAME, "%.17s-%" PRId64 "-%.16s", context, sequence, job);
}

/* So many of these characters, or at least one if `count` is 0, then the character that ends them.
 * Returns what follows, NULL if it is not so. */
static const char *pass(const char *text, const char *characters, size_t count, char end)
{
  size_t length = text ? strspn(text, characters) : 0;
  if (text == NULL || length == 0 || (count > 0 && length != count) || text[length] != end)
    return NULL;
  return end != '\0' ? text + length + 1 : text + length;
}

int precis_segment_origin_of(const char *file, precis_segment_origin *origin)
{
  static const char digits[] = "0123456789", hex[] = "0123456789abcdef";
  const char *after_id = file[0] == 'c' ? pass(file + 1, hex, PRECIS_SEGMENT_JOB, '-') : NULL;
  const char *after_sequence = pass(after_id, digits, 0, '-');
  const char *rank = pass(after_sequence, hex, PRECIS_SEGMENT_JOB, '-');
  const char *rest = pass(rank ? rank : after_sequence, digits, 0, '.');
  if (rest == NULL || strncmp(rest, "safetensors", 11) != 0 ||
      (rest[11] != '\0' && rest[11] != '.'))
    return 0;
  const char *tail = rest + strlen(rest) - 5;
  if (rest[11] == '.' && strcmp(tail, ".part") != 0)
    return 0;
  snprintf(origin->context, sizeof origin->context, "%.*s", PRECIS_SEGMENT_JOB + 1, file);
  origin->sequence = strtoll(after_id, NULL, 10);
  return 1;
}
