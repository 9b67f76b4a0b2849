#include "src/cli/calibrate.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/world/machine.h"
#include "src/cli/json.h"
#include "src/files/draft.h"
#include "src/model/machine_file.h"
#include "topology/cache.h"

int precis_calibrate_check(precis_cli *cli)
{
  const precis_settings *s = &cli->settings;
  if (s->topo.calibrate && s->files.out == NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--calibrate needs -o, the file for what it measures");
  if (!s->topo.calibrate &&
      (s->files.out != NULL || s->machine.threads > 0 || s->machine.fast_memory > 0))
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s goes with --calibrate",
                              s->files.out             ? "-o"
                              : s->machine.threads > 0 ? "--threads"
                                                       : "--fast-memory");
  return PRECIS_SUCCESS;
}

/* What the file says on top. */
static void make_comment(const precis_cli *cli, const precis_calibration *c, char *text,
                         size_t size)
{
  precis_cache cache = {.cpu = "unknown"};
  precis_cache_find(1, &cache);
  int at = snprintf(text, size,
                    "Rates of one rank while all ranks are at it, by precis topo --calibrate (%s)\n"
                    "%d ranks on %d nodes, %d on the fullest, %g threads each; %s\n",
                    precis_version(), cli->world.ranks, cli->world.nodes, c->ranks_per_node,
                    c->rates.threads, cache.cpu);
  if (!c->has_node)
    at += snprintf(text + at, size - (size_t)at,
                   "node_ rates are nominal: this job had one rank on each node\n");
  if (!c->has_network)
    snprintf(text + at, size - (size_t)at, "network_ rates are nominal: this job had one node\n");
}

/* On rank 0. */
static int save(precis_cli *cli, const precis_calibration *c)
{
  char comment[600], *text = malloc(PRECIS_MACHINE_FILE_BYTES);
  if (text == NULL)
    return PRECIS_ERR_MEMORY;
  make_comment(cli, c, comment, sizeof comment);
  int length = precis_machine_text_make(comment, &c->rates, text);
  precis_draft draft = {0};
  int status = precis_draft_create(cli->settings.files.out, &draft, &cli->why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_write(&draft, text, length, 0, &cli->why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_commit(&draft, &cli->why);
  precis_draft_discard(&draft);
  free(text);
  return status;
}

int precis_calibrate_command(precis_cli *cli, precis_calibration *measured)
{
  precis_machine machine;
  precis_cli_phase(cli, "measuring the machine");
  int status = precis_machine_find(&cli->world, &machine);
  if (status != PRECIS_SUCCESS)
    return status;
  int64_t given = cli->settings.machine.fast_memory;
  int64_t least[2] = {given > 0 ? given : machine.cache.fast_bytes, omp_get_max_threads()};
  if (MPI_Allreduce(MPI_IN_PLACE, least, 2, MPI_INT64_T, MPI_MIN, cli->world.comm))
    return PRECIS_ERR_MPI;
  status = precis_calibrate(&cli->world, (int)least[1], least[0], measured);
  if (status == PRECIS_SUCCESS && cli->world.rank == 0)
    status = save(cli, measured);
  return precis_cli_agree(cli, status);
}

void precis_calibration_print(const precis_calibration *c, const char *path)
{
  const precis_rates *r = &c->rates;
  printf("\nlinks      inside a node %.3g us, %.3g GB/s a rank%s\n", 1e6 * r->node_latency,
         1e-9 * r->node_bandwidth, c->has_node ? "" : " (nominal: one rank on each node)");
  printf("           between nodes %.3g us, %.3g GB/s a node, %.3g GB/s a rank alone%s\n",
         1e6 * r->network_latency, 1e-9 * r->network_bandwidth, 1e-9 * r->network_stream,
         c->has_network ? "" : " (nominal: one node)");
  printf("exact      %.3g Gflop/s and %.3g G exponentials/s, %.3g G numbers/s passing by\n",
         1e-9 * r->tile_flops, 1e-9 * r->tile_exponentials, 1e-9 * r->tile_stream);
  printf("summarise  %.3g Gflop/s and %.3g G features/s, counts alone %.3g G/s\n",
         1e-9 * r->summarise_flops, 1e-9 * r->summarise_features, 1e-9 * r->summarise_counts);
  printf("apply      %.3g Gflop/s and %.3g G features/s, counts alone %.3g G/s\n",
         1e-9 * r->apply_flops, 1e-9 * r->apply_features, 1e-9 * r->apply_counts);
  printf("memory     %.3g GB/s, %.3g where it is new; G numbers/s: survey %.3g, pack %.3g, bulk "
         "%.3g, merge %.3g, finish %.3g\n",
         1e-9 * r->memory_bandwidth, 1e-9 * r->page_bandwidth, 1e-9 * r->survey_numbers,
         1e-9 * r->pack_numbers, 1e-9 * r->bulk_numbers, 1e-9 * r->merge_numbers,
         1e-9 * r->finish_numbers);
  printf("fixed      call %.3g us, step %.3g us, row %.3g us, fit %.3g ms\n", 1e6 * r->call_time,
         1e6 * r->step_time, 1e6 * r->row_time, 1e3 * r->fit_time);
  printf("written    %s: use it with --machine\n", path);
}

json_t *precis_rates_object(const precis_rates *rates)
{
  precis_rates copy = *rates;
  json_t *object = json_object();
  for (const precis_rate_field *f = precis_rate_fields; f->key != NULL; f++)
    json_object_set_new(object, f->key, precis_json_number(*precis_rate_of(&copy, f)));
  return object;
}
