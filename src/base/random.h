/* random.h - random numbers that are a pure function of where they go
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011): a bijection of a 128-bit counter, keyed by the seed. Any rank can make any element, so
 * a file does not depend on how many made it. */
#ifndef PRECIS_SRC_BASE_RANDOM_H
#define PRECIS_SRC_BASE_RANDOM_H

#include <stdint.h>

/* One independent sequence of numbers for each (seed, tensor, row, head). */
typedef struct precis_stream {
  uint64_t seed;
  uint8_t tensor;
  int64_t row; /* 0 <= row < 2^56 */
  uint32_t head;
} precis_stream;

/* The generator itself: ten rounds over counter, keyed by key. */
void precis_random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Number `index` of the stream, uniform over 32 bits. */
uint32_t precis_random_word(precis_stream stream, uint32_t index);

/* The first count numbers of the stream, made standard normal (Box-Muller, in double). They lie
 * within 6.7 and are equal on machines whose log, sin and cos round alike. */
void precis_random_gauss(precis_stream stream, int count, double *out);

#endif
