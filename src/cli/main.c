/* main.c - the program precis: one way in, one way out
 *
 * Every rank parses the same command line, commands return the same status on every rank, rank 0
 * speaks for all. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/cli/ending.h"
#include "src/cli/interrupt.h"
#include "src/cli/launch.h"
#include "src/files/draft.h"

/* What EX_TEMPFAIL is to sysexits.h: to be tried again. */
enum { INTERRUPTED = 75 };

static int exit_status(int status)
{
  switch (status) {
  case PRECIS_SUCCESS:
    return 0;
  case PRECIS_ERR_ARGUMENT:
  case PRECIS_ERR_NONFINITE:
  case PRECIS_ERR_RANGE:
  case PRECIS_ERR_MISMATCH:
  case PRECIS_ERR_FORMAT:
    return 2;
  case PRECIS_ERR_TOLERANCE:
    return 3;
  default:
    return 1;
  }
}

static int show_help(precis_cli *cli)
{
  FILE *stream = cli->settings.no_command ? stderr : stdout;
  if (cli->world.rank == 0 && cli->settings.table)
    precis_settings_table(cli->settings.help_on, stdout);
  else if (cli->world.rank == 0)
    precis_settings_help(cli->settings.help_on, stream);
  return PRECIS_SUCCESS;
}

static int show_version(precis_cli *cli)
{
  if (cli->world.rank == 0)
    printf("precis %s\n", precis_version());
  return PRECIS_SUCCESS;
}

static int dispatch(precis_cli *cli)
{
  switch (cli->settings.verb) {
  case PRECIS_VERB_HELP:
    return show_help(cli);
  case PRECIS_VERB_VERSION:
    return show_version(cli);
  case PRECIS_VERB_GEN:
    return precis_command_gen(cli);
  case PRECIS_VERB_RUN:
    return precis_command_run(cli);
  case PRECIS_VERB_CHECK:
    return precis_command_check(cli);
  case PRECIS_VERB_TOPO:
    return precis_command_topo(cli);
  case PRECIS_VERB_BENCH:
    return precis_command_bench(cli);
  case PRECIS_VERB_PLAN:
    return precis_command_plan(cli);
  case PRECIS_VERB_SERVE:
    return precis_command_serve(cli);
  case PRECIS_VERB_REMOTE:
    return precis_command_remote(cli);
  case PRECIS_VERB_DATA:
    return precis_command_data(cli);
  }
  return PRECIS_ERR_INTERNAL;
}

/* A report that could not be written must not look like success. */
static int flush_output(precis_cli *cli)
{
  int status = PRECIS_SUCCESS;
  errno = 0;
  if (fflush(stdout) != 0 || ferror(stdout))
    status = precis_message_set(&cli->why, PRECIS_ERR_IO, "standard output: cannot be written: %s",
                                strerror(errno ? errno : EIO));
  return precis_cli_agree(cli, status);
}

static int work(precis_cli *cli, int argc, char **argv)
{
  int status = precis_settings_parse(argc, argv, &cli->settings, &cli->why);
  status = precis_cli_agree(cli, status);
  if (status != PRECIS_SUCCESS)
    return status;
  int error = precis_watchdog_start(&cli->watchdog, cli->world.rank, cli->world.ranks);
  precis_cli_watch(cli);
  if (error != 0)
    status = precis_message_set(&cli->why, PRECIS_ERR_MEMORY, "no thread for --timeout: %s",
                                strerror(error));
  status = precis_cli_agree(cli, status);
  if (status == PRECIS_SUCCESS)
    status = dispatch(cli);
  if (status == PRECIS_SUCCESS)
    status = flush_output(cli);
  precis_watchdog_stop(&cli->watchdog);
  return status;
}

static void guard(void *janitor, const char *aside)
{
  precis_janitor_guard(janitor, aside);
}

/* Before MPI starts, which waits for all ranks: the deadline, and whether signals may come. What is
 * wrong with the command line is said later. Returns whether MPI is needed at all: most of what one
 * process can do must work where MPI cannot start. */
static int prepare(precis_cli *cli, int argc, char **argv)
{
  precis_settings settings;
  precis_message why;
  if (precis_settings_parse(argc, argv, &settings, &why) != PRECIS_SUCCESS)
    return 0;
  precis_watchdog_arm(&cli->watchdog, settings.machine.timeout);
  if (settings.verb == PRECIS_VERB_RUN && settings.files.out != NULL)
    precis_interrupt_expect();
  if ((settings.verb == PRECIS_VERB_RUN || settings.verb == PRECIS_VERB_GEN) &&
      precis_launch_rank() <= 0) {
    precis_janitor_start(&cli->watchdog.janitor);
    precis_draft_tell(guard, &cli->watchdog.janitor);
  }
  switch (settings.verb) {
  case PRECIS_VERB_HELP:
  case PRECIS_VERB_VERSION:
  case PRECIS_VERB_PLAN:
  case PRECIS_VERB_REMOTE:
  case PRECIS_VERB_DATA:
    return 0;
  case PRECIS_VERB_GEN:
  case PRECIS_VERB_CHECK:
    return precis_launch_rank() >= 0;
  default:
    return 1;
  }
}

static int start_mpi(precis_cli *cli, int *argc, char ***argv)
{
  int provided, node, status = precis_launch_settle(&cli->why);
  if (status == PRECIS_SUCCESS) /* on all ranks alike */
    status = precis_world_wish(0, &node, &cli->why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    return precis_message_set(&cli->why, PRECIS_ERR_MPI, "MPI could not be started");
  status = precis_world_create(MPI_COMM_WORLD, &cli->world);
  if (status == PRECIS_SUCCESS && provided < MPI_THREAD_FUNNELED)
    status = precis_message_set(&cli->why, PRECIS_ERR_MPI, "this MPI does not allow threads");
  return status;
}

/* Rank 0 speaks for all; where there are no ranks to tell apart, each for itself. */
static void explain(const precis_cli *cli, int status)
{
  if (status != PRECIS_SUCCESS && cli->world.rank == 0)
    fprintf(stderr, "precis: %s\n", cli->why.text[0] ? cli->why.text : precis_strerror(status));
}

static int result_of(const precis_cli *cli, int status)
{
  if (status == PRECIS_SUCCESS && cli->interrupted)
    return INTERRUPTED;
  return cli->settings.no_command ? 2 : exit_status(status);
}

/* One process of all does what needs no others. */
static int alone(precis_cli *cli, int argc, char **argv)
{
  if (precis_launch_rank() > 0)
    return 0;
  int status = precis_world_alone(&cli->world);
  if (status == PRECIS_SUCCESS)
    status = work(cli, argc, argv);
  explain(cli, status);
  precis_ending_settle(result_of(cli, status));
  precis_world_free(&cli->world);
  precis_watchdog_finish(&cli->watchdog);
  return result_of(cli, status);
}

int main(int argc, char **argv)
{
  precis_cli cli = {.why = {""}};
  int with_mpi = prepare(&cli, argc, argv), started;
  cli.started = precis_cli_now();
  if (!with_mpi)
    return alone(&cli, argc, argv);
  int status = start_mpi(&cli, &argc, &argv);
  if (status == PRECIS_SUCCESS)
    status = work(&cli, argc, argv);
  explain(&cli, status);
  precis_ending_settle(result_of(&cli, status));
  if (cli.world.ranks > 0)
    precis_world_free(&cli.world);
  if (MPI_Initialized(&started) == MPI_SUCCESS && started)
    MPI_Finalize();
  precis_watchdog_finish(&cli.watchdog);
  return result_of(&cli, status);
}
