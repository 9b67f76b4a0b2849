/* keys.h - the keys and values that one rank holds
 *
 * Kept as they were given, token-major: centring happens in cache when a block of them is used, so
 * that a later, better centre costs no accuracy. Positions ascend. */
#ifndef PRECIS_SRC_KEYS_H
#define PRECIS_SRC_KEYS_H

#include <stdint.h>

typedef struct precis_keys {
  int kv_heads, dim, value_dim;
  int64_t rows, capacity;
  float *k;          /* rows x kv_heads x dim */
  float *v;          /* rows x kv_heads x value_dim */
  float *bias;       /* rows, natural log; NULL while no key has had one */
  int64_t *position; /* rows: in the whole sequence */
} precis_keys;

/* Makes room for `more` rows (with a bias array if with_bias). Errors: MEMORY; the keys are then as
 * they were. */
int precis_keys_reserve(precis_keys *keys, int64_t more, int with_bias);

/* Adds rows at positions first_position, first_position + 1, ... There must be room. bias may be
 * NULL. */
void precis_keys_add(precis_keys *keys, int64_t first_position, int64_t rows, const float *k,
                     const float *v, const float *bias);

/* Adds all rows of `from` with their positions as they are. There must be room, and if `from` has
 * biases an array for them. */
void precis_keys_append(precis_keys *keys, const precis_keys *from);

void precis_keys_free(precis_keys *keys);

/* A key with weight zero. */
int precis_keys_masked(const precis_keys *keys, int64_t row);

#endif
