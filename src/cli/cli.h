/* cli.h - what every command works with */
#ifndef PRECIS_CLI_CLI_H
#define PRECIS_CLI_CLI_H

#include "mpi/world/world.h"
#include "src/cli/settings.h"
#include "src/cli/watchdog.h"
#include "src/base/message.h"

typedef struct precis_cli {
  precis_world world;
  precis_settings settings;
  precis_watchdog watchdog;
  precis_message why; /* the words that go with a status other than success */
  double started;     /* precis_cli_now() */
  int interrupted;    /* nonzero, with success: not done, the same command resumes */
} precis_cli;

/* Commands are collective: they return the same status on every rank, with the text in cli->why. */
int precis_command_gen(precis_cli *cli);
int precis_command_run(precis_cli *cli);
int precis_command_check(precis_cli *cli);
int precis_command_topo(precis_cli *cli);
int precis_command_bench(precis_cli *cli);
int precis_command_plan(precis_cli *cli);
int precis_command_serve(precis_cli *cli);
int precis_command_remote(precis_cli *cli);
int precis_command_data(precis_cli *cli);

/* precis_world_agree() over cli->why. */
int precis_cli_agree(precis_cli *cli, int status);

/* Seconds since some moment, as MPI_Wtime() counts, also without MPI. */
double precis_cli_now(void);

/* Names the phase for the watchdog and returns the time. */
double precis_cli_phase(precis_cli *cli, const char *phase);

/* Nonzero where results and messages are printed: rank 0, and for results not with --quiet. */
int precis_cli_prints(const precis_cli *cli);

/* Collective: an array of `count` floats, all ranks alike. Returns a status, with text that
 * names what it is for. */
int precis_cli_floats(precis_cli *cli, const char *what, int64_t rows, int64_t row_elements,
                      float **array);

/* The watchdog asks the program's own world whom this rank waits for. */
void precis_cli_watch(precis_cli *cli);

/* The largest over the ranks, on all of them. Collective. */
double precis_cli_largest(precis_cli *cli, double value);

#endif
