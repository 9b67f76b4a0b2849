/* uniform.h - random numbers for tests of one process, the same wherever they run */
#ifndef PRECIS_TESTS_UNIFORM_H
#define PRECIS_TESTS_UNIFORM_H

#include <math.h>
#include <stdint.h>

static inline double uniform(uint64_t *state) /* in (0, 1), splitmix64 */
{
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return ((double)((z ^ (z >> 31)) >> 11) + .5) / 9007199254740992.;
}

static inline double normal(uint64_t *state)
{
  double radius = sqrt(-2 * log(uniform(state)));
  return radius * cos(6.283185307179586 * uniform(state));
}

#endif
