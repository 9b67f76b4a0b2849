/* header.h - finds an array in a .npy, .npz or .safetensors file
 *
 * Reads no more of the file than its header. The format is told by the first bytes, not by the
 * name. */
#ifndef PRECIS_SRC_FILES_HEADER_H
#define PRECIS_SRC_FILES_HEADER_H

#include <stdint.h>

#include "src/base/message.h"
#include "src/files/safetensors.h"
#include "src/files/tensor.h"

/* `name` selects the tensor in a .safetensors file, or the array in a .npz file. If it has none of that name: *found = 0, or
 * FORMAT if found is NULL. Errors: IO, FORMAT, MEMORY. */
int precis_header_read(const char *path, const char *name, int *found, precis_tensor *tensor,
                       int64_t *file_bytes, precis_message *why);

/* Shows the names of all tensors of a .safetensors or .npz file; a .npy file has none. Errors: IO, FORMAT,
 * MEMORY. */
int precis_header_each(const char *path, precis_safetensors_visit *visit, void *context,
                       precis_message *why);

#endif
