/* npy.h - the header of a .npy file, from bytes and to bytes
 *
 * Format versions 1.0, 2.0 and 3.0: magic, two version bytes, the length of the text, then a Python
 * dictionary with exactly the keys descr, fortran_order and shape. Read are '<f2', '<f4' and '<f8',
 * and the same with '>', of 1 to PRECIS_TENSOR_AXES axes in either order; the data must end where
 * the file ends. `path` is for messages. */
#ifndef PRECIS_SRC_FILES_NPY_H
#define PRECIS_SRC_FILES_NPY_H

#include <stdint.h>

#include "src/base/message.h"
#include "src/files/tensor.h"

/* As many bytes of the file as it takes to know the length of the header. */
enum { PRECIS_NPY_PREFIX = 12 };

/* Nonzero if a file that begins with these bytes is meant to be a .npy file. */
int precis_npy_recognise(const void *prefix, int64_t prefix_bytes);

/* The length of the header, magic included. prefix: the first PRECIS_NPY_PREFIX bytes, fewer if the
 * file has fewer. Errors: FORMAT (version, truncated, text over 1 MiB). */
int precis_npy_header_bytes(const char *path, const void *prefix, int64_t prefix_bytes,
                            int64_t file_bytes, int64_t *header_bytes, precis_message *why);

/* Errors: FORMAT. */
int precis_npy_parse(const char *path, const void *header, int64_t header_bytes, int64_t file_bytes,
                     precis_tensor *tensor, precis_message *why);

/* The length of the file that this header is the beginning of, for who reads a stream. Errors:
 * FORMAT. */
int precis_npy_extent(const char *path, const void *header, int64_t header_bytes,
                      int64_t *file_bytes, precis_message *why);

/* The header for a tensor, in new memory for the caller to free(); sets tensor->offset. Errors:
 * MEMORY, ARGUMENT. */
int precis_npy_format(precis_tensor *tensor, char **header, int64_t *header_bytes,
                      precis_message *why);

#endif
