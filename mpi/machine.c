#include "mpi/machine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/precis.h"

/* Collective over the ranks of one node: those with the same set of PUs. */
static int count_sharers(MPI_Comm node, precis_machine *machine)
{
  enum { SIZE = sizeof machine->cache.cpuset };
  MPI_Comm_size(node, &machine->node_ranks);
  char *sets = malloc((size_t)machine->node_ranks * SIZE);
  int missing = sets == NULL, any_missing;
  if (MPI_Allreduce(&missing, &any_missing, 1, MPI_INT, MPI_MAX, node)) {
    free(sets);
    return PRECIS_ERR_MPI;
  }
  int status = any_missing ? PRECIS_ERR_MEMORY : PRECIS_SUCCESS;
  if (!any_missing &&
      MPI_Allgather(machine->cache.cpuset, SIZE, MPI_CHAR, sets, SIZE, MPI_CHAR, node))
    status = PRECIS_ERR_MPI;
  machine->sharers = 0;
  for (int r = 0; status == PRECIS_SUCCESS && r < machine->node_ranks; r++)
    machine->sharers += strcmp(sets + (size_t)r * SIZE, machine->cache.cpuset) == 0;
  free(sets);
  return status;
}

int precis_machine_find(precis_world *world, precis_machine *machine)
{
  precis_machine found = {0};
  if (gethostname(found.host, sizeof found.host - 1) != 0)
    strcpy(found.host, "?");
  int status = precis_cache_find(1, &found.cache) ? PRECIS_ERR_INTERNAL : PRECIS_SUCCESS;
  status = precis_world_agree(world, status, NULL);
  if (status != PRECIS_SUCCESS)
    return status;
  MPI_Comm node;
  if (MPI_Comm_split(world->comm, world->node[world->rank], world->rank, &node))
    return PRECIS_ERR_MPI;
  MPI_Comm_set_errhandler(node, MPI_ERRORS_RETURN);
  status = count_sharers(node, &found);
  MPI_Comm_free(&node);
  if (status == PRECIS_SUCCESS && found.sharers > 1) {
    found.cache.l2_bytes /= found.sharers;
    found.cache.l3_bytes /= found.sharers;
    found.cache.fast_bytes /= found.sharers;
  }
  status = precis_world_agree(world, status, NULL);
  if (status == PRECIS_SUCCESS)
    *machine = found;
  return status;
}
