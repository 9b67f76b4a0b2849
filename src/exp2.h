/* exp2.h - 2^x in float32, in a form that compilers turn into vector code */
#ifndef PRECIS_SRC_EXP2_H
#define PRECIS_SRC_EXP2_H

#include <stdint.h>
#include <string.h>

/* Arguments below this give 2^PRECIS_EXP2_LEAST, about 2e-38, in place of less. */
#define PRECIS_EXP2_LEAST (-125.0f)

/* 2^x for x <= 126, -infinity included; relative error below 2e-7 above PRECIS_EXP2_LEAST.
 *
 * x = n + f with n the nearest integer, |f| <= 1/2. Adding 1.5 * 2^23 leaves n in the low bits of
 * the sum, whence it moves into the exponent of the polynomial's value. The polynomial is the
 * minimax one of degree 6 on [-1/2, 1/2] with constant 1 (relative error 2e-9, far below the
 * rounding of its evaluation). */
static inline float precis_exp2(float x)
{
  x = x < PRECIS_EXP2_LEAST ? PRECIS_EXP2_LEAST : x;
  float shifted = x + 12582912.0f;
  float f = x - (shifted - 12582912.0f);
  float p = 1.5353361948509e-4f;
  p = p * f + 1.3398874403859e-3f;
  p = p * f + 9.6184373574367e-3f;
  p = p * f + 5.5503324711584e-2f;
  p = p * f + 2.4022647913632e-1f;
  p = p * f + 6.9314720285505e-1f;
  p = p * f + 1.0f;
  uint32_t n, bits;
  memcpy(&n, &shifted, sizeof n);
  memcpy(&bits, &p, sizeof bits);
  bits += n << 23;
  memcpy(&p, &bits, sizeof p);
  return p;
}

#endif
