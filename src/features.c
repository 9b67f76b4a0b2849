#include "src/features.h"

#include <string.h>

#include "src/clones.h"

static int64_t greatest_divisor(int64_t a, int64_t b)
{
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* C(n, k), or -1. After step i the product is C(n - k + i, i), an integer; dividing before
 * multiplying keeps all that lies between below the result. */
static int64_t choose(int64_t n, int64_t k)
{
  int64_t result = 1;
  for (int64_t i = 1; i <= k; i++) {
    int64_t up = n - k + i, common = greatest_divisor(up, i), down = i / common;
    if (__builtin_mul_overflow(result / down, up / common, &result))
      return -1;
  }
  return result;
}

int64_t precis_features_count(int dim, int degree)
{
  return degree < 0 ? 0 : choose(dim + (int64_t)degree, degree);
}

/* Monomials of degree exactly `degree` in so many variables; INT64_MAX if that many or more. */
static int64_t homogeneous(int variables, int degree)
{
  int64_t count = choose(variables + (int64_t)degree - 1, degree);
  return count < 0 ? INT64_MAX : count;
}

precis_monomial precis_monomial_at(int dim, int64_t feature)
{
  precis_monomial m = {0};
  for (int64_t size; feature >= (size = homogeneous(dim, m.degree)); m.degree++)
    feature -= size;
  int variable = 0;
  for (int i = 0; i < m.degree; i++) {
    /* Those whose place i holds `variable` go on with any monomial in the variables from it on. */
    for (int64_t size; feature >= (size = homogeneous(dim - variable, m.degree - 1 - i));
         variable++)
      feature -= size;
    m.variable[i] = variable;
  }
  return m;
}

int precis_monomial_next(int dim, precis_monomial *m)
{
  int place = m->degree - 1;
  while (place >= 0 && m->variable[place] == dim - 1)
    place--;
  if (place < 0) {
    m->degree++;
    for (int i = 0; i < m->degree && i < PRECIS_FEATURES_DEGREE_MAX; i++)
      m->variable[i] = 0;
    return 0;
  }
  int variable = m->variable[place] + 1;
  for (int i = place; i < m->degree; i++)
    m->variable[i] = variable;
  return place;
}

double precis_monomial_orders(const precis_monomial *m)
{
  double orders = 1;
  for (int i = 0, equal = 0; i < m->degree; i++) {
    equal = i > 0 && m->variable[i] == m->variable[i - 1] ? equal + 1 : 1;
    orders = orders * (i + 1) / equal;
  }
  return orders;
}

/* What precis_features_make does to one row. */
PRECIS_CLONES
static void multiply(int64_t tokens, const float *restrict a, const float *restrict b,
                     float *restrict product)
{
  for (int64_t t = 0; t < tokens; t++)
    product[t] = a[t] * b[t];
}

void precis_features_make(const precis_feature_chunk *chunk, int64_t tokens, int64_t ld,
                          const float *factor, float *prefix, float *rows)
{
  for (int i = 0; i < chunk->prefixes; i++)
    multiply(tokens, prefix + chunk->prefix[i].prefix * ld, factor + chunk->prefix[i].factor * ld,
             prefix + (1 + i) * ld);
  for (int i = 0; i < chunk->features; i++)
    multiply(tokens, prefix + chunk->feature[i].prefix * ld, factor + chunk->feature[i].factor * ld,
             rows + i * ld);
}

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLES
#endif
#endif

typedef float four __attribute__((vector_size(16), aligned(4)));

/* A 4 x 4 block from rows of the one matrix to rows of the other, four at a time: element by
 * element the strided stores would cost as much as several features. */
static inline void transpose(const four *in, four *out)
{
#ifdef SHUFFLES
  four ab0 = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5),
       ab1 = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
  four cd0 = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5),
       cd1 = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
  out[0] = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
  out[1] = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
  out[2] = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
  out[3] = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
#else
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      out[i][j] = in[j][i];
#endif
}

void precis_features_load(int dim, int64_t tokens, int64_t padded, const float *x, int64_t stride,
                          int64_t ld, float *rows)
{
  int64_t whole = tokens - tokens % 4;
  int wide = dim - dim % 4;
  for (int64_t t = 0; t < whole; t += 4)
    for (int c = 0; c < wide; c += 4) {
      four in[4], out[4];
      for (int i = 0; i < 4; i++)
        in[i] = *(const four *)(x + (t + i) * stride + c);
      transpose(in, out);
      for (int i = 0; i < 4; i++)
        *(four *)(rows + (c + i) * ld + t) = out[i];
    }
  for (int c = 0; c < dim; c++) {
    for (int64_t t = c < wide ? whole : 0; t < tokens; t++)
      rows[c * ld + t] = x[t * stride + c];
    memset(rows + c * ld + tokens, 0, (size_t)(padded - tokens) * sizeof *rows);
  }
}

void precis_features_unload(int dim, int64_t tokens, const float *rows, int64_t ld, int64_t stride,
                            float *x)
{
  int64_t whole = tokens - tokens % 4;
  int wide = dim - dim % 4;
  for (int64_t t = 0; t < whole; t += 4)
    for (int c = 0; c < wide; c += 4) {
      four in[4], out[4];
      for (int i = 0; i < 4; i++)
        in[i] = *(const four *)(rows + (c + i) * ld + t);
      transpose(in, out);
      for (int i = 0; i < 4; i++)
        *(four *)(x + (t + i) * stride + c) += out[i];
    }
  for (int c = 0; c < dim; c++)
    for (int64_t t = c < wide ? whole : 0; t < tokens; t++)
      x[t * stride + c] += rows[c * ld + t];
}
