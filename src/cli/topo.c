/* topo.c - precis topo: the machine as each rank sees it */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/machine.h"
#include "src/cli/cli.h"
#include "src/cli/json.h"
#include "src/memory.h"

/* What a rank tells; plain data, sent as bytes between like machines. */
typedef struct seen {
  precis_machine machine;
  int node, threads;
} seen;

enum { WARNINGS_MOST = 3 };

typedef struct warnings {
  int count;
  char text[WARNINGS_MOST][160];
} warnings;

/* Over all nodes: ranks that are not bound, cores that are asked for more threads than they are,
 * unknown caches. */
static warnings judge(const seen *all, int ranks)
{
  warnings found = {0};
  int unbound = 0, unknown = 0, crowded = 0;
  for (int r = 0; r < ranks; r++) {
    const precis_machine *m = &all[r].machine;
    unbound += m->node_ranks > 1 && !m->cache.bound;
    unknown += !m->cache.known;
    crowded += all[r].threads * m->sharers > m->cache.cores;
  }
  if (unbound > 0)
    snprintf(found.text[found.count++], sizeof found.text[0],
             "%d of %d ranks are not bound to cores although they share a node: use mpirun "
             "--bind-to core",
             unbound, ranks);
  if (crowded > 0)
    snprintf(found.text[found.count++], sizeof found.text[0],
             "%d of %d ranks have more threads than cores to run them on: fewer ranks, or "
             "OMP_NUM_THREADS",
             crowded, ranks);
  if (unknown > 0)
    snprintf(found.text[found.count++], sizeof found.text[0],
             "%d of %d ranks cannot tell their caches: give --fast-memory to precis run", unknown,
             ranks);
  return found;
}

static void print_text(const seen *all, int ranks, int nodes)
{
  printf("%d rank%s on %d node%s, %s\n\n", ranks, ranks == 1 ? "" : "s", nodes,
         nodes == 1 ? "" : "s", all[0].machine.cache.cpu);
  printf("%5s  %-20s %-16s %6s %8s %12s %10s %10s\n", "rank", "host", "processing units", "cores",
         "threads", "fast memory", "from L2", "from L3");
  for (int r = 0; r < ranks; r++) {
    const precis_cache *c = &all[r].machine.cache;
    printf("%5d  %-20s %-16s %6d %8d %8.1f MiB %6.1f MiB %6.1f MiB\n", r, all[r].machine.host,
           c->cpuset, c->cores, all[r].threads, (double)c->fast_bytes / 1048576,
           (double)c->l2_bytes / 1048576, (double)c->l3_bytes / 1048576);
  }
  warnings found = judge(all, ranks);
  for (int i = 0; i < found.count; i++)
    printf("%swarning: %s\n", i == 0 ? "\n" : "", found.text[i]);
}

static json_t *rank_object(const seen *s, int rank)
{
  const precis_cache *c = &s->machine.cache;
  return json_pack("{s:i, s:i, s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:b, s:i}",
                   "rank", rank, "node", s->node, "host", s->machine.host, "cpu", c->cpu, "cpuset",
                   c->cpuset, "bound", c->bound, "cores", c->cores, "machine_cores",
                   c->machine_cores, "threads", s->threads, "sharers", s->machine.sharers,
                   "fast_memory_bytes", (json_int_t)c->fast_bytes, "l2_bytes",
                   (json_int_t)c->l2_bytes, "l3_bytes", (json_int_t)c->l3_bytes,
                   "fast_memory_known", c->known, "line_bytes", c->line_bytes);
}

static json_t *object_of(const seen *all, int ranks, int nodes)
{
  warnings found = judge(all, ranks);
  json_t *list = json_array(), *words = json_array();
  for (int r = 0; r < ranks; r++)
    json_array_append_new(list, rank_object(&all[r], r));
  for (int i = 0; i < found.count; i++)
    json_array_append_new(words, json_string(found.text[i]));
  return json_pack("{s:s, s:i, s:i, s:o, s:o}", "precis", precis_version(), "ranks", ranks, "nodes",
                   nodes, "machines", list, "warnings", words);
}

/* On rank 0. */
static int print(precis_cli *cli, const seen *all)
{
  int ranks = cli->world.ranks, nodes = cli->world.nodes;
  precis_draft json = {0};
  int status = precis_json_open(cli, &json);
  if (status == PRECIS_SUCCESS && cli->settings.json != NULL)
    status = precis_json_save(cli, object_of(all, ranks, nodes), &json);
  if (status == PRECIS_SUCCESS && precis_json_leaves_stdout(cli))
    print_text(all, ranks, nodes);
  return status;
}

int precis_command_topo(precis_cli *cli)
{
  const precis_world *world = &cli->world;
  seen mine = {.node = world->node[world->rank], .threads = omp_get_max_threads()};
  precis_cli_phase(cli, "looking at the machine");
  int status = precis_machine_find(&cli->world, &mine.machine);
  if (status != PRECIS_SUCCESS)
    return status;
  seen *all = precis_memory_array(world->rank == 0 ? world->ranks : 0, sizeof *all);
  status = precis_cli_agree(cli, all ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  if (status == PRECIS_SUCCESS &&
      MPI_Gather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, 0, world->comm))
    status = PRECIS_ERR_MPI;
  if (status == PRECIS_SUCCESS && world->rank == 0)
    status = print(cli, all);
  free(all);
  return precis_cli_agree(cli, status);
}
