/* The forms of tile_kernel.h one by one: their exponential over all floats of its range, weights of
 * extreme scores, and sums over millions of keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clones.h"
#include "src/base/memory.h"
#include "src/exact/partial.h"
#include "src/exact/tile.h"
#include "src/exact/tile_rounding.h"
#include "tests/uniform.h"

enum { GROUP = PRECIS_TILE_GROUP };

typedef float lanes[GROUP] __attribute__((aligned(64)));

/* The largest relative error of y for 2^x, |x| <= 1/2. The truth is Taylor's polynomial of degree
 * 14, whose remainder is below 3e-19. */
PRECIS_CLONES
static double worst_of(const float *x, const float *y)
{
  static const double over[] = {1,      1,      1. / 2,  1. / 3,  1. / 4,  1. / 5,  1. / 6, 1. / 7,
                                1. / 8, 1. / 9, 1. / 10, 1. / 11, 1. / 12, 1. / 13, 1. / 14};
  double worst = 0;
#pragma omp simd reduction(max : worst)
  for (int i = 0; i < GROUP; i++) {
    double z = x[i] * 0.693147180559945309417, want = 1;
    for (int n = 14; n > 0; n--)
      want = 1 + z * want * over[n];
    double error = fabs(y[i] - want) / want;
    worst = error > worst ? error : worst;
  }
  return worst;
}

/* All floats from 2^-26 to 1/2 and their negatives, every stride-th of them: what is left when the
 * nearest integer is taken away, which is exact. Below, 2^x rounds to 1. */
static void check_fractions(const precis_tile_kernel *kernel, uint32_t stride)
{
  const lanes none = {0};
  lanes x, y;
  double worst = 0;
  const uint32_t first = 0x32800000, last = 0x3f000000; /* bits of 2^-26 and of 1/2 */
  int filled = 0;
  memset(x, 0, sizeof x);
  for (uint32_t bits = first; bits <= last; bits += stride) {
    memcpy(&x[filled], &bits, sizeof bits);
    x[filled + 1] = -x[filled];
    filled += 2;
    if (filled == GROUP || last - bits < stride) {
      kernel->exponential(x, none, y);
      worst = fmax(worst, worst_of(x, y));
      filled = 0;
    }
  }
  assert_true(worst <= PRECIS_EXP2_ERROR);
}

/* Integers come and go exactly: 2^(x - m) is 2^f times a power of two. */
static void check_integers(const precis_tile_kernel *kernel)
{
  uint64_t state = 5;
  for (int round = 0; round < 20000; round++) {
    lanes x, m, f, y, none = {0}, part;
    int n[GROUP];
    double size = round % 3 == 0 ? 2e6 : round % 3 == 1 ? 100 : 1;
    for (int i = 0; i < GROUP; i++) {
      m[i] = (float)rint((uniform(&state) - .5) * 2 * size);
      x[i] = m[i] + (float)((uniform(&state) - .5) * 240);
      n[i] = (int)lrint((double)x[i] - m[i]);
      f[i] = (float)((double)x[i] - m[i] - n[i]);
    }
    kernel->exponential(x, m, y);
    kernel->exponential(f, none, part);
    for (int i = 0; i < GROUP; i++)
      assert_true(y[i] == ldexpf(part[i], n[i]));
  }
}

static void exponential(void **state)
{
  (void)state;
  const precis_tile_kernel *kernels[4];
  int count = precis_tile_kernels(kernels);
  for (int i = 0; i < count; i++) {
    check_fractions(kernels[i], i == 0 ? 1 : 7);
    check_integers(kernels[i]);
  }
}

/* Scores and what they must become, by the three ways. q and k are numbers: dim 1. */
static void check_weights(const precis_tile_kernel *kernel)
{
  static const float score[8] = {0, -1, -99, -101, -1e5f, -1e30f, -INFINITY, 3};
  lanes q, m = {0}, top, part[2];
  int32_t visible[GROUP] __attribute__((aligned(64)));
  float weights[PRECIS_TILE_KEYS * GROUP] __attribute__((aligned(64))), k[PRECIS_TILE_KEYS],
      v[PRECIS_TILE_KEYS];
  for (int j = 0; j < PRECIS_TILE_KEYS; j++)
    k[j] = score[j % 8], v[j] = (float)(j % 5) - 2;
  for (int masked = 0; masked < 2; masked++) {
    for (int i = 0; i < GROUP; i++) {
      q[i] = 1;
      top[i] = -INFINITY;
      part[0][i] = part[1][i] = 0;
      visible[i] = i % 9;
    }
    precis_tile_block b = {.lanes = GROUP,
                           .dim = 1,
                           .value_dim = 1,
                           .keys = PRECIS_TILE_KEYS,
                           .q = q,
                           .k = k,
                           .v = v,
                           .visible = masked ? visible : NULL,
                           .reference = m,
                           .weights = weights,
                           .top = top,
                           .part = part[0]};
    (masked ? kernel->general : kernel->tracked)(&b);
    kernel->gather(&b);
    for (int i = 0; i < GROUP; i++) {
      double total = 0, values = 0, size = 0, most = -INFINITY;
      for (int j = 0; j < PRECIS_TILE_KEYS; j++) {
        float s = masked && j >= visible[i] ? -INFINITY : k[j], w = weights[j * GROUP + i];
        double want = s < PRECIS_TILE_LEAST ? 0 : exp2(s);
        assert_true(fabs(w - want) <= PRECIS_EXP2_ERROR * want);
        total += w;
        values += w * v[j];
        size += w * fabs(v[j]);
        most = fmax(most, s);
      }
      assert_true(top[i] == most);
      assert_true(fabs(part[0][i] - values) <= PRECIS_TILE_SUM_ROUNDINGS * 0x1p-24 * size);
      assert_true(fabs(part[1][i] - total) <= PRECIS_TILE_SUM_ROUNDINGS * 0x1p-24 * total);
    }
  }
}

static void weights(void **state)
{
  (void)state;
  const precis_tile_kernel *kernels[4];
  int count = precis_tile_kernels(kernels);
  for (int i = 0; i < count; i++)
    check_weights(kernels[i]);
}

/* What attention to hand-made scores gives, q being 1 and dim 1: exact but for the exponential and
 * the sums. Values are 1 and j. */
typedef struct handmade {
  const precis_tile_kernel *kernel;
  int keys;
  float *k, *v, *bias;
} handmade;

static void check_handmade(const handmade *h)
{
  precis_tile_shape plan = precis_tile_plan(1, 2, 1 << 18);
  plan.kernel = h->kernel;
  precis_partial partial;
  float *scratch = precis_memory_array(precis_tile_scratch(&plan), sizeof *scratch), q = 1;
  precis_tile tile = {h->keys, h->k, h->v, h->bias};
  assert_int_equal(precis_partial_create(&partial, 1, 2), 0);
  precis_tile_attend(&plan, &tile, 1, &q, 1, 1, NULL, &partial, scratch);
  double most = -INFINITY, l = 0, o[2] = {0, 0}, size = 0;
  for (int j = 0; j < h->keys; j++)
    most = fmax(most, h->k[j] + (double)(h->bias ? h->bias[j] : 0));
  for (int j = 0; j < h->keys && most > -INFINITY; j++) {
    double w = exp2(h->k[j] + (double)(h->bias ? h->bias[j] : 0) - most);
    l += w;
    o[0] += w * h->v[2 * j];
    o[1] += w * h->v[2 * j + 1];
    size += w * fabs(h->v[2 * j + 1]);
  }
  double bound = PRECIS_EXP2_ERROR + PRECIS_TILE_SUM_ROUNDINGS * 0x1p-24,
         scale = exp2(partial.m[0] - most);
  if (most == -INFINITY) {
    assert_true(partial.m[0] == -INFINITY && partial.l[0] == 0);
  } else {
    assert_true(fabs(partial.l[0] * scale - l) <= bound * l);
    assert_true(fabs(partial.o[0] * scale - o[0]) <= bound * l);
    assert_true(fabs(partial.o[1] * scale - o[1]) <= bound * size);
  }
  precis_partial_free(&partial);
  free(scratch);
}

/* Rising, falling and far apart scores, whole numbers so that float32 holds them; masks; common
 * biases, large and finite ones. */
static void references(void **state)
{
  (void)state;
  enum { KEYS = 1700 };
  static const float slopes[] = {1, -1, 13, -13, 5000, -5000, 0};
  static const float biases[] = {0, 1e6f, -1e6f, -1e9f, -INFINITY, 1e9f};
  const precis_tile_kernel *kernels[4];
  int count = precis_tile_kernels(kernels);
  float k[KEYS], v[2 * KEYS], bias[KEYS];
  for (int i = 0; i < count; i++)
    for (size_t slope = 0; slope < sizeof slopes / sizeof *slopes; slope++)
      for (size_t b = 0; b < 2 * sizeof biases / sizeof *biases; b++) {
        for (int j = 0; j < KEYS; j++) {
          k[j] = slopes[slope] * (float)j;
          v[2 * j] = 1;
          v[2 * j + 1] = (float)(j % 97) - 40;
          /* For all keys, or for all but a few, in whole steps of float32 near them. */
          bias[j] = b % 2 && j % 400 == 3 ? 0 : biases[b / 2];
          k[j] = fabsf(biases[b / 2]) == 1e9f ? 64 * k[j] : k[j];
        }
        check_handmade(&(handmade){kernels[i], KEYS, k, v, b ? bias : NULL});
      }
}

/* Sums of weights, and of weighted values relative to sum w |v|, over 2^24 keys. Scores are 0 and
 * -1, so that weights are what they should be but for one common factor; values round badly. */
static void long_sums(void **state)
{
  (void)state;
  enum { KEYS = 1 << 16, TIMES = 1 << 8, QUERIES = 5 };
  const precis_tile_kernel *kernels[4];
  int count = precis_tile_kernels(kernels);
  float *k = malloc(KEYS * sizeof *k), *v = malloc(2 * KEYS * sizeof *v), q[QUERIES];
  double l = 0, o[2] = {0, 0}, size = 0;
  for (int j = 0; j < KEYS; j++) {
    k[j] = j % 3 ? 0 : -1;
    v[2 * j] = .1f;
    v[2 * j + 1] = j % 5 ? 1.7f : -.3f;
    double w = exp2(k[j]);
    l += w;
    o[0] += w * v[2 * j];
    o[1] += w * v[2 * j + 1];
    size += w * fabsf(v[2 * j + 1]);
  }
  for (int i = 0; i < QUERIES; i++)
    q[i] = 1;
  for (int i = 0; i < count; i++) {
    precis_tile_shape plan = precis_tile_plan(1, 2, 1 << 20);
    plan.kernel = kernels[i];
    precis_partial partial;
    float *scratch = precis_memory_array(precis_tile_scratch(&plan), sizeof *scratch);
    precis_tile tile = {KEYS, k, v, NULL};
    assert_int_equal(precis_partial_create(&partial, QUERIES, 2), 0);
    precis_tile_begin(&plan, QUERIES, q, 1, 1, scratch);
    for (int t = 0; t < TIMES; t++)
      precis_tile_add(&plan, &tile, QUERIES, NULL, scratch);
    precis_tile_end(&plan, QUERIES, &partial, scratch);
    const double unit = (double)PRECIS_EXP2_0 * TIMES, bound = 4e-6;
    for (int r = 0; r < QUERIES; r++) {
      assert_true(fabs(partial.l[r] - unit * l) <= bound * unit * l);
      assert_true(fabs(partial.o[2 * r] - unit * o[0]) <= bound * unit * o[0]);
      assert_true(fabs(partial.o[2 * r + 1] - unit * o[1]) <= bound * unit * size);
    }
    precis_partial_free(&partial);
    free(scratch);
  }
  assert_true(PRECIS_TILE_SUM_ROUNDINGS * 0x1p-24 < 4e-6);
  free(v);
  free(k);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exponential),
      cmocka_unit_test(weights),
      cmocka_unit_test(references),
      cmocka_unit_test(long_sums),
  };
  return cmocka_run_group_tests_name("tile_kernel", tests, NULL, NULL);
}
