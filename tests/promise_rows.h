/* promise_rows.h - rows of queries, keys and values with a known shape; part of promise_cases.c */
#ifndef PRECIS_TESTS_PROMISE_ROWS_H
#define PRECIS_TESTS_PROMISE_ROWS_H

#include <math.h>

#include "src/base/problem.h"
#include "tests/dice.h"

static inline void rows_unit(dice *d, int dim, double length, float *x)
{
  double y[PRECIS_DIM_MAX], square = 0;
  for (int c = 0; c < dim; c++) {
    y[c] = dice_normal(d);
    square += y[c] * y[c];
  }
  for (int c = 0; c < dim; c++)
    x[c] = (float)(length * y[c] / sqrt(square));
}

static inline void rows_scale(float *x, int dim, double factor)
{
  for (int c = 0; c < dim; c++)
    x[c] = (float)(x[c] * factor);
}

/* Row `to` of one head is the opposite of row `from`. */
static inline void rows_oppose(float *x, int heads, int head, int dim, int64_t from, int64_t to)
{
  for (int c = 0; c < dim; c++)
    x[(to * heads + head) * dim + c] = -x[(from * heads + head) * dim + c];
}

static inline void rows_fill_units(dice *d, int64_t rows, int width, int dim, float *x)
{
  for (int64_t i = 0; i < rows * width; i++)
    rows_unit(d, dim, 1, x + i * dim);
}

static inline void rows_fill_uniform(dice *d, int64_t count, double size, float *x)
{
  for (int64_t i = 0; i < count; i++)
    x[i] = (float)(size * (2 * dice_uniform(d) - 1));
}

static inline void rows_fill_normal(dice *d, int64_t count, double size, float *x)
{
  for (int64_t i = 0; i < count; i++)
    x[i] = (float)(size * dice_normal(d));
}

static inline double rows_sign(float x)
{
  return x > 0 ? 1 : x < 0 ? -1 : 0;
}

/* Takes what x has of the direction u out of it, and makes it a unit vector again. */
static inline void rows_make_normal(const float *u, int dim, float *x)
{
  double along = 0, square = 0, y[PRECIS_DIM_MAX];
  for (int c = 0; c < dim; c++)
    along += (double)x[c] * u[c];
  for (int c = 0; c < dim; c++) {
    y[c] = x[c] - along * u[c];
    square += y[c] * y[c];
  }
  for (int c = 0; c < dim; c++)
    x[c] = (float)(y[c] / sqrt(square));
}

#endif
