/* tree.h - trees over the ranks, rooted anywhere, which cross to each node once
 *
 * Binomial over the nodes, counted from the root's, and binomial over the ranks of each node,
 * counted from the one that stands for the root there: with places counted from the root, the
 * parent of v is v without its lowest set bit. */
#ifndef PRECIS_SRC_LAYOUT_TREE_H
#define PRECIS_SRC_LAYOUT_TREE_H

#include "src/layout/nodes.h"

typedef struct precis_tree {
  const precis_nodes *nodes; /* borrowed */
  int root, rank;
  int node_place, place; /* of the node, and of the rank in its node */
  int parent;            /* rank; -1 at the root */
  int inner, children;   /* children in the node; all of them */
} precis_tree;

precis_tree precis_tree_at(const precis_nodes *nodes, int root, int rank);

/* The rank of child i, those of other nodes last; of either kind, a higher i has a larger subtree.
 */
int precis_tree_child(const precis_tree *tree, int i);

/* Messages one after the other from the root to the last rank, whatever the root; no rank has more
 * children. */
int precis_tree_depth(const precis_nodes *nodes);

#endif
