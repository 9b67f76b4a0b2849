#include "src/bulk.h"

#include <math.h>
#include <string.h>

#include "src/clones.h"

/* Norms are raised by this, not to lie below the true ones whatever the rounding. */
static const double SAFE = 1 + 1e-12;

int precis_bulk_exponent(double key_radius, double query_radius)
{
  if (!(key_radius > 0) || !(query_radius > 0))
    return 0;
  return (int)lrint((log2(key_radius) - log2(query_radius)) / 2);
}

PRECIS_CLONES
static double dot_centered(const float *restrict x, const double *restrict center,
                           const double *restrict y, int n)
{
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < n; c++)
    sum += (x[c] - center[c]) * y[c];
  return sum;
}

PRECIS_CLONES
static double distance(const float *restrict x, const double *restrict center, int n)
{
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < n; c++)
    sum += (x[c] - center[c]) * (x[c] - center[c]);
  return sqrt(sum) * SAFE;
}

PRECIS_CLONES
static void move_row(float *restrict to, const float *restrict from, const double *restrict center,
                     double factor, int n)
{
  for (int c = 0; c < n; c++)
    to[c] = (float)((from[c] - center[c]) * factor);
}

double precis_bulk_weights(const precis_bulk *bulk, const precis_keys *keys, int64_t first,
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

void precis_bulk_keys(const precis_bulk *bulk, const precis_keys *keys, int64_t first, int64_t rows,
                      float *k, float *v)
{
  double factor = ldexp(1, -bulk->exponent);
  for (int64_t j = 0; j < rows; j++) {
    int64_t row = first + j, at = row * keys->kv_heads + bulk->kv_head;
    if (precis_keys_masked(keys, row)) {
      memset(k + j * keys->dim, 0, (size_t)keys->dim * sizeof *k);
      memset(v + j * keys->value_dim, 0, (size_t)keys->value_dim * sizeof *v);
      continue;
    }
    move_row(k + j * keys->dim, keys->k + at * keys->dim, bulk->k_center, factor, keys->dim);
    move_row(v + j * keys->value_dim, keys->v + at * keys->value_dim, bulk->v_center, 1,
             keys->value_dim);
  }
}

void precis_bulk_scale_weights(int64_t rows, const double *log_weight, double log_scale, float *w)
{
  for (int64_t j = 0; j < rows; j++)
    w[j] = log_weight[j] == -INFINITY ? 0 : (float)exp(log_weight[j] - log_scale);
}

void precis_bulk_queries(const precis_bulk *bulk, int dim, int group, int64_t rows, const float *q,
                         int64_t q_stride, float *to, double *norm)
{
  double factor = bulk->scale * ldexp(1, bulk->exponent);
  for (int64_t i = 0; i < rows; i++)
    for (int h = 0; h < group; h++) {
      const float *from = q + i * q_stride + (int64_t)h * dim;
      move_row(to + (i * group + h) * dim, from, bulk->q_center, factor, dim);
      norm[i * group + h] = distance(from, bulk->q_center, dim);
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

double precis_bulk_query_radius(int dim, int group, int64_t rows, const float *q, int64_t q_stride,
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
