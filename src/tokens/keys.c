#include "src/tokens/keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/precis.h"

/* A copy of `old` (used elements) with room for count elements, or NULL. */
static void *grown(const void *old, int64_t used, int64_t count, size_t size)
{
  void *array = precis_memory_array(count, size);
  if (array != NULL && used > 0)
    memcpy(array, old, (size_t)used * size);
  return array;
}

/* Arrays in strips: k, v, bias, position. */
enum { K, V, BIAS, POSITION, STRIPS };

static void row_bytes(const precis_keys *keys, int64_t bytes[STRIPS])
{
  bytes[K] = (int64_t)keys->kv_heads * keys->dim * (int64_t)sizeof *keys->k;
  bytes[V] = (int64_t)keys->kv_heads * keys->value_dim * (int64_t)sizeof *keys->v;
  bytes[BIAS] = (int64_t)sizeof *keys->bias;
  bytes[POSITION] = (int64_t)sizeof *keys->position;
}

/* Where the strips lie now, and what they have room for. */
static void look_up(precis_keys *keys)
{
  int64_t row[STRIPS];
  row_bytes(keys, row);
  keys->k = (float *)(void *)keys->strips[K].at;
  keys->v = (float *)(void *)keys->strips[V].at;
  keys->bias = (float *)(void *)keys->strips[BIAS].at;
  keys->position = (int64_t *)(void *)keys->strips[POSITION].at;
  keys->capacity = INT64_MAX;
  for (int i = 0; i < STRIPS; i++)
    if (i != BIAS || keys->bias != NULL)
      keys->capacity = keys->strips[i].bytes / row[i] < keys->capacity
                           ? keys->strips[i].bytes / row[i]
                           : keys->capacity;
}

static int grow_strips(precis_keys *keys, int64_t need, int with_bias)
{
  int status = PRECIS_SUCCESS;
  int64_t row[STRIPS];
  row_bytes(keys, row);
  for (int i = 0; i < STRIPS && status == PRECIS_SUCCESS; i++)
    if (i != BIAS || with_bias)
      status = precis_strip_reserve(&keys->strips[i], need * row[i]);
  int had_bias = keys->bias != NULL;
  look_up(keys);
  if (!had_bias && keys->bias != NULL)
    memset(keys->bias, 0, (size_t)keys->rows * sizeof *keys->bias);
  return status;
}

static int reserve_bias(precis_keys *keys)
{
  if (keys->strips != NULL)
    return grow_strips(keys, keys->capacity, 1);
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
  if (keys->strips != NULL)
    return grow_strips(keys, need, keys->bias != NULL);
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

precis_keys_room precis_keys_next(const precis_keys *keys)
{
  precis_keys_room room = {keys->k, keys->v, keys->bias};
  if (keys->rows > 0) { /* NULL + 0 is nothing in C */
    room.k += keys->rows * keys->kv_heads * keys->dim;
    room.v += keys->rows * keys->kv_heads * keys->value_dim;
    room.bias = keys->bias ? keys->bias + keys->rows : NULL;
  }
  return room;
}

void precis_bias_settle(float *bias, int64_t rows)
{
  for (int64_t i = 0; i < rows; i++)
    bias[i] = bias[i] <= PRECIS_BIAS_MASK ? -INFINITY : bias[i];
}

void precis_keys_take(precis_keys *keys, int64_t first_position, int64_t rows)
{
  for (int64_t i = 0; i < rows; i++)
    keys->position[keys->rows + i] = first_position + i;
  if (keys->bias != NULL)
    precis_bias_settle(keys->bias + keys->rows, rows);
  keys->rows += rows;
}

void precis_keys_add(precis_keys *keys, int64_t first_position, int64_t rows, const float *k,
                     const float *v, const float *bias)
{
  if (rows == 0)
    return;
  precis_keys_room to = precis_keys_next(keys);
  memcpy(to.k, k, (size_t)(rows * keys->kv_heads * keys->dim) * sizeof *k);
  memcpy(to.v, v, (size_t)(rows * keys->kv_heads * keys->value_dim) * sizeof *v);
  if (bias != NULL)
    memcpy(to.bias, bias, (size_t)rows * sizeof *bias);
  else if (to.bias != NULL)
    memset(to.bias, 0, (size_t)rows * sizeof *bias);
  precis_keys_take(keys, first_position, rows);
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
  for (int i = 0; i < STRIPS && keys->strips != NULL; i++)
    precis_strip_free(&keys->strips[i]);
  if (keys->strips == NULL) {
    free(keys->k);
    free(keys->v);
    free(keys->bias);
    free(keys->position);
  }
  free(keys->strips);
  *keys = (precis_keys){0};
}

int precis_keys_share(precis_keys *keys)
{
  keys->strips = calloc(STRIPS, sizeof *keys->strips);
  return keys->strips ? grow_strips(keys, 0, 0) : PRECIS_ERR_MEMORY;
}

int precis_keys_fork(precis_keys *keys, int64_t end, precis_keys *child)
{
  precis_keys made = *keys;
  int64_t row[STRIPS];
  int status = PRECIS_SUCCESS;
  row_bytes(keys, row);
  while (made.rows > 0 && keys->position[made.rows - 1] >= end)
    made.rows--;
  made.strips = calloc(STRIPS, sizeof *made.strips);
  if (made.strips == NULL)
    return PRECIS_ERR_MEMORY;
  for (int i = 0; i < STRIPS && status == PRECIS_SUCCESS; i++)
    if (i != BIAS || keys->bias != NULL)
      status = precis_strip_fork(&keys->strips[i], keys->rows * row[i], made.rows * row[i],
                                 &made.strips[i]);
  look_up(keys);
  if (status != PRECIS_SUCCESS) {
    precis_keys_free(&made);
    return status;
  }
  look_up(&made);
  *child = made;
  return PRECIS_SUCCESS;
}

int64_t precis_keys_weigh(const precis_keys *keys, int64_t number)
{
  int64_t bytes = 0;
  for (int i = 0; i < STRIPS && keys->strips != NULL; i++)
    bytes += precis_strip_weigh(&keys->strips[i], number);
  return bytes;
}

int precis_keys_masked(const precis_keys *keys, int64_t row)
{
  return keys->bias != NULL && keys->bias[row] == -INFINITY;
}

int64_t precis_keys_row_bytes(const precis_problem *p, int with_bias)
{
  return (int64_t)sizeof(float) * ((int64_t)p->kv_heads * (p->dim + p->value_dim) + (with_bias != 0)) +
         (int64_t)sizeof(int64_t);
}
