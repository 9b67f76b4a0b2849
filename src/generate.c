#include "src/generate.h"

#include <math.h>

#include "src/problem.h"
#include "src/random.h"

/* Numbers of the random streams; the first three are precis_role. */
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
    if (role != PRECIS_ROLE_V)
      decay_axes(recipe, role, head, dim, x);
    if (role == PRECIS_ROLE_Q)
      shape_query(recipe, head, dim, x);
    else if (role == PRECIS_ROLE_K)
      shape_key(recipe, row, head, dim, x);
    else
      shape_value(recipe, dim, x);
    for (int i = 0; i < dim; i++)
      out[(int64_t)head * dim + i] = (float)x[i];
  }
}

void precis_generate_rows(const precis_recipe *recipe, precis_role role, int64_t first,
                          int64_t rows, float *out)
{
  int64_t width = precis_generate_width(recipe, role);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++)
    make_row(recipe, role, first + i, out + i * width);
}
