/* writer_open.c - the file aside: made anew, or found where an earlier job left it */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/files/writer.h"
#include "src/files/npy.h"
#include "src/precis.h"
#include "src/files/safetensors.h"

static int ends_with(const char *path, const char *ending)
{
  size_t length = strlen(path), part = strlen(ending);
  return length > part && strcmp(path + length - part, ending) == 0;
}

/* The header is a function of the arguments alone, so each rank makes it, to know where the rows
 * go. */
static int make_header(precis_writer *writer, const precis_output *arrays, char **header,
                       int64_t *header_bytes, precis_message *why)
{
  int npy = ends_with(writer->path, ".npy"), count = writer->count;
  const char **names = NULL;
  if (!npy && !ends_with(writer->path, ".safetensors"))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s: cannot be written: the name must end in .npy or .safetensors",
                              writer->path);
  if (npy && count != 1)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s: a .npy file holds one array, not %d; use .safetensors",
                              writer->path, count);
  for (int i = 0; i < count; i++) {
    writer->tensors[i] = (precis_tensor){.dtype = PRECIS_F32, .axes = arrays[i].axes};
    memcpy(writer->tensors[i].shape, arrays[i].shape, sizeof arrays[i].shape);
  }
  if (npy)
    return precis_npy_format(writer->tensors, header, header_bytes, why);
  names = malloc((size_t)count * sizeof *names);
  if (names == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", writer->path);
  for (int i = 0; i < count; i++)
    names[i] = arrays[i].name;
  int status = precis_safetensors_format(names, writer->tensors, count, header, header_bytes, why);
  free(names);
  return status;
}

/* What an earlier job left: the name of its file, and how many rows of each array are in it. */
typedef struct leftover {
  const char *name;
  int64_t rows;
} leftover;

static int reopen_draft(precis_writer *writer, const leftover *left, const char *header,
                        int64_t header_bytes, int64_t bytes, precis_message *why)
{
  int status = precis_draft_reopen(writer->path, left->name, bytes, &writer->draft, why);
  if (status != PRECIS_SUCCESS)
    return status;
  writer->draft.kept = 1;
  char *found = malloc((size_t)header_bytes);
  if (found == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", writer->path);
  if (pread(writer->draft.file, found, (size_t)header_bytes, 0) != (ssize_t)header_bytes ||
      memcmp(found, header, (size_t)header_bytes) != 0)
    status = precis_message_set(why, PRECIS_ERR_FORMAT, "%s: does not begin like a part of %s",
                                writer->draft.aside, writer->path);
  free(found);
  for (int i = 0; i < writer->count; i++)
    writer->written += left->rows * precis_tensor_row_elements(&writer->tensors[i]) *
                       precis_dtype_size(writer->tensors[i].dtype);
  return status;
}

/* On rank 0: the file, as long as it will be, with its header. */
static int make_draft(precis_writer *writer, const leftover *left, const char *header,
                      int64_t header_bytes, precis_message *why)
{
  const precis_tensor *last = &writer->tensors[writer->count - 1];
  int64_t bytes = last->offset + precis_tensor_bytes(last);
  int status;
  if (left != NULL) {
    status = reopen_draft(writer, left, header, header_bytes, bytes, why);
  } else {
    status = precis_draft_create(writer->path, &writer->draft, why);
    if (status == PRECIS_SUCCESS)
      status = precis_draft_reserve(&writer->draft, bytes, why);
    if (status == PRECIS_SUCCESS)
      status = precis_draft_write(&writer->draft, header, header_bytes, 0, why);
  }
  if (status == PRECIS_SUCCESS) {
    writer->aside = strdup(writer->draft.aside);
    if (writer->aside == NULL)
      status = precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", writer->path);
  }
  return status;
}

/* Tells all ranks where the file is. */
static int share_aside(precis_writer *writer, precis_message *why)
{
  precis_world *world = writer->world;
  int64_t length = world->rank == 0 ? (int64_t)strlen(writer->aside) + 1 : 0;
  int failed = precis_world_broadcast(world, &length, 1, MPI_INT64_T, 0), status = PRECIS_SUCCESS;
  if (world->rank != 0 && !failed) {
    writer->aside = malloc((size_t)length);
    if (writer->aside == NULL)
      status = precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", writer->path);
  }
  status = precis_world_agree(world, failed ? PRECIS_ERR_MPI : status, why);
  if (status != PRECIS_SUCCESS)
    return status;
  failed = precis_world_broadcast(world, writer->aside, (int)length, MPI_CHAR, 0);
  return precis_world_agree(world, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS, why);
}

static int open_aside(precis_writer *writer, precis_message *why)
{
  writer->file = open(writer->aside, O_WRONLY | O_CLOEXEC);
  if (writer->file >= 0)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be written on rank %d: %s",
                            writer->path, writer->world->rank, strerror(errno));
}

static precis_writer *allocate(precis_world *world, const char *path, int count)
{
  precis_writer *made = calloc(1, sizeof *made);
  if (made == NULL)
    return NULL;
  *made = (precis_writer){.world = world, .count = count, .file = -1, .draft = {.file = -1}};
  made->path = strdup(path);
  made->tensors = calloc((size_t)count, sizeof *made->tensors);
  if (made->path == NULL || made->tensors == NULL) {
    precis_writer_release(made);
    return NULL;
  }
  return made;
}

/* left NULL: a new file. */
static int start(precis_world *world, const char *path, const precis_output *arrays, int count,
                 const leftover *left, precis_writer **writer, precis_message *why)
{
  char *header = NULL;
  int64_t header_bytes = 0;
  precis_writer *made = count > 0 ? allocate(world, path, count) : NULL;
  int status =
      count < 1      ? precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s: no arrays to write", path)
      : made == NULL ? precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", path)
                     : make_header(made, arrays, &header, &header_bytes, why);
  status = precis_world_agree(world, status, why);
  if (status != PRECIS_SUCCESS)
    goto undo_memory; /* nothing else was made, on any rank */
  if (world->rank == 0)
    status = make_draft(made, left, header, header_bytes, why);
  status = precis_world_agree(world, status, why);
  if (status == PRECIS_SUCCESS)
    status = share_aside(made, why);
  if (status == PRECIS_SUCCESS)
    status = precis_world_agree(world, open_aside(made, why), why);
  if (status != PRECIS_SUCCESS)
    goto undo_draft;
  free(header);
  *writer = made;
  return PRECIS_SUCCESS;
undo_draft:
  precis_writer_give_up(made);
undo_memory:
  free(header);
  precis_writer_release(made);
  return status;
}

int precis_writer_create(precis_world *world, const char *path, const precis_output *arrays,
                         int count, precis_writer **writer, precis_message *why)
{
  return start(world, path, arrays, count, NULL, writer, why);
}

int precis_writer_resume(precis_world *world, const char *path, const precis_output *arrays,
                         int count, const char *aside, int64_t rows, precis_writer **writer,
                         precis_message *why)
{
  const leftover left = {aside, rows};
  return start(world, path, arrays, count, &left, writer, why);
}
