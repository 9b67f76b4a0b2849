/* nodes.h - which ranks share a node
 *
 * Nodes are numbered from 0 in the order of their lowest ranks; a node's ranks are in the order of
 * ranks, and so are their local numbers. Any spread of ranks over nodes will do. */
#ifndef PRECIS_SRC_LAYOUT_NODES_H
#define PRECIS_SRC_LAYOUT_NODES_H

typedef struct precis_nodes {
  int ranks, count;
  int smallest, largest; /* ranks of a node */
  int *node;             /* ranks: the node of each */
  int *place;            /* ranks: where it is, which is its node, unless ranks are apart */
  int *local;            /* ranks: its number among those of its node */
  int *first;            /* count + 1: ranks of node n are member[first[n]] .. */
  int *member;           /* ranks */
} precis_nodes;

/* node: of each rank, any numbers; NULL: each rank has a node of its own. Errors: MEMORY; nodes is
 * then empty. */
int precis_nodes_create(int ranks, const int *node, precis_nodes *nodes);
/* The same ranks, each a node of its own, for moves whose ranks cannot see each other's memory:
 * those of a node follow each other, and links between them stay what they are. Errors: MEMORY. */
int precis_nodes_part(const precis_nodes *together, precis_nodes *apart);
void precis_nodes_free(precis_nodes *nodes);

static inline int precis_nodes_size(const precis_nodes *nodes, int node)
{
  return nodes->first[node + 1] - nodes->first[node];
}

/* The ranks that share the node of `rank`, itself included. */
static inline int precis_nodes_mates(const precis_nodes *nodes, int rank)
{
  return precis_nodes_size(nodes, nodes->node[rank]);
}

/* Rank number `local` of a node. */
static inline int precis_nodes_rank(const precis_nodes *nodes, int node, int local)
{
  return nodes->member[nodes->first[node] + local];
}

/* Who stands for a rank on another node, or is it on its own: what goes from node to node goes
 * through such, so that all ranks of a node have their part of it. */
static inline int precis_nodes_carrier(const precis_nodes *nodes, int node, int rank)
{
  return precis_nodes_rank(nodes, node, nodes->local[rank] % precis_nodes_size(nodes, node));
}

#endif
