#include "src/layout/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "src/precis.h"

typedef struct seat {
  int node, rank; /* as given */
} seat;

static int by_node_and_rank(const void *a, const void *b)
{
  const seat *x = a, *y = b;
  if (x->node != y->node)
    return x->node < y->node ? -1 : 1;
  return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Sets lowest[r], the lowest rank of r's node. There may be 10^5 nodes, so they are sorted. */
static int find_lowest(int ranks, const int *given, int *lowest)
{
  seat *seats = malloc(((size_t)ranks + 1) * sizeof *seats);
  if (seats == NULL)
    return PRECIS_ERR_MEMORY;
  for (int r = 0; r < ranks; r++)
    seats[r] = (seat){given[r], r};
  qsort(seats, (size_t)ranks, sizeof *seats, by_node_and_rank);
  for (int i = 0, first = 0; i < ranks; i++) {
    first = seats[i].node == seats[first].node ? first : i;
    lowest[seats[i].rank] = seats[first].rank;
  }
  free(seats);
  return PRECIS_SUCCESS;
}

static int number_nodes(const int *given, precis_nodes *n)
{
  int *lowest = n->member; /* which is free until ranks are sorted */
  int status = given != NULL ? find_lowest(n->ranks, given, lowest) : PRECIS_SUCCESS;
  for (int r = 0; r < n->ranks && status == PRECIS_SUCCESS; r++)
    n->node[r] = given == NULL || lowest[r] == r ? n->count++ : n->node[lowest[r]];
  return status;
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

/* Zeros; empty if there is no memory. */
static int allocate(int ranks, precis_nodes *nodes)
{
  size_t each = (size_t)ranks;
  *nodes = (precis_nodes){.ranks = ranks};
  nodes->node = calloc(each + 1, sizeof *nodes->node);
  nodes->place = calloc(each + 1, sizeof *nodes->place);
  nodes->local = calloc(each + 1, sizeof *nodes->local);
  nodes->first = calloc(each + 1, sizeof *nodes->first);
  nodes->member = calloc(each + 1, sizeof *nodes->member);
  if (nodes->node && nodes->place && nodes->local && nodes->first && nodes->member)
    return PRECIS_SUCCESS;
  precis_nodes_free(nodes);
  return PRECIS_ERR_MEMORY;
}

int precis_nodes_create(int ranks, const int *node, precis_nodes *nodes)
{
  int status = allocate(ranks, nodes);
  if (status == PRECIS_SUCCESS)
    status = number_nodes(node, nodes);
  if (status != PRECIS_SUCCESS) {
    precis_nodes_free(nodes);
    return status;
  }
  memcpy(nodes->place, nodes->node, (size_t)ranks * sizeof *nodes->place);
  sort_ranks(nodes);
  for (int i = 0; i < nodes->count; i++) {
    int size = precis_nodes_size(nodes, i);
    nodes->smallest = i == 0 || size < nodes->smallest ? size : nodes->smallest;
    nodes->largest = size > nodes->largest ? size : nodes->largest;
  }
  return PRECIS_SUCCESS;
}

int precis_nodes_part(const precis_nodes *together, precis_nodes *apart)
{
  int ranks = together->ranks;
  if (allocate(ranks, apart) != PRECIS_SUCCESS)
    return PRECIS_ERR_MEMORY;
  apart->count = ranks;
  apart->smallest = apart->largest = 1;
  for (int i = 0; i < ranks; i++) {
    apart->member[i] = together->member[i];
    apart->first[i + 1] = i + 1;
    apart->node[together->member[i]] = i;
    apart->place[i] = together->place[i];
  }
  return PRECIS_SUCCESS;
}

void precis_nodes_free(precis_nodes *nodes)
{
  free(nodes->place);
  free(nodes->node);
  free(nodes->local);
  free(nodes->first);
  free(nodes->member);
  *nodes = (precis_nodes){0};
}
