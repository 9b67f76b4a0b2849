/* schedule_reduce.h - tiles of summaries added up over all ranks, as schedule_summaries.c has them
 *
 * Numbers are cut into a part for each node, and this into slices for ranks of it, which sum them
 * over the nodes. Before that, ranks of a node add up their tiles: each its slice of every part.
 * Where parts are small, they have fewer slices than there are ranks, and these take turns. */
#ifndef PRECIS_SRC_SCHEDULE_REDUCE_H
#define PRECIS_SRC_SCHEDULE_REDUCE_H

#include "src/schedule/emit.h"

enum { PRECIS_REDUCTION_SHARED_VECTORS = 2 /* that ranks of a node need of a tile's slots */ };

/* A tile under way. */
typedef struct precis_reduction {
  precis_block tile;
  int64_t numbers;
  int number;                 /* of three that may be under way at once */
  int vector, slices, result; /* slots */
  int request;                /* the first */
} precis_reduction;

/* Whether other ranks are on this one's node. */
static inline int precis_reduction_shared(const precis_emitter *e)
{
  return precis_nodes_mates(e->schedule->nodes, e->rank) > 1;
}

/* Of tile t. A rank alone gets the sums into the vector that it summarised. Where ranks share, the
 * vector is left when it has been summed, and the sums come into one place for all of them. */
precis_reduction precis_reduction_at(const precis_emitter *e, int64_t t);

/* This rank's shares of all parts, over the ranks of its node: of other nodes' parts in place, as
 * nobody else reads them here, of its own to where the sums are put together. */
void precis_reduction_sum_node(precis_emitter *e, const precis_reduction *r);

/* Sends every rank of other nodes what it sums of this rank's numbers. */
void precis_reduction_send_slices(precis_emitter *e, const precis_reduction *r);

/* Sums the slices that have come, and sends the sums to each other node once, to whoever stands for
 * this rank there. */
void precis_reduction_turn(precis_emitter *e, const precis_reduction *r);

/* For all of the last two. */
void precis_reduction_wait(precis_emitter *e, const precis_reduction *r);

/* Bytes for the slices that a rank gets of tiles of up to so many numbers. */
int64_t precis_reduction_slices_bytes(const precis_summaries_shape *shape,
                                      const precis_nodes *nodes, int rank, int64_t numbers);

#endif
