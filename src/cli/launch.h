/* launch.h - whether a launcher has started this process, and what to do where it has not
 *
 * Read from the environment, before MPI starts. */
#ifndef PRECIS_CLI_LAUNCH_H
#define PRECIS_CLI_LAUNCH_H

#include "src/base/message.h"

/* The number that a launcher of MPI has given to this process; -1: there is none. */
int precis_launch_rank(void);

/* Before MPI_Init(). A rank without a launcher needs no daemon of Open MPI's beside it, which takes
 * time and may fail as both end. In a step of Slurm that gives MPI no interface to it (the shell of
 * an interactive allocation, srun --mpi=none), Open MPI takes itself for launched by srun and dies.
 * A step of one task is hidden from it, so that it starts as one rank. Errors: MPI, where the step
 * has several tasks, with what to do. */
int precis_launch_settle(precis_message *why);

#endif
