#include "mpi/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/draft.h"
#include "src/npy.h"
#include "src/precis.h"
#include "src/safetensors.h"

struct precis_writer {
  precis_world *world;
  char *path; /* as given, for messages; owned */
  int count;
  precis_tensor *tensors; /* owned */
  precis_draft draft;     /* rank 0: the file itself */
  char *aside;            /* where it is meanwhile; owned */
  MPI_File file;          /* MPI_FILE_NULL: given up, or not open yet */
  int64_t written;        /* bytes of rows, by this rank */
};

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

/* On rank 0: the file, as long as it will be, with its header. */
static int make_draft(precis_writer *writer, const char *header, int64_t header_bytes,
                      precis_message *why)
{
  const precis_tensor *last = &writer->tensors[writer->count - 1];
  int status = precis_draft_create(writer->path, &writer->draft, why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_reserve(&writer->draft, last->offset + precis_tensor_bytes(last), why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_write(&writer->draft, header, header_bytes, 0, why);
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
  int failed = MPI_Bcast(&length, 1, MPI_INT64_T, 0, world->comm), status = PRECIS_SUCCESS;
  if (world->rank != 0 && !failed) {
    writer->aside = malloc((size_t)length);
    if (writer->aside == NULL)
      status = precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", writer->path);
  }
  status = precis_world_agree(world, failed ? PRECIS_ERR_MPI : status, why);
  if (status != PRECIS_SUCCESS)
    return status;
  failed = MPI_Bcast(writer->aside, (int)length, MPI_CHAR, 0, world->comm);
  return precis_world_agree(world, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS, why);
}

static int open_aside(precis_writer *writer, precis_message *why)
{
  char text[MPI_MAX_ERROR_STRING] = "";
  int length, error = MPI_File_open(MPI_COMM_SELF, writer->aside, MPI_MODE_WRONLY, MPI_INFO_NULL,
                                    &writer->file);
  if (error == MPI_SUCCESS) {
    MPI_File_set_errhandler(writer->file, MPI_ERRORS_RETURN);
    return PRECIS_SUCCESS;
  }
  writer->file = MPI_FILE_NULL;
  MPI_Error_string(error, text, &length);
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be written on rank %d: %s",
                            writer->path, writer->world->rank, text);
}

/* Every rank closes the file before rank 0 removes it, or network file systems would keep it under
 * another name. */
static void give_up(precis_writer *writer)
{
  if (writer->file != MPI_FILE_NULL)
    MPI_File_close(&writer->file);
  MPI_Barrier(writer->world->comm);
  precis_draft_discard(&writer->draft);
}

static void release(precis_writer *writer)
{
  if (writer == NULL)
    return;
  free(writer->path);
  free(writer->tensors);
  free(writer->aside);
  free(writer);
}

static precis_writer *allocate(precis_world *world, const char *path, int count)
{
  precis_writer *made = calloc(1, sizeof *made);
  if (made == NULL)
    return NULL;
  *made =
      (precis_writer){.world = world, .count = count, .file = MPI_FILE_NULL, .draft = {.file = -1}};
  made->path = strdup(path);
  made->tensors = calloc((size_t)count, sizeof *made->tensors);
  if (made->path == NULL || made->tensors == NULL) {
    release(made);
    return NULL;
  }
  return made;
}

int precis_writer_create(precis_world *world, const char *path, const precis_output *arrays,
                         int count, precis_writer **writer, precis_message *why)
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
    status = make_draft(made, header, header_bytes, why);
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
  give_up(made);
undo_memory:
  free(header);
  release(made);
  return status;
}

/* Open MPI tells by a short count that a write failed, but not why. The system is asked the same
 * again: either it says why, or the bytes are written after all. */
static int write_again(const precis_writer *writer, const char *data, int64_t bytes, int64_t offset,
                       precis_message *why)
{
  precis_draft again = {.path = writer->path, .file = open(writer->aside, O_WRONLY | O_CLOEXEC)};
  int status = PRECIS_SUCCESS;
  if (again.file >= 0)
    status = precis_draft_write(&again, data, bytes, offset, why);
  if (again.file < 0 || (close(again.file) != 0 && status == PRECIS_SUCCESS))
    status = precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be written: %s", writer->path,
                                strerror(errno));
  return status;
}

static int write_bytes(const precis_writer *writer, const char *data, int64_t bytes, int64_t offset,
                       precis_message *why)
{
  int status = PRECIS_SUCCESS;
  int64_t most = writer->world->piece_bytes;
  for (int64_t done = 0; done < bytes && status == PRECIS_SUCCESS;) {
    int part = (int)(bytes - done < most ? bytes - done : most), count = 0;
    MPI_Status wrote;
    if (MPI_File_write_at(writer->file, (MPI_Offset)(offset + done), data + done, part, MPI_BYTE,
                          &wrote) == MPI_SUCCESS)
      MPI_Get_count(&wrote, MPI_BYTE, &count);
    if (count != part)
      status = write_again(writer, data + done, part, offset + done, why);
    done += part;
  }
  return status;
}

static int write_here(precis_writer *writer, int array, int64_t first, int64_t rows,
                      const float *data, precis_message *why)
{
  if (writer->file == MPI_FILE_NULL)
    return precis_message_set(why, PRECIS_ERR_INTERNAL, "%s: was given up after an earlier failure",
                              writer->path);
  const precis_tensor *t = array >= 0 && array < writer->count ? &writer->tensors[array] : NULL;
  if (t == NULL || first < 0 || rows < 0 || rows > t->shape[0] || first > t->shape[0] - rows)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s: array %d has no %" PRId64 " rows from row %" PRId64 " on",
                              writer->path, array, rows, first);
  int64_t row_bytes = precis_tensor_row_elements(t) * (int64_t)sizeof *data;
  writer->written += rows * row_bytes;
  return write_bytes(writer, (const char *)data, rows * row_bytes, t->offset + first * row_bytes,
                     why);
}

int precis_writer_rows(precis_writer *writer, int array, int64_t first, int64_t rows,
                       const float *data, precis_message *why)
{
  int status =
      precis_world_agree(writer->world, write_here(writer, array, first, rows, data, why), why);
  if (status != PRECIS_SUCCESS)
    give_up(writer);
  return status;
}

/* Each rank makes its own rows safe: their blocks may wait on different machines. */
static int finish_here(precis_writer *writer, precis_message *why)
{
  if (writer->file == MPI_FILE_NULL)
    return precis_message_set(why, PRECIS_ERR_INTERNAL, "%s: was given up after an earlier failure",
                              writer->path);
  int failed = MPI_File_sync(writer->file) != MPI_SUCCESS;
  failed |= MPI_File_close(&writer->file) != MPI_SUCCESS;
  if (failed)
    return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be written: its disk failed",
                              writer->path);
  return PRECIS_SUCCESS;
}

static int check_complete(const precis_writer *writer, precis_message *why)
{
  int64_t written = 0, expected = 0;
  for (int i = 0; i < writer->count; i++)
    expected += precis_tensor_bytes(&writer->tensors[i]);
  if (MPI_Allreduce(&writer->written, &written, 1, MPI_INT64_T, MPI_SUM, writer->world->comm) !=
      MPI_SUCCESS)
    return PRECIS_ERR_MPI;
  if (written == expected)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_INTERNAL,
                            "%s: %" PRId64 " bytes were written, not %" PRId64, writer->path,
                            written, expected);
}

int precis_writer_commit(precis_writer **writer, precis_message *why)
{
  precis_writer *w = *writer;
  int status = precis_world_agree(w->world, finish_here(w, why), why);
  if (status == PRECIS_SUCCESS)
    status = precis_world_agree(w->world, check_complete(w, why), why);
  if (status == PRECIS_SUCCESS) {
    if (w->world->rank == 0)
      status = precis_draft_commit(&w->draft, why);
    status = precis_world_agree(w->world, status, why);
  }
  if (status != PRECIS_SUCCESS)
    give_up(w);
  release(w);
  *writer = NULL;
  return status;
}

void precis_writer_discard(precis_writer **writer)
{
  if (*writer == NULL)
    return;
  give_up(*writer);
  release(*writer);
  *writer = NULL;
}

const char *precis_writer_aside(const precis_writer *writer)
{
  return writer->aside;
}
