/* parcel.h - a block of keys and values made ready to travel and to be attended to
 *
 * One contiguous buffer, head-major, centred, masked rows zeroed:
 *   positions  rows int64                 (if with_positions)
 *   k          heads x rows x dim float
 *   v          heads x rows x columns float: the values, folded (terms.h), then the key's deviation
 *   bias       rows float, in units of log 2    (if with_bias) */
#ifndef PRECIS_SRC_EXACT_PARCEL_H
#define PRECIS_SRC_EXACT_PARCEL_H

#include <stdint.h>

#include "src/tokens/keys.h"
#include "src/tokens/terms.h"
#include "src/exact/tile.h"

typedef struct precis_parcel_kind {
  int first_head, heads; /* of the key/value heads */
  int dim, value_dim;
  int with_bias, with_positions;
} precis_parcel_kind;

/* Of a key, in v. */
static inline int precis_parcel_columns(const precis_parcel_kind *kind)
{
  return kind->value_dim + 1;
}

int64_t precis_parcel_bytes(const precis_parcel_kind *kind, int64_t rows);

/* Packs rows [first, first + rows), centred by the terms. Runs on `threads` OpenMP threads. */
void precis_parcel_pack(const precis_parcel_kind *kind, const precis_keys *keys, int64_t first,
                        int64_t rows, const precis_terms *terms, int threads, void *buffer);

/* The same for the key/value heads h with wanted[h] alone (NULL: all of them); of others, the
 * parcel's part is left as it was. */
void precis_parcel_pack_some(const precis_parcel_kind *kind, const precis_keys *keys, int64_t first,
                             int64_t rows, const precis_terms *terms, const unsigned char *wanted, int threads, void *buffer);

/* The tile of key/value head `head` (0: first_head). */
precis_tile precis_parcel_tile(const precis_parcel_kind *kind, int64_t rows, const void *buffer,
                               int head);

/* rows ascending positions, or NULL. */
const int64_t *precis_parcel_positions(const precis_parcel_kind *kind, const void *buffer);

#endif
