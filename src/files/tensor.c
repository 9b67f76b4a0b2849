#include "src/files/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/clones.h"

/* Numbers are taken from files and put into files as they are. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Precis reads and writes little-endian files on little-endian machines only"
#endif

int64_t precis_dtype_size(precis_dtype dtype)
{
  switch (dtype) {
  case PRECIS_F16:
  case PRECIS_BF16:
    return 2;
  case PRECIS_F64:
    return 8;
  case PRECIS_F32:
    break;
  }
  return 4;
}

const char *precis_dtype_name(precis_dtype dtype)
{
  switch (dtype) {
  case PRECIS_F16:
    return "F16";
  case PRECIS_BF16:
    return "BF16";
  case PRECIS_F64:
    return "F64";
  case PRECIS_F32:
    break;
  }
  return "F32";
}

int precis_tensor_fits(const precis_tensor *tensor)
{
  if (tensor->axes < 1 || tensor->axes > PRECIS_TENSOR_AXES)
    return 0;
  int64_t bytes = precis_dtype_size(tensor->dtype);
  for (int i = 0; i < tensor->axes; i++) {
    int64_t length = tensor->shape[i];
    /* A length of 0 counts as 1, or it would hide what the others come to. */
    if (length < 0 || __builtin_mul_overflow(bytes, length > 0 ? length : 1, &bytes))
      return 0;
  }
  return bytes <= INT64_MAX / 2; /* leaves room for a header */
}

int64_t precis_tensor_row_elements(const precis_tensor *tensor)
{
  int64_t elements = 1;
  for (int i = 1; i < tensor->axes; i++)
    elements *= tensor->shape[i];
  return elements;
}

int64_t precis_tensor_bytes(const precis_tensor *tensor)
{
  return tensor->shape[0] * precis_tensor_row_elements(tensor) * precis_dtype_size(tensor->dtype);
}

precis_shape_text precis_tensor_shape_text(const precis_tensor *tensor)
{
  precis_shape_text shape = {"("};
  size_t used = 1;
  for (int i = 0; i < tensor->axes && i < PRECIS_TENSOR_AXES; i++)
    used += (size_t)snprintf(shape.text + used, sizeof shape.text - used, "%s%" PRId64,
                             i ? ", " : "", tensor->shape[i]);
  snprintf(shape.text + used, sizeof shape.text - used, tensor->axes == 1 ? ",)" : ")");
  return shape;
}

static inline float float_of(uint32_t bits)
{
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline uint32_t bits_of(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* Integers and one product of normal numbers, so that the result does not depend on how the machine
 * treats subnormal float32. Every value of float16 has one in float32, where no finite one is
 * subnormal. */
static inline float from_half(uint16_t half)
{
  uint32_t magnitude = half & 0x7fff, sign = (uint32_t)(half & 0x8000) << 16;
  uint32_t rebias = (uint32_t)(127 - 15) << 23;
  uint32_t normal = (magnitude << 13) + rebias;
  uint32_t special = normal + rebias; /* infinity and NaN: an exponent of 31 becomes 255 */
  uint32_t subnormal = bits_of((float)(int32_t)magnitude * 0x1p-24f);
  uint32_t bits = magnitude < 0x0400 ? subnormal : magnitude >= 0x7c00 ? special : normal;
  return float_of(bits | sign);
}

/* The loops below say "omp simd", or GCC would vectorise them with -O3 only. */

PRECIS_CLONES
static void convert_halves(const unsigned char *raw, int64_t count, float *restrict out)
{
#pragma omp simd
  for (int64_t i = 0; i < count; i++) {
    uint16_t half;
    memcpy(&half, raw + 2 * i, sizeof half);
    out[i] = from_half(half);
  }
}

PRECIS_CLONES
static void convert_brains(const unsigned char *raw, int64_t count, float *restrict out)
{
#pragma omp simd
  for (int64_t i = 0; i < count; i++) {
    uint16_t upper;
    memcpy(&upper, raw + 2 * i, sizeof upper);
    out[i] = float_of((uint32_t)upper << 16);
  }
}

PRECIS_CLONES
static void convert_doubles(const unsigned char *raw, int64_t count, float *restrict out)
{
#pragma omp simd
  for (int64_t i = 0; i < count; i++) {
    double x;
    memcpy(&x, raw + 8 * i, sizeof x);
    out[i] = (float)x;
  }
}

void precis_dtype_to_f32(precis_dtype dtype, const void *raw, int64_t count, float *out)
{
  switch (dtype) {
  case PRECIS_F16:
    convert_halves(raw, count, out);
    break;
  case PRECIS_BF16:
    convert_brains(raw, count, out);
    break;
  case PRECIS_F64:
    convert_doubles(raw, count, out);
    break;
  case PRECIS_F32:
    if (count > 0 && raw != out)
      memcpy(out, raw, (size_t)count * sizeof *out);
    break;
  }
}

/* allowed: the bits of a value that is fine although it may not be finite. */
static inline uint32_t is_bad(float x, uint32_t allowed)
{
  uint32_t bits = bits_of(x), exponent = 0x7f800000;
  return (uint32_t)((bits & exponent) == exponent) & (uint32_t)(bits != allowed);
}

PRECIS_CLONES
static uint32_t any_bad(const float *x, int64_t count, uint32_t allowed)
{
  uint32_t any = 0;
#pragma omp simd reduction(| : any)
  for (int64_t i = 0; i < count; i++)
    any |= is_bad(x[i], allowed);
  return any;
}

int64_t precis_f32_nonfinite(const float *x, int64_t count, int may_mask)
{
  uint32_t allowed = may_mask ? 0xff800000 : 0; /* -infinity, or plain 0 */
  if (!any_bad(x, count, allowed))
    return count;
  int64_t i = 0;
  while (!is_bad(x[i], allowed))
    i++;
  return i;
}

int precis_tensor_plain(const precis_tensor *t)
{
  return !t->fortran && !t->big_endian;
}

int64_t precis_tensor_column(const precis_tensor *t, int64_t place)
{
  int64_t stride = 1, column = 0;
  for (int axis = 1; axis < t->axes; axis++)
    stride *= t->shape[axis];
  /* The last axis is the fastest of a place, and the slowest of columns. */
  for (int axis = t->axes - 1; axis > 0; axis--) {
    stride /= t->shape[axis];
    column += place % t->shape[axis] * stride;
    place /= t->shape[axis];
  }
  return column;
}

void precis_bytes_swap(void *raw, int64_t size, int64_t count)
{
  unsigned char *at = raw;
  for (int64_t i = 0; i < count; i++, at += size)
    for (int64_t b = 0; b < size / 2; b++) {
      unsigned char one = at[b];
      at[b] = at[size - 1 - b];
      at[size - 1 - b] = one;
    }
}
