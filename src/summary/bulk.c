#include "src/summary/bulk.h"

#include <math.h>
#include <string.h>

#include "src/summary/axes.h"
#include "src/base/clones.h"
#include "src/summary/feature_set.h"

/* Norms are raised by this, not to lie below the true ones whatever the rounding. */
static const double SAFE = 1 + 1e-12;

int precis_bulk_exponent(double key_radius, double query_radius)
{
  if (!(key_radius > 0) || !(query_radius > 0))
    return 0;
  return (int)lrint((log2(key_radius) - log2(query_radius)) / 2);
}

/* Loops over rows are cloned, with what they do to a row in them: rows are short. */
static inline double dot_centered(const float *restrict x, const double *restrict center,
                                  const double *restrict y, int n)
{
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < n; c++)
    sum += (x[c] - center[c]) * y[c];
  return sum;
}

static inline double dot(const float *restrict x, const double *restrict y, int n)
{
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < n; c++)
    sum += x[c] * y[c];
  return sum;
}

static inline double distance(const float *restrict x, const double *restrict center, int n)
{
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < n; c++)
    sum += (x[c] - center[c]) * (x[c] - center[c]);
  return sqrt(sum) * SAFE;
}

static inline void move_row(float *restrict to, const float *restrict from,
                            const double *restrict center, double factor, int n)
{
  for (int c = 0; c < n; c++)
    to[c] = (float)((from[c] - center[c]) * factor);
}

static inline void fold_row(float *restrict to, const float *restrict from,
                            const double *restrict center, const double *restrict fold, int n)
{
  for (int c = 0; c < n; c++)
    to[c] = (float)((from[c] - center[c]) * fold[c]);
}

/* Rows of keys or queries by way of the axes; the row in them is left in `turned`. */
static void turn_row(const double *map, int dim, const float *from, const double *center,
                     double factor, double *turned, float *to)
{
  precis_axes_turn(dim, map, from, center, turned);
  for (int i = 0; i < dim; i++)
    to[i] = (float)(turned[i] * factor);
}

static double norm(const double *x, int n)
{
  double sum = 0;
  for (int i = 0; i < n; i++)
    sum += x[i] * x[i];
  return sqrt(sum) * SAFE;
}

PRECIS_CLONES
static double weights_of(const precis_bulk *bulk, const precis_keys *keys, int64_t first,
                         int64_t rows, double *log_weight)
{
  double most = -INFINITY;
  for (int64_t j = 0; j < rows; j++) {
    int64_t row = first + j;
    const float *k = keys->k + (row * keys->kv_heads + bulk->kv_head) * keys->dim;
    double bias = keys->bias ? keys->bias[row] : 0;
    log_weight[j] = bulk->scale * dot_centered(k, bulk->k_center, bulk->q_center, keys->dim) + bias;
    most = log_weight[j] > most ? log_weight[j] : most;
  }
  return most;
}

double precis_bulk_weights(const precis_bulk *bulk, const precis_keys *keys, int64_t first,
                           int64_t rows, double *log_weight)
{
  return weights_of(bulk, keys, first, rows, log_weight);
}

PRECIS_CLONES
static void make_keys(const precis_bulk *bulk, const precis_keys *keys, int64_t first, int64_t rows,
                      float *k, float *v)
{
  double factor = ldexp(1, -bulk->exponent), turned[PRECIS_FEATURES_DIM_MAX];
  for (int64_t j = 0; j < rows; j++) {
    int64_t row = first + j, at = row * keys->kv_heads + bulk->kv_head;
    if (precis_keys_masked(keys, row)) {
      memset(k + j * keys->dim, 0, (size_t)keys->dim * sizeof *k);
      memset(v + j * keys->value_dim, 0, (size_t)keys->value_dim * sizeof *v);
      continue;
    }
    const float *from = keys->k + at * keys->dim;
    if (bulk->to_keys)
      turn_row(bulk->to_keys, keys->dim, from, bulk->k_center, factor, turned, k + j * keys->dim);
    else
      move_row(k + j * keys->dim, from, bulk->k_center, factor, keys->dim);
    fold_row(v + j * keys->value_dim, keys->v + at * keys->value_dim, bulk->v_center, bulk->fold,
             keys->value_dim);
  }
}

void precis_bulk_keys(const precis_bulk *bulk, const precis_keys *keys, int64_t first, int64_t rows,
                      float *k, float *v)
{
  make_keys(bulk, keys, first, rows, k, v);
}

void precis_bulk_deviations(const precis_bulk *bulk, const precis_keys *keys, int64_t first,
                            int64_t rows, float *deviation)
{
  const float least = (float)(bulk->least_deviation * (1 + 0x1p-22));
  int dv = keys->value_dim;
  precis_norm_distances(&bulk->norm, rows, keys->v + (first * keys->kv_heads + bulk->kv_head) * dv,
                        (int64_t)keys->kv_heads * dv, bulk->v_center, deviation, 1);
  for (int64_t j = 0; j < rows; j++)
    deviation[j] = precis_keys_masked(keys, first + j) ? 0
                   : deviation[j] > least              ? deviation[j]
                                                       : least;
}

double precis_bulk_least_deviation(double mean)
{
  return mean > 0 ? mean / 2 : 1;
}

void precis_bulk_scale_weights(int64_t rows, const double *log_weight, double log_scale, float *w)
{
  for (int64_t j = 0; j < rows; j++)
    w[j] = log_weight[j] == -INFINITY ? 0 : (float)exp(log_weight[j] - log_scale);
}

PRECIS_CLONES
static void make_queries(const precis_bulk *bulk, int dim, int group, int64_t rows, const float *q,
                         int64_t q_stride, float *to, precis_bulk_norms *norms)
{
  double factor = bulk->scale * ldexp(1, bulk->exponent);
  double turned[PRECIS_FEATURES_DIM_MAX];
  for (int64_t i = 0; i < rows * group; i++, norms++, to += dim) {
    const float *from = q + i / group * q_stride + i % group * dim;
    norms->offset = bulk->scale * dot(from, bulk->k_center, dim);
    norms->plain = norms->lead = distance(from, bulk->q_center, dim);
    norms->trail = 0;
    if (!bulk->to_queries) {
      move_row(to, from, bulk->q_center, factor, dim);
      continue;
    }
    turn_row(bulk->to_queries, dim, from, bulk->q_center, factor, turned, to);
    norms->lead = norm(turned, bulk->lead);
    norms->trail = norm(turned + bulk->lead, dim - bulk->lead);
  }
}

void precis_bulk_queries(const precis_bulk *bulk, int dim, int group, int64_t rows, const float *q,
                         int64_t q_stride, float *to, precis_bulk_norms *norms)
{
  make_queries(bulk, dim, group, rows, q, q_stride, to, norms);
}

void precis_bulk_query_reach(const precis_bulk *bulk, int dim, int group, int64_t rows,
                             const float *q, int64_t q_stride, double *lead, double *trail)
{
  double turned[PRECIS_FEATURES_DIM_MAX], unit = fabs(bulk->scale) * SAFE;
  for (int64_t i = 0; i < rows * group; i++) {
    precis_axes_turn(dim, bulk->to_queries, q + i / group * q_stride + i % group * dim,
                     bulk->q_center, turned);
    for (int c = 0; c < dim; c++)
      turned[c] *= unit;
    precis_axes_raise(dim, turned, lead, trail);
  }
}

void precis_bulk_key_reach(const precis_bulk *bulk, const precis_keys *keys, int64_t first,
                           int64_t rows, double *lead, double *trail)
{
  double turned[PRECIS_FEATURES_DIM_MAX];
  for (int64_t row = first; row < first + rows; row++) {
    if (precis_keys_masked(keys, row))
      continue;
    precis_axes_turn(keys->dim, bulk->to_keys,
                     keys->k + (row * keys->kv_heads + bulk->kv_head) * keys->dim, bulk->k_center,
                     turned);
    for (int c = 0; c < keys->dim; c++)
      turned[c] *= SAFE;
    precis_axes_raise(keys->dim, turned, lead, trail);
  }
}

PRECIS_CLONES
static void add_row(double *restrict sums, const float *restrict x, int n)
{
  for (int c = 0; c < n; c++)
    sums[c] += x[c];
}

void precis_bulk_query_sums(int dim, int group, int64_t rows, const float *q, int64_t q_stride,
                            double *sums)
{
  for (int64_t i = 0; i < rows; i++)
    for (int h = 0; h < group; h++)
      add_row(sums, q + i * q_stride + (int64_t)h * dim, dim);
}

PRECIS_CLONES
static double longest(int dim, int group, int64_t rows, const float *q, int64_t q_stride,
                      const double *center)
{
  double most = 0;
  for (int64_t i = 0; i < rows; i++)
    for (int h = 0; h < group; h++) {
      double norm = distance(q + i * q_stride + (int64_t)h * dim, center, dim);
      most = norm > most ? norm : most;
    }
  return most;
}

double precis_bulk_query_radius(int dim, int group, int64_t rows, const float *q, int64_t q_stride,
                                const double *center)
{
  return longest(dim, group, rows, q, q_stride, center);
}
