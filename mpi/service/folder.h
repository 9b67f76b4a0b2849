/* folder.h - the folder of --data: whether it is one, whose, and the same for all ranks */
#ifndef PRECIS_SERVICE_FOLDER_H
#define PRECIS_SERVICE_FOLDER_H

#include "mpi/service/journal.h"
#include "mpi/world/world.h"

/* This version writes 2; 1 had no file for it. */
enum { PRECIS_FOLDER_VERSION = 2 };

/* Looks at what is there, and makes the folder only where there is nothing. *version: of what was
 * found or made. Errors: IO, FORMAT. */
int precis_folder_prepare(const char *data, int *version, precis_message *why);
/* The same of one that must be there, and is not changed. Errors: FORMAT, IO. */
int precis_folder_look(const char *data, int *version, precis_message *why);
/* Writes the version down. Errors: IO. */
int precis_folder_mark(const char *data, precis_message *why);

/* Collective: all ranks see the same folder, as rank 0 has it; told by what the lock of its journal
 * holds. journal: NULL but on rank 0. Errors: IO, with rank and host. */
int precis_folder_compare(precis_world *world, const char *data, const precis_journal *journal,
                          precis_message *why);

#endif
