#include "mpi/world/world.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/world/meet.h"
#include "src/precis.h"
#include "src/base/size.h"

int precis_world_wish(int rank, int *node, precis_message *why)
{
  const char *text = getenv("PRECIS_NODES");
  *node = 0;
  return text == NULL ? PRECIS_SUCCESS
                      : precis_list_parse("PRECIS_NODES", text, rank, 1 << 20, node, why);
}

/* The ranks that share this one's memory. A rank on which MPI fails alone, as it runs out of memory
 * or communicators, must not leave the others to wait for it. */
static int split(precis_world *world)
{
  MPI_Comm local = MPI_COMM_NULL;
  int failed = MPI_Comm_split_type(world->comm, MPI_COMM_TYPE_SHARED, world->rank, MPI_INFO_NULL,
                                   &local) != MPI_SUCCESS;
  local = failed ? MPI_COMM_NULL : local;
  int node, status = failed ? PRECIS_ERR_MPI : precis_world_wish(world->rank, &node, NULL);
  status = precis_world_agree(world, status, NULL);
  if (status == PRECIS_SUCCESS) {
    MPI_Comm_set_errhandler(local, MPI_ERRORS_RETURN);
    failed = MPI_Comm_split(local, node, world->rank, &world->node_comm) != MPI_SUCCESS;
    world->node_comm = failed ? MPI_COMM_NULL : world->node_comm;
    status = precis_world_agree(world, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS, NULL);
  }
  if (local != MPI_COMM_NULL)
    MPI_Comm_free(&local);
  if (status == PRECIS_SUCCESS)
    MPI_Comm_set_errhandler(world->node_comm, MPI_ERRORS_RETURN);
  return status;
}

/* leaders: ranks. */
static int find_nodes(precis_world *world, int *leaders)
{
  int leader = world->rank;
  if (MPI_Bcast(&leader, 1, MPI_INT, 0, world->node_comm) ||
      MPI_Allgather(&leader, 1, MPI_INT, leaders, 1, MPI_INT, world->comm))
    return PRECIS_ERR_MPI;
  int status = precis_nodes_create(world->ranks, leaders, &world->layout);
  if (status == PRECIS_SUCCESS)
    status = precis_nodes_part(&world->layout, &world->apart);
  world->nodes = world->layout.count;
  world->node = world->layout.node;
  return precis_world_agree(world, status, NULL);
}

/* A duplicate of comm, on all ranks or on none: those that have one hear on comm itself from those
 * that have not. */
static int duplicate(MPI_Comm comm, MPI_Comm *made)
{
  int failed = MPI_Comm_dup(comm, made) != MPI_SUCCESS, any = 1;
  *made = failed ? MPI_COMM_NULL : *made;
  if (MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, comm) != MPI_SUCCESS)
    any = 1;
  if (any && *made != MPI_COMM_NULL)
    MPI_Comm_free(made);
  if (any)
    return PRECIS_ERR_MPI;
  MPI_Comm_set_errhandler(*made, MPI_ERRORS_RETURN);
  return PRECIS_SUCCESS;
}

int precis_world_create(MPI_Comm comm, precis_world *world)
{
  precis_world made = {.comm = MPI_COMM_NULL,
                       .node_comm = MPI_COMM_NULL,
                       .cell = MPI_DATATYPE_NULL,
                       .fold = MPI_OP_NULL,
                       .piece_bytes = PRECIS_PIECE_BYTES};
  if (duplicate(comm, &made.comm) != PRECIS_SUCCESS)
    return PRECIS_ERR_MPI;
  MPI_Comm_rank(made.comm, &made.rank);
  MPI_Comm_size(made.comm, &made.ranks);
  int *leaders = malloc((size_t)made.ranks * sizeof *leaders);
  int short_of = precis_waiting_create(made.ranks, &made.waiting) != 0 || leaders == NULL;
  int status = short_of ? PRECIS_ERR_MEMORY : precis_meet_create(&made);
  status = precis_world_agree(&made, status, NULL);
  if (status == PRECIS_SUCCESS)
    status = split(&made);
  if (status == PRECIS_SUCCESS)
    status = find_nodes(&made, leaders);
  free(leaders);
  if (status != PRECIS_SUCCESS) {
    precis_world_free(&made);
    return status;
  }
  *world = made;
  return PRECIS_SUCCESS;
}

int precis_world_alone(precis_world *world)
{
  *world = (precis_world){.comm = MPI_COMM_NULL,
                          .node_comm = MPI_COMM_NULL,
                          .cell = MPI_DATATYPE_NULL,
                          .fold = MPI_OP_NULL,
                          .ranks = 1,
                          .nodes = 1,
                          .piece_bytes = PRECIS_PIECE_BYTES};
  if (precis_waiting_create(1, &world->waiting) != 0 ||
      precis_nodes_create(1, NULL, &world->layout) != PRECIS_SUCCESS ||
      precis_nodes_part(&world->layout, &world->apart) != PRECIS_SUCCESS) {
    precis_world_free(world);
    return PRECIS_ERR_MEMORY;
  }
  world->node = world->layout.node;
  return PRECIS_SUCCESS;
}

int precis_world_reduce(precis_world *world, void *values, int count, MPI_Datatype type, MPI_Op op)
{
  if (world->comm == MPI_COMM_NULL)
    return PRECIS_SUCCESS;
  return MPI_Allreduce(MPI_IN_PLACE, values, count, type, op, world->comm) ? PRECIS_ERR_MPI
                                                                           : PRECIS_SUCCESS;
}

int precis_world_broadcast(precis_world *world, void *values, int count, MPI_Datatype type,
                           int root)
{
  if (world->comm == MPI_COMM_NULL)
    return PRECIS_SUCCESS;
  return MPI_Bcast(values, count, type, root, world->comm) ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}

int precis_world_barrier(precis_world *world)
{
  if (world->comm == MPI_COMM_NULL)
    return PRECIS_SUCCESS;
  return MPI_Barrier(world->comm) ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}

void precis_world_free(precis_world *world)
{
  precis_waiting_free(&world->waiting);
  precis_nodes_free(&world->layout);
  precis_nodes_free(&world->apart);
  world->node = NULL;
  precis_meet_free(world);
  if (world->node_comm != MPI_COMM_NULL)
    MPI_Comm_free(&world->node_comm);
  if (world->comm != MPI_COMM_NULL)
    MPI_Comm_free(&world->comm);
}

int precis_world_agree(precis_world *world, int status, precis_message *message)
{
  struct {
    int status, rank;
  } mine = {status, world->rank}, worst;
  /* MINLOC takes the lowest rank among equals. */
  atomic_store(&world->waiting.meets, 1);
  worst = mine;
  int failed = precis_world_reduce(world, &worst, 1, MPI_2INT, MPI_MINLOC);
  atomic_store(&world->waiting.meets, 0);
  if (failed)
    return PRECIS_ERR_MPI;
  if (worst.status == PRECIS_SUCCESS || message == NULL)
    return worst.status;
  if (message->text[0] == '\0' || status == PRECIS_SUCCESS)
    precis_message_set(message, status, "%s", precis_strerror(worst.status));
  if (precis_world_broadcast(world, message->text, sizeof message->text, MPI_CHAR, worst.rank))
    return PRECIS_ERR_MPI;
  return worst.status;
}

int precis_world_same(precis_world *world, const void *bytes, size_t size)
{
  unsigned char root[256];
  if (size > sizeof root)
    return PRECIS_ERR_INTERNAL;
  memcpy(root, bytes, size);
  if (precis_world_broadcast(world, root, (int)size, MPI_BYTE, 0))
    return PRECIS_ERR_MPI;
  int status = memcmp(root, bytes, size) ? PRECIS_ERR_MISMATCH : PRECIS_SUCCESS;
  return precis_world_agree(world, status, NULL);
}

int precis_world_share(precis_world *world, void *items, size_t size, int count)
{
  for (int i = 0; i < count; i++)
    if (MPI_Bcast((char *)items + (size_t)i * size, (int)size, MPI_BYTE, i % world->ranks,
                  world->comm))
      return PRECIS_ERR_MPI;
  return PRECIS_SUCCESS;
}

/* Pieces of one message arrive in order, as they share source, tag and communicator. */
static int start(precis_world *world, char *data, int64_t bytes, int peer, int tag, int sending,
                 precis_transfer *transfer)
{
  int64_t piece = world->piece_bytes, pieces = bytes / piece + (bytes % piece != 0);
  transfer->count = 0;
  transfer->waiting = &world->waiting;
  transfer->peer = &(sending ? world->waiting.to : world->waiting.from)[peer];
  if (pieces > PRECIS_TRANSFER_PIECES)
    return PRECIS_ERR_ARGUMENT;
  for (int64_t i = 0; i < pieces; i++) {
    int64_t left = bytes - i * piece;
    int count = (int)(left < piece ? left : piece);
    char *at = data + i * piece;
    int failed =
        sending ? MPI_Isend(at, count, MPI_BYTE, peer, tag, world->comm, &transfer->requests[i])
                : MPI_Irecv(at, count, MPI_BYTE, peer, tag, world->comm, &transfer->requests[i]);
    if (failed)
      return PRECIS_ERR_MPI;
    if (transfer->count++ == 0)
      atomic_fetch_add(transfer->peer, 1);
  }
  return PRECIS_SUCCESS;
}

int precis_world_send(precis_world *world, const void *data, int64_t bytes, int to, int tag,
                      precis_transfer *transfer)
{
  int status = start(world, (char *)(uintptr_t)data, bytes, to, tag, 1, transfer);
  if (status != PRECIS_SUCCESS)
    return status;
  if (world->node[to] == world->node[world->rank])
    world->traffic.node_bytes += bytes;
  else
    world->traffic.network_bytes += bytes;
  world->traffic.messages += transfer->count;
  return PRECIS_SUCCESS;
}

int precis_world_receive(precis_world *world, void *data, int64_t bytes, int from, int tag,
                         precis_transfer *transfer)
{
  return start(world, data, bytes, from, tag, 0, transfer);
}

static void end(precis_transfer *transfer)
{
  transfer->count = 0;
  atomic_fetch_sub(transfer->peer, 1);
}

int precis_transfer_test(precis_transfer *transfer, int *done)
{
  *done = 1;
  if (transfer->count == 0)
    return PRECIS_SUCCESS;
  if (MPI_Testall(transfer->count, transfer->requests, done, MPI_STATUSES_IGNORE))
    return PRECIS_ERR_MPI;
  if (*done)
    end(transfer);
  return PRECIS_SUCCESS;
}

int precis_transfer_wait(precis_transfer *transfer)
{
  if (transfer->count == 0)
    return PRECIS_SUCCESS;
  atomic_store(&transfer->waiting->blocked, 1);
  int failed = MPI_Waitall(transfer->count, transfer->requests, MPI_STATUSES_IGNORE);
  atomic_store(&transfer->waiting->blocked, 0);
  end(transfer);
  return failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}

precis_traffic precis_traffic_minus(const precis_traffic *now, const precis_traffic *before)
{
  return (precis_traffic){now->network_bytes - before->network_bytes,
                          now->node_bytes - before->node_bytes, now->messages - before->messages};
}
