#include "mpi/spread.h"

#include "src/tree.h"

enum { BROADCAST_TAG = 13, PARTIAL_TAG = 14 };

/* One message at a time: waits for what was started in flight[0]. */
static int finish(precis_task *task, int status)
{
  int waited = precis_task_wait(task);
  return status == PRECIS_SUCCESS ? waited : status;
}

int precis_spread_broadcast(precis_task *task, int root, void *buffer, int64_t bytes)
{
  precis_world *world = task->world;
  precis_tree tree = precis_tree_at(world->ranks, root, world->rank);
  int status = PRECIS_SUCCESS;
  if (world->rank != root)
    status = finish(task, precis_world_receive(world, buffer, bytes, tree.parent, BROADCAST_TAG,
                                               &task->flight[0]));
  for (int i = tree.children - 1; i >= 0 && status == PRECIS_SUCCESS; i--)
    status = finish(task, precis_world_send(world, buffer, bytes, precis_tree_child(&tree, i),
                                            BROADCAST_TAG, &task->flight[0]));
  return status;
}

int precis_spread_reduce(precis_task *task, int root, precis_partial *partial, int64_t rows,
                         float *wire_in, float *wire_out)
{
  precis_world *world = task->world;
  precis_tree tree = precis_tree_at(world->ranks, root, world->rank);
  int value_dim = task->problem->value_dim;
  int64_t bytes = precis_partial_words(rows, value_dim) * (int64_t)sizeof(float);
  for (int i = 0; i < tree.children; i++) {
    int status =
        finish(task, precis_world_receive(world, wire_in, bytes, precis_tree_child(&tree, i),
                                          PARTIAL_TAG, &task->flight[0]));
    if (status != PRECIS_SUCCESS)
      return status;
    precis_partial_merge_packed(partial, rows, value_dim, wire_in);
  }
  if (world->rank == root)
    return PRECIS_SUCCESS;
  precis_partial_pack(partial, rows, value_dim, wire_out);
  return finish(
      task, precis_world_send(world, wire_out, bytes, tree.parent, PARTIAL_TAG, &task->flight[0]));
}
