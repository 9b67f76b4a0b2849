#include "mpi/measure/calibrate.h"

#include <stdlib.h>

#include "src/base/blas.h"
#include "src/measure/measure.h"
#include "src/base/memory.h"
#include "src/precis.h"

enum {
  ROUNDS = 41,
  REPEATS = 7,
  SMALL = 8,
  SMALL_TRIPS = 200,
  LARGE = 1 << 22,
  LARGE_TRIPS = 4,
  LINK_TAG = 30
};

/* Seconds of each job, on the rank that takes longest. Round after round through all jobs: what
 * disturbs the machine for a moment then spoils one round. */
static int measure_jobs(precis_world *world, precis_measure *measure, double *seconds)
{
  for (int i = 0; i <= ROUNDS; i++)
    for (int job = 0; job < PRECIS_MEASURE_JOBS; job++) {
      if (MPI_Barrier(world->comm))
        return PRECIS_ERR_MPI;
      double start = MPI_Wtime();
      precis_measure_run(measure, (precis_measure_job)job);
      double took = MPI_Wtime() - start;
      if (i > 0) /* round 0 pays for pages and clocks */
        seconds[job] = i == 1 || took < seconds[job] ? took : seconds[job];
    }
  return MPI_Allreduce(MPI_IN_PLACE, seconds, PRECIS_MEASURE_JOBS, MPI_DOUBLE, MPI_MAX, world->comm)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

/* A message there and back between rank 0 and `other`, so many times; half the time of one trip, on
 * all ranks. */
static double ping_pong(const precis_world *world, int other, char *buffer)
{
  double best = 1e9;
  for (int i = 0; i < REPEATS; i++) {
    MPI_Barrier(world->comm);
    double start = MPI_Wtime();
    for (int trip = 0; trip < SMALL_TRIPS; trip++) {
      if (world->rank == 0) {
        MPI_Send(buffer, SMALL, MPI_BYTE, other, LINK_TAG, world->comm);
        MPI_Recv(buffer, SMALL, MPI_BYTE, other, LINK_TAG, world->comm, MPI_STATUS_IGNORE);
      } else if (world->rank == other) {
        MPI_Recv(buffer, SMALL, MPI_BYTE, 0, LINK_TAG, world->comm, MPI_STATUS_IGNORE);
        MPI_Send(buffer, SMALL, MPI_BYTE, 0, LINK_TAG, world->comm);
      }
    }
    double took = (MPI_Wtime() - start) / (2 * SMALL_TRIPS);
    best = took < best ? took : best;
  }
  MPI_Bcast(&best, 1, MPI_DOUBLE, 0, world->comm);
  return best;
}

/* Every rank with a `to` sends to it and takes from `from` at once; bytes a second of the slowest.
 */
static double exchange(const precis_world *world, int to, int from, char *buffer)
{
  double best = 1e9;
  for (int i = 0; i < REPEATS; i++) {
    MPI_Barrier(world->comm);
    double start = MPI_Wtime();
    for (int trip = 0; trip < LARGE_TRIPS && to >= 0; trip++)
      MPI_Sendrecv(buffer, LARGE, MPI_BYTE, to, LINK_TAG, buffer + LARGE, LARGE, MPI_BYTE, from,
                   LINK_TAG, world->comm, MPI_STATUS_IGNORE);
    double took = to >= 0 ? (MPI_Wtime() - start) / LARGE_TRIPS : 0;
    MPI_Allreduce(MPI_IN_PLACE, &took, 1, MPI_DOUBLE, MPI_MAX, world->comm);
    best = took < best ? took : best;
  }
  return LARGE / best;
}

/* Where a rank stands among those of its node. */
typedef struct place {
  int index, count; /* number `index` of `count` */
  int next, last;   /* the neighbours on a ring of the node's ranks */
} place;

static place place_of(const precis_world *world)
{
  place p = {.next = -1, .last = -1};
  int first = -1, end = -1;
  for (int r = 0; r < world->ranks; r++) {
    if (world->node[r] != world->node[world->rank])
      continue;
    first = first < 0 ? r : first;
    end = r;
    p.last = r < world->rank ? r : p.last;
    p.next = r > world->rank && p.next < 0 ? r : p.next;
    p.index += r < world->rank;
    p.count++;
  }
  p.next = p.next < 0 ? first : p.next;
  p.last = p.last < 0 ? end : p.last;
  return p;
}

/* Rank number `index` of node `node`, or -1. */
static int rank_on(const precis_world *world, int node, int index)
{
  for (int r = 0; r < world->ranks; r++)
    if (world->node[r] == node && index-- == 0)
      return r;
  return -1;
}

static void measure_node(const precis_world *world, const place *p, char *buffer,
                         precis_calibration *c)
{
  int other = -1, alone = p->count == 1, none;
  for (int r = 1; r < world->ranks && other < 0; r++)
    other = world->node[r] == world->node[0] ? r : -1;
  MPI_Allreduce(&alone, &none, 1, MPI_INT, MPI_MIN, world->comm);
  c->has_node = !none && other >= 0;
  if (!c->has_node)
    return;
  c->rates.node_latency = ping_pong(world, other, buffer);
  c->rates.node_bandwidth = exchange(world, alone ? -1 : p->next, p->last, buffer);
}

/* Node to node, round a ring of nodes: one rank of each, then all that have a counterpart. */
static void measure_network(const precis_world *world, const place *p, char *buffer,
                            precis_calibration *c)
{
  int nodes = world->nodes, node = world->node[world->rank], least = p->count;
  c->has_network = nodes > 1;
  if (!c->has_network)
    return;
  MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_INT, MPI_MIN, world->comm);
  int to = rank_on(world, (node + 1) % nodes, p->index),
      from = rank_on(world, (node + nodes - 1) % nodes, p->index);
  int other = 0;
  while (world->node[other] == world->node[0])
    other++;
  c->rates.network_latency = ping_pong(world, other, buffer);
  c->rates.network_stream = exchange(world, p->index == 0 ? to : -1, from, buffer);
  c->rates.network_bandwidth = least * exchange(world, p->index < least ? to : -1, from, buffer);
}

/* A call with one token, alone. */
static int measure_call(double *seconds)
{
  const precis_problem problem = {.heads = 1, .dim = 1};
  const precis_options options = {.threads = 1, .fast_memory_bytes = 1 << 20};
  const float one = 1;
  float out;
  precis_attention *attention;
  int status = precis_create(MPI_COMM_SELF, &problem, &options, &attention);
  if (status == PRECIS_SUCCESS)
    status = precis_append(attention, 1, &one, &one, NULL);
  *seconds = 1;
  for (int i = 0; i < REPEATS && status == PRECIS_SUCCESS; i++) {
    double start = MPI_Wtime();
    status = precis_attend(attention, 1, &one, &out, NULL, NULL);
    double took = MPI_Wtime() - start;
    *seconds = took < *seconds ? took : *seconds;
  }
  precis_destroy(&attention);
  return status;
}

int precis_calibrate(precis_world *world, int threads, int64_t fast_memory,
                     precis_calibration *calibration)
{
  precis_calibration c = {.rates = precis_rates_nominal(threads)};
  double seconds[PRECIS_MEASURE_JOBS] = {0}, call = 0;
  place p = place_of(world);
  precis_measure *measure = precis_measure_create(threads, fast_memory / threads);
  char *buffer = precis_memory_array(2 * LARGE, 1);
  int status =
      precis_world_agree(world, measure && buffer ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    int blas = precis_blas_threads(1);
    status = measure_jobs(world, measure, seconds);
    precis_blas_threads(blas);
    precis_measure_rates(threads, seconds, &c.rates);
  }
  if (status == PRECIS_SUCCESS) {
    measure_node(world, &p, buffer, &c);
    measure_network(world, &p, buffer, &c);
    status = precis_world_agree(world, measure_call(&call), NULL);
  }
  double most[] = {call, p.count};
  if (status == PRECIS_SUCCESS &&
      MPI_Allreduce(MPI_IN_PLACE, most, 2, MPI_DOUBLE, MPI_MAX, world->comm))
    status = PRECIS_ERR_MPI;
  free(buffer);
  precis_measure_free(measure);
  if (status != PRECIS_SUCCESS)
    return status;
  c.rates.call_time = most[0];
  c.rates.fast_memory = (double)fast_memory;
  c.ranks_per_node = (int)most[1];
  *calibration = c;
  return PRECIS_SUCCESS;
}
