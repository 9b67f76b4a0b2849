#include "src/summary/features.h"

#include <string.h>

#include "src/base/clones.h"

/* Monomial number `index` of those of a degree in the variables from `variable` to end - 1. */
static void decode(int variable, int end, int degree, int64_t index, int *variables)
{
  for (int i = 0; i < degree; i++) {
    /* Those whose place i holds `variable` go on with any monomial in the variables from it on. */
    for (int64_t size;
         index >= (size = precis_features_homogeneous(end - variable, degree - 1 - i)); variable++)
      index -= size;
    variables[i] = variable;
  }
}

precis_monomial precis_monomial_at(const precis_feature_set *set, int64_t feature)
{
  precis_monomial m = {0};
  for (int64_t size; (size = precis_feature_block_size(set, m.block)) >= 0 && feature >= size;
       m.block++)
    feature -= size;
  precis_feature_block block = set->block[m.block];
  int64_t inner = precis_features_homogeneous(set->dim - set->lead, block.trail);
  m.lead = block.lead;
  m.degree = block.lead + block.trail;
  decode(0, set->lead, block.lead, feature / inner, m.variable);
  decode(set->lead, set->dim, block.trail, feature % inner, m.variable + block.lead);
  return m;
}

/* The first monomial of block m->block, if there is one. */
static void begin_block(const precis_feature_set *set, precis_monomial *m)
{
  if (m->block == set->blocks)
    return;
  m->lead = set->block[m->block].lead;
  m->degree = m->lead + set->block[m->block].trail;
  for (int i = 0; i < m->degree; i++)
    m->variable[i] = i < m->lead ? 0 : set->lead;
}

int precis_monomial_next(const precis_feature_set *set, precis_monomial *m)
{
  int place = m->degree - 1;
  while (place >= 0 && m->variable[place] == (place < m->lead ? set->lead : set->dim) - 1)
    place--;
  if (place < 0) {
    m->block++;
    begin_block(set, m);
    return 0;
  }
  int variable = m->variable[place] + 1;
  for (int i = place; i < m->degree; i++)
    m->variable[i] = place < m->lead && i >= m->lead ? set->lead : variable;
  return place;
}

double precis_monomial_orders(const precis_monomial *m)
{
  double orders = 1;
  for (int i = 0, equal = 0; i < m->degree; i++) {
    equal = i > 0 && m->variable[i] == m->variable[i - 1] ? equal + 1 : 1;
    orders = orders * (i < m->lead ? i + 1 : i + 1 - m->lead) / equal;
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

typedef double quad __attribute__((vector_size(32), aligned(8)));

/* Adds a 4 x 4 block of rows to rows of the other matrix. */
static inline __attribute__((always_inline)) void add_transposed(int64_t ld, const double *from,
                                                                 int64_t stride, double *to)
{
#ifdef SHUFFLES
  quad in[4], out[4];
  for (int i = 0; i < 4; i++)
    in[i] = *(const quad *)(const void *)(from + i * ld);
  quad ab0 = __builtin_shufflevector(in[0], in[1], 0, 4, 2, 6),
       ab1 = __builtin_shufflevector(in[0], in[1], 1, 5, 3, 7);
  quad cd0 = __builtin_shufflevector(in[2], in[3], 0, 4, 2, 6),
       cd1 = __builtin_shufflevector(in[2], in[3], 1, 5, 3, 7);
  out[0] = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
  out[1] = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
  out[2] = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
  out[3] = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
  for (int i = 0; i < 4; i++)
    *(quad *)(void *)(to + i * stride) += out[i];
#else
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      to[i * stride + j] += from[j * ld + i];
#endif
}

PRECIS_CLONES
static void unload(int dim, int64_t tokens, const double *rows, int64_t ld, int64_t stride,
                   double *x)
{
  int64_t whole = tokens - tokens % 4;
  int wide = dim - dim % 4;
  for (int64_t t = 0; t < whole; t += 4)
    for (int c = 0; c < wide; c += 4)
      add_transposed(ld, rows + c * ld + t, stride, x + t * stride + c);
  for (int c = 0; c < dim; c++)
    for (int64_t t = c < wide ? whole : 0; t < tokens; t++)
      x[t * stride + c] += rows[c * ld + t];
}

void precis_features_unload(int dim, int64_t tokens, const double *rows, int64_t ld, int64_t stride,
                            double *x)
{
  unload(dim, tokens, rows, ld, stride, x);
}
