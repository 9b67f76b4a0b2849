/* draft.h - a file that appears whole or not at all
 *
 * It is made aside, in the same directory, and renamed when it is complete. Symbolic links are
 * followed, so that the file they lead to is replaced and the link stays. A new file gets the
 * rights that umask leaves; one that replaces another keeps the other's. Special files and
 * directories are never replaced. */
#ifndef PRECIS_SRC_FILES_DRAFT_H
#define PRECIS_SRC_FILES_DRAFT_H

#include <stdint.h>

#include "src/base/message.h"

typedef struct precis_draft {
  int file;     /* descriptor, open for reading and writing */
  int rights;   /* of the file that is to be replaced, or -1 */
  char *path;   /* as given, for messages; NULL: not open. All three owned */
  char *target; /* without symbolic links */
  char *aside;  /* where it is meanwhile: the target with a suffix that nobody else uses */
  int kept;     /* nonzero: should a commit fail, it stays aside, to be reopened */
} precis_draft;

/* Tells `made` of each file aside that this process makes from now on, as soon as it is there: who
 * cleans up behind a process that is killed has no time to lose. NULL: nobody. */
void precis_draft_tell(void (*made)(void *context, const char *aside), void *context);

/* Errors: IO (with the system's words), MEMORY. */
int precis_draft_create(const char *path, precis_draft *draft, precis_message *why);

/* Opens one that was left. name: of the file aside, without its folder, which is the target's.
 * Errors: FORMAT (no name that precis_draft_create() gives for this target, other than a regular
 * file, or not of `bytes` bytes; -1: of any number), IO, MEMORY. */
int precis_draft_reopen(const char *path, const char *name, int64_t bytes, precis_draft *draft,
                        precis_message *why);

/* Gives the file its length and, where the system can, its disk space, so that a full disk is found
 * now. Errors: IO. */
int precis_draft_reserve(precis_draft *draft, int64_t bytes, precis_message *why);

/* Writes at an offset. Errors: IO. */
int precis_draft_write(precis_draft *draft, const void *data, int64_t bytes, int64_t offset,
                       precis_message *why);

/* Makes it safe on disk, puts it in place of the target, makes that safe on disk. Closes it in any
 * case, and removes it on failure unless it is kept. Errors: IO, MEMORY. */
int precis_draft_commit(precis_draft *draft, precis_message *why);

/* Removes it. Nothing happens if it is not open. */
void precis_draft_discard(precis_draft *draft);

/* Closes it and leaves it aside. Nothing happens if it is not open. */
void precis_draft_leave(precis_draft *draft);

/* The name of a file without its folder: the end of the path. */
const char *precis_draft_name(const char *path);

#endif
