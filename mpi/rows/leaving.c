#include "mpi/rows/leaving.h"

/* Rows that go from rank `from` to rank `to`. */
static void add(const precis_world *world, int from, int to, int64_t rows, precis_wire *sum)
{
  if (from != to)
    *(world->node[from] == world->node[to] ? &sum->node : &sum->network) += rows;
}

precis_wire precis_leaving_keys(const precis_keys *keys, const precis_layout *layout,
                                const precis_world *world)
{
  precis_wire rows = {0, 0};
  int64_t local;
  for (int64_t j = 0; j < keys->rows;) {
    int rank;
    int64_t reach = precis_layout_find(layout, keys->position[j], &rank, &local),
            end = keys->position[j] + reach, first = j;
    while (j < keys->rows && keys->position[j] < end)
      j++;
    add(world, world->rank, rank, j - first, &rows);
  }
  return rows;
}
