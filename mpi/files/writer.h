/* writer.h - what a writer holds; only writer*.c look inside, files.h is for the rest */
#ifndef PRECIS_MPI_FILES_WRITER_H
#define PRECIS_MPI_FILES_WRITER_H

#include "mpi/files/files.h"
#include "src/files/draft.h"

struct precis_writer {
  precis_world *world;
  char *path; /* as given, for messages; owned */
  int count;
  precis_tensor *tensors; /* owned */
  precis_draft draft;     /* rank 0: the file itself */
  char *aside;            /* where it is meanwhile; owned */
  int file;               /* this rank's descriptor; -1: given up, or not open yet */
  int64_t written;        /* bytes of rows, by this rank */
};

/* Collective. After a failure: closes the file; removes it unless its draft is kept. */
void precis_writer_give_up(precis_writer *writer);

/* Frees memory; what is still aside stays there. NULL in, nothing done. */
void precis_writer_release(precis_writer *writer);

#endif
