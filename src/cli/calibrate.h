/* calibrate.h - precis topo --calibrate: measured rates into a machine file */
#ifndef PRECIS_CLI_CALIBRATE_H
#define PRECIS_CLI_CALIBRATE_H

#include <jansson.h>

#include "mpi/measure/calibrate.h"
#include "src/cli/cli.h"

/* --calibrate and -o go together. Errors: ARGUMENT. */
int precis_calibrate_check(precis_cli *cli);

/* Collective: measures with the threads that OpenMP has, and writes the file. */
int precis_calibrate_command(precis_cli *cli, precis_calibration *measured);

void precis_calibration_print(const precis_calibration *measured, const char *path);

/* All rates by their keys. */
json_t *precis_rates_object(const precis_rates *rates);

#endif
