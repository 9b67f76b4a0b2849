#include "mpi/service/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/draft.h"
#include "src/header.h"
#include "src/safetensors.h"

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

int precis_segment_write(const char *data, const precis_segment *segment,
                         const precis_problem *problem, float *const *arrays, precis_message *why)
{
  precis_segment_path path = precis_segment_at(data, segment->name);
  precis_tensor tensors[ARRAYS];
  precis_draft draft = {.path = NULL};
  char *header;
  int64_t header_bytes;
  int count = arrays[2] ? ARRAYS : ARRAYS - 1;
  for (int i = 0; i < count; i++)
    tensors[i] = tensor_of(problem, i, segment->rows);
  int status = precis_safetensors_format(names, tensors, count, &header, &header_bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_draft_create(path.text, &draft, why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_write(&draft, header, header_bytes, 0, why);
  for (int i = 0; i < count && status == PRECIS_SUCCESS; i++)
    status = precis_draft_write(&draft, arrays[i], precis_tensor_bytes(&tensors[i]),
                                tensors[i].offset, why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_commit(&draft, why);
  else
    precis_draft_discard(&draft);
  free(header);
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
  for (int64_t done = 0; done < bytes;) {
    ssize_t got = pread(file, (char *)to + done, (size_t)(bytes - done), (off_t)(offset + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be read: %s", path,
                                got < 0 ? strerror(errno) : "it is too short");
    done += got;
  }
  return PRECIS_SUCCESS;
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

void precis_segment_remove(const char *data, const char *name)
{
  precis_segment_path path = precis_segment_at(data, name);
  unlink(path.text);
}
