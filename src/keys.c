#include "src/keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/memory.h"
#include "src/precis.h"

/* A copy of `old` (used elements) with room for count elements, or NULL. */
static void *grown(const void *old, int64_t used, int64_t count, size_t size)
{
  void *array = precis_memory_array(count, size);
  if (array != NULL && used > 0)
    memcpy(array, old, (size_t)used * size);
  return array;
}

static int reserve_bias(precis_keys *keys)
{
  keys->bias = precis_memory_array(keys->capacity, sizeof *keys->bias);
  if (keys->bias == NULL)
    return PRECIS_ERR_MEMORY;
  memset(keys->bias, 0, (size_t)keys->rows * sizeof *keys->bias);
  return PRECIS_SUCCESS;
}

/* The first rows get exactly the room they need, later ones grow the arrays by half, so that
 * appending one token at a time costs O(1) a token. */
static int grow(precis_keys *keys, int64_t need)
{
  precis_keys next = *keys;
  int64_t half_more = keys->capacity + keys->capacity / 2;
  int64_t k_row = (int64_t)keys->kv_heads * keys->dim,
          v_row = (int64_t)keys->kv_heads * keys->value_dim;
  next.capacity = need > half_more ? need : half_more;
  next.k = grown(keys->k, keys->rows * k_row, next.capacity * k_row, sizeof *next.k);
  next.v = grown(keys->v, keys->rows * v_row, next.capacity * v_row, sizeof *next.v);
  if (keys->bias != NULL)
    next.bias = grown(keys->bias, keys->rows, next.capacity, sizeof *next.bias);
  next.position = grown(keys->position, keys->rows, next.capacity, sizeof *next.position);
  if (!next.k || !next.v || !next.position || (keys->bias && !next.bias)) {
    precis_keys_free(&next);
    return PRECIS_ERR_MEMORY;
  }
  precis_keys_free(keys);
  *keys = next;
  return PRECIS_SUCCESS;
}

int precis_keys_reserve(precis_keys *keys, int64_t more, int with_bias)
{
  if (more > keys->capacity - keys->rows) {
    int status =
        more > INT64_MAX / 2 - keys->rows ? PRECIS_ERR_MEMORY : grow(keys, keys->rows + more);
    if (status != PRECIS_SUCCESS)
      return status;
  }
  return with_bias && keys->bias == NULL ? reserve_bias(keys) : PRECIS_SUCCESS;
}

void precis_keys_add(precis_keys *keys, int64_t first_position, int64_t rows, const float *k,
                     const float *v, const float *bias)
{
  if (rows == 0)
    return;
  int64_t k_row = (int64_t)keys->kv_heads * keys->dim,
          v_row = (int64_t)keys->kv_heads * keys->value_dim;
  memcpy(keys->k + keys->rows * k_row, k, (size_t)(rows * k_row) * sizeof *k);
  memcpy(keys->v + keys->rows * v_row, v, (size_t)(rows * v_row) * sizeof *v);
  if (bias != NULL)
    memcpy(keys->bias + keys->rows, bias, (size_t)rows * sizeof *bias);
  else if (keys->bias != NULL)
    memset(keys->bias + keys->rows, 0, (size_t)rows * sizeof *bias);
  for (int64_t i = 0; i < rows; i++)
    keys->position[keys->rows + i] = first_position + i;
  keys->rows += rows;
}

void precis_keys_append(precis_keys *keys, const precis_keys *from)
{
  int64_t first = keys->rows;
  precis_keys_add(keys, 0, from->rows, from->k, from->v, from->bias);
  for (int64_t i = 0; i < from->rows; i++)
    keys->position[first + i] = from->position[i];
}

void precis_keys_free(precis_keys *keys)
{
  free(keys->k);
  free(keys->v);
  free(keys->bias);
  free(keys->position);
  *keys = (precis_keys){0};
}

int precis_keys_masked(const precis_keys *keys, int64_t row)
{
  return keys->bias != NULL && keys->bias[row] == -INFINITY;
}
