/* summary_case.h - keys and queries, their summary in double precision, and the polynomial
 * attention that an applied summary stands for; part of test_summary_kernels.c */
#ifndef PRECIS_TESTS_SUMMARY_CASE_H
#define PRECIS_TESTS_SUMMARY_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/summary/apply.h"
#include "src/base/memory.h"
#include "src/summary/summarise.h"

static const double UNIT = 0x1p-24; /* of a rounding to float32 */
static const double A[] = {1.0,   1.01, .49,  .17,  .04,  .008, .0015,
                           .0002, 2e-5, 2e-6, 2e-7, 2e-8, 2e-9};
static const double E[] = {1e-3, 0, 2e-3, 0, 7e-3, 0, 1e-3, 0, 1e-4, 0, 1e-5, 0, 1e-6};

/* Deterministic, in [-1, 1). */
static float noise(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return (float)(int32_t)*state * 0x1p-31f;
}

static void *array(int64_t count, size_t size)
{
  void *memory = precis_memory_array(count, size);
  assert_non_null(memory);
  return memory;
}

static float *noisy(int64_t count, float scale, uint32_t seed)
{
  float *x = array(count, sizeof *x);
  for (int64_t i = 0; i < count; i++)
    x[i] = scale * noise(&seed);
  return x;
}

/* --- a case: keys, queries, and what is to come out --- */

typedef struct sizes {
  int dim, value_dim, degree, count_degree; /* count_degree >= degree: of the envelope */
  int64_t keys, queries;
  int64_t fast_memory;
} sizes;

typedef struct problem {
  sizes s;
  precis_feature_set set;
  int64_t features, all_features; /* with values; in all */
  precis_weighted_keys keys;
  int64_t q_stride, num_stride;
  float *k, *v, *w, *d, *q;
} problem;

static problem create_of(const sizes *s, const precis_feature_set *set)
{
  problem p = {.s = *s, .q_stride = s->dim + 3, .num_stride = s->value_dim + 2};
  int64_t k_stride = s->dim + 1, v_stride = s->value_dim + 5;
  /* |y| is about 1, so that no degree drowns the others. */
  float scale = 1.5f / sqrtf((float)s->dim);
  p.set = *set;
  p.s.count_degree = precis_feature_set_degree(&p.set, p.set.blocks);
  p.features = precis_feature_set_size(&p.set, p.set.value_blocks);
  p.all_features = precis_feature_set_size(&p.set, p.set.blocks);
  p.k = noisy(s->keys * k_stride, scale, 1);
  p.v = noisy(s->keys * v_stride, 1, 2);
  p.w = noisy(s->keys, 1, 3);
  p.d = noisy(s->keys, 1, 5);
  p.q = noisy(s->queries * p.q_stride, 1.5f, 4);
  for (int64_t j = 0; j < s->keys; j++)
    p.w[j] = j % 7 == 3 ? 0 : fabsf(p.w[j]);
  for (int64_t j = 0; j < s->keys; j++)
    p.d[j] = fabsf(p.d[j]);
  p.keys = (precis_weighted_keys){s->keys, p.k, k_stride, p.v, v_stride, p.w, p.d};
  return p;
}

static problem create(const sizes *s)
{
  precis_feature_set set = precis_feature_set_full(s->dim, s->degree, s->count_degree);
  return create_of(s, &set);
}

static void release(problem *p)
{
  free(p->k);
  free(p->v);
  free(p->w);
  free(p->d);
  free(p->q);
}

/* S in double, and the same sums of magnitudes, which bound what rounding can do. */
typedef struct sums {
  double *values, *counts, *deviating;
  double *value_magnitudes, *count_magnitudes, *deviating_magnitudes;
} sums;

static sums clear_sums(const problem *p)
{
  size_t columns = (size_t)p->s.value_dim, rows = (size_t)p->all_features;
  sums s = {calloc(rows * columns, sizeof(double)), calloc(rows, sizeof(double)),
            calloc(rows, sizeof(double)),           calloc(rows * columns, sizeof(double)),
            calloc(rows, sizeof(double)),           calloc(rows, sizeof(double))};
  assert_true(s.values && s.counts && s.deviating);
  assert_true(s.value_magnitudes && s.count_magnitudes && s.deviating_magnitudes);
  return s;
}

static void free_sums(sums *s)
{
  free(s->values);
  free(s->counts);
  free(s->deviating);
  free(s->value_magnitudes);
  free(s->count_magnitudes);
  free(s->deviating_magnitudes);
}

static void add_naive(const problem *p, const precis_monomial *m, int64_t f, sums *s)
{
  int dv = p->s.value_dim;
  for (int64_t j = 0; j < p->s.keys; j++) {
    double phi = p->w ? p->w[j] : 1;
    for (int i = 0; i < m->degree; i++)
      phi *= p->k[j * p->keys.k_stride + m->variable[i]];
    s->counts[f] += phi;
    s->count_magnitudes[f] += fabs(phi);
    s->deviating[f] += phi * p->d[j];
    s->deviating_magnitudes[f] += fabs(phi * p->d[j]);
    for (int c = 0; c < dv && m->block < p->set.value_blocks; c++) {
      double term = phi * p->v[j * p->keys.v_stride + c];
      s->values[f * dv + c] += term;
      s->value_magnitudes[f * dv + c] += fabs(term);
    }
  }
}

static sums naive(const problem *p)
{
  sums s = clear_sums(p);
  precis_monomial m = precis_monomial_at(&p->set, 0);
  for (int64_t f = 0; f < p->all_features; f++, precis_monomial_next(&p->set, &m))
    add_naive(p, &m, f, &s);
  return s;
}

/* --- summarise --- */

static precis_summarise_shape summarise_shape(const problem *p, const precis_feature_kernel *kernel,
                                              int counts_only)
{
  precis_summarise_shape shape;
  assert_int_equal(
      precis_summarise_plan(&p->set, counts_only ? 0 : p->s.value_dim, p->s.fast_memory, &shape),
      0);
  shape.kernel = kernel;
  shape.deviations = !counts_only;
  return shape;
}

static void summarise(const problem *p, const precis_feature_kernel *kernel,
                      const precis_weighted_keys *keys, sums *s)
{
  precis_summarise_shape shape = summarise_shape(p, kernel, 0),
                         counts = summarise_shape(p, kernel, 1);
  char *scratch = array(precis_summarise_scratch(&shape), 1),
       *more = array(precis_summarise_scratch(&counts), 1);
  /* In two tiles: no caller has to cut where chunks end. */
  int64_t some = p->features / 3, dv = p->s.value_dim;
  precis_summarise_add(&shape, keys, 0, some, s->values, s->counts, s->deviating, scratch);
  precis_summarise_add(&shape, keys, some, p->features - some, s->values + some * dv,
                       s->counts + some, s->deviating + some, scratch);
  precis_summarise_add(&counts, keys, p->features, p->all_features - p->features, NULL,
                       s->counts + p->features, NULL, more);
  free(scratch);
  free(more);
}

static void assert_near(int64_t count, const double *x, const double *y, const double *magnitudes,
                        double tolerance)
{
  for (int64_t i = 0; i < count; i++)
    if (!(fabs(x[i] - y[i]) <= tolerance * magnitudes[i] + 1e-38))
      fail_msg("entry %lld: %.9g for %.9g, magnitudes %.9g", (long long)i, x[i], y[i],
               magnitudes[i]);
}

/* The bound of summarise.h: roundings of sums, of each factor of phi, and of the product with the
 * value. */
static double summarise_bound(const problem *p)
{
  return 1.01 * (precis_summarise_roundings() + p->s.count_degree + 1) * UNIT;
}

static void compare(const problem *p, const sums *got, const sums *want, double tolerance)
{
  assert_near(p->all_features * p->s.value_dim, got->values, want->values, want->value_magnitudes,
              tolerance);
  assert_near(p->all_features, got->counts, want->counts, want->count_magnitudes, tolerance);
  assert_near(p->features, got->deviating, want->deviating, want->deviating_magnitudes,
              tolerance + 1.01 * UNIT);
}

/* --- apply --- */

typedef struct outputs {
  double *num, *den, *env, *deviating;
} outputs;

static outputs clear_outputs(const problem *p)
{
  outputs o = {array(p->s.queries * p->num_stride, sizeof(double)),
               array(p->s.queries, sizeof(double)), array(p->s.queries, sizeof(double)),
               array(p->s.queries, sizeof(double))};
  memset(o.num, 0, (size_t)(p->s.queries * p->num_stride) * sizeof(double));
  memset(o.den, 0, (size_t)p->s.queries * sizeof(double));
  memset(o.env, 0, (size_t)p->s.queries * sizeof(double));
  memset(o.deviating, 0, (size_t)p->s.queries * sizeof(double));
  return o;
}

static void free_outputs(outputs *o)
{
  free(o->num);
  free(o->den);
  free(o->env);
  free(o->deviating);
}

typedef void apply_function(const precis_apply_shape *, const precis_apply_coefficients *,
                            const precis_summary_tile *, const precis_query_rows *, void *);

static void apply(const problem *p, const precis_feature_kernel *kernel, apply_function *run,
                  const sums *s, outputs *o)
{
  precis_apply_shape shape, counts;
  assert_int_equal(precis_apply_plan(&p->set, p->s.value_dim, p->s.fast_memory, &shape), 0);
  assert_int_equal(precis_apply_plan(&p->set, 0, p->s.fast_memory, &counts), 0);
  precis_apply_shape *shapes[] = {&shape, &counts};
  for (int i = 0; i < 2; i++) {
    int group = precis_feature_kernel_group(kernel, shapes[i]->value_dim);
    shapes[i]->kernel = kernel;
    shapes[i]->deviations = i == 0;
    shapes[i]->query_block = (shapes[i]->query_block + group - 1) / group * group;
  }
  int64_t numbers = p->features * p->s.value_dim, first = p->features;
  float *values = array(numbers, sizeof *values),
        *rounded = array(p->all_features, sizeof *rounded),
        *deviating = array(p->features, sizeof *deviating);
  precis_summary_round(numbers, 1, s->values, values);
  precis_summary_round(p->all_features, 1, s->counts, rounded);
  precis_summary_round(p->features, 1, s->deviating, deviating);
  precis_apply_coefficients coefficients = {A, E}, envelope = {calloc(13, sizeof(double)), E};
  precis_summary_tile all = {0, first, values, rounded, deviating},
                      rest = {first, p->all_features - first, NULL, rounded + first, NULL};
  precis_query_rows queries = {p->s.queries,  p->q,   p->q_stride, o->num,
                               p->num_stride, o->den, o->env,      o->deviating};
  char *scratch = array(precis_apply_scratch(&shape), 1),
       *more = array(precis_apply_scratch(&counts), 1);
  run(&shape, &coefficients, &all, &queries, scratch);
  run(&counts, &envelope, &rest, &queries, more);
  free((void *)(uintptr_t)envelope.a);
  free(values);
  free(rounded);
  free(deviating);
  free(scratch);
  free(more);
}

static double power(double x, int p)
{
  double result = 1;
  for (int i = 0; i < p; i++)
    result *= x;
  return result;
}

/* P or E of y1 and y2; at sum_c |q_c k_c| of either, which bounds its terms: coefficients are
 * positive. */
static double evaluate(const double *coefficients, const precis_feature_set *set, int blocks,
                       const double *y)
{
  double sum = 0;
  for (int b = 0; b < blocks; b++)
    sum += coefficients[b] * power(y[0], set->block[b].lead) * power(y[1], set->block[b].trail);
  return sum;
}

static void check_query(const problem *p, int64_t i, const outputs *o, double tolerance)
{
  int dv = p->s.value_dim;
  double num[256] = {0}, num_most[256] = {0}, den = 0, den_most = 0, env = 0, env_most = 0,
         deviating = 0, deviating_most = 0;
  const float *q = p->q + i * p->q_stride;
  for (int64_t j = 0; j < p->s.keys; j++) {
    const float *k = p->k + j * p->keys.k_stride, *v = p->v + j * p->keys.v_stride;
    double y[2] = {0}, reach[2] = {0}, w = p->w[j];
    for (int c = 0; c < p->s.dim; c++) {
      y[c >= p->set.lead] += (double)q[c] * k[c];
      reach[c >= p->set.lead] += fabs((double)q[c] * k[c]);
    }
    double value = w * evaluate(A, &p->set, p->set.value_blocks, y),
           most = w * evaluate(A, &p->set, p->set.value_blocks, reach);
    den += value;
    den_most += most;
    double e = w * evaluate(E, &p->set, p->set.blocks, y),
           e_most = w * evaluate(E, &p->set, p->set.blocks, reach);
    env += e;
    env_most += e_most;
    deviating += p->d[j] * w * evaluate(E, &p->set, p->set.value_blocks, y);
    deviating_most += p->d[j] * w * evaluate(E, &p->set, p->set.value_blocks, reach);
    for (int c = 0; c < dv; c++) {
      num[c] += value * v[c];
      num_most[c] += most * fabs((double)v[c]);
    }
  }
  double got = o->den[i];
  assert_near(1, &got, &den, &den_most, tolerance);
  got = o->env[i];
  assert_near(1, &got, &env, &env_most, tolerance);
  got = o->deviating[i];
  assert_near(1, &got, &deviating, &deviating_most, tolerance + 1.01 * UNIT);
  for (int c = 0; c < dv; c++) {
    got = o->num[i * p->num_stride + c];
    assert_near(1, &got, &num[c], &num_most[c], tolerance);
  }
  for (int64_t c = dv; c < p->num_stride; c++)
    assert_true(o->num[i * p->num_stride + c] == 0);
}

/* S itself carries summarise_bound(); then one rounding of it, of a_p, of orders and of two
 * products; a factor of phi(q) each; and the longest chain of sums. */
static void check_applied(const problem *p, const precis_feature_kernel *kernel,
                          apply_function *run, const sums *s)
{
  outputs o = clear_outputs(p);
  apply(p, kernel, run, s, &o);
  int roundings = precis_apply_roundings() + 6 + p->s.count_degree;
  double tolerance = 1.01 * roundings * UNIT + summarise_bound(p);
  for (int64_t i = 0; i < p->s.queries; i++)
    check_query(p, i, &o, tolerance);
  free_outputs(&o);
}

#endif
