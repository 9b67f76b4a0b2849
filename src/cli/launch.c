#include "src/cli/launch.h"

#include <stdlib.h>

#include "src/precis.h"

/* Of Open MPI, PMIx (Slurm, PRRTE), PMI (MPICH, Slurm, Cray), MVAPICH, Spectrum, Flux and PALS. */
static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK",          "PMI_RANK",
                                    "MV2_COMM_WORLD_RANK",  "JSM_NAMESPACE_RANK", "FLUX_TASK_RANK",
                                    "PALS_RANKID",          "ALPS_APP_PE"};

int precis_launch_rank(void)
{
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (getenv(names[i]) != NULL)
      return atoi(getenv(names[i]));
  return getenv("PMI_FD") != NULL || getenv("PMIX_NAMESPACE") != NULL ? 0 : -1;
}

int precis_launch_settle(precis_message *why)
{
  const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
  if (precis_launch_rank() >= 0)
    return PRECIS_SUCCESS;
  setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
  if (getenv("SLURM_STEP_ID") == NULL)
    return PRECIS_SUCCESS;
  if (tasks != NULL && atoi(tasks) > 1)
    return precis_message_set(why, PRECIS_ERR_MPI,
                              "Slurm started %.10s tasks that cannot find each other, as this step "
                              "has no interface for MPI: use srun --mpi=pmix, or mpirun",
                              tasks);
  unsetenv("SLURM_STEP_ID");
  unsetenv("SLURM_STEPID");
  return PRECIS_SUCCESS;
}
