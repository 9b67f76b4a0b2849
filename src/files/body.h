/* body.h - arrays out of a stream of bytes: a .safetensors or .npy file that comes in pieces
 *
 * Pieces may be cut anywhere. The header is collected and checked; after it values are handed on as
 * float32 as they come, so that a body of any length takes no more memory than a header and a block
 * of values. Nothing here reads or waits. */
#ifndef PRECIS_SRC_FILES_BODY_H
#define PRECIS_SRC_FILES_BODY_H

#include <stdint.h>

#include "src/base/message.h"
#include "src/files/tensor.h"

enum { PRECIS_BODY_ARRAYS = 3, PRECIS_BODY_HEADER_MOST = 1 << 20, PRECIS_BODY_BLOCK = 4096 };

/* An array that is wanted. A .npy file holds the first one. Others in a .safetensors file are
 * passed over. */
typedef struct precis_body_array {
  const char *name; /* set by the caller */
  int optional;     /* likewise */
  int found;
  precis_tensor tensor; /* if found; offsets from the start of the stream */
} precis_body_array;

/* Where values go. Both return a status other than 0 to refuse, with words in *why. */
typedef struct precis_body_sink {
  /* The header is whole: which arrays there are, and of which shape. */
  int (*begin)(void *context, const precis_body_array *arrays, precis_message *why);
  /* 1 to PRECIS_BODY_BLOCK elements from `first` on, each element once and in order. */
  int (*values)(void *context, int array, int64_t first, int64_t count, const float *x,
                precis_message *why);
  void *context;
} precis_body_sink;

typedef struct precis_body {
  const char *label; /* for messages: "body" */
  precis_body_array arrays[PRECIS_BODY_ARRAYS];
  int count;
  precis_body_sink sink;
  int64_t announced; /* length of the stream, or -1 */
  int64_t at;        /* bytes taken */
  int64_t end;       /* length by the header; -1: not known yet */
  char *header;      /* owned; NULL once it was read */
  int64_t header_bytes;
  unsigned char partial[8]; /* of an element that is cut */
  int partial_bytes;
} precis_body;

/* Sets up an empty body: arrays, count, sink and `announced` are the caller's to fill in first. */
void precis_body_begin(precis_body *body);
/* The next bytes. After an error nothing more may come but precis_body_free(). Errors: FORMAT,
 * MEMORY, those of the sink. */
int precis_body_take(precis_body *body, const void *bytes, int64_t count, precis_message *why);
/* There are no more bytes. Errors: FORMAT (it ended early). */
int precis_body_end(precis_body *body, precis_message *why);
void precis_body_free(precis_body *body);

#endif
