#include "mpi/measure/moments.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

int precis_moments_allocate(int64_t columns, precis_moments *moments)
{
  *moments = (precis_moments){.columns = columns};
  moments->mean = precis_memory_array(columns, sizeof *moments->mean);
  moments->square = precis_memory_array(columns, sizeof *moments->square);
  moments->low = precis_memory_array(columns, sizeof *moments->low);
  moments->high = precis_memory_array(columns, sizeof *moments->high);
  int complete = moments->mean && moments->square && moments->low && moments->high;
  if (complete)
    precis_moments_clear(moments);
  return complete;
}

void precis_moments_release(precis_moments *moments)
{
  free(moments->mean);
  free(moments->square);
  free(moments->low);
  free(moments->high);
  *moments = (precis_moments){0};
}

static void copy(const precis_moments *from, precis_moments *to)
{
  size_t columns = (size_t)from->columns;
  to->top = from->top;
  to->weight = from->weight;
  memcpy(to->mean, from->mean, columns * sizeof *to->mean);
  memcpy(to->square, from->square, columns * sizeof *to->square);
  memcpy(to->low, from->low, columns * sizeof *to->low);
  memcpy(to->high, from->high, columns * sizeof *to->high);
}

int precis_moments_gather(precis_world *world, const precis_moments *own, precis_moments *part,
                          precis_moments *all)
{
  int failed = 0, columns = (int)own->columns;
  for (int rank = 0; rank < world->ranks; rank++) {
    if (rank == world->rank)
      copy(own, part);
    failed |= precis_world_broadcast(world, &part->top, 1, MPI_DOUBLE, rank);
    failed |= precis_world_broadcast(world, &part->weight, 1, MPI_LONG_DOUBLE, rank);
    failed |= precis_world_broadcast(world, part->mean, columns, MPI_LONG_DOUBLE, rank);
    failed |= precis_world_broadcast(world, part->square, columns, MPI_LONG_DOUBLE, rank);
    failed |= precis_world_broadcast(world, part->low, columns, MPI_DOUBLE, rank);
    failed |= precis_world_broadcast(world, part->high, columns, MPI_DOUBLE, rank);
    precis_moments_merge(part, all);
  }
  return failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}
