#include "src/exact/parcel.h"

#include <string.h>

#include "src/base/clones.h"

static const double LOG2_E = 1.44269504088896340736;

int64_t precis_parcel_bytes(const precis_parcel_kind *kind, int64_t rows)
{
  int64_t words = (int64_t)kind->heads * (kind->dim + precis_parcel_columns(kind)) + (kind->with_bias ? 1 : 0);
  return rows *
         (words * (int64_t)sizeof(float) + (kind->with_positions ? (int64_t)sizeof(int64_t) : 0));
}

static float *k_part(const precis_parcel_kind *kind, int64_t rows, void *buffer)
{
  return (float *)((int64_t *)buffer + (kind->with_positions ? rows : 0));
}

static float *v_part(const precis_parcel_kind *kind, int64_t rows, void *buffer)
{
  return k_part(kind, rows, buffer) + rows * kind->heads * kind->dim;
}

static float *bias_part(const precis_parcel_kind *kind, int64_t rows, void *buffer)
{
  return v_part(kind, rows, buffer) + rows * kind->heads * precis_parcel_columns(kind);
}

static inline void center_row(float *restrict to, const float *restrict from,
                              const double *restrict center, const double *restrict factor, int n)
{
  for (int c = 0; c < n; c++)
    to[c] = (float)((from[c] - center[c]) * (factor ? factor[c] : 1));
}

/* Rows of one head, `width` wide, of an array of all heads, to rows `to_width` wide. factor: NULL for
 * 1. Cloned as a whole: rows are short. */
PRECIS_CLONES
static void pack_rows(const precis_keys *keys, const float *from, int width, int head,
                      int64_t first, int64_t rows, const double *center, const double *factor,
                      float *to, int to_width)
{
  for (int64_t j = 0; j < rows; j++) {
    int64_t row = first + j;
    if (precis_keys_masked(keys, row))
      memset(to + j * to_width, 0, (size_t)to_width * sizeof *to);
    else
      center_row(to + j * to_width, from + (row * keys->kv_heads + head) * width,
                 center + (int64_t)head * width, factor ? factor + (int64_t)head * width : NULL,
                 width);
  }
}

/* Deviations of the same rows, beside their values; masked ones have none. */
static void pack_deviations(const precis_keys *keys, int head, int64_t first, int64_t rows,
                            const precis_terms *terms, float *v)
{
  int dv = keys->value_dim, columns = dv + 1;
  const precis_norm norm = precis_terms_norm(terms, head);
  precis_norm_distances(&norm, rows, keys->v + (first * keys->kv_heads + head) * dv,
                        (int64_t)keys->kv_heads * dv, terms->v_center + (int64_t)head * dv, v + dv,
                        columns);
  for (int64_t j = 0; j < rows && keys->bias != NULL; j++)
    if (precis_keys_masked(keys, first + j))
      v[j * columns + dv] = 0;
}

static void pack_bias(const precis_keys *keys, int64_t first, int64_t rows, double center,
                      float *bias)
{
  for (int64_t j = 0; j < rows; j++)
    bias[j] = (float)(((keys->bias ? keys->bias[first + j] : 0) - center) * LOG2_E);
}

void precis_parcel_pack(const precis_parcel_kind *kind, const precis_keys *keys, int64_t first,
                        int64_t rows, const precis_terms *terms, int threads, void *buffer)
{
  precis_parcel_pack_some(kind, keys, first, rows, terms, NULL, threads, buffer);
}

void precis_parcel_pack_some(const precis_parcel_kind *kind, const precis_keys *keys, int64_t first,
                             int64_t rows, const precis_terms *terms, const unsigned char *wanted,
                             int threads, void *buffer)
{
  int columns = precis_parcel_columns(kind);
  float *k = k_part(kind, rows, buffer), *v = v_part(kind, rows, buffer);
  if (kind->with_positions && rows > 0)
    memcpy(buffer, keys->position + first, (size_t)rows * sizeof *keys->position);
  if (kind->with_bias)
    pack_bias(keys, first, rows, terms->bias_center, bias_part(kind, rows, buffer));
  /* Rows are shared out, too: there may be one head. */
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int i = 0; i < kind->heads * threads; i++) {
    int h = i / threads, head = kind->first_head + h, part = i % threads;
    int64_t from = rows * part / threads, some = rows * (part + 1) / threads - from;
    if (wanted != NULL && !wanted[head])
      continue;
    float *v_rows = v + (h * rows + from) * columns;
    pack_rows(keys, keys->k, kind->dim, head, first + from, some, terms->k_center, NULL,
              k + (h * rows + from) * kind->dim, kind->dim);
    pack_rows(keys, keys->v, kind->value_dim, head, first + from, some, terms->v_center, terms->fold,
              v_rows, columns);
    pack_deviations(keys, head, first + from, some, terms, v_rows);
  }
}

precis_tile precis_parcel_tile(const precis_parcel_kind *kind, int64_t rows, const void *buffer,
                               int head)
{
  void *base = (void *)(uintptr_t)buffer;
  precis_tile tile = {.keys = rows};
  tile.k = k_part(kind, rows, base) + head * rows * kind->dim;
  tile.v = v_part(kind, rows, base) + head * rows * precis_parcel_columns(kind);
  tile.bias = kind->with_bias ? bias_part(kind, rows, base) : NULL;
  return tile;
}

const int64_t *precis_parcel_positions(const precis_parcel_kind *kind, const void *buffer)
{
  return kind->with_positions ? buffer : NULL;
}
