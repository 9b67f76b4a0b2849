/* files.h - arrays in .npy and .safetensors files, read and written by all ranks together
 *
 * Every call that takes a world or a writer is collective, and returns the same code and the same
 * message on all ranks. All ranks give the same arguments, except for ranges of rows and their
 * data. Outputs are set on success only, but for the rows of a failed read, which are undefined.
 *
 * Reading is in files.c, writing in writer.c and writer_open.c. Each rank opens the file for itself
 * and moves its rows by the system's own calls: the rows of a rank are one stretch of the file, so
 * collective MPI-IO would have nothing to gather; ranks may need different numbers of pieces, none
 * included; and one rank that cannot open or read keeps no other waiting. MPI-IO of one rank would
 * do the same, but needs memory that ranks share (/dev/shm), and hides what the system says. */
#ifndef PRECIS_MPI_FILES_FILES_H
#define PRECIS_MPI_FILES_FILES_H

#include <stdint.h>

#include "mpi/world/world.h"
#include "src/base/message.h"
#include "src/files/tensor.h"

/* An array in a file that is open for reading. */
typedef struct precis_file_array {
  precis_tensor tensor;
  char *path; /* owned; NULL: not open */
  char *name; /* tensor name for messages: "q", "k", ...; owned */
  int file;   /* descriptor, of this rank alone; -1: not open */
} precis_file_array;

/* Opens one array. `name` selects the tensor in a .safetensors file; in a .npy file it only serves
 * messages. The format is told by the file's first bytes, not by its ending. Errors: IO (cannot be
 * read, differs from rank to rank), FORMAT (truncated, corrupt, huge header, unsupported dtype,
 * data shorter or longer than the header says), MEMORY. A tensor that a
 * .safetensors file does not have: FORMAT, or success with *found = 0 and *array as it was if found
 * is not NULL. */
int precis_file_open(precis_world *world, const char *path, const char *name, int *found,
                     precis_file_array *array, precis_message *why);

/* What may stand in an array beside finite numbers. */
typedef enum precis_file_values {
  PRECIS_FILE_FINITE,
  PRECIS_FILE_LOGS, /* -infinity, too */
  PRECIS_FILE_BIAS  /* likewise, and all at or below PRECIS_BIAS_MASK becomes it */
} precis_file_values;

/* Reads rows [first, first + rows) of this rank (ranges may differ, overlap, be empty) as float32
 * into out (rows x elements of a row). Converts from the file's type through a bounded buffer; long
 * reads are cut up. NONFINITE if a value is NaN or infinite, or an F64 beyond the range of float32
 * (naming file, tensor, the first such row of that rank, and value) unless `values` allows it.
 * Other errors: ARGUMENT (rows that the array does not have), IO, MEMORY. */
int precis_file_read(precis_world *world, precis_file_array *array, int64_t first, int64_t rows,
                     precis_file_values values, float *out, precis_message *why);

/* Not collective. Nothing happens if it is not open. */
void precis_file_close(precis_file_array *array);

/* An array to write. All float32. */
typedef struct precis_output {
  const char *name; /* tensor name in a .safetensors file */
  int axes;
  int64_t shape[PRECIS_TENSOR_AXES]; /* of the whole array */
} precis_output;

/* Writing: create aside (src/files/draft.h), write every row of every array once, by whichever rank has
 * it, then commit (sync, rename) or discard. The format follows the ending: .npy (exactly one
 * array) or .safetensors, anything else is ARGUMENT. A full disk, an unwritable directory etc. give
 * IO with the system's words. Space is reserved up front so that a full disk is found early. After
 * a failure of any call the aside file is gone. */
typedef struct precis_writer precis_writer;
int precis_writer_create(precis_world *world, const char *path, const precis_output *arrays,
                         int count, precis_writer **writer, precis_message *why);

/* Goes on with what an earlier job left aside by precis_writer_leave(), or by its death after a
 * precis_writer_save(): `aside` is the file's name without its folder, and the first `rows` rows of
 * every array are in it. The file stays after a failure. Errors: FORMAT (a file that does not
 * belong to this path and these arrays), IO, MEMORY. */
int precis_writer_resume(precis_world *world, const char *path, const precis_output *arrays,
                         int count, const char *aside, int64_t rows, precis_writer **writer,
                         precis_message *why);

/* Writes rows [first, first + rows) of this rank (none allowed) of one array. After a failure only
 * commit and discard are left to call. */
int precis_writer_rows(precis_writer *writer, int array, int64_t first, int64_t rows,
                       const float *data, precis_message *why);

/* The same with rows that were written before. */
int precis_writer_again(precis_writer *writer, int array, int64_t first, int64_t rows,
                        const float *data, precis_message *why);

/* Makes the rows written so far safe on disk. From then on the aside file stays after a failure,
 * for precis_writer_resume(). */
int precis_writer_save(precis_writer *writer, precis_message *why);

/* Leaves the aside file as it is, frees *writer and sets it to NULL. NULL in, nothing done. */
void precis_writer_leave(precis_writer **writer);

/* Frees *writer and sets it to NULL, also on failure. INTERNAL if rows are missing. */
int precis_writer_commit(precis_writer **writer, precis_message *why);

/* Removes the aside file, frees *writer and sets it to NULL. NULL in, nothing done. */
void precis_writer_discard(precis_writer **writer);

/* The path of the aside file, for whoever must remove it when the job is ended by force. Not
 * collective; lives as long as the writer. */
const char *precis_writer_aside(const precis_writer *writer);

#endif
