#include "src/nodes.h"

#include <stdlib.h>

#include "src/precis.h"

/* The lowest rank of a rank's node. */
static int lowest_on_node(const int *node, int rank)
{
  for (int r = 0; r < rank; r++)
    if (node[r] == node[rank])
      return r;
  return rank;
}

/* Neighbours are mostly of one node: looked at first, so that thousands of ranks take no time. */
static int number_of(const int *given, const int *made, int rank)
{
  if (rank > 0 && given[rank] == given[rank - 1])
    return made[rank - 1];
  int lowest = lowest_on_node(given, rank);
  return lowest < rank ? made[lowest] : -1;
}

static void number_nodes(const int *given, precis_nodes *n)
{
  for (int r = 0; r < n->ranks; r++) {
    int known = given != NULL ? number_of(given, n->node, r) : -1;
    n->node[r] = known < 0 ? n->count++ : known;
  }
}

/* Ranks are sorted by node: counted, then laid down one after the other. */
static void sort_ranks(precis_nodes *n)
{
  for (int r = 0; r < n->ranks; r++)
    n->local[r] = n->first[n->node[r] + 1]++;
  for (int i = 0; i < n->count; i++)
    n->first[i + 1] += n->first[i];
  for (int r = 0; r < n->ranks; r++)
    n->member[n->first[n->node[r]] + n->local[r]] = r;
}

int precis_nodes_create(int ranks, const int *node, precis_nodes *nodes)
{
  size_t each = (size_t)ranks;
  *nodes = (precis_nodes){.ranks = ranks};
  nodes->node = calloc(each + 1, sizeof *nodes->node);
  nodes->local = calloc(each + 1, sizeof *nodes->local);
  nodes->first = calloc(each + 1, sizeof *nodes->first);
  nodes->member = calloc(each + 1, sizeof *nodes->member);
  if (!nodes->node || !nodes->local || !nodes->first || !nodes->member) {
    precis_nodes_free(nodes);
    return PRECIS_ERR_MEMORY;
  }
  number_nodes(node, nodes);
  sort_ranks(nodes);
  for (int i = 0; i < nodes->count; i++) {
    int size = precis_nodes_size(nodes, i);
    nodes->smallest = i == 0 || size < nodes->smallest ? size : nodes->smallest;
    nodes->largest = size > nodes->largest ? size : nodes->largest;
  }
  return PRECIS_SUCCESS;
}

void precis_nodes_free(precis_nodes *nodes)
{
  free(nodes->node);
  free(nodes->local);
  free(nodes->first);
  free(nodes->member);
  *nodes = (precis_nodes){0};
}
