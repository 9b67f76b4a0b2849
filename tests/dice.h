/* dice.h - random numbers for tests, the same on every rank */
#ifndef PRECIS_TESTS_DICE_H
#define PRECIS_TESTS_DICE_H

#include <math.h>
#include <stdint.h>

#include "src/base/random.h"

typedef struct dice {
  precis_stream stream;
  uint32_t thrown;
} dice;

/* In (0, 1). */
static inline double dice_uniform(dice *d)
{
  return (precis_random_word(d->stream, d->thrown++) + .5) * 0x1p-32;
}

static inline int dice_of(dice *d, int count)
{
  return (int)(dice_uniform(d) * count);
}

static inline int dice_chance(dice *d, double probability)
{
  return dice_uniform(d) < probability;
}

/* Evenly spread logarithm. */
static inline double dice_between(dice *d, double low, double high)
{
  return low * pow(high / low, dice_uniform(d));
}

static inline double dice_sign(dice *d)
{
  return dice_chance(d, .5) ? 1 : -1;
}

static inline double dice_normal(dice *d)
{
  double radius = sqrt(-2 * log(dice_uniform(d)));
  return radius * cos(6.283185307179586 * dice_uniform(d));
}

#endif
