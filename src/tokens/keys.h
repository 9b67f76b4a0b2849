/* keys.h - the keys and values that one rank holds
 *
 * Kept as they were given, token-major: centring happens in cache when a block of them is used, so
 * that a later, better centre costs no accuracy. Positions ascend. */
#ifndef PRECIS_SRC_TOKENS_KEYS_H
#define PRECIS_SRC_TOKENS_KEYS_H

#include <stdint.h>

#include "src/precis.h"
#include "src/tokens/strip.h"

typedef struct precis_keys {
  int kv_heads, dim, value_dim;
  int64_t rows, capacity;
  float *k;             /* rows x kv_heads x dim */
  float *v;             /* rows x kv_heads x value_dim */
  float *bias;          /* rows, natural log; NULL while no key has had one */
  int64_t *position;    /* rows: in the whole sequence */
  precis_strip *strips; /* where the arrays lie, if others may share them; NULL: plain memory */
} precis_keys;

/* From now on others may share what is there. There must be no rows yet. Errors: MEMORY. */
int precis_keys_share(precis_keys *keys);

/* Makes `child` of the first rows, those at positions before `end`: what is there lies in memory
 * once, what either adds is its own. Errors: MEMORY. */
int precis_keys_fork(precis_keys *keys, int64_t end, precis_keys *child);

/* Bytes that were not weighed with this number yet, see precis_strip_weigh(). */
int64_t precis_keys_weigh(const precis_keys *keys, int64_t number);

/* Makes room for `more` rows (with a bias array if with_bias). Errors: MEMORY; the keys are then as
 * they were. */
int precis_keys_reserve(precis_keys *keys, int64_t more, int with_bias);

/* Where the next row goes. */
typedef struct precis_keys_room {
  float *k, *v, *bias; /* bias: NULL while no key has had one */
} precis_keys_room;

precis_keys_room precis_keys_next(const precis_keys *keys);

/* Takes in rows that have been put there (zeros where there is no bias), at positions
 * first_position, first_position + 1, ... There must be room. */
void precis_keys_take(precis_keys *keys, int64_t first_position, int64_t rows);

/* The same with copies of rows. bias may be NULL. */
void precis_keys_add(precis_keys *keys, int64_t first_position, int64_t rows, const float *k,
                     const float *v, const float *bias);

/* Adds all rows of `from` with their positions as they are. There must be room, and if `from` has
 * biases an array for them. */
void precis_keys_append(precis_keys *keys, const precis_keys *from);

void precis_keys_free(precis_keys *keys);

/* A key with weight zero. */
/* Biases that are masks become -infinity, see PRECIS_BIAS_MASK; precis_keys_take() does it. */
void precis_bias_settle(float *bias, int64_t rows);

int precis_keys_masked(const precis_keys *keys, int64_t row);

/* Bytes of a key with its value, its position and, where there are any, its bias. */
int64_t precis_keys_row_bytes(const precis_problem *problem, int with_bias);

#endif
