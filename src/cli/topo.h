/* topo.h - the machine as each rank sees it, and what is odd about it */
#ifndef PRECIS_CLI_TOPO_H
#define PRECIS_CLI_TOPO_H

#include "mpi/world/machine.h"
#include "src/cli/cli.h"

/* What a rank tells; plain data, sent as bytes between like machines. */
typedef struct precis_topo_rank {
  precis_machine machine;
  int node, threads;
  int blas_threads;                    /* asked for in the environment, or 0 */
  int slurm_cpus;                      /* that Slurm was asked for, for each rank; or 0 */
  char blas_core[24], better_core[24]; /* see src/measure/sgemm.h; the better one empty if there is none */
} precis_topo_rank;

/* Collective: on rank 0 all ranks, to be freed; NULL on others. Errors: MEMORY, MPI, INTERNAL. */
int precis_topo_gather(precis_cli *cli, precis_topo_rank **all);

/* Calls say() with each warning, one line that tells what to do. Returns how many there were, or -1
 * if memory is short. */
int precis_topo_warn(const precis_topo_rank *all, int ranks, void (*say)(void *, const char *),
                     void *context);

#endif
