#include "src/cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "src/base/memory.h"

int precis_cli_agree(precis_cli *cli, int status)
{
  return precis_world_agree(&cli->world, status, &cli->why);
}

double precis_cli_phase(precis_cli *cli, const char *phase)
{
  precis_watchdog_phase(&cli->watchdog, phase);
  return precis_cli_now();
}

double precis_cli_now(void)
{
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int precis_cli_prints(const precis_cli *cli)
{
  return cli->world.rank == 0 && !cli->settings.quiet;
}

int precis_cli_floats(precis_cli *cli, const char *what, int64_t rows, int64_t row_elements,
                      float **array)
{
  int64_t count;
  int status = PRECIS_SUCCESS;
  float *made = NULL;
  if (!__builtin_mul_overflow(rows, row_elements, &count))
    made = precis_memory_array(count, sizeof *made);
  if (made == NULL)
    status = precis_message_set(&cli->why, PRECIS_ERR_MEMORY,
                                "out of memory: rank %d needs %" PRId64 " x %" PRId64
                                " x 4 bytes for %s",
                                cli->world.rank, rows, row_elements, what);
  status = precis_cli_agree(cli, status);
  if (status == PRECIS_SUCCESS)
    *array = made;
  else
    free(made);
  return status;
}

static char *waits(const void *world, char *text, size_t size)
{
  return precis_waiting_describe(&((const precis_world *)world)->waiting, text, size);
}

void precis_cli_watch(precis_cli *cli)
{
  precis_watchdog_look(&cli->watchdog, waits, &cli->world);
}

double precis_cli_largest(precis_cli *cli, double value)
{
  double largest = value;
  precis_world_reduce(&cli->world, &largest, 1, MPI_DOUBLE, MPI_MAX);
  return largest;
}
