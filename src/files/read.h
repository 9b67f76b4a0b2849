/* read.h - bytes of an open file, however many pieces the system hands out */
#ifndef PRECIS_SRC_FILES_READ_H
#define PRECIS_SRC_FILES_READ_H

#include <stdint.h>

/* Bytes read from `offset` on: fewer than wanted where the file ends, -1 where errno says why. */
int64_t precis_read_at(int file, void *to, int64_t offset, int64_t bytes);

#endif
