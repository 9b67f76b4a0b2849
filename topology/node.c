#include "topology/node.h"

/* Larger machines than there are: NUMA nodes beyond are not looked at. */
enum { NUMA_MOST = 256 };

static int overlaps(const precis_seat *seats, int ranks, int mine)
{
  for (int r = 0; r < ranks; r++)
    if (r != mine && seats[r].cache->bound &&
        precis_pus_meet(&seats[r].cache->set, &seats[mine].cache->set))
      return 1;
  return 0;
}

static void count_numa(const precis_seat *seats, int ranks, precis_node *node)
{
  int at[NUMA_MOST] = {0}, nodes = seats[0].cache->numa_nodes;
  if (nodes > NUMA_MOST)
    return;
  for (int r = 0; r < ranks; r++)
    if (seats[r].cache->numa_count == 1 && seats[r].cache->numa_first < nodes)
      at[seats[r].cache->numa_first]++;
  node->numa_fewest = at[0];
  for (int i = 0; i < nodes; i++) {
    node->numa_most = at[i] > node->numa_most ? at[i] : node->numa_most;
    node->numa_fewest = at[i] < node->numa_fewest ? at[i] : node->numa_fewest;
  }
}

precis_node precis_node_judge(const precis_seat *seats, int ranks)
{
  precis_node node = {.ranks = ranks};
  precis_pus cores = {{0}};
  for (int r = 0; r < ranks; r++) {
    const precis_cache *c = seats[r].cache;
    node.threads += seats[r].threads;
    precis_pus_unite(&cores, &c->core_set);
    node.unbound += ranks > 1 && !c->bound;
    node.overlapping += c->bound && overlaps(seats, ranks, r);
    node.crowded += seats[r].threads > c->cores;
    node.withheld += seats[r].threads > c->allowed_cores;
    node.spanning += c->bound && c->numa_count > 1 && ranks >= c->numa_nodes;
  }
  node.cores = precis_pus_count(&cores);
  count_numa(seats, ranks, &node);
  return node;
}

int precis_node_uneven(const precis_node *node)
{
  return node->numa_most - node->numa_fewest > 1;
}
