#include "mpi/service/hold_commit.h"

#include <stdio.h>

#include "mpi/handle/attention.h"

precis_segment precis_hold_segment(const char *name, int rank, int64_t rows)
{
  precis_segment segment = {.rows = rows};
  snprintf(segment.name, sizeof segment.name, "%.54s-%d", name, rank);
  return segment;
}

/* On disk everywhere, then in the manifest: from there on it has happened. */
static int make_durable(precis_hold *hold, const precis_order *order, const precis_hold_data *data)
{
  const precis_shard *shard = &hold->shards[order->shard];
  precis_segment segment = precis_hold_segment(order->name, hold->world->rank, shard->rows);
  const char *folder = hold->options->data;
  int written = PRECIS_SUCCESS;
  if (shard->rows > 0)
    written = precis_segment_write(folder, &segment, &hold->handles[order->slot]->problem,
                                   shard->arrays, &hold->why);
  int status = precis_world_agree(hold->world, written, &hold->why);
  if (status == PRECIS_SUCCESS && MPI_Gather(&segment.sum, sizeof segment.sum, MPI_BYTE, hold->sums,
                                             sizeof segment.sum, MPI_BYTE, 0, hold->world->comm))
    return PRECIS_ERR_MPI;
  if (status == PRECIS_SUCCESS) {
    int recorded = data ? data->record(data->context, &hold->why) : PRECIS_SUCCESS;
    status = precis_world_agree(hold->world, recorded, &hold->why);
  }
  /* What cannot be removed now, the next start removes: it is beyond the last append on record. */
  if (status != PRECIS_SUCCESS && written == PRECIS_SUCCESS && shard->rows > 0)
    precis_segment_remove(folder, segment.name);
  return status;
}

int precis_hold_commit(precis_hold *hold, const precis_order *order, const precis_hold_data *data)
{
  const precis_shard *shard = &hold->shards[order->shard];
  precis_attention *a = hold->handles[order->slot];
  int status = shard->status;
  if (status == PRECIS_SUCCESS)
    status = precis_keys_reserve(&a->keys, shard->rows, a->with_bias || order->with_bias);
  status = precis_world_agree(hold->world, status, &hold->why);
  if (status == PRECIS_SUCCESS && hold->options->data != NULL)
    status = make_durable(hold, order, data);
  if (status != PRECIS_SUCCESS)
    return status;
  return precis_append(a, shard->rows, shard->arrays[PRECIS_SHARD_K], shard->arrays[PRECIS_SHARD_V],
                       shard->arrays[PRECIS_SHARD_BIAS]);
}
