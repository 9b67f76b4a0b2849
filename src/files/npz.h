/* npz.h - the arrays of a .npz file: a zip archive of .npy files, as numpy.savez() writes it
 *
 * Read are members that are stored as they are, which lie in the file in one piece, so that ranks
 * read rows of theirs as from a .npy file; those of numpy.savez_compressed() are refused. Zip64 is
 * understood. Checksums are not looked at, as nobody reads the whole. `path` is for messages. */
#ifndef PRECIS_SRC_FILES_NPZ_H
#define PRECIS_SRC_FILES_NPZ_H

#include <stdint.h>

#include "src/base/message.h"

/* Nonzero if a file that begins with these bytes is a zip archive. */
int precis_npz_recognise(const void *prefix, int64_t prefix_bytes);

/* A member whose name ends in .npy: what lies in the file, and where its local header is. */
typedef struct precis_npz_member {
  const char *name; /* without .npy; valid during the visit */
  int64_t local, bytes;
  int compressed; /* or encrypted */
} precis_npz_member;

typedef void precis_npz_visit(void *context, const precis_npz_member *member);

/* Shows all such members, in the order of the archive's directory; file: a descriptor. Errors:
 * FORMAT, IO, MEMORY. */
int precis_npz_each(const char *path, int file, int64_t file_bytes, precis_npz_visit *visit,
                    void *context, precis_message *why);

/* Where the bytes of a member begin. Errors: FORMAT (compressed, corrupt), IO. */
int precis_npz_place(const char *path, int file, int64_t file_bytes,
                     const precis_npz_member *member, int64_t *begin, precis_message *why);

#endif
