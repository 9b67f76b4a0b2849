#include "src/tree.h"

precis_tree precis_tree_at(int ranks, int root, int rank)
{
  precis_tree tree = {
      .ranks = ranks, .root = root, .place = (rank - root + ranks) % ranks, .parent = -1};
  int lowest = tree.place & -tree.place;
  if (tree.place != 0)
    tree.parent = (tree.place - lowest + root) % ranks;
  for (int bit = 1; (tree.place == 0 || bit < lowest) && bit < ranks - tree.place; bit <<= 1)
    tree.children++;
  return tree;
}

int precis_tree_child(const precis_tree *tree, int i)
{
  return (tree->place + (1 << i) + tree->root) % tree->ranks;
}
