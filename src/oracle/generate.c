#include "src/oracle/generate.h"

#include <math.h>

#include "src/oracle/following.h"
#include "src/base/problem.h"
#include "src/base/random.h"

/* Numbers of the random streams; the first three are precis_role, and following.c has one. */
enum { STREAM_DIRECTION = 3, STREAM_SIGN = 4, STREAM_MIRROR = 5 };

/* So many reflections turn the axes well enough. */
enum { MIRRORS = 8 };

static const double KEY_OFFSET = 10, VALUE_OFFSET = 100;
static const double SINK_LENGTH = 8, QUERY_PULL = 2;

static int heads_of(const precis_recipe *recipe, precis_role role)
{
  return role == PRECIS_ROLE_Q ? recipe->problem.heads : recipe->problem.kv_heads;
}

static int dim_of(const precis_recipe *recipe, precis_role role)
{
  return role == PRECIS_ROLE_V ? recipe->problem.value_dim : recipe->problem.dim;
}

int64_t precis_generate_width(const precis_recipe *recipe, precis_role role)
{
  return (int64_t)heads_of(recipe, role) * dim_of(recipe, role);
}

static void multiply(int count, double factor, double *x)
{
  for (int i = 0; i < count; i++)
    x[i] *= factor;
}

static void make_unit(int count, double *x)
{
  double squares = 0;
  for (int i = 0; i < count; i++)
    squares += x[i] * x[i];
  multiply(count, squares > 0 ? 1 / sqrt(squares) : 0, x);
}

static void shift_keys(uint64_t seed, uint32_t kv_head, int count, double *x)
{
  precis_stream signs = {.seed = seed, .tensor = STREAM_SIGN, .head = kv_head};
  for (int i = 0; i < count; i++)
    x[i] += precis_random_word(signs, (uint32_t)i) & 1 ? KEY_OFFSET : -KEY_OFFSET;
}

/* x += length times the direction that the queries and the sinks of a kv head share. */
static void pull(uint64_t seed, uint32_t kv_head, double length, int count, double *x)
{
  double direction[PRECIS_DIM_MAX];
  precis_stream stream = {.seed = seed, .tensor = STREAM_DIRECTION, .head = kv_head};
  precis_random_gauss(stream, count, direction);
  make_unit(count, direction);
  for (int i = 0; i < count; i++)
    x[i] += length * direction[i];
}

/* What the deviation of an axis decays to. */
static double decayed(double decay, int axis)
{
  return pow(1 + axis, -decay / 2);
}

/* A product of reflections in random planes. */
static void turn(uint64_t seed, uint32_t kv_head, int count, double *x)
{
  for (int m = 0; m < MIRRORS; m++) {
    double normal[PRECIS_DIM_MAX], product = 0;
    precis_stream stream = {.seed = seed, .tensor = STREAM_MIRROR, .row = m, .head = kv_head};
    precis_random_gauss(stream, count, normal);
    make_unit(count, normal);
    for (int i = 0; i < count; i++)
      product += normal[i] * x[i];
    for (int i = 0; i < count; i++)
      x[i] -= 2 * product * normal[i];
  }
}

static void decay_axes(const precis_recipe *recipe, precis_role role, int head, int count,
                       double *x)
{
  double key_decay = recipe->decay + recipe->key_decay, variance = 0;
  if (recipe->decay == 0 && key_decay == 0)
    return;
  for (int i = 0; i < count; i++)
    variance += pow(decayed(recipe->decay, i) * decayed(key_decay, i), 2) / count;
  for (int i = 0; i < count; i++)
    x[i] *=
        role == PRECIS_ROLE_K ? decayed(key_decay, i) : decayed(recipe->decay, i) / sqrt(variance);
  int kv_head = role == PRECIS_ROLE_K ? head : precis_problem_kv_head(&recipe->problem, head);
  turn(recipe->seed, (uint32_t)kv_head, count, x);
}

static void shape_query(const precis_recipe *recipe, int head, int count, double *x)
{
  double factor = recipe->spread;
  if (recipe->kind == PRECIS_KIND_UNIT) {
    make_unit(count, x);
    factor *=
        count; /* <q, k> of unit vectors deviates by 1/sqrt(d), the scale takes another 1/sqrt(d) */
  } else if (recipe->kind == PRECIS_KIND_SINKS) {
    pull(recipe->seed, (uint32_t)precis_problem_kv_head(&recipe->problem, head), QUERY_PULL, count,
         x);
  }
  multiply(count, factor, x);
}

static void shape_key(const precis_recipe *recipe, int64_t row, int head, int count, double *x)
{
  if (recipe->kind == PRECIS_KIND_UNIT) {
    make_unit(count, x);
  } else if (recipe->kind == PRECIS_KIND_OFFSET) {
    shift_keys(recipe->seed, (uint32_t)head, count, x);
  } else if (recipe->kind == PRECIS_KIND_SINKS && row < PRECIS_SINKS) {
    pull(recipe->seed, (uint32_t)head, sqrt(count), count, x);
    multiply(count, SINK_LENGTH / sqrt(2), x);
  }
  if (recipe->heavy > 0 && row % recipe->heavy == recipe->heavy - 1)
    multiply(count, PRECIS_HEAVY, x);
}

static void shape_value(const precis_recipe *recipe, int count, double *x)
{
  for (int i = 0; recipe->kind == PRECIS_KIND_OFFSET && i < count; i++)
    x[i] += VALUE_OFFSET;
}

static void make_row(const precis_recipe *recipe, precis_role role, int64_t row, float *out)
{
  int heads = heads_of(recipe, role), dim = dim_of(recipe, role);
  double x[PRECIS_DIM_MAX];
  for (int head = 0; head < heads; head++) {
    precis_stream stream = {
        .seed = recipe->seed, .tensor = (uint8_t)role, .row = row, .head = (uint32_t)head};
    precis_random_gauss(stream, dim, x);
    decay_axes(recipe, role, head, dim, x);
    if (role == PRECIS_ROLE_Q)
      shape_query(recipe, head, dim, x);
    else
      shape_key(recipe, row, head, dim, x);
    for (int i = 0; i < dim; i++)
      out[(int64_t)head * dim + i] = (float)x[i];
  }
}

/* What values follow: the key in axes that are not turned, without what is added to all keys or
 * makes some of them longer. */
static void key_to_follow(const precis_recipe *recipe, int64_t row, int kv_head,
                          const double *deviation, double *key)
{
  int dim = recipe->problem.dim;
  double variance = 0;
  precis_stream stream = {
      .seed = recipe->seed, .tensor = PRECIS_ROLE_K, .row = row, .head = (uint32_t)kv_head};
  precis_random_gauss(stream, dim, key);
  for (int i = 0; i < dim; i++) {
    key[i] *= deviation[i];
    variance += deviation[i] * deviation[i];
  }
  if (recipe->kind == PRECIS_KIND_UNIT) {
    make_unit(dim, key);
    multiply(dim, sqrt(variance), key);
  }
}

/* A value of one kv head; direction is NULL where values are independent of the keys. */
static void make_value(const precis_recipe *recipe, int64_t row, int kv_head,
                       const double *deviation, const double *direction, float *out)
{
  int dim = recipe->problem.dim, value_dim = recipe->problem.value_dim;
  double x[PRECIS_DIM_MAX], key[PRECIS_DIM_MAX], f[PRECIS_DIM_MAX];
  double signal = recipe->signal, all = 1 / sqrt(1 + signal * signal);
  precis_stream stream = {
      .seed = recipe->seed, .tensor = PRECIS_ROLE_V, .row = row, .head = (uint32_t)kv_head};
  precis_random_gauss(stream, value_dim, x);
  if (direction != NULL) {
    key_to_follow(recipe, row, kv_head, deviation, key);
    precis_following_value(dim, value_dim, direction, key, f);
    for (int i = 0; i < value_dim; i++)
      x[i] = all * (x[i] + signal * f[i]);
  }
  shape_value(recipe, value_dim, x);
  for (int i = 0; i < value_dim; i++)
    out[i] = (float)x[i];
}

static void make_values(const precis_recipe *recipe, int64_t first, int64_t rows, float *out)
{
  const precis_problem *p = &recipe->problem;
  int64_t width = precis_generate_width(recipe, PRECIS_ROLE_V);
  double deviation[PRECIS_DIM_MAX], direction[PRECIS_DIM_MAX * PRECIS_DIM_MAX]; /* 512 KiB */
  int follow = recipe->signal > 0;
  for (int i = 0; i < p->dim; i++)
    deviation[i] = decayed(recipe->decay + recipe->key_decay, i);
  for (int head = 0; head < p->kv_heads; head++) {
    if (follow)
      precis_following_directions(recipe->seed, (uint32_t)head, p->dim, p->value_dim, deviation,
                                  direction);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < rows; i++)
      make_value(recipe, first + i, head, deviation, follow ? direction : NULL,
                 out + i * width + (int64_t)head * p->value_dim);
  }
}

void precis_generate_rows(const precis_recipe *recipe, precis_role role, int64_t first,
                          int64_t rows, float *out)
{
  int64_t width = precis_generate_width(recipe, role);
  if (role == PRECIS_ROLE_V) {
    make_values(recipe, first, rows, out);
    return;
  }
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++)
    make_row(recipe, role, first + i, out + i * width);
}
