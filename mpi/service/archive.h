/* archive.h - a folder of precis serve --data that no job serves: looked over, taken out of, tidied
 *
 * By one process, without MPI. */
#ifndef PRECIS_SERVICE_ARCHIVE_H
#define PRECIS_SERVICE_ARCHIVE_H

#include "mpi/service/journal.h"

typedef struct precis_archive {
  precis_service_options options;
  precis_contexts contexts; /* that can be read; contexts.damaged: the others */
  precis_journal journal;
} precis_archive;

/* Without `change` nothing on disk is touched, and contexts whose manifests are damaged are left
 * out; with it they are an error. Errors: IO (also where a job serves it), FORMAT, MEMORY. */
int precis_archive_open(const char *data, int change, precis_archive *archive, precis_message *why);
void precis_archive_close(precis_archive *archive);

/* Reads all that there is, and adds contexts of which something cannot be read, or is not what was
 * written, to contexts.damaged. */
typedef struct precis_archive_counts {
  int64_t contexts, segments, bytes, damaged;
} precis_archive_counts;

/* Errors: MEMORY. */
int precis_archive_check(precis_archive *archive, precis_archive_counts *counts,
                         precis_message *why);

/* Writes a context to a new .safetensors file: k, v and, if it has one, bias. Errors: ARGUMENT
 * (there is none), IO, FORMAT (damaged), MEMORY. */
int precis_archive_export(precis_archive *archive, const char *id, const char *path,
                          precis_message *why);

/* Merges what a service would merge in time. Errors: IO, FORMAT, MEMORY. */
int precis_archive_compact(precis_archive *archive, precis_message *why);

#endif
