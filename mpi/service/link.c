#include "mpi/service/link.h"

#include <sched.h>
#include <time.h>

#include "src/precis.h"

enum { ORDER_TAG = 1, VALUES_TAG = 2 };
enum { YIELDS = 50, SHORTEST = 5000, LONGEST = 1000000 /* nanoseconds */ };

int precis_link_tell(precis_world *world, int rank, const precis_order *order)
{
  return MPI_Send(order, sizeof *order, MPI_BYTE, rank, ORDER_TAG, world->comm) ? PRECIS_ERR_MPI
                                                                                : PRECIS_SUCCESS;
}

int precis_link_tell_all(precis_world *world, const precis_order *order)
{
  int status = PRECIS_SUCCESS;
  for (int r = 1; r < world->ranks && status == PRECIS_SUCCESS; r++)
    status = precis_link_tell(world, r, order);
  return status;
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

int precis_link_hear(precis_world *world, precis_order *order)
{
  int there = 0;
  for (int looks = 0; !there; looks += looks < 2 * YIELDS) {
    if (looks > 0)
      pause_after(looks);
    if (MPI_Iprobe(0, ORDER_TAG, world->comm, &there, MPI_STATUS_IGNORE))
      return PRECIS_ERR_MPI;
  }
  return MPI_Recv(order, sizeof *order, MPI_BYTE, 0, ORDER_TAG, world->comm, MPI_STATUS_IGNORE)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

int precis_link_receive(precis_world *world, float *values, int64_t count)
{
  return MPI_Recv(values, (int)count, MPI_FLOAT, 0, VALUES_TAG, world->comm, MPI_STATUS_IGNORE)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}
