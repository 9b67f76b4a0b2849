#include "src/files/body.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/files/npy.h"
#include "src/precis.h"
#include "src/files/safetensors.h"

#define fault(why, ...) precis_message_set(why, PRECIS_ERR_FORMAT, __VA_ARGS__)

enum { PREFIX = 16 };

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

void precis_body_begin(precis_body *body)
{
  body->at = body->header_bytes = 0;
  body->end = -1;
  body->header = NULL;
  body->partial_bytes = 0;
  for (int i = 0; i < body->count; i++) {
    body->arrays[i].found = 0;
    body->arrays[i].tensor = (precis_tensor){0};
  }
}

void precis_body_free(precis_body *body)
{
  free(body->header);
  body->header = NULL;
}

/* How long the stream may be, as far as is known. */
static int64_t length_of(const precis_body *body)
{
  return body->announced >= 0 ? body->announced : INT64_MAX;
}

/* The prefix tells how long the header is. */
static int measure_header(precis_body *body, precis_message *why)
{
  int status;
  if (precis_npy_recognise(body->header, body->at))
    status = precis_npy_header_bytes(body->label, body->header, body->at, length_of(body),
                                     &body->header_bytes, why);
  else if (precis_safetensors_recognise(body->header, body->at))
    status = precis_safetensors_header_bytes(body->label, body->header, body->at, length_of(body),
                                             &body->header_bytes, why);
  else
    return fault(why, "%s: neither .safetensors nor .npy", body->label);
  if (status == PRECIS_SUCCESS && body->header_bytes > PRECIS_BODY_HEADER_MOST)
    status = fault(why, "%s: header of %" PRId64 " bytes, more than the %d that are allowed",
                   body->label, body->header_bytes, PRECIS_BODY_HEADER_MOST);
  if (status != PRECIS_SUCCESS)
    return status;
  char *more = realloc(body->header, (size_t)body->header_bytes + PREFIX);
  if (more == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory for its header",
                              body->label);
  body->header = more;
  return PRECIS_SUCCESS;
}

static int find_arrays(precis_body *body, precis_message *why)
{
  for (int i = 0; i < body->count; i++) {
    precis_body_array *a = &body->arrays[i];
    int status = precis_safetensors_parse(body->label, body->header, body->header_bytes, body->end,
                                          a->name, a->optional ? &a->found : NULL, &a->tensor, why);
    if (status != PRECIS_SUCCESS)
      return status;
    a->found |= !a->optional;
  }
  return PRECIS_SUCCESS;
}

static int find_npy(precis_body *body, precis_message *why)
{
  for (int i = 1; i < body->count; i++)
    if (!body->arrays[i].optional)
      return fault(why,
                   "%s: a .npy file holds one array, and both %s and %s are needed: send "
                   ".safetensors",
                   body->label, body->arrays[0].name, body->arrays[i].name);
  body->arrays[0].found = 1;
  precis_tensor *tensor = &body->arrays[0].tensor;
  int status =
      precis_npy_parse(body->label, body->header, body->header_bytes, body->end, tensor, why);
  if (status != PRECIS_SUCCESS || precis_tensor_plain(tensor))
    return status;
  return fault(why, "%s: is %s: send numpy.ascontiguousarray(x, '<f4')", body->label,
               tensor->big_endian ? "big-endian" : "in Fortran order"); /* it passes by once */
}

static int read_header(precis_body *body, precis_message *why)
{
  int npy = precis_npy_recognise(body->header, body->header_bytes);
  int status =
      npy ? precis_npy_extent(body->label, body->header, body->header_bytes, &body->end, why)
          : precis_safetensors_extent(body->label, body->header, body->header_bytes, &body->end,
                                      why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (body->announced >= 0 && body->announced != body->end)
    return fault(why, "%s: has %" PRId64 " bytes, by its header it should have %" PRId64,
                 body->label, body->announced, body->end);
  status = npy ? find_npy(body, why) : find_arrays(body, why);
  return status == PRECIS_SUCCESS ? body->sink.begin(body->sink.context, body->arrays, why)
                                  : status;
}

/* Bytes of the header: returns a status, and in *used how many were taken. */
static int take_header(precis_body *body, const char *bytes, int64_t count, int64_t *used,
                       precis_message *why)
{
  if (body->header == NULL && (body->header = malloc(PREFIX)) == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "%s: out of memory", body->label);
  int64_t wanted = body->header_bytes > 0 ? body->header_bytes : PREFIX;
  int status = PRECIS_SUCCESS;
  *used = least(count, wanted - body->at);
  memcpy(body->header + body->at, bytes, (size_t)*used);
  body->at += *used;
  if (body->at < wanted)
    return PRECIS_SUCCESS;
  if (body->header_bytes == 0) {
    status = measure_header(body, why);
    /* A prefix longer than the header would have to be taken back. */
    if (status == PRECIS_SUCCESS && body->header_bytes < PREFIX)
      status = fault(why, "%s: its header names no array", body->label);
    if (status != PRECIS_SUCCESS || body->at < body->header_bytes)
      return status;
  }
  status = read_header(body, why);
  precis_body_free(body);
  return status;
}

/* The array whose data are at the present place, or -1; *until is where that changes. */
static int array_here(const precis_body *body, int64_t *until)
{
  *until = body->end;
  for (int i = 0; i < body->count; i++) {
    const precis_body_array *a = &body->arrays[i];
    int64_t begin = a->tensor.offset, end = begin + precis_tensor_bytes(&a->tensor);
    if (!a->found || end <= body->at)
      continue;
    if (begin <= body->at) {
      *until = end;
      return i;
    }
    *until = least(*until, begin);
  }
  return -1;
}

/* Whole elements, the first of them perhaps begun in an earlier piece. */
static int hand_on(precis_body *body, int array, const char *raw, int64_t elements,
                   precis_message *why)
{
  const precis_tensor *t = &body->arrays[array].tensor;
  int64_t size = precis_dtype_size(t->dtype);
  float block[PRECIS_BODY_BLOCK];
  int status = PRECIS_SUCCESS;
  for (int64_t done = 0; done < elements && status == PRECIS_SUCCESS;) {
    int64_t count = least(elements - done, PRECIS_BODY_BLOCK);
    precis_dtype_to_f32(t->dtype, raw + done * size, count, block);
    status = body->sink.values(body->sink.context, array, (body->at - t->offset) / size, count,
                               block, why);
    body->at += count * size;
    done += count;
  }
  return status;
}

/* Up to `count` bytes of one array. body->at counts whole elements only. */
static int take_data(precis_body *body, int array, const char *bytes, int64_t count,
                     precis_message *why)
{
  int size = (int)precis_dtype_size(body->arrays[array].tensor.dtype);
  int64_t used = 0;
  if (body->partial_bytes > 0) {
    used = least(count, size - body->partial_bytes);
    memcpy(body->partial + body->partial_bytes, bytes, (size_t)used);
    body->partial_bytes += (int)used;
    if (body->partial_bytes < size)
      return PRECIS_SUCCESS;
    body->partial_bytes = 0;
    int status = hand_on(body, array, (const char *)body->partial, 1, why);
    if (status != PRECIS_SUCCESS)
      return status;
  }
  int64_t whole = (count - used) / size;
  int status = hand_on(body, array, bytes + used, whole, why);
  used += whole * size;
  if (status == PRECIS_SUCCESS && used < count) {
    memcpy(body->partial, bytes + used, (size_t)(count - used));
    body->partial_bytes = (int)(count - used);
  }
  return status;
}

int precis_body_take(precis_body *body, const void *bytes, int64_t count, precis_message *why)
{
  const char *at = bytes;
  int status = PRECIS_SUCCESS;
  while (count > 0 && status == PRECIS_SUCCESS) {
    int64_t used = 0, until;
    if (body->end < 0) {
      status = take_header(body, at, count, &used, why);
    } else {
      int array = array_here(body, &until);
      used = least(count, until - body->at - body->partial_bytes);
      if (used == 0)
        return fault(why, "%s: more than the %" PRId64 " bytes that its header announces",
                     body->label, body->end);
      if (array >= 0)
        status = take_data(body, array, at, used, why);
      else
        body->at += used;
    }
    at += used;
    count -= used;
  }
  return status;
}

int precis_body_end(precis_body *body, precis_message *why)
{
  int64_t have = body->at + body->partial_bytes;
  if (body->end < 0)
    return fault(why, "%s: ends after %" PRId64 " bytes, within its header", body->label, have);
  if (have < body->end)
    return fault(why, "%s: ends after %" PRId64 " bytes, by its header it should have %" PRId64,
                 body->label, have, body->end);
  return PRECIS_SUCCESS;
}
