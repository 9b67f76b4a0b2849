#include "mpi/files/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/precis.h"

static int given_up(const precis_writer *writer, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_INTERNAL, "%s: was given up after an earlier failure",
                            writer->path);
}

static int failed(const precis_writer *writer, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: cannot be written: %s", writer->path,
                            strerror(errno));
}

/* Every rank closes the file before rank 0 removes it, or network file systems would keep it under
 * another name. */
static void close_everywhere(precis_writer *writer)
{
  if (writer->file >= 0)
    close(writer->file);
  writer->file = -1;
  precis_world_barrier(writer->world);
}

void precis_writer_give_up(precis_writer *writer)
{
  close_everywhere(writer);
  if (!writer->draft.kept)
    precis_draft_discard(&writer->draft);
}

void precis_writer_release(precis_writer *writer)
{
  if (writer == NULL)
    return;
  precis_draft_leave(&writer->draft);
  free(writer->path);
  free(writer->tensors);
  free(writer->aside);
  free(writer);
}

static int write_here(precis_writer *writer, int array, int64_t first, int64_t rows, int again,
                      const float *data, precis_message *why)
{
  if (writer->file < 0)
    return given_up(writer, why);
  const precis_tensor *t = array >= 0 && array < writer->count ? &writer->tensors[array] : NULL;
  if (t == NULL || first < 0 || rows < 0 || rows > t->shape[0] || first > t->shape[0] - rows)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s: array %d has no %" PRId64 " rows from row %" PRId64 " on",
                              writer->path, array, rows, first);
  int64_t row_bytes = precis_tensor_row_elements(t) * (int64_t)sizeof *data;
  writer->written += again ? 0 : rows * row_bytes;
  precis_draft own = {.path = writer->path, .file = writer->file};
  return precis_draft_write(&own, data, rows * row_bytes, t->offset + first * row_bytes, why);
}

static int write_rows(precis_writer *writer, int array, int64_t first, int64_t rows, int again,
                      const float *data, precis_message *why)
{
  int status = write_here(writer, array, first, rows, again, data, why);
  status = precis_world_agree(writer->world, status, why);
  if (status != PRECIS_SUCCESS)
    precis_writer_give_up(writer);
  return status;
}

int precis_writer_rows(precis_writer *writer, int array, int64_t first, int64_t rows,
                       const float *data, precis_message *why)
{
  return write_rows(writer, array, first, rows, 0, data, why);
}

int precis_writer_again(precis_writer *writer, int array, int64_t first, int64_t rows,
                        const float *data, precis_message *why)
{
  return write_rows(writer, array, first, rows, 1, data, why);
}

/* Each rank makes its own rows safe: their blocks may wait on different machines. */
static int finish_here(precis_writer *writer, precis_message *why)
{
  if (writer->file < 0)
    return given_up(writer, why);
  int status = fsync(writer->file) != 0 ? failed(writer, why) : PRECIS_SUCCESS;
  if (close(writer->file) != 0 && status == PRECIS_SUCCESS)
    status = failed(writer, why);
  writer->file = -1;
  return status;
}

static int check_complete(const precis_writer *writer, precis_message *why)
{
  int64_t written = writer->written, expected = 0;
  for (int i = 0; i < writer->count; i++)
    expected += precis_tensor_bytes(&writer->tensors[i]);
  if (precis_world_reduce(writer->world, &written, 1, MPI_INT64_T, MPI_SUM))
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
    precis_writer_give_up(w);
  precis_writer_release(w);
  *writer = NULL;
  return status;
}

int precis_writer_save(precis_writer *writer, precis_message *why)
{
  int status = PRECIS_SUCCESS;
  if (writer->file < 0)
    status = given_up(writer, why);
  else if (fsync(writer->file) != 0)
    status = failed(writer, why);
  status = precis_world_agree(writer->world, status, why);
  if (status != PRECIS_SUCCESS)
    precis_writer_give_up(writer);
  else
    writer->draft.kept = 1;
  return status;
}

void precis_writer_leave(precis_writer **writer)
{
  if (*writer == NULL)
    return;
  close_everywhere(*writer);
  precis_writer_release(*writer);
  *writer = NULL;
}

void precis_writer_discard(precis_writer **writer)
{
  if (*writer == NULL)
    return;
  close_everywhere(*writer);
  precis_draft_discard(&(*writer)->draft);
  precis_writer_release(*writer);
  *writer = NULL;
}

const char *precis_writer_aside(const precis_writer *writer)
{
  return writer->aside;
}
