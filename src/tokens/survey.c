#include "src/tokens/survey.h"

#include <math.h>
#include <stddef.h>

#include "src/base/clones.h"

int64_t precis_survey_sums_size(const precis_keys *keys)
{
  return precis_survey_spreads_at(keys) + 1 + 2 * (int64_t)keys->kv_heads * keys->value_dim;
}

int64_t precis_survey_spreads_at(const precis_keys *keys)
{
  return (int64_t)keys->kv_heads * (keys->dim + keys->value_dim) + 1;
}

static inline void add_row(double *restrict sums, const float *restrict x, int64_t n)
{
  for (int64_t c = 0; c < n; c++)
    sums[c] += x[c];
}

PRECIS_CLONES
static void add_sums(const precis_keys *keys, int64_t first, double *sums)
{
  int64_t k_row = (int64_t)keys->kv_heads * keys->dim,
          v_row = (int64_t)keys->kv_heads * keys->value_dim;
  for (int64_t j = first; j < keys->rows; j++) {
    if (precis_keys_masked(keys, j))
      continue;
    add_row(sums, keys->k + j * k_row, k_row);
    add_row(sums + k_row, keys->v + j * v_row, v_row);
    sums[k_row + v_row] += 1;
  }
}

void precis_survey_sums(const precis_keys *keys, int64_t first, double *sums)
{
  add_sums(keys, first, sums);
}

static inline void add_spread(double *restrict sums, double *restrict squares, double w,
                              const float *restrict v, const double *restrict center, int64_t n)
{
  for (int64_t c = 0; c < n; c++) {
    double part = w * (v[c] - center[c]);
    sums[c] += part;
    squares[c] += part * (v[c] - center[c]);
  }
}

PRECIS_CLONES
static void add_spreads(const precis_keys *keys, int64_t first, const double *center,
                        double bias_top, double *sums)
{
  int64_t v_row = (int64_t)keys->kv_heads * keys->value_dim;
  for (int64_t j = first; j < keys->rows; j++) {
    if (precis_keys_masked(keys, j))
      continue;
    double w = keys->bias ? exp(keys->bias[j] - bias_top) : 1;
    sums[0] += w;
    add_spread(sums + 1, sums + 1 + v_row, w, keys->v + j * v_row, center, v_row);
  }
}

void precis_survey_spreads(const precis_keys *keys, int64_t first, const double *center,
                           double bias_top, double *sums)
{
  add_spreads(keys, first, center, bias_top, sums + precis_survey_spreads_at(keys));
}

int precis_survey_cancels(const precis_keys *keys, const double *sums, const double *center,
                          double *mean)
{
  const double digits = 1e-6;
  int64_t columns = (int64_t)keys->kv_heads * keys->value_dim;
  const double *spread = sums + precis_survey_spreads_at(keys);
  int cancels = 0;
  for (int64_t c = 0; c < columns; c++) {
    double off = spread[1 + c] / spread[0], square = spread[1 + columns + c] / spread[0];
    mean[c] = center[c] + off;
    cancels |= square - off * off < digits * square;
  }
  return spread[0] > 0 && cancels;
}

/* The variance about the mean is the one about the centre less the square of their difference;
 * below what rounding leaves of that difference there is none. */
void precis_survey_deviations(const precis_keys *keys, const double *sums, const double *most,
                              const double *least, double *sigma)
{
  const double rounding = 1e-13;
  int64_t columns = (int64_t)keys->kv_heads * keys->value_dim;
  const double *spread = sums + precis_survey_spreads_at(keys);
  double weights = spread[0];
  for (int64_t c = 0; c < columns; c++) {
    double mean = spread[1 + c] / weights, square = spread[1 + columns + c] / weights,
           variance = square - mean * mean;
    int varies = weights > 0 && most[c] > -least[c] && variance > rounding * square;
    sigma[c] = varies ? sqrt(variance) : 0;
  }
}

int64_t precis_survey_extremes_size(const precis_keys *keys)
{
  return (int64_t)keys->kv_heads * (1 + 2 * keys->value_dim) + 2;
}

precis_extremes precis_survey_extremes_view(const precis_keys *keys, double *array)
{
  int64_t columns = (int64_t)keys->kv_heads * keys->value_dim;
  precis_extremes view = {.radius = array, .value_most = array + keys->kv_heads};
  view.value_least = view.value_most + columns;
  view.bias_top = view.value_least + columns;
  view.bias_bottom = view.bias_top + 1;
  return view;
}

void precis_survey_extremes_clear(const precis_keys *keys, double *array)
{
  int64_t size = precis_survey_extremes_size(keys);
  for (int64_t i = 0; i < size; i++)
    array[i] = i < keys->kv_heads ? 0 : -INFINITY;
}

static inline double squared_distance(const float *restrict x, const double *restrict center, int n)
{
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < n; c++)
    sum += (x[c] - center[c]) * (x[c] - center[c]);
  return sum;
}

static inline void raise_values(const precis_extremes *view, const float *restrict v, int64_t n)
{
  double *restrict most = view->value_most, *restrict least = view->value_least;
  for (int64_t c = 0; c < n; c++) {
    most[c] = v[c] > most[c] ? v[c] : most[c];
    least[c] = -v[c] > least[c] ? -v[c] : least[c];
  }
}

/* Roots only where they may matter: most rows are not the longest. */
PRECIS_CLONES
static void raise_extremes(const precis_keys *keys, int64_t first, const double *center,
                           double *array)
{
  precis_extremes view = precis_survey_extremes_view(keys, array);
  int64_t v_row = (int64_t)keys->kv_heads * keys->value_dim;
  for (int64_t j = first; j < keys->rows; j++) {
    if (precis_keys_masked(keys, j))
      continue;
    for (int g = 0; g < keys->kv_heads; g++) {
      int64_t at = (int64_t)g * keys->dim;
      double square =
          squared_distance(keys->k + j * keys->kv_heads * keys->dim + at, center + at, keys->dim);
      if (square < view.radius[g] * view.radius[g] * (1 - 1e-11))
        continue;
      double distance =
          sqrt(square) * (1 + 1e-12); /* not below the true one, whatever the rounding */
      view.radius[g] = distance > view.radius[g] ? distance : view.radius[g];
    }
    raise_values(&view, keys->v + j * v_row, v_row);
    double bias = keys->bias ? keys->bias[j] : 0;
    *view.bias_top = bias > *view.bias_top ? bias : *view.bias_top;
    *view.bias_bottom = -bias > *view.bias_bottom ? -bias : *view.bias_bottom;
  }
}

void precis_survey_extremes(const precis_keys *keys, int64_t first, const double *center,
                            double *array)
{
  raise_extremes(keys, first, center, array);
}

PRECIS_CLONES
static double squared_norm(const float *x, int n)
{
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < n; c++)
    sum += (double)x[c] * x[c];
  return sum;
}

double precis_survey_queries(int64_t rows, int heads, int dim, const float *q, int64_t *row,
                             int *head)
{
  double most = 0;
  for (int64_t i = 0; i < rows; i++)
    for (int h = 0; h < heads; h++) {
      double square = squared_norm(q + (i * heads + h) * dim, dim);
      if (!isfinite(square)) { /* no square of a float32 overflows a double */
        *row = i;
        *head = h;
        return -1;
      }
      most = square > most ? square : most;
    }
  return sqrt(most) * (1 + 1e-12);
}

int64_t precis_survey_nonfinite(int64_t rows, int64_t row_elements, const float *x)
{
  for (int64_t i = 0; i < rows; i++) {
    int bad = 0;
    for (int64_t c = 0; c < row_elements; c++)
      bad |= !isfinite(x[i * row_elements + c]);
    if (bad)
      return i;
  }
  return -1;
}

/* Sums and centres, extremes, room for a message of either, sigma and what is made of it. */
int64_t precis_survey_numbers(const precis_problem *p)
{
  const precis_keys keys = {.kv_heads = p->kv_heads, .dim = p->dim, .value_dim = p->value_dim};
  int64_t sums = precis_survey_sums_size(&keys), extremes = precis_survey_extremes_size(&keys);
  return 2 * sums + extremes + (sums > extremes ? sums : extremes) +
         4 * (int64_t)p->kv_heads * p->value_dim;
}

int64_t precis_survey_signal_numbers(const precis_problem *p)
{
  return (int64_t)p->heads * (p->dim + p->value_dim + 5) +
         (int64_t)p->kv_heads * (p->dim + 2 * p->value_dim + 1);
}
