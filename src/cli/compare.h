/* compare.h - the difference of two files */
#ifndef PRECIS_CLI_COMPARE_H
#define PRECIS_CLI_COMPARE_H

#include "src/cli/cli.h"

/* In the units of precis_unit, as far as two results tell: without values, sigma is the deviation
 * of a column of b over its rows, m_i is the mean row of a head of b, and R the mean distance of
 * its rows from that. */
typedef struct precis_difference {
  double absolute; /* the largest |a - b| */
  double relative; /* the largest |a - b| over the range of b's column: precis check --help */
  double outputs;  /* the largest |a_i - b_i| / max(R, |b_i - m|); of heads whose rows are all equal
                      as `relative` */
} precis_difference;

/* Collective. Compares two arrays of one shape, read as float32: rows x heads x columns, or rows x
 * heads. Infinities that agree are no difference. Errors: ARGUMENT (shapes differ), IO, FORMAT,
 * NONFINITE, MEMORY. */
int precis_compare_files(precis_cli *cli, const char *a, const char *b,
                         precis_difference *difference);

#endif
