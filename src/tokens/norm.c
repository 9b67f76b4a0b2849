#include "src/tokens/norm.h"

#include <math.h>

#include "src/base/clones.h"
#include "src/base/weaken.h"

/* More than the sums below round off, for up to 256 columns. */
static const double UP = 1 + 0x1p-42;

/* Loops over columns are short: cloned with the loops over rows around them. */
static inline double distance(const precis_norm *norm, const float *restrict x,
                              const double *restrict from)
{
  const double *restrict per = norm->per;
  double square = 0, most = 0, nothing = 0;
  if (norm->largest) {
#pragma omp simd reduction(max : most) reduction(+ : nothing)
    for (int c = 0; c < norm->columns; c++) {
      double part = fabs(x[c] - from[c]) * per[c];
      most = part > most ? part : most;
      nothing += x[c] * 0.0;
    }
    return most * UP + nothing;
  }
#pragma omp simd reduction(+ : square, nothing)
  for (int c = 0; c < norm->columns; c++) {
    double part = (x[c] - from[c]) * per[c];
    square += part * part;
    nothing += x[c] * 0.0;
  }
  return sqrt(square) * UP + nothing;
}

PRECIS_CLONES
static double distance_of(const precis_norm *norm, const float *x, const double *from)
{
  return distance(norm, x, from);
}

double precis_norm_distance(const precis_norm *norm, const float *x, const double *from)
{
  return distance_of(norm, x, from);
}

PRECIS_CLONES
static double distance_double(const precis_norm *norm, const double *restrict x,
                              const double *restrict from)
{
  double square = 0, most = 0;
  for (int c = 0; c < norm->columns; c++) {
    double part = fabs(x[c] - from[c]) * norm->per[c];
    most = part > most ? part : most;
    square += part * part;
  }
  return (norm->largest ? most : sqrt(square)) * UP;
}

double precis_norm_distance_double(const precis_norm *norm, const double *x, const double *from)
{
  return distance_double(norm, x, from);
}

PRECIS_CLONES
static void distances(const precis_norm *norm, int64_t rows, const float *x, int64_t stride,
                      const double *from, float *to, int64_t to_stride)
{
  const double up = precis_weaken(PRECIS_BOUND_DELTA, 1 + 0x1p-22); /* float32 rounds off less */
  for (int64_t i = 0; i < rows; i++)
    to[i * to_stride] = (float)(distance(norm, x + i * stride, from) * up);
}

void precis_norm_distances(const precis_norm *norm, int64_t rows, const float *x, int64_t stride,
                           const double *from, float *to, int64_t to_stride)
{
  distances(norm, rows, x, stride, from, to, to_stride);
}

PRECIS_CLONES
static double rounding(const precis_norm *norm, const float *restrict x)
{
  const double unit = 0x1p-24, least = 0x1p-150; /* of subnormals */
  double square = 0, most = 0;
  for (int c = 0; c < norm->columns; c++) {
    double part = (fabs((double)x[c]) * unit + least) * norm->per[c];
    most = part > most ? part : most;
    square += part * part;
  }
  return (norm->largest ? most : sqrt(square)) * (1 + 0x1p-20);
}

double precis_norm_rounding(const precis_norm *norm, const float *x)
{
  return rounding(norm, x);
}

double precis_norm_conversion(const precis_norm *from, const precis_norm *to)
{
  double square = 0, most = 0;
  for (int c = 0; c < from->columns; c++) {
    if (from->per[c] == 0 && to->per[c] > 0)
      return INFINITY;
    double part = from->per[c] > 0 ? to->per[c] / from->per[c] : 0;
    most = fmax(most, part);
    square += part * part;
  }
  /* From the largest column to the 2-norm all columns may be at their largest at once. */
  return (from->largest && !to->largest ? sqrt(square) : most) * UP;
}

double precis_norm_fold(double deviation, double range)
{
  double size = deviation > 0 ? deviation : range;
  return size > 0 ? ldexp(1, -ilogb(size)) : 1;
}
