/* Types of numbers in files, against the definitions of their formats. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "src/files/tensor.h"

enum { HALVES = 1 << 16 };

static uint32_t bits_of(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* IEEE 754 binary16, from its definition. */
static double half(unsigned bits)
{
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double magnitude = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                     : exponent == 0 ? ldexp(fraction, -24)
                                     : ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -magnitude : magnitude;
}

static void check_halves(void)
{
  static uint16_t all[HALVES];
  static float out[HALVES];
  for (int i = 0; i < HALVES; i++)
    all[i] = (uint16_t)i;
  precis_dtype_to_f32(PRECIS_F16, all, HALVES, out);
  for (unsigned i = 0; i < HALVES; i++)
    if (isnan(half(i)))
      assert_true(isnan(out[i]));
    else
      assert_int_equal(bits_of(out[i]), bits_of((float)half(i)));
}

static void all_halves(void **state)
{
  (void)state;
  check_halves();
}

/* A host program may have been linked with -ffast-math, which makes the processor take subnormal
 * numbers for 0. */
static void halves_without_subnormals(void **state)
{
  (void)state;
#if defined(__SSE__)
  unsigned saved = _mm_getcsr();
  static const uint16_t subnormal[] = {0x0001, 0x83ff};
  float out[2];
  _mm_setcsr(saved | 0x8040);
  precis_dtype_to_f32(PRECIS_F16, subnormal, 2, out);
  _mm_setcsr(saved);
  assert_int_equal(bits_of(out[0]), bits_of(0x1p-24f));
  assert_int_equal(bits_of(out[1]), bits_of(-1023 * 0x1p-24f));
#else
  skip();
#endif
}

static void all_brains(void **state)
{
  (void)state;
  static uint16_t all[HALVES];
  static float out[HALVES];
  for (int i = 0; i < HALVES; i++)
    all[i] = (uint16_t)i;
  precis_dtype_to_f32(PRECIS_BF16, all, HALVES, out);
  for (unsigned i = 0; i < HALVES; i++)
    assert_int_equal(bits_of(out[i]), i << 16);
}

static void doubles(void **state)
{
  (void)state;
  const double in[] = {0,        -0.0,   1. / 3,   -1e-40,    1e-60,       3.4028234663852886e38,
                       3.5e38,   -1e300, INFINITY, -INFINITY, 1 + 0x1p-24, 1 + 0x1.8p-24,
                       16777217, NAN};
  enum { COUNT = sizeof in / sizeof in[0] };
  float out[COUNT];
  precis_dtype_to_f32(PRECIS_F64, in, COUNT, out);
  for (int i = 0; i < COUNT - 1; i++)
    assert_int_equal(bits_of(out[i]), bits_of((float)in[i]));
  assert_true(isnan(out[COUNT - 1]));
  assert_true(isinf(out[6]) && isinf(out[7]) && out[7] < 0);
  assert_true(out[10] == 1); /* a tie goes to even */
}

static void any_address_any_count(void **state)
{
  (void)state;
  static const precis_dtype types[] = {PRECIS_F32, PRECIS_F16, PRECIS_BF16, PRECIS_F64};
  for (int t = 0; t < 4; t++) {
    int64_t size = precis_dtype_size(types[t]);
    for (int64_t count = 0; count < 40; count++) {
      unsigned char *aligned = malloc((size_t)(count * size + 1)),
                    *odd = malloc((size_t)(count * size + 1));
      float *a = malloc((size_t)(count + 1) * sizeof *a),
            *b = malloc((size_t)(count + 1) * sizeof *b);
      for (int64_t i = 0; i < count * size; i++)
        aligned[i] = odd[i + 1] = (unsigned char)(i * 37 % 101 & 0x3f);
      a[count] = b[count] = 77;
      precis_dtype_to_f32(types[t], aligned, count, a);
      precis_dtype_to_f32(types[t], odd + 1, count, b);
      assert_memory_equal(a, b, (size_t)(count + 1) * sizeof *a);
      assert_true(a[count] == 77);
      free(aligned);
      free(odd);
      free(a);
      free(b);
    }
  }
  float same[] = {1, 2};
  precis_dtype_to_f32(PRECIS_F32, same, 2, same);
  assert_true(same[0] == 1 && same[1] == 2);
}

static void nonfinite_is_found(void **state)
{
  (void)state;
  float x[100] = {0};
  for (int64_t count = 0; count <= 100; count++)
    assert_int_equal(precis_f32_nonfinite(x, count, 0), count);
  for (int i = 0; i < 100; i++) {
    x[i] = i % 3 == 0 ? INFINITY : i % 3 == 1 ? -INFINITY : NAN;
    assert_int_equal(precis_f32_nonfinite(x, 100, 0), i);
    assert_int_equal(precis_f32_nonfinite(x, 100, 1), i % 3 == 1 ? 100 : i);
    assert_int_equal(precis_f32_nonfinite(x, i, 0), i);
    x[i] = i % 2 ? 3.4e38f : 1e-45f;
  }
  x[10] = -INFINITY;
  x[20] = NAN;
  assert_int_equal(precis_f32_nonfinite(x, 100, 0), 10);
  assert_int_equal(precis_f32_nonfinite(x, 100, 2), 20);
}

static void sizes(void **state)
{
  (void)state;
  precis_tensor t = {.dtype = PRECIS_F16, .axes = 3, .shape = {1536, 12, 32}};
  assert_true(precis_tensor_fits(&t));
  assert_int_equal(precis_tensor_row_elements(&t), 384);
  assert_int_equal(precis_tensor_bytes(&t), 1179648);
  assert_string_equal(precis_tensor_shape_text(&t).text, "(1536, 12, 32)");
  t = (precis_tensor){.dtype = PRECIS_F64, .axes = 1, .shape = {7}};
  assert_string_equal(precis_tensor_shape_text(&t).text, "(7,)");
  assert_int_equal(precis_tensor_row_elements(&t), 1);
  t.shape[0] = INT64_C(1) << 59;
  assert_false(precis_tensor_fits(&t));
  t.shape[0] = INT64_C(1) << 58;
  assert_true(precis_tensor_fits(&t));
  /* Lengths of 0 hide nothing. */
  t = (precis_tensor){
      .dtype = PRECIS_F32, .axes = 3, .shape = {0, INT64_C(1) << 40, INT64_C(1) << 40}};
  assert_false(precis_tensor_fits(&t));
  t = (precis_tensor){
      .dtype = PRECIS_F32, .axes = 4, .shape = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}};
  assert_int_equal(strlen(precis_tensor_shape_text(&t).text), 4 * 19 + 8);
  t.shape[1] = -1;
  assert_false(precis_tensor_fits(&t));
  t.axes = 0;
  assert_false(precis_tensor_fits(&t));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_halves),
      cmocka_unit_test(halves_without_subnormals),
      cmocka_unit_test(all_brains),
      cmocka_unit_test(doubles),
      cmocka_unit_test(any_address_any_count),
      cmocka_unit_test(nonfinite_is_found),
      cmocka_unit_test(sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
