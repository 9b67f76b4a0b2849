#include "src/summary/axes.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "src/base/clones.h"
#define PRECIS_WITHOUT_MPI
#include "src/precis.h"

/* Of LAPACK, which is part of OpenBLAS; lengths of characters come last. */
void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
            double *work, const int *lwork, int *info, size_t jobz_length, size_t uplo_length);

enum { WORK = 34 }; /* columns of LAPACK's working space */

/* Variances below this part of the mean count as that: it keeps axes of no use from being stretched
 * without end. */
static const double least = 1e-6;

PRECIS_CLONES
static void add_row(int dim, const float *restrict x, const double *restrict center,
                    double *restrict sums)
{
  for (int c = 0; c < dim; c++) {
    double factor = x[c] - center[c];
    for (int i = c; i < dim; i++)
      sums[c * dim + i] += factor * (x[i] - center[i]);
  }
}

void precis_axes_add_covariance(int dim, int64_t rows, const float *x, int64_t stride,
                                const double *center, double *sums)
{
  for (int64_t j = 0; j < rows; j++)
    add_row(dim, x + j * stride, center, sums);
}

int64_t precis_axes_scratch(int dim)
{
  return (int64_t)dim * (3 * dim + WORK);
}

/* Eigenvectors of a symmetric matrix, of which c * dim + i for c <= i is read, in its place: vector
 * number n from n * dim on; values ascend. */
static int decompose(int dim, double *matrix, double *values, double *work)
{
  int columns = WORK * dim, info = 0;
  dsyev_("V", "L", &dim, matrix, &dim, values, work, &columns, &info, 1, 1);
  return info == 0 ? PRECIS_SUCCESS : PRECIS_ERR_INTERNAL;
}

static double mean_variance(int dim, const double *covariance)
{
  double trace = 0;
  for (int c = 0; c < dim; c++)
    trace += covariance[c * dim + c];
  return trace / dim;
}

/* result = A^T B for matrices of columns, of which column n is n * dim. */
static void multiply_transposed(int dim, const double *a, const double *b, double *result)
{
  for (int i = 0; i < dim; i++)
    for (int j = 0; j < dim; j++) {
      double sum = 0;
      for (int c = 0; c < dim; c++)
        sum += a[i * dim + c] * b[j * dim + c];
      result[j * dim + i] = sum;
    }
}

/* The full symmetric matrix, with its smallest possible variances. */
static void complete(int dim, const double *covariance, double *to)
{
  double floor = least * mean_variance(dim, covariance);
  if (!(floor > 0))
    floor = 1;
  for (int c = 0; c < dim; c++)
    for (int i = c; i < dim; i++)
      to[c * dim + i] = to[i * dim + c] = covariance[c * dim + i] + (c == i ? floor : 0);
}

/* Numbers that can be divided by. */
static int positive(int count, const double *x)
{
  for (int i = 0; i < count; i++)
    if (!(x[i] > 0) || !isfinite(x[i]))
      return 0;
  return 1;
}

/* Entry c of column n times factor[n], or divided by it, for all of a matrix. */
static void scale_columns(int dim, const double *from, const double *factor, int divide, double *to)
{
  for (int n = 0; n < dim; n++)
    for (int c = 0; c < dim; c++)
      to[n * dim + c] = divide ? from[n * dim + c] / factor[n] : from[n * dim + c] * factor[n];
}

/* Axis i of a map: sum over n of column n times entry n of a vector, times a factor. */
static void write_axis(int dim, int i, const double *columns, const double *vector, double factor,
                       double *map)
{
  for (int c = 0; c < dim; c++) {
    double sum = 0;
    for (int n = 0; n < dim; n++)
      sum += columns[n * dim + c] * vector[n];
    map[c * dim + i] = sum * factor;
  }
}

static void reverse(int count, double *x)
{
  for (int i = 0; i < count / 2; i++) {
    double other = x[i];
    x[i] = x[count - 1 - i];
    x[count - 1 - i] = other;
  }
}

/* With K = V diag(l) V^T the covariance of keys and L = V diag(sqrt(l)), L^T Q L = W diag(s^2) W^T
 * for that of queries. M = diag(s)^-1/2 W^T L^T and N = diag(s)^1/2 W^T L^-1 are each other's
 * inverse transposed, and M Q M^T = N K N^T = diag(s). */
int precis_axes_make(int dim, const double *query_covariance, const double *key_covariance,
                     double *to_queries, double *to_keys, double *spread, double *scratch)
{
  int64_t size = (int64_t)dim * dim;
  double *v = scratch, *l = v + size, *w = l + size, *work = w + size, *product = to_keys;
  complete(dim, key_covariance, v);
  complete(dim, query_covariance, w);
  if (decompose(dim, v, spread, work) || !positive(dim, spread))
    return PRECIS_ERR_INTERNAL;
  for (int n = 0; n < dim; n++)
    spread[n] = sqrt(spread[n]);
  scale_columns(dim, v, spread, 0, l);
  scale_columns(dim, v, spread, 1, v); /* L^-T */
  multiply_transposed(dim, w, l, product);
  multiply_transposed(dim, l, product, to_queries);
  memcpy(w, to_queries, (size_t)size * sizeof *w);
  if (decompose(dim, w, spread, work) || !positive(dim, spread))
    return PRECIS_ERR_INTERNAL;
  reverse(dim, spread); /* largest first: axis i is eigenvector dim - 1 - i */
  for (int i = 0; i < dim; i++) {
    const double *vector = w + (int64_t)(dim - 1 - i) * dim;
    spread[i] = sqrt(spread[i]);
    write_axis(dim, i, l, vector, 1 / sqrt(spread[i]), to_queries);
    write_axis(dim, i, v, vector, sqrt(spread[i]), to_keys);
  }
  return PRECIS_SUCCESS;
}

/* <M q, N k> - <q, k> = q^T (M^T N - 1) k, and what rounding does to M^T N and to M q and N k. */
double precis_axes_error(int dim, const double *to_queries, const double *to_keys)
{
  double off = 0, queries = 0, keys = 0;
  for (int a = 0; a < dim; a++)
    for (int b = 0; b < dim; b++) {
      double sum = 0;
      for (int i = 0; i < dim; i++)
        sum += to_queries[a * dim + i] * to_keys[b * dim + i];
      sum -= a == b;
      off += sum * sum;
      queries += to_queries[a * dim + b] * to_queries[a * dim + b];
      keys += to_keys[a * dim + b] * to_keys[a * dim + b];
    }
  return (sqrt(off) + (4 * dim + 8) * DBL_EPSILON * sqrt(queries) * sqrt(keys)) * (1 + 1e-9);
}

PRECIS_CLONES
static void turn(int dim, const double *restrict map, const float *restrict x,
                 const double *restrict center, double *restrict turned)
{
  for (int i = 0; i < dim; i++)
    turned[i] = 0;
  for (int c = 0; c < dim; c++) {
    double factor = x[c] - center[c];
    for (int i = 0; i < dim; i++)
      turned[i] += factor * map[c * dim + i];
  }
}

void precis_axes_turn(int dim, const double *map, const float *x, const double *center,
                      double *turned)
{
  turn(dim, map, x, center, turned);
}

void precis_axes_raise(int dim, const double *turned, double *lead, double *trail)
{
  double sum = 0;
  for (int n = 0;; n++) {
    lead[n] = fmax(lead[n], sum);
    if (n == dim)
      break;
    sum += turned[n] * turned[n];
  }
  sum = 0;
  for (int n = dim;; n--) {
    trail[n] = fmax(trail[n], sum);
    if (n == 0)
      break;
    sum += turned[n - 1] * turned[n - 1];
  }
}
