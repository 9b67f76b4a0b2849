#include "src/summary/outliers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/bulk.h"
#include "src/base/memory.h"
#include "src/precis.h"
#include "src/base/weaken.h"

/* Eight bins an octave, from 2^-8 on. */
enum { BINS_AN_OCTAVE = 8, FIRST_OCTAVE = -8 };

/* A level must lower the limit by this factor to be worth considering. */
static const double WORTH = 0.95;

static double key_norm(const precis_keys *keys, const double *center, int64_t row, int g)
{
  int64_t at = (row * keys->kv_heads + g) * keys->dim;
  return precis_bulk_query_radius(keys->dim, 1, 1, keys->k + at, keys->dim,
                                  center + (int64_t)g * keys->dim);
}

void precis_outliers_key_norms(const precis_keys *keys, const double *center, int64_t step,
                               double *sums, double *count)
{
  for (int64_t j = 0; j < keys->rows; j++) {
    if (keys->position[j] % step != 0 || precis_keys_masked(keys, j))
      continue;
    for (int g = 0; g < keys->kv_heads; g++)
      sums[g] += key_norm(keys, center, j, g);
    *count += 1;
  }
}

double precis_outliers_rho(double norm, double unit)
{
  return norm > 0 ? norm / unit : 0;
}

static double rho_of(const precis_keys *keys, const double *center, const double *unit, int64_t row)
{
  double most = 0;
  for (int g = 0; g < keys->kv_heads && !precis_keys_masked(keys, row); g++)
    most = fmax(most, precis_outliers_rho(key_norm(keys, center, row, g), unit[g]));
  return most;
}

double precis_outliers_radius(double longest, double unit, double rho)
{
  double within = rho * (1 + 1e-12) * unit;
  return precis_weaken(PRECIS_BOUND_RADIUS, isinf(rho) || longest < within ? longest : within);
}

void precis_outliers_key_rho(const precis_keys *keys, const double *center, const double *unit,
                             double *rho)
{
  for (int64_t j = 0; j < keys->rows; j++)
    rho[j] = rho_of(keys, center, unit, j);
}

/* 2^(i/8): a bin's edge is one of these times a power of two, so that it is the same wherever it
 * is computed. */
static const double EIGHTH[BINS_AN_OCTAVE + 1] = {1,
                                                  1.0905077326652577,
                                                  1.189207115002721,
                                                  1.2968395546510096,
                                                  1.4142135623730951,
                                                  1.5422108254079407,
                                                  1.681792830507429,
                                                  1.8340080864093424,
                                                  2};

double precis_outliers_edge(int bin)
{
  if (bin >= PRECIS_NORM_BINS - 1)
    return INFINITY;
  return ldexp(EIGHTH[bin % BINS_AN_OCTAVE], FIRST_OCTAVE + bin / BINS_AN_OCTAVE);
}

int precis_outliers_bin(double rho)
{
  int exponent, eighths = 0;
  double mantissa = 2 * frexp(rho, &exponent); /* in [1, 2) */
  if (!isfinite(rho))
    return PRECIS_NORM_BINS - 1;
  while (mantissa > EIGHTH[eighths])
    eighths++;
  int64_t bin = (int64_t)(exponent - 1 - FIRST_OCTAVE) * BINS_AN_OCTAVE + eighths;
  return rho > 0 && bin > 0 ? (int)(bin < PRECIS_NORM_BINS ? bin : PRECIS_NORM_BINS - 1) : 0;
}

precis_levels precis_outliers_levels(const int64_t *histogram)
{
  precis_levels levels = {.count = 1, .rho = {INFINITY}};
  int64_t total = 0, beyond = 0;
  int bin = PRECIS_NORM_BINS - 1;
  for (int b = 0; b < PRECIS_NORM_BINS; b++)
    total += histogram[b];
  while (bin > 0 && histogram[bin] == 0)
    bin--;
  double before = precis_outliers_edge(bin);
  for (int l = 1; l < PRECIS_LEVELS; l++) {
    int64_t most = total >> (15 - 3 * l);
    while (bin > 0 && beyond + histogram[bin] <= most)
      beyond += histogram[bin--];
    double edge = precis_outliers_edge(bin);
    if (isinf(edge) || !(edge <= WORTH * before))
      continue;
    levels.rho[levels.count] = before = edge;
    levels.beyond[levels.count++] = beyond;
  }
  return levels;
}

int precis_outliers_level(const precis_levels *levels, double rho)
{
  int level = levels->count - 1;
  while (level > 0 && rho > levels->rho[level])
    level--;
  return level;
}

static void take(const precis_keys *keys, int64_t row, precis_keys *to)
{
  int64_t k_row = (int64_t)keys->kv_heads * keys->dim,
          v_row = (int64_t)keys->kv_heads * keys->value_dim;
  const float *bias = keys->bias ? keys->bias + row : NULL;
  precis_keys_add(to, keys->position ? keys->position[row] : 0, 1, keys->k + row * k_row,
                  keys->v + row * v_row, bias);
}

int precis_outliers_split(const precis_keys *keys, const double *center, const double *unit,
                          double rho, precis_split_keys *split)
{
  int64_t count = 0;
  *split = (precis_split_keys){
      .bulk = *keys,
      .tokens = {.kv_heads = keys->kv_heads, .dim = keys->dim, .value_dim = keys->value_dim}};
  split->bulk.bias = precis_memory_array(keys->rows, sizeof *keys->bias);
  if (split->bulk.bias == NULL)
    return PRECIS_ERR_MEMORY;
  for (int64_t j = 0; j < keys->rows; j++) {
    int out = rho_of(keys, center, unit, j) > rho;
    split->bulk.bias[j] = out ? -INFINITY : keys->bias ? keys->bias[j] : 0;
    count += out;
  }
  int status = precis_keys_reserve(&split->tokens, count, 1);
  if (status != PRECIS_SUCCESS) {
    precis_outliers_free(split);
    return status;
  }
  for (int64_t j = 0; j < keys->rows && count > 0; j++)
    if (split->bulk.bias[j] == -INFINITY && !precis_keys_masked(keys, j))
      take(keys, j, &split->tokens);
  return PRECIS_SUCCESS;
}

void precis_outliers_free(precis_split_keys *split)
{
  free(split->bulk.bias);
  precis_keys_free(&split->tokens);
  *split = (precis_split_keys){.bulk = {0}};
}
