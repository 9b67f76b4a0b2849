/* Bounds on rounding, from above and from below: on inputs that are made to round badly no sum is off by
 * more, and bounds a tenth as large would not do. Sums as the exact tile has them, and in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/base/blas.h"
#include "src/base/memory.h"
#include "src/exact/parcel.h"
#include "src/exact/precise.h"
#include "src/base/problem.h"
#include "src/exact/rounding.h"
#include "src/exact/tile.h"
#include "src/exact/tile_rounding.h"
#include "tests/uniform.h"

enum { DV = 24, ROWS = 64 };

/* Biases of the three thirds of the keys: the first, the others a little apart from it, as given. */
typedef struct design {
  const char *name;
  int dim, keys;
  double query, key;      /* sizes; key: about the centre */
  double near, far;       /* biases */
  double bias_noise;      /* on top of them */
  int lined_up;           /* keys are multiples of one vector: roundings of their scores are alike */
  double least, least_double; /* of the bound that is to be used: a tenth is the aim */
} design;

typedef struct fixture {
  const design *d;
  precis_problem problem;
  float *q, *k, *v, *bias;
  double k_center[PRECIS_DIM_MAX], v_center[DV], per[DV], fold[DV], radius;
  precis_keys keys;
  precis_terms terms;
} fixture;

/* Each column of values is one number for all keys: the errors of adding it up go one way. */
static void fill(uint64_t *random, fixture *f)
{
  const design *d = f->d;
  for (int c = 0; c < d->dim; c++)
    f->k_center[c] = .1 * normal(random);
  for (int c = 0; c < DV; c++) {
    f->v_center[c] = normal(random);
    f->per[c] = 1;
    f->fold[c] = 1;
  }
  for (int i = 0; i < ROWS * d->dim; i++)
    f->q[i] = (float)(d->query * normal(random));
  double line = 1 + uniform(random);
  for (int j = 0; j < d->keys; j++) {
    for (int c = 0; c < d->dim; c++)
      f->k[j * d->dim + c] =
          (float)(f->k_center[c] + d->key * (d->lined_up ? line : normal(random)));
    for (int c = 0; c < DV; c++)
      f->v[j * DV + c] = j == 0 ? (float)normal(random) : f->v[c];
    f->bias[j] = (float)((j % 3 == 2 ? d->far : d->near) + d->bias_noise * uniform(random));
  }
}

/* Terms as a call makes them. */
static void survey(fixture *f)
{
  const design *d = f->d;
  double top = -INFINITY, bottom = INFINITY;
  f->radius = 0;
  for (int j = 0; j < d->keys; j++) {
    long double square = 0;
    for (int c = 0; c < d->dim; c++) {
      long double off = f->k[j * d->dim + c] - (long double)f->k_center[c];
      square += off * off;
    }
    f->radius = fmax(f->radius, (double)sqrtl(square) * (1 + 1e-12));
    top = fmax(top, f->bias[j]);
    bottom = fmin(bottom, f->bias[j]);
  }
  f->terms = (precis_terms){.problem = &f->problem, .k_center = f->k_center,
                            .v_center = f->v_center, .per = f->per, .fold = f->fold,
                            .key_radius = &f->radius, .log_keys = log(d->keys),
                            .sum_terms = PRECIS_TILE_SUM_ROUNDINGS};
  if (f->keys.bias != NULL) {
    f->terms.bias_center = top;
    f->terms.bias_reach = top - bottom;
  }
}

static void make(const design *d, uint64_t *random, fixture *f)
{
  *f = (fixture){.d = d, .problem = {.heads = 1, .kv_heads = 1, .dim = d->dim, .value_dim = DV,
                                     .scale = .7 / sqrt(d->dim)}};
  f->q = malloc((size_t)(ROWS * d->dim) * sizeof *f->q);
  f->k = malloc((size_t)(d->keys * d->dim) * sizeof *f->k);
  f->v = malloc((size_t)(d->keys * DV) * sizeof *f->v);
  f->bias = malloc((size_t)d->keys * sizeof *f->bias);
  fill(random, f);
  f->keys = (precis_keys){.kv_heads = 1, .dim = d->dim, .value_dim = DV, .rows = d->keys,
                          .k = f->k, .v = f->v,
                          .bias = d->near != 0 || d->far != 0 ? f->bias : NULL};
  survey(f);
}

static void drop(fixture *f)
{
  free(f->q);
  free(f->k);
  free(f->v);
  free(f->bias);
}

/* As engines have it: packed once, attended to in one form of the tile. */
static void attend_exact(const fixture *f, const precis_tile_kernel *kernel,
                         precis_partial *partial)
{
  const precis_parcel_kind kind = {.heads = 1, .dim = f->d->dim, .value_dim = DV,
                                   .with_bias = f->keys.bias != NULL};
  precis_tile_shape shape = precis_tile_plan(f->d->dim, DV + 1, 1 << 20);
  void *buffer = precis_memory_array(precis_parcel_bytes(&kind, f->d->keys), 1);
  float *scratch = precis_memory_array(precis_tile_scratch(&shape), sizeof *scratch);
  shape.kernel = kernel;
  precis_parcel_pack(&kind, &f->keys, 0, f->d->keys, &f->terms, 1, buffer);
  const precis_tile tile = precis_parcel_tile(&kind, f->d->keys, buffer, 0);
  for (int i = 0; i < ROWS; i += shape.query_block) {
    int rows = ROWS - i < shape.query_block ? ROWS - i : shape.query_block;
    precis_partial at = precis_partial_at(partial, i, DV + 1);
    precis_tile_attend(&shape, &tile, rows, f->q + i * f->d->dim, f->d->dim,
                       f->problem.scale * 1.44269504088896340736, NULL, &at, scratch);
  }
  free(scratch);
  free(buffer);
}

/* Sums in long double, relative to the same exponent. Returns the largest share of the bound e that
 * their differences take. */
static double share_of(const fixture *f, const precis_partial *row, const float *q, double e)
{
  long double l = 0, o[DV] = {0}, size[DV] = {0}, m = row->m[0] * 0.693147180559945309417232L;
  for (int j = 0; j < f->d->keys; j++) {
    long double x = f->keys.bias ? f->bias[j] - (long double)f->terms.bias_center : 0;
    for (int c = 0; c < f->d->dim; c++)
      x += f->problem.scale * (long double)q[c] *
           (f->k[j * f->d->dim + c] - (long double)f->k_center[c]);
    long double w = expl(x - m);
    l += w;
    for (int c = 0; c < DV; c++) {
      long double part = w * (f->v[j * DV + c] - (long double)f->v_center[c]);
      o[c] += part;
      size[c] += fabsl(part);
    }
  }
  long double used = fabsl(row->l[0] - l) / (e * l);
  for (int c = 0; c < DV; c++)
    used = size[c] > 0 ? fmaxl(used, fabsl(row->o[c] - o[c]) / (e * size[c])) : used;
  return (double)used;
}

static double query_norm(const float *q, int dim)
{
  double square = 0;
  for (int c = 0; c < dim; c++)
    square += (double)q[c] * q[c];
  return sqrt(square) * (1 + 1e-12);
}

typedef double bound_of(const precis_terms *terms, int kv_head, double query_norm, double score);

/* Over all rows; `told`: of how many a bound is known. */
static double largest_share(const fixture *f, const precis_partial *partial, bound_of *bound,
                            int *told)
{
  double used = 0;
  for (int i = 0; i < ROWS; i++) {
    const precis_partial row = precis_partial_at(partial, i, DV + 1);
    const float *q = f->q + i * f->d->dim;
    double e = bound(&f->terms, 0, query_norm(q, f->d->dim), row.m[0] * 0.693147180559945309);
    if (!isfinite(e))
      continue;
    ++*told;
    used = fmax(used, share_of(f, &row, q, e));
  }
  return used;
}

static void check_design(const design *d)
{
  enum { ROUNDS = 12 };
  const precis_tile_kernel *kernels[4];
  uint64_t random = 17;
  double used = 0, used_double = 0;
  int told = 0, told_double = 0, forms = precis_tile_kernels(kernels);
  for (int round = 0; round < ROUNDS; round++) {
    fixture f;
    precis_partial partial;
    make(d, &random, &f);
    assert_int_equal(precis_partial_create(&partial, ROWS, DV + 1), 0);
    for (int form = 0; form < forms; form++) {
      precis_partial_clear(&partial, ROWS, DV + 1);
      attend_exact(&f, kernels[form], &partial);
      used = fmax(used, largest_share(&f, &partial, precis_rounding_exact, &told));
    }
    precis_partial_clear(&partial, ROWS, DV + 1);
    int64_t pairs = precis_precise_attend(&f.terms, 0, &f.keys, 0, d->keys, ROWS, f.q, NULL, 1,
                                          &partial);
    assert_int_equal(pairs, (int64_t)ROWS * d->keys);
    used_double = fmax(used_double,
                       largest_share(&f, &partial, precis_rounding_double, &told_double));
    precis_partial_free(&partial);
    drop(&f);
  }
  print_message("%s: %.3g of the bound is used, %.3g in double (%d and %d rows)\n", d->name, used,
                used_double, told, told_double);
  assert_true(told > 0 && told_double > 0);
  assert_true(used <= 1 && used_double <= 1);
  assert_true(used >= d->least && used_double >= d->least_double);
}

static const design designs[] = {
    {.name = "sums", .dim = 2, .keys = 1000, .query = 1e-8, .key = 1, .least = .1},
    {.name = "large scores", .dim = 1, .keys = 40, .query = 300, .key = 10, .lined_up = 1,
     .least = .1, .least_double = .1},
    {.name = "larger scores", .dim = 1, .keys = 4, .query = 3e5, .key = 1, .lined_up = 1,
     .least = .1, .least_double = .1},
    {.name = "long queries, many axes", .dim = 64, .keys = 300, .query = 30, .key = 3,
     .least = .02, .least_double = .01},
    {.name = "a third far below", .dim = 1, .keys = 200, .query = 100, .key = 1, .far = -1e9,
     .bias_noise = 12, .lined_up = 1, .least = .1, .least_double = .1},
    {.name = "biases all large", .dim = 1, .keys = 200, .query = 100, .key = 1, .near = 1e6,
     .far = 1e6, .bias_noise = 12, .lined_up = 1, .least = .1, .least_double = .1},
    {.name = "one bias for all", .dim = 2, .keys = 1000, .query = 1e-8, .key = 1, .near = 1e6,
     .far = 1e6, .least = .1},
};

static void bounds_hold_and_are_needed(void **state)
{
  (void)state;
  precis_blas_threads(1);
  for (size_t i = 0; i < sizeof designs / sizeof *designs; i++)
    check_design(&designs[i]);
}

/* What grows never makes a bound smaller; what is beyond telling is infinite. */
static void monotone(void **state)
{
  (void)state;
  const precis_problem p = {.heads = 1, .kv_heads = 1, .dim = 64, .value_dim = 4, .scale = .125};
  double radius = 10;
  precis_terms t = {.problem = &p, .key_radius = &radius, .log_keys = 7,
                    .sum_terms = PRECIS_TILE_SUM_ROUNDINGS};
  double before[2] = {0, 0};
  for (double q = 1e-3; q < 1e12; q *= 2) {
    double now[] = {precis_rounding_exact(&t, 0, q, 0), precis_rounding_double(&t, 0, q, 0)};
    assert_true(now[0] >= before[0] && now[1] >= before[1] && now[1] < now[0] * 1e-3);
    if (isinf(now[0]))
      break;
    before[0] = now[0], before[1] = now[1];
  }
  assert_true(precis_rounding_exact(&t, 0, 1e12, 0) == INFINITY);
  assert_true(precis_rounding_double(&t, 0, 1e18, 0) == INFINITY);
  double without = precis_rounding_exact(&t, 0, 1, 0);
  t.bias_reach = 10;
  double some = precis_rounding_exact(&t, 0, 1, 0);
  t.bias_reach = 1e9; /* what lies so far below the largest score has no weight */
  double far = precis_rounding_exact(&t, 0, 1, 0), high = precis_rounding_exact(&t, 0, 1, 1e6);
  assert_true(some > without && far > some && far < 3 * some && high > 100 * far);
  t.bias_reach = 0;
  t.roundings = 40;
  assert_true(precis_rounding_exact(&t, 0, 1, 0) > without + 35 * 0x1p-24);
  assert_true(precis_rounding_exact(&t, 0, 1, 0) < without + 50 * 0x1p-24);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(bounds_hold_and_are_needed),
                                     cmocka_unit_test(monotone)};
  return cmocka_run_group_tests_name("rounding", tests, NULL, NULL);
}
