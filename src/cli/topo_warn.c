/* topo_warn.c - what keeps ranks from having their machine to themselves */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/cli/topo.h"
#include "src/base/memory.h"
#include "topology/node.h"

typedef struct warner {
  void (*say)(void *, const char *);
  void *context;
  int count;
} warner;

__attribute__((format(printf, 2, 3))) static void warn(warner *w, const char *format, ...)
{
  char text[320];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof text, format, values);
  va_end(values);
  w->say(w->context, text);
  w->count++;
}

/* Sums over nodes; for what concerns a node, the number of nodes and the first of them. */
typedef struct sums {
  int unbound, overlapping, crowded, withheld, spanning;
  int full, uneven;
  precis_node first_full, first_uneven;
  const char *full_host, *uneven_host;
} sums;

static void add(sums *s, const precis_node *node, const char *host)
{
  s->unbound += node->unbound;
  s->overlapping += node->overlapping;
  s->crowded += node->crowded;
  s->withheld += node->withheld;
  s->spanning += node->spanning;
  if (node->threads > node->cores && s->full++ == 0) {
    s->first_full = *node;
    s->full_host = host;
  }
  if (precis_node_uneven(node) && s->uneven++ == 0) {
    s->first_uneven = *node;
    s->uneven_host = host;
  }
}

/* Nodes are numbered from 0 in the order of their lowest ranks. */
static int judge(const precis_topo_rank *all, int ranks, sums *s)
{
  precis_seat *seats = precis_memory_array(ranks, sizeof *seats);
  if (seats == NULL)
    return -1;
  for (int node = 0, more = 1; more; node++) {
    int count = 0;
    const char *host = "";
    for (int r = 0; r < ranks; r++)
      if (all[r].node == node) {
        host = count == 0 ? all[r].machine.host : host;
        seats[count++] = (precis_seat){&all[r].machine.cache, all[r].threads};
      }
    more = count > 0;
    if (more) {
      precis_node judged = precis_node_judge(seats, count);
      add(s, &judged, host);
    }
  }
  free(seats);
  return 0;
}

static void warn_of_binding(warner *w, const sums *s, int ranks)
{
  if (s->unbound > 0)
    warn(w,
         "%d of %d ranks are not bound to cores although they share a node: use mpirun --bind-to "
         "core, or srun --cpu-bind=cores",
         s->unbound, ranks);
  if (s->overlapping > 0)
    warn(w,
         "%d of %d ranks are bound to processing units that other ranks are bound to as well: they "
         "wait for each other and divide caches; look at --map-by and --bind-to, or whether two "
         "jobs were given the same node",
         s->overlapping, ranks);
  if (s->spanning > 0)
    warn(w,
         "%d of %d ranks are bound across NUMA nodes, so part of their memory is far: use mpirun "
         "--map-by numa, or srun --cpu-bind=ldoms",
         s->spanning, ranks);
  if (s->uneven > 0)
    warn(w,
         "%s%s: from %d to %d ranks at a NUMA node, so that some have less memory bandwidth than "
         "others: use mpirun --map-by numa",
         s->uneven_host, s->uneven > 1 ? " and other nodes" : "", s->first_uneven.numa_fewest,
         s->first_uneven.numa_most);
}

static void warn_of_threads(warner *w, const sums *s, int ranks)
{
  if (s->full > 0)
    warn(w, "%s%s: %d ranks with %d threads together on %d cores: fewer ranks, or OMP_NUM_THREADS",
         s->full_host, s->full > 1 ? " and other nodes" : "", s->first_full.ranks,
         s->first_full.threads, s->first_full.cores);
  if (s->crowded > 0)
    warn(w,
         "%d of %d ranks have more threads than cores to run them on: OMP_NUM_THREADS, or more "
         "cores a rank: mpirun --map-by slot:PE=CORES, srun --cpus-per-task=CORES",
         s->crowded, ranks);
  if (s->withheld > 0)
    warn(w,
         "%d of %d ranks have more threads than the system allows the job cores on their node (its "
         "cgroup or cpuset): ask for more, or OMP_NUM_THREADS",
         s->withheld, ranks);
}

static void warn_of_settings(warner *w, const precis_topo_rank *all, int ranks)
{
  int unknown = 0, blas = 0, fewer = 0, slow = 0;
  const precis_topo_rank *slowest = NULL;
  for (int r = 0; r < ranks; r++) {
    unknown += !all[r].machine.cache.known;
    blas += all[r].blas_threads > 1;
    fewer += all[r].slurm_cpus > all[r].machine.cache.pus;
    if (all[r].better_core[0] != '\0' && slow++ == 0)
      slowest = &all[r];
  }
  if (fewer > 0)
    warn(w,
         "%d of %d ranks may run on fewer processing units than --cpus-per-task asked Slurm for: "
         "srun does not take it over from sbatch, give it to srun again",
         fewer, ranks);
  if (blas > 0)
    warn(w,
         "%d of %d ranks have OPENBLAS_NUM_THREADS over 1: Precis sets OpenBLAS to one thread "
         "while it works, as its own threads share the work; leave it out",
         blas, ranks);
  if (slow > 0)
    warn(w,
         "%d of %d ranks: OpenBLAS does not know the processor, takes it for %s, and computes "
         "several times slower than it could: set OPENBLAS_CORETYPE=%s, or use a newer OpenBLAS",
         slow, ranks, slowest->blas_core, slowest->better_core);
  if (unknown > 0)
    warn(w, "%d of %d ranks cannot tell their caches: give --fast-memory to precis run", unknown,
         ranks);
}

/* Two parcels a rank, of the size that large problems have: see src/plan/limit.h. */
static void warn_of_room(warner *w, const precis_topo_rank *all, int ranks)
{
  const int64_t wanted = (int64_t)2 << 24;
  const precis_machine *first = NULL;
  int few = 0;
  for (int r = 0; r < ranks; r++) {
    const precis_machine *m = &all[r].machine;
    if (m->node_ranks > 1 && m->room_bytes / m->node_ranks < wanted && few++ == 0)
      first = m;
  }
  if (few > 0)
    warn(w,
         "%s: %s has %.3g MB free for %d ranks to share: tiles and summaries that need more go by "
         "messages, which is slower; containers take --shm-size=1g or --ipc=host",
         first->host, first->room_place, (double)first->room_bytes * 1e-6, first->node_ranks);
}

int precis_topo_warn(const precis_topo_rank *all, int ranks, void (*say)(void *, const char *),
                     void *context)
{
  warner w = {say, context, 0};
  sums s = {0};
  if (judge(all, ranks, &s) != 0)
    return -1;
  warn_of_binding(&w, &s, ranks);
  warn_of_threads(&w, &s, ranks);
  warn_of_settings(&w, all, ranks);
  warn_of_room(&w, all, ranks);
  return w.count;
}
