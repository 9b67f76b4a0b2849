/* promise_spoil.c - what makes the numbers of a problem unusual */
#include <math.h>

#include "src/base/problem.h"
#include "tests/promise_problem.h"

static int64_t q_width(const promise_problem *p)
{
  return (int64_t)p->problem.heads * p->problem.dim;
}

static int64_t k_width(const promise_problem *p)
{
  return (int64_t)p->problem.kv_heads * p->problem.dim;
}

static int64_t v_width(const promise_problem *p)
{
  return (int64_t)p->problem.kv_heads * p->problem.value_dim;
}

static void stretch(float *x, int64_t count, double factor)
{
  for (int64_t i = 0; i < count; i++)
    x[i] = (float)(x[i] * factor);
}

/* Some rows of one head, or of all, become longer; pairs of them in opposite directions leave the
 * mean where it is. */
static void lengthen(dice *d, int64_t rows, int heads, int dim, double most, float *x)
{
  int64_t count = 1 + dice_of(d, 6);
  int head = dice_of(d, 2 * heads), pairs = dice_chance(d, .5);
  double factor = dice_between(d, 1.5, most);
  for (int64_t i = 0; i < count && rows > 1; i++) {
    int64_t row = dice_of(d, (int)rows), other = dice_of(d, (int)rows);
    for (int h = 0; h < heads; h++) {
      if (head < heads && h != head)
        continue;
      float *at = x + (row * heads + h) * dim, *to = x + (other * heads + h) * dim;
      stretch(at, dim, factor);
      for (int c = 0; pairs && other != row && c < dim; c++)
        to[c] = -at[c];
    }
  }
}

static void long_rows(dice *d, int keys, int queries, promise_problem *p)
{
  const precis_problem *s = &p->problem;
  double most = dice_chance(d, .2) ? 1e5 : dice_chance(d, .5) ? 1e3 : 30;
  if (queries)
    lengthen(d, p->queries, s->heads, s->dim, most, p->q);
  if (keys)
    lengthen(d, p->keys, s->kv_heads, s->dim, dice_chance(d, .1) ? 1e3 : 50, p->k);
}

static void random_bias(dice *d, promise_problem *p)
{
  double factor = dice_between(d, .1, 200),
         slope = dice_chance(d, .3) ? dice_normal(d) * factor : 0;
  p->has_bias = 1;
  for (int64_t j = 0; j < p->keys; j++)
    p->bias[j] += (float)(factor * (2 * dice_uniform(d) - 1) + slope * (double)j / (double)p->keys);
}

static void masks(dice *d, promise_problem *p)
{
  static const float mask[] = {-INFINITY, -3e38f, -1e9f, -1e9f, -1e6f, -1e4f, -100, -2e37f};
  double share = dice_chance(d, .2) ? .97 : dice_uniform(d);
  int one = dice_of(d, 8), mixed = dice_chance(d, .3), run = dice_chance(d, .3);
  p->has_bias = 1;
  for (int64_t j = 0; j < p->keys; j++)
    if (run ? (double)j < share * (double)p->keys : dice_chance(d, share))
      p->bias[j] = mask[mixed ? dice_of(d, 8) : one];
}

static void common_bias(dice *d, promise_problem *p)
{
  double common = dice_sign(d) * dice_between(d, 1e2, 1e7);
  p->has_bias = 1;
  for (int64_t j = 0; j < p->keys; j++)
    p->bias[j] = (float)(p->bias[j] + common);
}

static void offset(dice *d, double most, int64_t rows, int64_t width, float *x)
{
  double size = dice_between(d, 1, most);
  for (int64_t c = 0; c < width; c++) {
    double by = size * dice_normal(d);
    for (int64_t i = 0; i < rows; i++)
      x[i * width + c] = (float)(x[i * width + c] + by);
  }
}

static void value_outliers(dice *d, promise_problem *p)
{
  double factor = dice_between(d, 10, 1e6);
  for (int i = 0; i < 3; i++) {
    int64_t row = dice_of(d, (int)p->keys);
    stretch(p->v + row * v_width(p), v_width(p), factor);
  }
}

/* All columns or one, down to where float32 has a few bits left. */
static void small_values(dice *d, promise_problem *p)
{
  double factor = dice_between(d, 1e-44, 1e-36);
  int one = dice_chance(d, .4);
  for (int64_t i = 0; i < p->keys * v_width(p); i++)
    if (!one || i % p->problem.value_dim == 0)
      p->v[i] = (float)(p->v[i] * factor);
}

/* Two channels are equal in queries and opposite in keys: they cancel exactly, but sums and centres
 * in floating point have to carry them. */
static void cancelling(dice *d, promise_problem *p)
{
  int dim = p->problem.dim;
  if (dim < 2)
    return;
  double q = dice_between(d, 10, 0x1p20), k = dice_between(d, 10, 0x1p20);
  int vary = dice_chance(d, .7);
  for (int64_t i = 0; i < p->queries * p->problem.heads; i++)
    p->q[i * dim] = p->q[i * dim + dim - 1] = (float)(q * (vary ? 1 + dice_uniform(d) : 1));
  for (int64_t j = 0; j < p->keys * p->problem.kv_heads; j++) {
    p->k[j * dim] = (float)(k * (vary ? 1 + dice_uniform(d) : 1));
    p->k[j * dim + dim - 1] = -p->k[j * dim];
  }
}

/* Each query head has a centre and a length of its own. */
static void groups(dice *d, promise_problem *p)
{
  const precis_problem *s = &p->problem;
  double apart = dice_between(d, .1, 10);
  for (int h = 0; h < s->heads; h++) {
    double factor = dice_between(d, .05, 5);
    for (int c = 0; c < s->dim; c++) {
      double by = apart * dice_normal(d);
      for (int64_t i = 0; i < p->queries; i++) {
        float *x = &p->q[(i * s->heads + h) * s->dim + c];
        *x = (float)(factor * (*x + by));
      }
    }
  }
}

static void few_values(dice *d, promise_problem *p)
{
  for (int64_t c = 0; c < v_width(p); c++) {
    int what = dice_of(d, 4);
    double level = dice_normal(d) * dice_between(d, 1e-3, 1e5);
    int64_t odd = dice_of(d, (int)p->keys);
    for (int64_t j = 0; j < p->keys; j++) {
      float *v = &p->v[j * v_width(p) + c];
      *v = what == 0   ? (float)level
           : what == 1 ? (float)(*v > 0 ? level : -level)
           : what == 2 ? (float)(j == odd ? level : 0)
                       : *v;
    }
  }
}

static void equal_rows(dice *d, promise_problem *p)
{
  int64_t q = q_width(p), k = k_width(p);
  int what = dice_of(d, 3), heads = 1 + dice_of(d, p->problem.heads);
  for (int64_t i = 1; what != 1 && i < p->queries; i++)
    for (int64_t c = 0; c < heads * p->problem.dim; c++)
      p->q[i * q + c] = p->q[c];
  for (int64_t j = 1; what != 0 && j < p->keys; j++)
    for (int64_t c = 0; c < k; c++)
      p->k[j * k + c] = p->k[j % 3 * k + c];
}

/* Of one head, most rows are short, some are not, and a few are very long: a limit in units of its
 * typical length leaves other heads much room, which they take in later steps. */
static void limits(dice *d, promise_problem *p)
{
  int queries = dice_chance(d, .5), heads = queries ? p->problem.heads : p->problem.kv_heads,
      head = dice_of(d, heads), dim = p->problem.dim;
  float *x = queries ? p->q : p->k;
  int64_t rows = queries ? p->queries : p->keys,
          first = queries ? p->step[0].queries : p->step[0].keys;
  double brief = dice_between(d, .02, .3), middle = dice_between(d, .01, .1),
         later = dice_between(d, 1.5, 15);
  for (int64_t i = 0; i < rows; i++)
    for (int h = 0; h < heads; h++) {
      double draw = dice_uniform(d);
      if (h == head)
        stretch(x + (i * heads + h) * dim, dim, draw < .006 ? 100 : draw < middle ? 1 : brief);
      else if (i >= first)
        stretch(x + (i * heads + h) * dim, dim, later);
    }
}

/* Keys of each head are longer or shorter by a factor. */
static void mixed_strengths(dice *d, promise_problem *p)
{
  int heads = p->problem.kv_heads;
  for (int g = 0; g < heads; g++) {
    double factor = dice_between(d, .1, 10);
    for (int64_t j = 0; j < p->keys; j++)
      stretch(p->k + (j * heads + g) * p->problem.dim, p->problem.dim, factor);
  }
}

void promise_problem_spoil(dice *d, promise_kind kind, promise_problem *p)
{
  if (p->keys == 0 || p->queries == 0)
    return;
  switch (kind) {
  case PROMISE_LONG_KEYS:
  case PROMISE_LONG_QUERIES:
  case PROMISE_LONG_BOTH:
    long_rows(d, kind != PROMISE_LONG_QUERIES, kind != PROMISE_LONG_KEYS, p);
    break;
  case PROMISE_BIAS:
    random_bias(d, p);
    break;
  case PROMISE_MASKS:
    masks(d, p);
    break;
  case PROMISE_COMMON_BIAS:
    common_bias(d, p);
    break;
  case PROMISE_KEY_OFFSET:
    offset(d, 1e4, p->keys, k_width(p), p->k);
    break;
  case PROMISE_VALUE_OFFSET:
    offset(d, 1e4, p->keys, v_width(p), p->v);
    break;
  case PROMISE_VALUE_OUTLIERS:
    value_outliers(d, p);
    break;
  case PROMISE_SMALL_VALUES:
    small_values(d, p);
    break;
  case PROMISE_CANCELLING:
    cancelling(d, p);
    break;
  case PROMISE_GROUPS:
    groups(d, p);
    break;
  case PROMISE_FEW_VALUES:
    few_values(d, p);
    break;
  case PROMISE_EQUAL:
    equal_rows(d, p);
    break;
  case PROMISE_LIMITS:
    limits(d, p);
    break;
  case PROMISE_MIXED:
    mixed_strengths(d, p);
    break;
  case PROMISE_SHARP:
    stretch(p->q, p->queries * q_width(p), dice_between(d, 3, 300));
    break;
  default: /* made so from the start */
    break;
  }
}
