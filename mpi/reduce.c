#include "mpi/reduce.h"

#include <stdlib.h>
#include <string.h>

#include "src/memory.h"
#include "src/precis.h"

int precis_reduction_create(precis_world *world, int tag, int64_t most, precis_reduction *reduction)
{
  int64_t slice = most / world->ranks + 1;
  *reduction = (precis_reduction){.world = world, .tag = tag, .most = most};
  reduction->vector = precis_memory_array(most, sizeof *reduction->vector);
  reduction->slices = precis_memory_array(slice * (world->ranks - 1), sizeof *reduction->slices);
  reduction->transfers = calloc(2 * (size_t)world->ranks, sizeof *reduction->transfers);
  if (reduction->vector && reduction->slices && reduction->transfers)
    return PRECIS_SUCCESS;
  precis_reduction_free(reduction);
  return PRECIS_ERR_MEMORY;
}

void precis_reduction_free(precis_reduction *reduction)
{
  free(reduction->vector);
  free(reduction->slices);
  free(reduction->transfers);
  *reduction = (precis_reduction){0};
}

static int64_t slice_first(const precis_reduction *r, int rank)
{
  int64_t ranks = r->world->ranks;
  return r->numbers / ranks * rank + r->numbers % ranks * rank / ranks;
}

static int64_t slice_bytes(const precis_reduction *r, int rank)
{
  return (slice_first(r, rank + 1) - slice_first(r, rank)) * (int64_t)sizeof *r->vector;
}

/* The rank `shift` places away, so that not all ranks send to the same one first. */
static int partner(const precis_reduction *r, int shift)
{
  return (r->world->rank + shift) % r->world->ranks;
}

static float *slice_from(const precis_reduction *r, int shift)
{
  return r->slices +
         (shift - 1) * (slice_first(r, r->world->rank + 1) - slice_first(r, r->world->rank));
}

int precis_reduction_start(precis_reduction *r, int64_t numbers)
{
  int ranks = r->world->ranks, status = PRECIS_SUCCESS;
  r->numbers = numbers;
  for (int s = 1; s < ranks && status == PRECIS_SUCCESS; s++)
    status = precis_world_receive(r->world, slice_from(r, s), slice_bytes(r, r->world->rank),
                                  partner(r, s), r->tag, &r->transfers[s]);
  for (int s = 1; s < ranks && status == PRECIS_SUCCESS; s++) {
    int to = partner(r, s);
    status = precis_world_send(r->world, r->vector + slice_first(r, to), slice_bytes(r, to), to,
                               r->tag, &r->transfers[ranks + s]);
  }
  return status;
}

static int wait_all(precis_reduction *r)
{
  int status = PRECIS_SUCCESS;
  for (int i = 0; i < 2 * r->world->ranks; i++) {
    int waited = precis_transfer_wait(&r->transfers[i]);
    status = status == PRECIS_SUCCESS ? waited : status;
  }
  return status;
}

int precis_reduction_turn(precis_reduction *r)
{
  int ranks = r->world->ranks, me = r->world->rank, status = wait_all(r);
  float *own = r->vector + slice_first(r, me);
  int64_t count = slice_first(r, me + 1) - slice_first(r, me);
  for (int64_t i = 0; i < count; i++) {
    double sum = own[i];
    for (int s = 1; s < ranks; s++)
      sum += slice_from(r, s)[i];
    own[i] = (float)sum;
  }
  for (int s = 1; s < ranks && status == PRECIS_SUCCESS; s++) {
    int from = partner(r, s);
    status = precis_world_receive(r->world, r->vector + slice_first(r, from), slice_bytes(r, from),
                                  from, r->tag, &r->transfers[s]);
  }
  for (int s = 1; s < ranks && status == PRECIS_SUCCESS; s++)
    status = precis_world_send(r->world, own, slice_bytes(r, me), partner(r, s), r->tag,
                               &r->transfers[ranks + s]);
  return status;
}

int precis_reduction_wait(precis_reduction *r)
{
  return wait_all(r);
}

int precis_reduction_poll(precis_reduction *r)
{
  int status = PRECIS_SUCCESS, done;
  for (int i = 0; i < 2 * r->world->ranks && status == PRECIS_SUCCESS; i++)
    if (r->transfers[i].count > 0)
      status = precis_transfer_test(&r->transfers[i], &done);
  return status;
}

int64_t precis_reduction_bytes(int ranks, int64_t numbers)
{
  return 2 * (int64_t)(ranks - 1) * numbers * (int64_t)sizeof(float);
}
