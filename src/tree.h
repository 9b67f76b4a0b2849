/* tree.h - binomial trees over the ranks, rooted anywhere
 *
 * With ranks counted from the root, the parent of v is v without its lowest set bit. */
#ifndef PRECIS_SRC_TREE_H
#define PRECIS_SRC_TREE_H

typedef struct precis_tree {
  int ranks, root, place; /* place: this rank counted from the root */
  int parent;             /* rank; -1 at the root */
  int children;
} precis_tree;

precis_tree precis_tree_at(int ranks, int root, int rank);

/* The rank of child i; a higher i has a larger subtree. */
int precis_tree_child(const precis_tree *tree, int i);

#endif
