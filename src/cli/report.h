/* report.h - what a run tells, for people and for programs */
#ifndef PRECIS_CLI_REPORT_H
#define PRECIS_CLI_REPORT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "mpi/measure/verify.h"
#include "src/cli/settings.h"
#include "src/cli/topo.h"
#include "src/precis.h"
#include "src/precis_more.h"

/* Queries go in batches, each of them one precis_attend(). */
typedef struct precis_batches_report {
  int64_t count;              /* of this run of the program */
  int64_t largest;            /* queries in one */
  int64_t rows[PRECIS_MOVES]; /* queries by the move that ran */
  int64_t again;              /* queries that were attended to again, by a smaller R */
  int64_t resumed_rows;       /* queries that were done by an earlier run, which was interrupted */
} precis_batches_report;

/* Of the largest batch, but for outlier_queries, which are of all. */
typedef struct precis_groups_report {
  int count;
  precis_group *all; /* one for each head at most */
  int *heads;        /* that they list */
} precis_groups_report;

/* Bytes are summed over the ranks; seconds and peak_bytes are the largest of any rank. */
typedef struct precis_run_report {
  const precis_settings *settings;
  precis_problem problem; /* settled */
  int64_t queries;        /* of the problem */
  precis_report attend;   /* of all batches: sums and largest values; move, why and what belongs to
                             them from the largest batch. What is promised and what that is worth is
                             of all rows, resumed ones too: see worth.h */
  precis_batches_report batches;
  precis_groups_report groups;
  const precis_head_report *heads; /* NULL: not wanted */
  double flops;                  /* of all batches, as precis_report_gflops() counts them */
  char cpu[128];                 /* of rank 0 */
  const precis_topo_rank *machines; /* of all ranks; NULL: not known here */
  precis_verify_result measured; /* rows 0: not measured */
  double seconds_read, seconds_verify, seconds_write, seconds_total;
  int64_t peak_bytes;
} precis_run_report;

/* Adds what a batch reports; again: its rows are there already. report->problem is set. Returns
 * nonzero if it is the largest so far, which says how heads were attended to. */
int precis_report_add(precis_run_report *report, const precis_report *batch, int again);

/* Errors: MEMORY. */
int precis_groups_create(int heads, precis_groups_report *groups);
void precis_groups_free(precis_groups_report *groups);
/* Adds those of the last attend; largest: as precis_report_add() returned it. */
void precis_groups_add(precis_groups_report *groups, const precis_attention *attention,
                       int largest);
/* What is promised of them, from what is promised of the heads; estimate: that of all, or negative.
 */
void precis_groups_promise(precis_groups_report *groups, const precis_head_report *heads,
                           precis_unit unit, double estimate);

/* Billions of floating-point operations a second: 2 (dim + value_dim) for each pair of a query and
 * a key that was computed by itself; with summaries 2 (value_dim + 1) for each feature with values
 * and 2 for each with counts alone, once for each key of a kv head and each query of a head. */
double precis_report_gflops(const precis_run_report *report);
double precis_report_tokens_per_second(const precis_run_report *report);

void precis_report_print(const precis_run_report *report, FILE *stream);

/* The same for programs, as one object; NULL if there is no memory. The caller's. */
json_t *precis_report_json(const precis_run_report *report);

#endif
