#include "tests/attention_data.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/problem.h"

static float bias_of(const attention_case *c, int64_t j)
{
  unsigned hash = (unsigned)j * 2654435761u >> 16;
  double factor = c->bias_factor != 0 ? c->bias_factor : 1;
  switch (c->bias) {
  case BIAS_HALF_MASKED:
    return hash % 2 ? -INFINITY : (float)(factor * ((double)(hash % 100) / 50 - 1));
  case BIAS_ALL_MASKED:
    return -INFINITY;
  default:
    return (float)(factor * ((double)(hash % 1000) / 100 - 5));
  }
}

static void shift(int64_t count, double offset, float *x)
{
  for (int64_t i = 0; i < count && offset != 0; i++)
    x[i] = (float)(x[i] + offset);
}

/* Axis c of every row of `width` numbers, heads of dim one after the other. */
static void shrink_axes(int64_t count, int dim, double decay, float *x)
{
  for (int64_t i = 0; i < count && decay != 0; i++)
    x[i] = (float)(x[i] * pow(1 + (double)(i % dim), -decay));
}

/* Rows of `dim` numbers reflected in a few directions, the same every time. */
static void turn(int64_t rows, int dim, float *x)
{
  double mirror[PRECIS_DIM_MAX];
  for (int m = 0; m < 4; m++) {
    double square = 0;
    for (int c = 0; c < dim; c++) {
      mirror[c] = sin(1.7 * (c + 1) * (m + 1) + m);
      square += mirror[c] * mirror[c];
    }
    for (int64_t i = 0; i < rows; i++) {
      double dot = 0;
      for (int c = 0; c < dim; c++)
        dot += mirror[c] * x[i * dim + c];
      for (int c = 0; c < dim; c++)
        x[i * dim + c] = (float)(x[i * dim + c] - 2 * dot / square * mirror[c]);
    }
  }
}

static void move_keys(const attention_case *c, int64_t width, int dim, float *k)
{
  for (int64_t i = 0; i < c->keys * width; i++) {
    int64_t key = i / width;
    double longer = c->heavy_factor > 0 ? c->heavy_factor : 10;
    double factor = c->heavy > 0 && key % c->heavy == c->heavy - 1 ? longer : 1;
    double moved = c->drift * (double)key / (double)c->keys;
    k[i] = (float)(k[i] * factor + (i % dim % 2 ? -moved : moved));
  }
}

attention_data attention_data_make(const attention_case *c)
{
  attention_data d = {.c = c, .problem = c->problem};
  precis_problem_settle(&d.problem, NULL);
  int dim = d.problem.dim;
  precis_recipe recipe = {.kind = c->kind,
                          .problem = d.problem,
                          .spread = c->strength > 0 ? c->strength : 1,
                          .signal = c->signal,
                          .seed = c->seed ? c->seed : 7};
  int64_t q = precis_generate_width(&recipe, PRECIS_ROLE_Q),
          k = precis_generate_width(&recipe, PRECIS_ROLE_K);
  int64_t v = precis_generate_width(&recipe, PRECIS_ROLE_V);
  d.q = malloc((size_t)(c->queries * q + 1) * sizeof *d.q);
  d.k = malloc((size_t)(c->keys * k + 1) * sizeof *d.k);
  d.v = malloc((size_t)(c->keys * v + 1) * sizeof *d.v);
  d.bias = malloc((size_t)(c->keys + 1) * sizeof *d.bias);
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, 0, c->queries, d.q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, 0, c->keys, d.k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, c->keys, d.v);
  shrink_axes(c->queries * q, dim, c->decay, d.q);
  shrink_axes(c->keys * k, dim, c->decay + c->key_decay, d.k);
  if (c->turned) {
    turn(c->queries * q / dim, dim, d.q);
    turn(c->keys * k / dim, dim, d.k);
  }
  for (int64_t i = 0; i < q && c->length > 0 && c->long_query < c->queries; i++)
    d.q[c->long_query * q + i] = (float)(d.q[c->long_query * q + i] * c->length);
  for (int64_t i = 0; c->short_step > 0 && i < c->queries * q; i++)
    d.q[i] *= i / q % c->short_step == 0 ? .1f : 1;
  move_keys(c, k, dim, d.k);
  shift(c->queries * q, c->query_offset, d.q);
  shift(c->keys * k, c->key_offset, d.k);
  shift(c->keys * v, c->value_offset, d.v);
  for (int64_t j = 0; j < c->keys; j++)
    d.bias[j] = bias_of(c, j);
  return d;
}

void attention_data_free(attention_data *d)
{
  free(d->q);
  free(d->k);
  free(d->v);
  free(d->bias);
}
