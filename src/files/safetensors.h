/* safetensors.h - the header of a .safetensors file, from bytes and to bytes
 *
 * 8 bytes: the length of the text, little-endian; then a JSON object that gives dtype, shape and
 * data_offsets of each tensor, and perhaps __metadata__, a map of strings, which is checked and
 * ignored. What the reference implementation refuses is refused: repeated names, offsets that
 * overlap, leave holes, do not fit shape and dtype or do not end where the file ends. Tensors that
 * nobody asks for may be of any type. `path` is for messages. */
#ifndef PRECIS_SRC_FILES_SAFETENSORS_H
#define PRECIS_SRC_FILES_SAFETENSORS_H

#include <stdint.h>

#include "src/base/message.h"
#include "src/files/tensor.h"

/* As many bytes of the file as it takes to know the length of the header, and whether it is one. */
enum { PRECIS_SAFETENSORS_PREFIX = 9 };

/* Nonzero if a file that begins with these bytes may be a .safetensors file. */
int precis_safetensors_recognise(const void *prefix, int64_t prefix_bytes);

/* The length of the header, the 8 bytes included. prefix: the first PRECIS_SAFETENSORS_PREFIX
 * bytes, fewer if the file has fewer. Errors: FORMAT (truncated, text over 100 MB). */
int precis_safetensors_header_bytes(const char *path, const void *prefix, int64_t prefix_bytes,
                                    int64_t file_bytes, int64_t *header_bytes, precis_message *why);

/* Checks the whole header, and finds the tensor `name`. If there is none: *found = 0, or FORMAT if
 * found is NULL. Errors: FORMAT, MEMORY. */
int precis_safetensors_parse(const char *path, const void *header, int64_t header_bytes,
                             int64_t file_bytes, const char *name, int *found,
                             precis_tensor *tensor, precis_message *why);

/* Checks the header likewise, and shows the names of all tensors, in the order of the file. Errors:
 * FORMAT, MEMORY. */
typedef void precis_safetensors_visit(void *context, const char *name);
int precis_safetensors_each(const char *path, const void *header, int64_t header_bytes,
                            int64_t file_bytes, precis_safetensors_visit *visit, void *context,
                            precis_message *why);

/* The length of the file that this header is the beginning of, for who reads a stream. Checks the
 * header as precis_safetensors_parse() does. Errors: FORMAT, MEMORY. */
int precis_safetensors_extent(const char *path, const void *header, int64_t header_bytes,
                              int64_t *file_bytes, precis_message *why);

/* The header for tensors one after the other, in new memory for the caller to free(); sets
 * tensors[i].offset. Errors: ARGUMENT (names that are repeated, reserved or no UTF-8; too large),
 * MEMORY. */
int precis_safetensors_format(const char *const *names, precis_tensor *tensors, int count,
                              char **header, int64_t *header_bytes, precis_message *why);

#endif
