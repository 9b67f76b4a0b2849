#include "src/oracle/following.h"

#include <math.h>

#include "src/base/problem.h"
#include "src/base/random.h"

enum { STREAM_FOLLOWING = 6 }; /* generate.c and sample.c have the streams below */

static const double LINEAR = PRECIS_FOLLOWING_LINEAR, CURVED = .3919183588453085; /* of squares that add up to 1 */

void precis_following_directions(uint64_t seed, uint32_t kv_head, int dim, int value_dim,
                                 const double *deviation, double *direction)
{
  for (int c = 0; c < value_dim; c++) {
    double *to = direction + (int64_t)c * dim, variance = 0;
    precis_stream stream = {.seed = seed, .tensor = STREAM_FOLLOWING, .row = c, .head = kv_head};
    precis_random_gauss(stream, dim, to);
    for (int i = 0; i < dim; i++)
      variance += to[i] * deviation[i] * to[i] * deviation[i];
    for (int i = 0; i < dim; i++)
      to[i] *= variance > 0 ? 1 / sqrt(variance) : 0;
  }
}

void precis_following_value(int dim, int value_dim, const double *direction, const double *key,
                            double *f)
{
  double y[PRECIS_DIM_MAX];
  /* Of cos y for normal y. */
  const double mean = exp(-.5), deviation = sqrt((1 + exp(-2)) / 2 - exp(-1));
  for (int c = 0; c < value_dim; c++) {
    y[c] = 0;
    for (int i = 0; i < dim; i++)
      y[c] += direction[(int64_t)c * dim + i] * key[i];
  }
  for (int c = 0; c < value_dim; c++)
    f[c] = LINEAR * y[c] + CURVED * (cos(y[(c + 1) % value_dim]) - mean) / deviation;
}
