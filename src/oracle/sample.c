#include "src/oracle/sample.h"

#include "src/base/random.h"

enum { STREAM_SAMPLE = 5 }; /* generate.c has the streams below */

int64_t precis_sample_count(int64_t total, int64_t wanted)
{
  int64_t count = wanted < 2 ? 2 : wanted;
  return count < total ? count : total;
}

/* Start of stretch i of count, without the overflow of total * i. */
static int64_t stretch(int64_t total, int64_t count, int64_t i)
{
  int64_t extra = total % count;
  return total / count * i + (i < extra ? i : extra);
}

void precis_sample_rows(int64_t total, int64_t count, uint64_t seed, int64_t *rows)
{
  for (int64_t i = 0; i < count; i++) {
    int64_t first = stretch(total, count, i), length = stretch(total, count, i + 1) - first;
    precis_stream stream = {.seed = seed, .tensor = STREAM_SAMPLE, .row = i};
    uint64_t word = (uint64_t)precis_random_word(stream, 0) << 32 | precis_random_word(stream, 1);
    rows[i] = first + (int64_t)(word % (uint64_t)length);
  }
  if (count > 0) {
    rows[0] = 0;
    rows[count - 1] = total - 1;
  }
}
