/* foreign.h - files that people take for arrays, told by how they begin */
#ifndef PRECIS_SRC_FILES_FOREIGN_H
#define PRECIS_SRC_FILES_FOREIGN_H

#include <stdint.h>

/* What a file that begins so is and what to do, in a line ("a git-lfs pointer, not the data: run
 * git lfs pull"), or NULL where it is none of those that are known. 16 bytes tell. */
const char *precis_foreign_format(const void *prefix, int64_t prefix_bytes);

#endif
