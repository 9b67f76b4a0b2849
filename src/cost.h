/* cost.h - what each move puts on the wire
 *
 * Bytes of payload summed over all ranks, exactly what mpi/ counts when it sends them. Derived in
 * each function. */
#ifndef PRECIS_SRC_COST_H
#define PRECIS_SRC_COST_H

#include <stdint.h>

#include "src/parcel.h"
#include "src/precis.h"
#include "src/split.h"

typedef struct precis_cost_input {
  const precis_problem *problem;
  const precis_query_map *map;
  const int64_t *key_rows; /* ranks */
  const precis_cut *cuts;  /* ranks + 1 */
  precis_parcel_kind kind; /* of all key/value heads */
  int64_t queries_dealt;   /* rows that change rank when queries are balanced first, else 0 ... */
  int64_t keys_dealt;      /* ... and keys, for the tiles move */
  int64_t keys_dealt_for_queries; /* and for the queries move */
} precis_cost_input;

/* Bytes of one row: of a query and its output on their way to another rank and back, with their
 * index. */
int64_t precis_cost_query_row(const precis_problem *problem);
int64_t precis_cost_output_row(const precis_problem *problem);
int64_t precis_cost_key_row(const precis_problem *problem, int with_bias);

/* Bytes of one key or query that summaries leave out, each time it travels: a key with its value,
 * bias and position to another rank; a query of one head to another rank, and a partial back. */
int64_t precis_cost_outlier_key(const precis_problem *problem);
int64_t precis_cost_outlier_query(const precis_problem *problem);

int64_t precis_cost_bytes(const precis_cost_input *input, precis_move move);

/* The exact move with the fewest bytes (the earlier in the enumeration among equals). bytes:
 * indexed by move. */
precis_move precis_cost_choose(const int64_t bytes[PRECIS_MOVES]);

/* The bytes of heads [first, first + heads) of the key/value heads that the pieces between two cuts
 * need. */
void precis_cost_kv_heads(const precis_problem *problem, const precis_cut *from, int64_t queries,
                          int *first, int *heads);

#endif
