/* exp2.h - 2^x in float32, as the exact tile has it
 *
 * x = n + f with n the nearest integer, |f| <= 1/2. Adding 1.5 * 2^23 leaves n in the low bits of
 * the sum, whence it moves into the exponent of the polynomial's value. An integer m with |m| <
 * 2^21 is subtracted on the way at no cost and without rounding: add 1.5 * 2^23 - m instead. The
 * polynomial is the minimax one of degree 5 on [-1/2, 1/2] (relative error 7.5e-8), its
 * coefficients rounded so that evaluation in float32 stays within PRECIS_EXP2_ERROR, with fused
 * multiply-adds and without. Tests go through all of its range. */
#ifndef PRECIS_SRC_EXACT_EXP2_H
#define PRECIS_SRC_EXACT_EXP2_H

#include <stdint.h>
#include <string.h>

#define PRECIS_EXP2_ROUND 12582912.0f
#define PRECIS_EXP2_0 1.00000012f
#define PRECIS_EXP2_1 .693147004f
#define PRECIS_EXP2_2 .240221173f
#define PRECIS_EXP2_3 .0555071272f
#define PRECIS_EXP2_4 .00967554096f
#define PRECIS_EXP2_5 .00132764725f

/* A bound on the relative error of every form. */
#define PRECIS_EXP2_ERROR 2.5e-7

/* 2^(x - m) for an integer m, |m| < 2^21, and |x - m| <= 125. */
static inline float precis_exp2(float x, float m)
{
  float round = PRECIS_EXP2_ROUND - m, shifted = x + round, f = x - (shifted - round);
  float p = PRECIS_EXP2_5;
  p = p * f + PRECIS_EXP2_4;
  p = p * f + PRECIS_EXP2_3;
  p = p * f + PRECIS_EXP2_2;
  p = p * f + PRECIS_EXP2_1;
  p = p * f + PRECIS_EXP2_0;
  uint32_t n, bits;
  memcpy(&n, &shifted, sizeof n);
  memcpy(&bits, &p, sizeof bits);
  bits += n << 23;
  memcpy(&p, &bits, sizeof p);
  return p;
}

#endif
