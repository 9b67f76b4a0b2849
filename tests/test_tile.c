/* The exact tile in all its forms, and partials, against the oracle in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "src/oracle/generate.h"
#include "src/base/memory.h"
#include "src/exact/partial.h"
#include "src/base/problem.h"
#include "src/oracle/reference.h"
#include "src/exact/rounding.h"
#include "src/tokens/terms.h"
#include "src/exact/tile.h"
#include "src/exact/tile_rounding.h"

typedef struct shape {
  int dim, value_dim, queries, keys, causal, bias;
  int64_t fast;
  int in_two;
  double spread; /* of the scores; 0: 1 */
} shape;

/* As precis_tile_attend(), the keys in two additions. Moves `visible` on to the second. */
static void attend_in_two(const precis_tile_shape *plan, const precis_tile *tile, int rows,
                          const float *q, double scale, int64_t *visible, precis_partial *partial,
                          float *scratch)
{
  int64_t half = tile->keys / 2;
  precis_tile first = *tile, second = {.keys = tile->keys - half,
                                       .k = tile->k + half * plan->dim,
                                       .v = tile->v + half * plan->value_dim,
                                       .bias = tile->bias ? tile->bias + half : NULL};
  first.keys = half;
  precis_tile_begin(plan, rows, q, plan->dim, scale, scratch);
  precis_tile_add(plan, &first, rows, visible, scratch);
  for (int i = 0; i < rows && visible != NULL; i++)
    visible[i] = visible[i] > half ? visible[i] - half : 0;
  precis_tile_add(plan, &second, rows, visible, scratch);
  precis_tile_end(plan, rows, partial, scratch);
}

static int64_t seen_by(const shape *s, int query)
{
  if (s->causal == 2) /* every query one more, as on a diagonal */
    return s->keys - s->queries + 1 + query > 0 ? s->keys - s->queries + 1 + query : 0;
  return s->causal ? (int64_t)query * 31 % (s->keys + 1) : s->keys;
}

/* What a problem is made of, |v| among it; arrays of exactly their size, so that sanitizers see every overstep.
 */
typedef struct inputs {
  precis_problem p;
  float *q, *k, *v, *size, *bias, *bias_log2;
  double key_most, bias_most;
} inputs;

static double length(const float *x, int n)
{
  double sum = 0;
  for (int c = 0; c < n; c++)
    sum += (double)x[c] * x[c];
  return sqrt(sum);
}

static float *floats(int64_t count)
{
  return malloc((size_t)count * sizeof(float));
}

static inputs make(const shape *s)
{
  inputs in = {.p = {.heads = 1,
                     .kv_heads = 1,
                     .dim = s->dim,
                     .value_dim = s->value_dim,
                     .scale = (s->spread > 0 ? s->spread : 1) / sqrt(s->dim),
                     .causal = s->causal}};
  precis_recipe recipe = {.problem = in.p, .spread = 1, .seed = 3};
  in.q = floats((int64_t)s->queries * s->dim);
  in.k = floats((int64_t)s->keys * s->dim);
  in.v = floats((int64_t)s->keys * s->value_dim);
  in.bias = floats(s->keys);
  in.bias_log2 = floats(s->keys);
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, 0, s->queries, in.q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, 0, s->keys, in.k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, s->keys, in.v);
  in.size = floats((int64_t)s->keys * s->value_dim);
  for (int64_t i = 0; i < (int64_t)s->keys * s->value_dim; i++)
    in.size[i] = fabsf(in.v[i]);
  for (int j = 0; j < s->keys; j++) {
    in.key_most = fmax(in.key_most, length(in.k + (int64_t)j * s->dim, s->dim));
    in.bias[j] = j % 7 == 3 ? -INFINITY : (float)((j % 11) / 4. * s->bias);
    in.bias_log2[j] = (float)(in.bias[j] * 1.44269504088896340736);
  }
  in.bias_most = s->bias ? 2.5 * s->bias : 0;
  return in;
}

static void discard(inputs *in)
{
  free(in->q);
  free(in->k);
  free(in->v);
  free(in->size);
  free(in->bias);
  free(in->bias_log2);
}

static void attend(const shape *s, const inputs *in, const precis_tile_kernel *kernel,
                   precis_partial *partial)
{
  precis_tile_shape plan = precis_tile_plan(s->dim, s->value_dim, s->fast);
  plan.kernel = kernel;
  int64_t *visible = malloc((size_t)s->queries * sizeof *visible);
  for (int i = 0; i < s->queries; i++)
    visible[i] = seen_by(s, i);
  precis_tile tile = {s->keys, in->k, in->v, s->bias ? in->bias_log2 : NULL};
  float *scratch = precis_memory_array(precis_tile_scratch(&plan), sizeof *scratch);
  for (int i = 0; i < s->queries; i += plan.query_block) {
    int rows = s->queries - i < plan.query_block ? s->queries - i : plan.query_block;
    precis_partial at = precis_partial_at(partial, i, s->value_dim);
    int64_t *from = s->causal ? visible + i : NULL;
    const float *q = in->q + (int64_t)i * s->dim;
    double scale = in->p.scale * 1.44269504088896340736;
    if (s->in_two)
      attend_in_two(&plan, &tile, rows, q, scale, from, &at, scratch);
    else
      precis_tile_attend(&plan, &tile, rows, q, s->dim, scale, from, &at, scratch);
  }
  free(scratch);
  free(visible);
}

/* Sums of the keys that a query sees. */
static precis_reference_partial sums_of(const shape *s, const inputs *in, int i, const float *v,
                                        double *o)
{
  precis_reference_keys keys = {seen_by(s, i), in->k, v, s->bias ? in->bias : NULL};
  precis_reference_partial sums = {.o = o};
  precis_reference_clear(s->value_dim, &sums);
  precis_reference_add(&in->p, 0, in->q + (int64_t)i * s->dim, &keys, &sums);
  return sums;
}

/* Every row by the bound that is its own: sums of weights, and of weighted values relative to those
 * of their magnitudes. */
static void check_row(const shape *s, const inputs *in, const precis_partial *partial, int i)
{
  double o[PRECIS_DIM_MAX], sizes[PRECIS_DIM_MAX], most = partial->m[i] * log(2);
  precis_reference_partial want = sums_of(s, in, i, in->v, o),
                           size = sums_of(s, in, i, in->size, sizes);
  const precis_terms terms = {.problem = &in->p,
                              .key_radius = &in->key_most,
                              .bias_reach = in->bias_most,
                              .log_keys = log(s->keys),
                              .sum_terms = PRECIS_TILE_SUM_ROUNDINGS};
  double bound = precis_rounding_exact(&terms, 0, length(in->q + (int64_t)i * s->dim, s->dim), most);
  assert_true((want.m == -INFINITY) == (partial->m[i] == -INFINITY));
  if (want.m == -INFINITY) {
    assert_true(partial->l[i] == 0);
    return;
  }
  double factor = exp(most - want.m);
  assert_true(fabs(partial->l[i] * factor - want.l) <= bound * want.l);
  for (int c = 0; c < s->value_dim; c++)
    assert_true(fabs(partial->o[(int64_t)i * s->value_dim + c] * factor - o[c]) <=
                bound * size.o[c]);
}

static void check_shape(const shape *s)
{
  const precis_tile_kernel *kernels[4];
  int count = precis_tile_kernels(kernels);
  inputs in = make(s);
  for (int form = 0; form < count; form++) {
    precis_partial partial;
    assert_int_equal(precis_partial_create(&partial, s->queries, s->value_dim), 0);
    attend(s, &in, kernels[form], &partial);
    for (int i = 0; i < s->queries; i++)
      check_row(s, &in, &partial, i);
    precis_partial_free(&partial);
  }
  discard(&in);
}

static void shapes(void **state)
{
  (void)state;
  const shape list[] = {
      {64, 64, 300, 700, 0, 0, 1 << 20, 0, 1}, {64, 64, 300, 700, 1, 1, 1 << 16, 0, 1},
      {1, 1, 5, 9, 1, 0, 1 << 12, 0, 1},       {16, 40, 129, 513, 1, 0, 1 << 18, 0, 1},
      {256, 256, 20, 50, 0, 1, 1 << 10, 0, 1}, {7, 3, 1, 1, 0, 0, 1 << 20, 0, 1},
      {32, 32, 1, 3000, 0, 0, 1 << 22, 0, 1},  {64, 64, 300, 700, 1, 1, 1 << 16, 1, 1},
      {16, 8, 50, 1, 0, 0, 1 << 20, 1, 1},     {64, 65, 97, 97, 2, 0, 1 << 20, 0, 1},
      {33, 17, 200, 150, 2, 0, 1 << 20, 1, 1}, {15, 129, 49, 1000, 2, 1, 1 << 16, 0, 1},
  };
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    check_shape(&list[i]);
}

/* Every number of queries, keys and columns that a group, a block or a panel can be left with. */
static void edges(void **state)
{
  (void)state;
  for (int n = 1; n <= 50; n++)
    check_shape(&(shape){9, n % 11 + 1, n, 51 - n, n % 3, 0, 1 << 18, 0, 1});
  for (int n = 1; n <= 40; n++)
    check_shape(&(shape){n, n, 5, 50 + n, n % 3, n % 2, 1 << 18, 0, n % 5 ? 1 : 50});
}

/* Scores so large that references must move, and that they leave the range of weights, up to where
 * float32 knows next to nothing of them. */
static void large_scores(void **state)
{
  (void)state;
  const double spread[] = {20, 300, 1e4, 1e7, 1e12};
  for (size_t i = 0; i < sizeof spread / sizeof *spread; i++)
    for (int causal = 0; causal <= 2; causal++)
      for (int bias = 0; bias <= 1000; bias += 1000)
        check_shape(&(shape){12, 5, 61, 200, causal, bias, 1 << 18, causal == 1, spread[i]});
}

/* What travels merges to the same as what stays. */
static void partials(void **state)
{
  (void)state;
  enum { ROWS = 3, DV = 2 };
  precis_partial a, b;
  float wire[ROWS * (DV + 2)];
  assert_int_equal(precis_partial_create(&a, ROWS, DV), 0);
  assert_int_equal(precis_partial_create(&b, ROWS, DV), 0);
  assert_int_equal(precis_partial_words(ROWS, DV), ROWS * (DV + 2));
  const float o[] = {3, -1};
  precis_partial_merge(&a, 0, DV, 100.25f, 2, o);
  precis_partial_merge(&b, 0, DV, 90, 4, o);
  precis_partial_merge(&b, 1, DV, -3, 1, o);
  precis_partial_pack(&b, ROWS, DV, wire);
  precis_partial_merge_packed(&a, ROWS, DV, wire);
  assert_true(fabs(a.l[0] * exp2(a.m[0] - 100.25) - (2 + 4 * exp2(-10.25))) < 1e-6);
  assert_true(fabs(a.o[DV] / a.l[1] - 3) < 1e-6 && a.m[2] == -INFINITY);
  precis_partial_free(&a);
  precis_partial_free(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes),   cmocka_unit_test(edges),    cmocka_unit_test(large_scores),
      cmocka_unit_test(partials),
  };
  return cmocka_run_group_tests_name("tile", tests, NULL, NULL);
}
