#include "src/oracle/contract.h"

#include <float.h>
#include <math.h>

#include "src/base/problem.h"
#include "src/oracle/reference.h"

void precis_moments_clear(precis_moments *moments)
{
  moments->top = -INFINITY;
  moments->weight = 0;
  for (int64_t c = 0; c < moments->columns; c++) {
    moments->mean[c] = moments->square[c] = 0;
    moments->low[c] = INFINITY;
    moments->high[c] = -INFINITY;
  }
}

/* Expresses all sums by another largest bias. */
static void rescale(precis_moments *moments, double top)
{
  if (top == moments->top)
    return;
  long double factor = expl((long double)moments->top - top);
  moments->top = top;
  moments->weight *= factor;
  for (int64_t c = 0; c < moments->columns; c++)
    moments->square[c] *= factor;
}

/* The update of Chan, Golub and LeVeque: of equal values the squares stay exactly 0, and a key that
 * has nearly all of the weight does not bring rounding of the mean into them, as Welford's would.
 */
static void add_key(precis_moments *moments, long double weight, const float *v)
{
  long double sum = moments->weight + weight, share = weight / sum, others = moments->weight / sum;
  moments->weight = sum;
  for (int64_t c = 0; c < moments->columns; c++) {
    long double before = (long double)v[c] - moments->mean[c];
    moments->mean[c] += share * before;
    moments->square[c] += others * weight * before * before;
    moments->low[c] = fmin(moments->low[c], (double)v[c]);
    moments->high[c] = fmax(moments->high[c], (double)v[c]);
  }
}

void precis_moments_add(precis_moments *moments, int64_t count, const float *v, const float *bias)
{
  for (int64_t j = 0; j < count; j++) {
    if (precis_reference_masked(bias, j))
      continue;
    double b = bias ? (double)bias[j] : 0;
    if (b > moments->top)
      rescale(moments, b);
    add_key(moments, expl((long double)b - moments->top), v + j * moments->columns);
  }
}

void precis_moments_merge(const precis_moments *from, precis_moments *into)
{
  if (from->top == -INFINITY)
    return;
  if (from->top > into->top)
    rescale(into, from->top);
  long double factor = expl((long double)from->top - into->top), weight = factor * from->weight,
              sum = into->weight + weight;
  for (int64_t c = 0; c < into->columns; c++) {
    long double apart = from->mean[c] - into->mean[c];
    into->mean[c] += weight / sum * apart;
    into->square[c] += factor * from->square[c] + into->weight / sum * weight * apart * apart;
    into->low[c] = fmin(into->low[c], from->low[c]);
    into->high[c] = fmax(into->high[c], from->high[c]);
  }
  into->weight = sum;
}

double precis_moments_deviation(const precis_moments *moments, int64_t column)
{
  if (!(moments->high[column] > moments->low[column]))
    return 0;
  return (double)sqrtl(moments->square[column] / moments->weight);
}

double precis_moments_range(const precis_moments *moments, int64_t column)
{
  double range = moments->high[column] - moments->low[column];
  return range > 0 ? range : 0;
}

double precis_contract_distance(int value_dim, const double *a, const double *b,
                                const double *sigma)
{
  long double squares = 0;
  for (int c = 0; c < value_dim; c++)
    if (sigma[c] > 0) {
      long double x = ((long double)a[c] - b[c]) / sigma[c];
      squares += x * x;
    }
  return (double)sqrtl(squares);
}

void precis_contract_raise(int64_t count, int64_t columns, int64_t first, int value_dim,
                           const float *v, const float *bias, const double *mean,
                           const double *sigma, double *most)
{
  double value[PRECIS_DIM_MAX];
  for (int64_t j = 0; j < count; j++) {
    if (precis_reference_masked(bias, j))
      continue;
    for (int c = 0; c < value_dim; c++)
      value[c] = (double)v[j * columns + first + c];
    *most = fmax(*most, precis_contract_distance(value_dim, value, mean, sigma));
  }
}

double precis_contract_range_unit(double low, double high)
{
  if (high > low)
    return high - low;
  return high == low ? fmax(fabs(high), FLT_MIN) : FLT_MIN; /* no key at all: outputs are 0 */
}
