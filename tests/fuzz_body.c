/* Bodies of appends and attends: .safetensors and .npy, in pieces. The first byte says which, and
 * how long pieces are. */
#include <assert.h>
#include <math.h>

#include "src/files/body.h"
#include "src/precis.h"
#include "tests/fuzz.h"

typedef struct taken {
  int64_t next[PRECIS_BODY_ARRAYS];
  int begun;
} taken;

static int begin(void *context, const precis_body_array *arrays, precis_message *why)
{
  taken *t = context;
  (void)why;
  assert(arrays[0].found && !t->begun);
  t->begun = 1;
  return PRECIS_SUCCESS;
}

/* Elements come once and in order, none beyond the array. */
static int values(void *context, int array, int64_t first, int64_t count, const float *x,
                  precis_message *why)
{
  taken *t = context;
  float sum = 0;
  (void)why;
  assert(t->begun && count > 0 && count <= PRECIS_BODY_BLOCK && first == t->next[array]);
  for (int64_t i = 0; i < count; i++)
    sum += x[i];
  t->next[array] += count;
  return isnan(sum) && first > 100 ? PRECIS_ERR_NONFINITE : PRECIS_SUCCESS;
}

static int feed(precis_body *body, const uint8_t *data, size_t bytes, size_t piece)
{
  precis_message why;
  int status = PRECIS_SUCCESS;
  for (size_t at = 0; at < bytes && status == PRECIS_SUCCESS; at += piece)
    status =
        precis_body_take(body, data + at, (int64_t)(bytes - at < piece ? bytes - at : piece), &why);
  return status == PRECIS_SUCCESS ? precis_body_end(body, &why) : status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  if (bytes == 0)
    return 0;
  taken t = {.begun = 0};
  precis_body body = {.label = "body",
                      .arrays = {{.name = "k"}, {.name = "v"}, {.name = "bias", .optional = 1}},
                      .count = data[0] & 1 ? 3 : 1,
                      .sink = {begin, values, &t},
                      .announced = data[0] & 2 ? (int64_t)bytes - 1 : -1};
  precis_body_begin(&body);
  int status = feed(&body, data + 1, bytes - 1, 1 + (data[0] >> 2) * 7u);
  for (int i = 0; i < body.count && status == PRECIS_SUCCESS; i++)
    if (body.arrays[i].found)
      assert(t.next[i] * precis_dtype_size(body.arrays[i].tensor.dtype) ==
             precis_tensor_bytes(&body.arrays[i].tensor));
  precis_body_free(&body);
  return 0;
}
