/* segments.h - rows of a context as plain .safetensors files: tensors k, v and perhaps bias, F32 */
#ifndef PRECIS_SERVICE_SEGMENTS_H
#define PRECIS_SERVICE_SEGMENTS_H

#include <stdint.h>

#include "src/message.h"
#include "src/precis.h"

enum { PRECIS_SEGMENT_NAME = 64 };

typedef struct precis_segment {
  char name[PRECIS_SEGMENT_NAME];
  int64_t rows;
} precis_segment;

typedef struct precis_segment_path {
  char text[4096 + PRECIS_SEGMENT_NAME + 32];
} precis_segment_path;

/* DATA/segments/NAME.safetensors */
precis_segment_path precis_segment_at(const char *data, const char *name);

/* Writes it and makes it safe on disk, file and directory. arrays: k, v, and bias or NULL. Errors:
 * IO, MEMORY; there is no file then. */
int precis_segment_write(const char *data, const precis_segment *segment,
                         const precis_problem *problem, float *const *arrays, precis_message *why);

/* Reads rows [first, first + rows) of it. bias may be NULL; zeros where the file has none. Errors:
 * IO, FORMAT (it is not as it was written), MEMORY. */
int precis_segment_read(const char *data, const precis_segment *segment,
                        const precis_problem *problem, int64_t first, int64_t rows, float *k,
                        float *v, float *bias, precis_message *why);

void precis_segment_remove(const char *data, const char *name);

#endif
