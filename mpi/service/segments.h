/* segments.h - rows of a context as plain .safetensors files: tensors k, v and perhaps bias, F32 */
#ifndef PRECIS_SERVICE_SEGMENTS_H
#define PRECIS_SERVICE_SEGMENTS_H

#include <stdint.h>

#include "mpi/service/landing.h"
#include "mpi/service/sum.h"
#include "src/base/message.h"
#include "src/precis.h"

/* PRECIS_SEGMENT_JOB: digits of a job's number, and of a context's after its c. */
enum { PRECIS_SEGMENT_NAME = 64, PRECIS_SEGMENT_JOB = 16 };

typedef struct precis_segment {
  char name[PRECIS_SEGMENT_NAME];
  int64_t rows;
  precis_sum sum; /* of the file; "": written by a version that did not sum */
} precis_segment;

typedef struct precis_segment_path {
  char text[4096 + PRECIS_SEGMENT_NAME + 32];
} precis_segment_path;

/* DATA/segments/NAME.safetensors */
precis_segment_path precis_segment_at(const char *data, const char *name);

/* Writes it and makes it safe on disk, file and directory, and fills in its sum. It replaces
 * nothing. arrays: k, v, and bias or NULL. Errors: IO, MEMORY; there is no file then. */
int precis_segment_write(const char *data, precis_segment *segment, const precis_problem *problem,
                         float *const *arrays, precis_message *why);

/* Reads all of it and compares with its sum, if it has one. Errors: IO, FORMAT, MEMORY. */
int precis_segment_verify(const char *data, const precis_segment *segment, precis_message *why);

/* Whether it can be read, and is of that problem. Errors: IO, FORMAT, MEMORY. */
int precis_segment_check(const char *data, const precis_segment *segment,
                         const precis_problem *problem, precis_message *why);

/* Reads rows [first, first + rows) of it. bias may be NULL; zeros where the file has none. Errors:
 * IO, FORMAT (it is not as it was written), MEMORY. */
int precis_segment_read(const char *data, const precis_segment *segment,
                        const precis_problem *problem, int64_t first, int64_t rows, float *k,
                        float *v, float *bias, precis_message *why);

/* A new one, of rows that come piece by piece, array by array, in order. */
typedef struct precis_segment_writing {
  precis_landing landing;
  precis_summing sum;
  int64_t at;
} precis_segment_writing;

/* A file of that path with segment->rows rows of k and v, and with_bias. Errors: IO, MEMORY. */
int precis_segment_begin(const char *path, const precis_segment *segment,
                         const precis_problem *problem, int with_bias, precis_segment_writing *w,
                         precis_message *why);
int precis_segment_put(precis_segment_writing *w, const void *bytes, int64_t count,
                       precis_message *why);
/* Makes it safe on disk unless `status` says that there is none, fills in its sum, and returns the
 * status. */
int precis_segment_finish(precis_segment_writing *w, int status, precis_segment *segment,
                          precis_message *why);

/* Returns 0, or an errno; one that is not there is removed already. */
int precis_segment_remove(const char *data, const char *name);

/* What a name tells; see precis_segment_stem(). */
typedef struct precis_segment_origin {
  char context[PRECIS_SEGMENT_NAME]; /* that it was written for */
  int64_t sequence;                  /* of the append */
} precis_segment_origin;

/* ID-SEQUENCE-JOB, to which a rank adds -RANK: no two jobs make the same one. job: 16 hexadecimal
 * digits. */
void precis_segment_stem(const char *context, int64_t sequence, const char *job,
                         char stem[PRECIS_SEGMENT_NAME]);
/* Whether a file in DATA/segments has a name of ours, complete or not, and of what. Those without a
 * job are of version 0.1.0. */
int precis_segment_origin_of(const char *file, precis_segment_origin *origin);

#endif
