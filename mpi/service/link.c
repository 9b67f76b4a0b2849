#include "mpi/service/link.h"

#include <sched.h>
#include <time.h>

#include "src/precis.h"

enum { ORDER_TAG = 1, VALUES_TAG = 2, HEARD_TAG = 3 };
enum { YIELDS = 50, SHORTEST = 5000, LONGEST = 1000000 /* nanoseconds */ };

int precis_link_tell(precis_world *world, int rank, const precis_order *order)
{
  return MPI_Send(order, sizeof *order, MPI_BYTE, rank, ORDER_TAG, world->comm) ? PRECIS_ERR_MPI
                                                                                : PRECIS_SUCCESS;
}

int precis_link_send(precis_world *world, int rank, const float *values, int64_t count)
{
  return MPI_Send(values, (int)count, MPI_FLOAT, rank, VALUES_TAG, world->comm) ? PRECIS_ERR_MPI
                                                                                : PRECIS_SUCCESS;
}

/* The longer nothing came, the longer the sleep. */
static void pause_after(int looks)
{
  long pause = SHORTEST;
  if (looks < YIELDS) {
    sched_yield();
    return;
  }
  for (int i = YIELDS; i < looks && pause < LONGEST; i++)
    pause *= 2;
  nanosleep(&(struct timespec){.tv_nsec = pause < LONGEST ? pause : LONGEST}, NULL);
}

static int64_t milliseconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int precis_link_tell_all(precis_world *world, precis_silence *silence, const precis_order *order)
{
  int status = PRECIS_SUCCESS;
  for (int r = 1; r < world->ranks && status == PRECIS_SUCCESS; r++)
    status = precis_link_tell(world, r, order);
  atomic_store(&silence->since_ms, milliseconds());
  for (int r = 1; r < world->ranks && status == PRECIS_SUCCESS; r++) {
    atomic_store(&silence->rank, r);
    /* As MPI waits, not as an idle rank does: the others are awake now, and wait for this one. */
    if (MPI_Recv(NULL, 0, MPI_BYTE, r, HEARD_TAG, world->comm, MPI_STATUS_IGNORE))
      status = PRECIS_ERR_MPI;
  }
  atomic_store(&silence->rank, -1);
  return status;
}

/* Orders to one rank alone are not waited for. */
static int confirm(precis_world *world, const precis_order *order)
{
  if (order->kind == PRECIS_ORDER_OPEN || order->kind == PRECIS_ORDER_FILL)
    return PRECIS_SUCCESS;
  return MPI_Send(NULL, 0, MPI_BYTE, 0, HEARD_TAG, world->comm) ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}

int precis_link_hear(precis_world *world, precis_order *order)
{
  int there = 0;
  for (int looks = 0; !there; looks += looks < 2 * YIELDS) {
    if (looks > 0)
      pause_after(looks);
    if (MPI_Iprobe(0, ORDER_TAG, world->comm, &there, MPI_STATUS_IGNORE))
      return PRECIS_ERR_MPI;
  }
  if (MPI_Recv(order, sizeof *order, MPI_BYTE, 0, ORDER_TAG, world->comm, MPI_STATUS_IGNORE))
    return PRECIS_ERR_MPI;
  return confirm(world, order);
}

int precis_link_receive(precis_world *world, float *values, int64_t count)
{
  return MPI_Recv(values, (int)count, MPI_FLOAT, 0, VALUES_TAG, world->comm, MPI_STATUS_IGNORE)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}
