/* world.h - the ranks of one job: a private communicator, counted messages, agreement on errors
 *
 * All point-to-point traffic of the moves goes through here, so that bytes are counted where they
 * are sent. */
#ifndef PRECIS_MPI_WORLD_WORLD_H
#define PRECIS_MPI_WORLD_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include <mpi.h>

#include "src/base/message.h"
#include "src/layout/nodes.h"
#include "src/base/waiting.h"

/* The largest piece of a message in bytes; longer ones are cut up. MPI counts are int. */
#define PRECIS_PIECE_BYTES ((int64_t)1 << 30)

typedef struct precis_traffic {
  int64_t network_bytes; /* sent to ranks on other nodes */
  int64_t node_bytes;    /* sent to ranks on this node */
  int64_t messages;
} precis_traffic;

/* What was counted between two readings. */
precis_traffic precis_traffic_minus(const precis_traffic *now, const precis_traffic *before);

typedef struct precis_world {
  MPI_Comm comm; /* a duplicate with MPI_ERRORS_RETURN */
  int rank, ranks;
  precis_nodes layout;    /* of the ranks over the nodes, see precis_world_create() ... */
  precis_nodes apart;     /* the same, where those of a node share no memory after all */
  int nodes;              /* ... how many, ... */
  const int *node;        /* ... and the node of each rank */
  MPI_Comm node_comm;     /* the ranks of this node, by their local numbers */
  MPI_Datatype cell;      /* of meetings, see mpi/world/meet.h, ... */
  MPI_Op fold;            /* ... and what becomes of two */
  int64_t piece_bytes;    /* PRECIS_PIECE_BYTES; smaller in tests */
  precis_traffic traffic; /* counted since creation, by this rank */
  precis_waiting waiting; /* kept by the functions below */
} precis_world;

/* Collective. On failure nothing is left to free. Ranks are of one node where MPI says that they
 * can share memory and, if there is PRECIS_NODES in the environment, it says so, too: numbers, such
 * as "0 0 1" or "0,0,1", of which rank r takes entry r, from the first again where they end. So
 * tests make many nodes of one, and what nodes are good for is measured. Errors: ARGUMENT (what
 * precis_world_wish() explains), MEMORY, MPI. */
int precis_world_create(MPI_Comm comm, precis_world *world);
/* The node that PRECIS_NODES puts a rank on, 0 where there is no such variable. Not collective.
 * Errors: ARGUMENT. */
int precis_world_wish(int rank, int *node, precis_message *why);

/* A world of this process alone, which makes no call of MPI and needs none to be there: for
 * commands that must work where MPI cannot start. Its comm is MPI_COMM_NULL, it has no node_comm,
 * and only what is declared here works on it. Errors: MEMORY. */
int precis_world_alone(precis_world *world);

/* Collective. */
void precis_world_free(precis_world *world);

/* Collective. Returns the code of the lowest rank among those with the most negative status, 0 when
 * all ranks succeeded. message (NULL on no rank or on all) then holds that rank's text on every
 * rank, or precis_strerror() of the code when that rank left it empty. */
int precis_world_agree(precis_world *world, int status, precis_message *message);

/* Collective. MISMATCH unless the bytes are equal on all ranks. */
int precis_world_same(precis_world *world, const void *bytes, size_t size);

/* Collective. Of an array, item i is what rank i modulo ranks has; all get it. Errors: MPI. */
int precis_world_share(precis_world *world, void *items, size_t size, int count);

/* Collective: MPI_Allreduce in place, MPI_Bcast and MPI_Barrier, which a process alone does
 * without. Errors: MPI. */
int precis_world_reduce(precis_world *world, void *values, int count, MPI_Datatype type, MPI_Op op);
int precis_world_broadcast(precis_world *world, void *values, int count, MPI_Datatype type,
                           int root);
int precis_world_barrier(precis_world *world);

/* A message in flight, possibly in several pieces. Zero-initialise; done when count is 0. No
 * allocation: a rank that failed here alone would leave its peer waiting. */
enum { PRECIS_TRANSFER_PIECES = 64 };
typedef struct precis_transfer {
  MPI_Request requests[PRECIS_TRANSFER_PIECES];
  int count;
  precis_waiting *waiting; /* of the world, where it is on record */
  atomic_int *peer;
} precis_transfer;

/* Start sending or receiving `bytes` bytes (0 allowed: no message at all, on both sides). Both
 * ranks must name the same number, at most PRECIS_TRANSFER_PIECES pieces (64 GiB), else both get
 * ARGUMENT. Errors: ARGUMENT, MPI. */
int precis_world_send(precis_world *world, const void *data, int64_t bytes, int to, int tag,
                      precis_transfer *transfer);
int precis_world_receive(precis_world *world, void *data, int64_t bytes, int from, int tag,
                         precis_transfer *transfer);
/* Drives progress; sets *done. */
int precis_transfer_test(precis_transfer *transfer, int *done);
int precis_transfer_wait(precis_transfer *transfer);

#endif
