#include "src/base/random.h"

#include <assert.h>
#include <math.h>

void precis_random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
  const uint64_t multiplier0 = 0xD2511F53, multiplier1 = 0xCD9E8D57;
  const uint32_t weyl0 = 0x9E3779B9, weyl1 = 0xBB67AE85;
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = multiplier0 * c0, p1 = multiplier1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += weyl0;
    k1 += weyl1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

static void draw(precis_stream stream, uint32_t block, uint32_t out[4])
{
  assert(stream.row >= 0 && stream.row >> 56 == 0);
  uint64_t row = (uint64_t)stream.row;
  uint32_t counter[4] = {block, stream.head, (uint32_t)row,
                         (uint32_t)(row >> 32) | (uint32_t)stream.tensor << 24};
  uint32_t key[2] = {(uint32_t)stream.seed, (uint32_t)(stream.seed >> 32)};
  precis_random_philox(counter, key, out);
}

uint32_t precis_random_word(precis_stream stream, uint32_t index)
{
  uint32_t words[4];
  draw(stream, index / 4, words);
  return words[index % 4];
}

/* Two uniform words to two independent normal numbers. */
static void box_muller(uint32_t a, uint32_t b, double out[2])
{
  const double unit = 0x1p-32, two_pi = 6.283185307179586476925;
  double radius = sqrt(-2 * log((a + .5) * unit)), angle = two_pi * (b * unit);
  out[0] = radius * cos(angle);
  out[1] = radius * sin(angle);
}

void precis_random_gauss(precis_stream stream, int count, double *out)
{
  for (int i = 0; i < count; i += 4) {
    uint32_t words[4];
    double normal[4];
    draw(stream, (uint32_t)i / 4, words);
    box_muller(words[0], words[1], normal);
    box_muller(words[2], words[3], normal + 2);
    for (int j = 0; j < 4 && i + j < count; j++)
      out[i + j] = normal[j];
  }
}
