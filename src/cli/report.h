/* report.h - what a run tells, for people and for programs */
#ifndef PRECIS_CLI_REPORT_H
#define PRECIS_CLI_REPORT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "mpi/verify.h"
#include "src/cli/settings.h"
#include "src/precis.h"

/* Bytes are summed over the ranks; seconds and peak_bytes are the largest of any rank. */
typedef struct precis_run_report {
  const precis_settings *settings;
  precis_problem problem; /* settled */
  precis_report attend;
  char cpu[128];                 /* of rank 0 */
  precis_verify_result measured; /* rows 0: not measured */
  double seconds_read, seconds_verify, seconds_write, seconds_total;
  int64_t peak_bytes;
} precis_run_report;

/* Billions of floating-point operations a second: 2 (dim + value_dim) for each pair of a query and
 * a key that was computed by itself; with summaries 2 (value_dim + 1) for each feature with values
 * and 2 for each with counts alone, once for each key of a kv head and each query of a head. */
double precis_report_gflops(const precis_run_report *report);
double precis_report_tokens_per_second(const precis_run_report *report);

void precis_report_print(const precis_run_report *report, FILE *stream);

/* The same for programs, as one object; NULL if there is no memory. The caller's. */
json_t *precis_report_json(const precis_run_report *report);

#endif
