#include "mpi/service/hold.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/handle/attention.h"
#include "mpi/handle/fork.h"
#include "mpi/service/hold_attend.h"
#include "mpi/service/hold_commit.h"
#include "mpi/service/hold_load.h"
#include "mpi/service/hold_mean.h"
#include "mpi/service/hold_unit.h"
#include "mpi/service/link.h"
#include "src/base/memory.h"

/* For who has to find a rank. */
static int gather_hosts(precis_hold *hold)
{
  precis_host here = {""};
  gethostname(here.text, sizeof here.text - 1);
  return MPI_Gather(&here, sizeof here, MPI_BYTE, hold->hosts, sizeof here, MPI_BYTE, 0,
                    hold->world->comm)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

int precis_hold_create(precis_world *world, const precis_service_options *options,
                       precis_hold *hold)
{
  *hold = (precis_hold){.world = world, .options = options};
  atomic_init(&hold->silence.rank, -1);
  hold->handles = calloc((size_t)options->contexts_most, sizeof *hold->handles);
  hold->shards = calloc((size_t)options->connections_most, sizeof *hold->shards);
  hold->counts = calloc((size_t)world->ranks, sizeof *hold->counts);
  hold->starts = calloc((size_t)world->ranks, sizeof *hold->starts);
  hold->bytes = calloc((size_t)world->ranks, sizeof *hold->bytes);
  hold->sums = calloc((size_t)world->ranks, sizeof *hold->sums);
  hold->hosts = calloc((size_t)world->ranks, sizeof *hold->hosts);
  int made = hold->hosts && hold->handles && hold->shards && hold->counts && hold->starts &&
             hold->bytes && hold->sums;
  int status = precis_world_agree(world, made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, &hold->why);
  if (status == PRECIS_SUCCESS)
    status = gather_hosts(hold);
  if (status != PRECIS_SUCCESS)
    precis_hold_free(hold);
  return status;
}

static void drop(precis_shard *shard)
{
  for (int i = 0; i < PRECIS_SHARD_ARRAYS; i++)
    free(shard->arrays[i]);
  *shard = (precis_shard){0};
}

void precis_hold_free(precis_hold *hold)
{
  for (int64_t i = 0; hold->handles != NULL && i < hold->options->contexts_most; i++)
    precis_destroy(&hold->handles[i]);
  for (int i = 0; hold->shards != NULL && i < hold->options->connections_most; i++)
    drop(&hold->shards[i]);
  free(hold->handles);
  free(hold->shards);
  free(hold->counts);
  free(hold->starts);
  free(hold->bytes);
  free(hold->sums);
  free(hold->hosts);
}

/* The library's words for why a call fails. */
static void keep_message(void *context, const char *text)
{
  precis_hold *hold = context;
  precis_message_set(&hold->why, PRECIS_SUCCESS, "%s", text);
}

static int create(precis_hold *hold, const precis_order *order)
{
  const precis_options options = {.move = order->move,
                                  .tol = order->tol,
                                  .tol_of = order->tol_of,
                                  .guarantee = order->guarantee,
                                  .threads = hold->options->threads,
                                  .machine = hold->options->machine,
                                  .message = keep_message,
                                  .context = hold};
  precis_attention **handle = &hold->handles[order->slot];
  int status = precis_create(hold->world->comm, &order->problem, &options, handle);
  if (status == PRECIS_SUCCESS && (status = precis_attention_share(*handle)) != PRECIS_SUCCESS)
    precis_destroy(handle);
  return status;
}

static void open_shard(precis_hold *hold, const precis_order *order)
{
  precis_shard *shard = &hold->shards[order->shard];
  const precis_problem *p = &order->problem;
  const int64_t row[] = {(int64_t)p->kv_heads * p->dim, (int64_t)p->kv_heads * p->value_dim, 1};
  shard->rows = order->rows;
  for (int i = 0; i < PRECIS_SHARD_BIAS + (order->with_bias != 0); i++) {
    shard->arrays[i] = precis_memory_array(order->rows * row[i], sizeof(float));
    if (shard->arrays[i] == NULL)
      shard->status = PRECIS_ERR_MEMORY;
  }
}

/* Values for which there is no room are still received, as rank 0 sends them. */
static int fill(precis_hold *hold, const precis_order *order, const precis_hold_data *data)
{
  precis_shard *shard = &hold->shards[order->shard];
  float *array = shard->arrays[order->array];
  if (data != NULL) {
    if (array != NULL)
      memcpy(array + order->first, data->values, (size_t)order->count * sizeof *array);
    return PRECIS_SUCCESS;
  }
  if (array != NULL)
    return precis_link_receive(hold->world, array + order->first, order->count);
  float *sink = malloc((size_t)order->count * sizeof *sink);
  int status = sink ? precis_link_receive(hold->world, sink, order->count) : PRECIS_ERR_MPI;
  free(sink);
  return status;
}

/* What forks share is weighed once. */
static int64_t handle_bytes(const precis_attention *a, int64_t weighing)
{
  return precis_keys_weigh(&a->keys, weighing) + precis_kept_weigh(&a->kept, &a->problem, weighing);
}

/* What each rank holds now, for rank 0. */
static int count_bytes(precis_hold *hold)
{
  int64_t bytes = 0;
  hold->weighings++;
  for (int64_t i = 0; i < hold->options->contexts_most; i++)
    if (hold->handles[i] != NULL)
      bytes += handle_bytes(hold->handles[i], hold->weighings);
  return MPI_Gather(&bytes, 1, MPI_INT64_T, hold->bytes, 1, MPI_INT64_T, 0, hold->world->comm)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

int precis_hold_obey(precis_hold *hold, const precis_order *order, const precis_hold_data *data)
{
  int status = PRECIS_SUCCESS;
  hold->why.text[0] = '\0';
  switch (order->kind) {
  case PRECIS_ORDER_CREATE:
    status = create(hold, order);
    break;
  case PRECIS_ORDER_FORK:
    status = precis_attention_fork(hold->handles[order->parent], order->count,
                                   &hold->handles[order->slot]);
    break;
  case PRECIS_ORDER_DESTROY:
    status = precis_destroy(&hold->handles[order->slot]);
    break;
  case PRECIS_ORDER_OPEN:
    open_shard(hold, order);
    return PRECIS_SUCCESS;
  case PRECIS_ORDER_FILL:
    return fill(hold, order, data);
  case PRECIS_ORDER_DROP:
    drop(&hold->shards[order->shard]);
    return PRECIS_SUCCESS;
  case PRECIS_ORDER_COMMIT:
    status = precis_hold_commit(hold, order, data);
    drop(&hold->shards[order->shard]);
    break;
  case PRECIS_ORDER_LOAD:
    status = precis_hold_load(hold, order, data);
    break;
  case PRECIS_ORDER_UNIT:
    status = precis_hold_unit(hold, order, data);
    break;
  case PRECIS_ORDER_MEAN:
    status = precis_hold_mean(hold, order, data);
    break;
  case PRECIS_ORDER_ATTEND:
    status = precis_hold_attend(hold, order, data);
    break;
  case PRECIS_ORDER_REFRESH:
    status = precis_attention_refresh(hold->handles[order->slot]);
    break;
  case PRECIS_ORDER_PING:
  case PRECIS_ORDER_STOP:
    return PRECIS_SUCCESS;
  }
  int counted = count_bytes(hold);
  return status == PRECIS_SUCCESS ? counted : status;
}
