#include "mpi/moves/spread.h"

#include "src/layout/tree.h"

enum { BROADCAST_TAG = 13 };

/* One message at a time: waits for what was started. */
static int finish(precis_task *task, int status, precis_transfer *transfer)
{
  double start = MPI_Wtime();
  int waited = precis_transfer_wait(transfer);
  task->seconds_wait += MPI_Wtime() - start;
  return status == PRECIS_SUCCESS ? waited : status;
}

int precis_spread_broadcast(precis_task *task, int root, void *buffer, int64_t bytes)
{
  precis_world *world = task->world;
  precis_tree tree = precis_tree_at(&world->layout, root, world->rank);
  precis_transfer transfer = {.count = 0};
  int status = PRECIS_SUCCESS;
  if (world->rank != root)
    status = finish(
        task, precis_world_receive(world, buffer, bytes, tree.parent, BROADCAST_TAG, &transfer),
        &transfer);
  for (int i = tree.children - 1; i >= 0 && status == PRECIS_SUCCESS; i--)
    status = finish(task,
                    precis_world_send(world, buffer, bytes, precis_tree_child(&tree, i),
                                      BROADCAST_TAG, &transfer),
                    &transfer);
  return status;
}
