/* landing.h - a new file that appears whole, under a name that no file has, or not at all
 *
 * It is made without a name where the file system can do that, so that a killed job leaves nothing,
 * and else aside; when it is complete it gets its name by link(), which replaces nothing. */
#ifndef PRECIS_SERVICE_LANDING_H
#define PRECIS_SERVICE_LANDING_H

#include <stdint.h>

#include "src/base/message.h"

enum { PRECIS_LANDING_PATH = 4096 + 256 };

typedef struct precis_landing {
  int file;                            /* descriptor, or -1 */
  char path[PRECIS_LANDING_PATH];      /* where it goes */
  char aside[PRECIS_LANDING_PATH + 8]; /* where it is meanwhile; "": nowhere */
} precis_landing;

/* Errors: IO, with the path. */
int precis_landing_open(const char *path, precis_landing *landing, precis_message *why);
int precis_landing_write(precis_landing *landing, const void *bytes, int64_t count, int64_t offset,
                         precis_message *why);
/* Makes it safe on disk, gives it its name, and makes that safe. Closes it, unless *file (or NULL)
 * is to have the descriptor, for reading and writing. After an error there is no file. Errors: IO,
 * also where there is one of that name. */
int precis_landing_commit(precis_landing *landing, int *file, precis_message *why);
/* Nothing happens if it is not open. */
void precis_landing_discard(precis_landing *landing);

/* Makes names in the folder of a file safe on disk. Returns 0, or an errno. */
int precis_landing_sync_folder(const char *path);

#endif
