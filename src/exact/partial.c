#include "src/exact/partial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/precis.h"

int precis_partial_create(precis_partial *partial, int64_t rows, int value_dim)
{
  partial->m = precis_memory_array(rows, sizeof *partial->m);
  partial->l = precis_memory_array(rows, sizeof *partial->l);
  partial->o = precis_memory_array(rows, (size_t)value_dim * sizeof *partial->o);
  if (!partial->m || !partial->l || !partial->o) {
    precis_partial_free(partial);
    return PRECIS_ERR_MEMORY;
  }
  precis_partial_clear(partial, rows, value_dim);
  return PRECIS_SUCCESS;
}

void precis_partial_free(precis_partial *partial)
{
  free(partial->m);
  free(partial->l);
  free(partial->o);
  *partial = (precis_partial){0};
}

void precis_partial_clear(precis_partial *partial, int64_t rows, int value_dim)
{
  for (int64_t i = 0; i < rows; i++) {
    partial->m[i] = -INFINITY;
    partial->l[i] = 0;
  }
  memset(partial->o, 0, (size_t)(rows * value_dim) * sizeof *partial->o);
}

precis_partial precis_partial_at(const precis_partial *partial, int64_t row, int value_dim)
{
  return (precis_partial){partial->m + row, partial->l + row, partial->o + row * value_dim};
}

void precis_partial_merge(precis_partial *partial, int64_t row, int value_dim, float m, float l,
                          const float *o)
{
  if (m == -INFINITY)
    return;
  double old = partial->m[row];
  double top = old > m ? old : m;
  double keep = exp2(old - top), scale = exp2(m - top);
  double *sum = partial->o + row * value_dim;
  partial->m[row] = top;
  partial->l[row] = partial->l[row] * keep + l * scale;
  for (int c = 0; c < value_dim; c++)
    sum[c] = sum[c] * keep + o[c] * scale;
}

void precis_partial_merge_sums(precis_partial *partial, int64_t row, int value_dim, double m,
                               double l, const double *o, int64_t stride)
{
  double old = partial->m[row], top = old > m ? old : m;
  double *sum = partial->o + row * value_dim;
  partial->m[row] = top;
  if (old == -INFINITY) {
    partial->l[row] = l;
    for (int c = 0; c < value_dim; c++)
      sum[c] = o[c * stride];
    return;
  }
  double keep = exp2(old - top), scale = exp2(m - top);
  partial->l[row] = partial->l[row] * keep + l * scale;
  for (int c = 0; c < value_dim; c++)
    sum[c] = sum[c] * keep + o[c * stride] * scale;
}

int64_t precis_partial_words(int64_t rows, int value_dim)
{
  return rows * (value_dim + 2);
}

void precis_partial_pack(const precis_partial *partial, int64_t rows, int value_dim, float *wire)
{
  for (int64_t i = 0; i < rows; i++) {
    const double *o = partial->o + i * value_dim;
    float m = (float)partial->m[i];
    double scale = m == -INFINITY ? 0 : exp2(partial->m[i] - m);
    *wire++ = m;
    *wire++ = (float)(partial->l[i] * scale);
    for (int c = 0; c < value_dim; c++)
      *wire++ = (float)(o[c] * scale);
  }
}

void precis_partial_merge_packed(precis_partial *partial, int64_t rows, int value_dim,
                                 const float *wire)
{
  for (int64_t i = 0; i < rows; i++, wire += value_dim + 2)
    precis_partial_merge(partial, i, value_dim, wire[0], wire[1], wire + 2);
}
