/* cost.h - what each move puts on the wire
 *
 * Bytes of payload summed over all ranks, by the kind of link, exactly what mpi/ counts when it
 * sends them. Derived in each function. */
#ifndef PRECIS_SRC_SCHEDULE_COST_H
#define PRECIS_SRC_SCHEDULE_COST_H

#include <stdint.h>

#include "src/layout/layout.h"
#include "src/layout/nodes.h"
#include "src/exact/parcel.h"
#include "src/precis.h"
#include "src/layout/split.h"
#include "src/layout/wire.h"

typedef struct precis_cost_input {
  const precis_problem *problem;
  const precis_query_map *map;
  const int64_t *key_rows;   /* ranks */
  const precis_cut *cuts;    /* ranks + 1 */
  precis_parcel_kind kind;   /* of all key/value heads */
  int nodes;                 /* at least 1 */
  const int *node;           /* of each rank; NULL: one node */
  const precis_nodes *apart; /* tiles go from rank to rank in this order, as those of a node
                                share no memory; NULL: they do */
  precis_layout dealt;       /* of keys for the tiles move; ranks 0: as they lie */
  precis_wire queries_dealt; /* rows that change rank to balance queries first ... */
  precis_wire keys_dealt;    /* ... and keys, for the tiles move */
  precis_wire keys_dealt_for_queries; /* and for the queries move */
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

/* Of an exact move. */
precis_wire precis_cost_wire(const precis_cost_input *input, precis_move move);

/* Of so many bytes from one rank to all along a tree, or the other way: to each node once. */
precis_wire precis_cost_tree(int ranks, int nodes, int64_t bytes);

/* Of summaries of `numbers` numbers, all tiles and heads: reduced, or handed from rank to rank
 * where they are summed to prefixes. */
precis_wire precis_cost_summaries(int ranks, int nodes, const int *node, int64_t numbers,
                                  int prefixes);

/* The same, reduced over ranks that share no memory though they may be on one node. */
precis_wire precis_cost_summaries_apart(const precis_nodes *apart, int64_t numbers);

/* How often sums are rounded to float32 on their way: as they leave a rank, then with those of each
 * lower rank, or of the ranks of a node, where there are several, and of all nodes. */
int precis_cost_summary_roundings(int ranks, int nodes, int largest_node, int prefixes);

/* The heads move: the most pieces of heads, rows of them and key/value heads that any rank has;
 * heads[1] is the most that another rank than the first with heads[0] has. */
void precis_cost_pieces(const precis_cost_input *input, int *pieces, int64_t *rows, int heads[2]);

/* The bytes of heads [first, first + heads) of the key/value heads that the pieces between two cuts
 * need. */
void precis_cost_kv_heads(const precis_problem *problem, const precis_cut *from, int64_t queries,
                          int *first, int *heads);

#endif
