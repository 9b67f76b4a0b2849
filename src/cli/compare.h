/* compare.h - the difference of two files */
#ifndef PRECIS_CLI_COMPARE_H
#define PRECIS_CLI_COMPARE_H

#include "src/cli/cli.h"

typedef struct precis_difference {
  double absolute; /* the largest |a - b| */
  double relative; /* the largest |a - b| over the range of b's column: precis check --help */
} precis_difference;

/* Collective. Compares two arrays of one shape, read as float32. Infinities that agree are no
 * difference. Errors: ARGUMENT (shapes differ), IO, FORMAT, NONFINITE, MEMORY. */
int precis_compare_files(precis_cli *cli, const char *a, const char *b,
                         precis_difference *difference);

#endif
