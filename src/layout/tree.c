#include "src/layout/tree.h"

/* In a binomial tree over `count` places. */
static int children_of(int place, int count)
{
  int lowest = place & -place, children = 0;
  for (int bit = 1; (place == 0 || bit < lowest) && bit < count - place; bit <<= 1)
    children++;
  return children;
}

static int parent_of(int place)
{
  return place & (place - 1);
}

/* The rank at a place of node `node`. */
static int rank_at(const precis_tree *t, int node, int place)
{
  int size = precis_nodes_size(t->nodes, node),
      head = t->nodes->local[precis_nodes_carrier(t->nodes, node, t->root)];
  return precis_nodes_rank(t->nodes, node, (place + head) % size);
}

/* Who stands for the root on the node at a place. */
static int head_at(const precis_tree *t, int node_place)
{
  return rank_at(t, (node_place + t->nodes->node[t->root]) % t->nodes->count, 0);
}

precis_tree precis_tree_at(const precis_nodes *nodes, int root, int rank)
{
  precis_tree t = {.nodes = nodes, .root = root, .rank = rank, .parent = -1};
  int node = nodes->node[rank], size = precis_nodes_size(nodes, node);
  int head = nodes->local[precis_nodes_carrier(nodes, node, root)];
  t.node_place = (node - nodes->node[root] + nodes->count) % nodes->count;
  t.place = (nodes->local[rank] - head + size) % size;
  t.inner = t.children = children_of(t.place, size);
  if (t.place == 0)
    t.children += children_of(t.node_place, nodes->count);
  if (t.place > 0)
    t.parent = rank_at(&t, node, parent_of(t.place));
  else if (t.node_place > 0)
    t.parent = head_at(&t, parent_of(t.node_place));
  return t;
}

int precis_tree_child(const precis_tree *t, int i)
{
  if (i < t->inner)
    return rank_at(t, t->nodes->node[t->rank], t->place + (1 << i));
  return head_at(t, t->node_place + (1 << (i - t->inner)));
}

int precis_tree_depth(const precis_nodes *nodes)
{
  return children_of(0, nodes->count) + children_of(0, nodes->largest);
}
