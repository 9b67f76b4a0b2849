/* topo.c - precis topo: the machine as each rank sees it */
#include "src/cli/topo.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/cli/calibrate.h"
#include "src/cli/json.h"
#include "src/base/memory.h"
#include "src/measure/sgemm.h"
#include "src/base/size.h"

static int number_in_environment(const char *name)
{
  const char *text = getenv(name);
  int64_t number = 0;
  return text != NULL && precis_size_parse(name, text, 0, 1 << 20, &number, NULL) == PRECIS_SUCCESS
             ? (int)number
             : 0;
}

int precis_topo_gather(precis_cli *cli, precis_topo_rank **all)
{
  const precis_world *world = &cli->world;
  precis_topo_rank mine = {.node = world->node[world->rank],
                           .threads = omp_get_max_threads(),
                           .blas_threads = number_in_environment("OPENBLAS_NUM_THREADS"),
                           .slurm_cpus = number_in_environment("SLURM_CPUS_PER_TASK")};
  const char *core = precis_sgemm_core(), *better = precis_sgemm_better_core(core);
  snprintf(mine.blas_core, sizeof mine.blas_core, "%s", core);
  snprintf(mine.better_core, sizeof mine.better_core, "%s", better != NULL ? better : "");
  *all = NULL;
  int status = precis_machine_find(&cli->world, &mine.machine);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_topo_rank *made = NULL;
  if (world->rank == 0)
    made = precis_memory_array(world->ranks, sizeof *made);
  int short_of = world->rank == 0 && made == NULL;
  status = precis_cli_agree(cli, short_of ? PRECIS_ERR_MEMORY : PRECIS_SUCCESS);
  if (status == PRECIS_SUCCESS &&
      MPI_Gather(&mine, sizeof mine, MPI_BYTE, made, sizeof mine, MPI_BYTE, 0, world->comm))
    status = PRECIS_ERR_MPI;
  if (status == PRECIS_SUCCESS)
    *all = made;
  else
    free(made);
  return status;
}

static const char *plural(int count)
{
  return count == 1 ? "" : "s";
}

static double mebibytes(int64_t bytes)
{
  return (double)bytes / 1048576;
}

static void print_level(const char *name, int count, int64_t size)
{
  if (count > 0)
    printf(", %d x %.4g MiB %s", count, mebibytes(size), name);
}

static void print_node(const precis_topo_rank *first)
{
  const precis_cache *c = &first->machine.cache;
  printf("\nnode %d: %s, %s\n", first->node, first->machine.host, c->cpu);
  printf("  %d package%s, %d NUMA node%s, %d core%s, %d processing unit%s", c->packages,
         plural(c->packages), c->numa_nodes, plural(c->numa_nodes), c->machine_cores,
         plural(c->machine_cores), c->machine_pus, plural(c->machine_pus));
  print_level("L3", c->l3_count, c->l3_size);
  print_level("L2", c->l2_count, c->l2_size);
  printf("\n");
  if (first->machine.room_bytes == INT64_MAX)
    printf("  memory that ranks share: %s, without a limit\n", first->machine.room_place);
  else
    printf("  memory that ranks share: %s, %.1f MiB free\n", first->machine.room_place,
           mebibytes(first->machine.room_bytes));
  if (c->allowed_pus < c->machine_pus)
    printf("  of them allowed here: %d core%s, %d processing unit%s\n", c->allowed_cores,
           plural(c->allowed_cores), c->allowed_pus, plural(c->allowed_pus));
  printf("  %5s  %-16s %6s %8s %6s  %12s %10s %10s  %s\n", "rank", "processing units", "cores",
         "threads", "NUMA", "fast memory", "of L2", "of L3", "shared");
}

static void print_rank(const precis_topo_rank *t, int rank)
{
  const precis_machine *m = &t->machine;
  const precis_cache *c = &m->cache;
  printf("  %5d  %-16s %6d %8d %6s  %8.1f MiB %6.1f MiB %6.1f MiB  ", rank, c->cpuset, c->cores,
         t->threads, c->numa[0] != '\0' ? c->numa : "-", mebibytes(c->fast_bytes),
         mebibytes(c->l2_bytes), mebibytes(c->l3_bytes));
  int others = m->sharers - 1 + m->overlaps;
  if (others > 0)
    printf("with %d other%s%s\n", others, plural(others), c->bound ? "" : ", unbound");
  else
    printf("%s\n", c->bound ? "no" : "no, unbound");
}

static void print_warning(void *context, const char *text)
{
  int *count = context;
  printf("%swarning: %s\n", (*count)++ == 0 ? "\n" : "", text);
}

/* Node by node; a node's ranks need not follow each other. */
static int print_text(const precis_topo_rank *all, int ranks, int nodes)
{
  int count = 0;
  printf("%d rank%s on %d node%s\n", ranks, plural(ranks), nodes, plural(nodes));
  for (int node = 0; node < nodes; node++) {
    int printed = 0;
    for (int r = 0; r < ranks; r++)
      if (all[r].node == node) {
        if (printed++ == 0)
          print_node(&all[r]);
        print_rank(&all[r], r);
      }
  }
  return precis_topo_warn(all, ranks, print_warning, &count) < 0 ? PRECIS_ERR_MEMORY
                                                                 : PRECIS_SUCCESS;
}

static json_t *rank_object(const precis_topo_rank *t, int rank)
{
  const precis_machine *m = &t->machine;
  const precis_cache *c = &m->cache;
  json_t *object =
      json_pack("{s:i, s:i, s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:b, s:i}",
                "rank", rank, "node", t->node, "host", m->host, "cpu", c->cpu, "cpuset", c->cpuset,
                "bound", c->bound, "cores", c->cores, "machine_cores", c->machine_cores, "threads",
                t->threads, "sharers", m->sharers, "fast_memory_bytes", (json_int_t)c->fast_bytes,
                "l2_bytes", (json_int_t)c->l2_bytes, "l3_bytes", (json_int_t)c->l3_bytes,
                "fast_memory_known", c->known, "line_bytes", c->line_bytes);
  json_t *more =
      json_pack("{s:i, s:i, s:i, s:i, s:s, s:i, s:i, s:i, s:i, s:i, s:I, s:I}", "overlaps",
                m->overlaps, "pus", c->pus, "machine_pus", c->machine_pus, "allowed_cores",
                c->allowed_cores, "numa", c->numa, "numa_near", c->numa_count, "numa_nodes",
                c->numa_nodes, "packages", c->packages, "l2_count", c->l2_count, "l3_count",
                c->l3_count, "l2_size", (json_int_t)c->l2_size, "l3_size", (json_int_t)c->l3_size);
  json_object_set_new(more, "blas_core", json_string(t->blas_core));
  json_object_set_new(more, "shared_memory_place", json_string(m->room_place));
  json_object_set_new(more, "shared_memory_bytes",
                      m->room_bytes == INT64_MAX ? json_null()
                                                 : json_integer((json_int_t)m->room_bytes));
  json_object_update(object, more);
  json_decref(more);
  return object;
}

static void append_warning(void *context, const char *text)
{
  json_array_append_new(context, json_string(text));
}

/* NULL if memory is short. */
static json_t *object_of(const precis_topo_rank *all, int ranks, int nodes,
                         const precis_calibration *measured)
{
  json_t *list = json_array(), *words = json_array();
  for (int r = 0; r < ranks; r++)
    json_array_append_new(list, rank_object(&all[r], r));
  precis_topo_warn(all, ranks, append_warning, words);
  json_t *object = json_pack("{s:s, s:i, s:i, s:o, s:o}", "precis", precis_version(), "ranks",
                             ranks, "nodes", nodes, "machines", list, "warnings", words);
  if (object != NULL && measured->ranks_per_node > 0)
    json_object_set_new(object, "rates", precis_rates_object(&measured->rates));
  return object;
}

/* On rank 0. */
static int print(precis_cli *cli, const precis_topo_rank *all, const precis_calibration *measured)
{
  int ranks = cli->world.ranks, nodes = cli->world.nodes;
  precis_draft json = {0};
  int status = precis_json_open(cli, &json);
  if (status == PRECIS_SUCCESS && cli->settings.files.json != NULL)
    status = precis_json_save(cli, object_of(all, ranks, nodes, measured), &json);
  if (status == PRECIS_SUCCESS && precis_json_leaves_stdout(cli))
    status = print_text(all, ranks, nodes);
  if (status == PRECIS_SUCCESS && precis_json_leaves_stdout(cli) && measured->ranks_per_node > 0)
    precis_calibration_print(measured, cli->settings.files.out);
  return status;
}

int precis_command_topo(precis_cli *cli)
{
  precis_topo_rank *all = NULL;
  precis_calibration measured = {.ranks_per_node = 0};
  int status = precis_calibrate_check(cli);
  if (status != PRECIS_SUCCESS)
    return status;
  if (cli->settings.machine.threads > 0)
    omp_set_num_threads((int)cli->settings.machine.threads);
  precis_cli_phase(cli, "looking at the machine");
  status = precis_topo_gather(cli, &all);
  if (status == PRECIS_SUCCESS && cli->settings.topo.calibrate)
    status = precis_calibrate_command(cli, &measured);
  if (status == PRECIS_SUCCESS && cli->world.rank == 0)
    status = print(cli, all, &measured);
  free(all);
  return precis_cli_agree(cli, status);
}
