#include "mpi/world/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/world/room.h"
#include "src/base/memory.h"
#include "src/precis.h"

/* Collective over the ranks of one node: the sets of PUs of all, to be freed. */
static int gather_sets(MPI_Comm node, precis_machine *machine, precis_pus **sets)
{
  enum { SIZE = sizeof **sets };
  MPI_Comm_size(node, &machine->node_ranks);
  *sets = precis_memory_array(machine->node_ranks, SIZE);
  int missing = *sets == NULL, any_missing;
  if (MPI_Allreduce(&missing, &any_missing, 1, MPI_INT, MPI_MAX, node))
    return PRECIS_ERR_MPI;
  if (any_missing)
    return PRECIS_ERR_MEMORY;
  return MPI_Allgather(&machine->cache.set, SIZE, MPI_BYTE, *sets, SIZE, MPI_BYTE, node)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

/* Of the caches, what the other ranks of the node leave. */
static int share(const precis_pus *sets, int rank, precis_machine *machine)
{
  precis_cache *cache = &machine->cache;
  for (int r = 0; r < machine->node_ranks; r++) {
    int same = precis_pus_equal(&sets[r], &cache->set);
    machine->sharers += same;
    machine->overlaps += !same && precis_pus_meet(&sets[r], &cache->set);
  }
  if (machine->overlaps > 0) /* a matter of single PUs */
    return precis_cache_find_among(sets, machine->node_ranks, rank, cache) ? PRECIS_ERR_INTERNAL
                                                                           : PRECIS_SUCCESS;
  cache->l2_bytes /= machine->sharers;
  cache->l3_bytes /= machine->sharers;
  cache->fast_bytes /= machine->sharers;
  return PRECIS_SUCCESS;
}

int precis_machine_find(precis_world *world, precis_machine *machine)
{
  precis_machine found = {0};
  precis_pus *sets = NULL;
  if (gethostname(found.host, sizeof found.host - 1) != 0)
    strcpy(found.host, "?");
  snprintf(found.room_place, sizeof found.room_place, "%s", precis_room_place());
  found.room_bytes = precis_room_free();
  int rank, status = precis_cache_find(1, &found.cache) ? PRECIS_ERR_INTERNAL : PRECIS_SUCCESS;
  status = precis_world_agree(world, status, NULL);
  if (status != PRECIS_SUCCESS)
    return status;
  MPI_Comm_rank(world->node_comm, &rank);
  status = gather_sets(world->node_comm, &found, &sets);
  if (status == PRECIS_SUCCESS)
    status = share(sets, rank, &found);
  free(sets);
  status = precis_world_agree(world, status, NULL);
  if (status == PRECIS_SUCCESS)
    *machine = found;
  return status;
}
