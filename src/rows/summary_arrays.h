/* summary_arrays.h - what a rank has in memory while it attends through summaries
 *
 * Laid out in one place for runs, which allocate it, and for src/footprint.c, which measures it. */
#ifndef PRECIS_SRC_SUMMARY_ARRAYS_H
#define PRECIS_SRC_SUMMARY_ARRAYS_H

#include <stdint.h>

#include "src/base/allot.h"
#include "src/summary/bulk.h"
#include "src/proof/certificate.h"
#include "src/exact/jobs.h"
#include "src/rows/row.h"

/* Of one rank. */
typedef struct precis_summary_extent {
  int heads, kv_heads, dim, value_dim;
  int64_t keys, rows;     /* rows of queries */
  int64_t numbers_most;   /* in a tile */
  int64_t scratch;        /* bytes that kernels need in a thread */
  int threads;
} precis_summary_extent;

/* Sums over some keys, applied to the packed queries. */
typedef struct precis_summary_sums {
  double *num; /* rows x group x value_dim */
  double *den; /* rows x group */
  double *env;
  double *deviating; /* as env, with deviations */
} precis_summary_sums;

void precis_summary_sums_lay(const precis_summary_extent *extent, precis_allotment *allotment,
                             precis_summary_sums *sums);
void precis_summary_sums_free(precis_summary_sums *sums);

/* One head's packed rows and one tile of its summary. */
typedef struct precis_summary_arrays {
  double *values, *counts;  /* of one tile */
  char *scratch;            /* of each thread */
  float *k, *v, *w;         /* keys x dim, keys x value_dim, keys */
  float *deviation;         /* keys */
  float *w_deviation;       /* keys: w times deviation, where a plan has counts alone */
  double *log_weight;       /* keys */
  float *q;                 /* rows x group x dim */
  precis_bulk_norms *norm;  /* rows x group */
  precis_summary_sums sums;
} precis_summary_arrays;

void precis_summary_arrays_lay(const precis_summary_extent *extent, precis_allotment *allotment,
                               precis_summary_arrays *arrays);
void precis_summary_arrays_free(precis_summary_arrays *arrays);

/* Rows that are set aside, rows x heads. */
precis_failed_row *precis_summary_aside_lay(const precis_summary_extent *extent,
                                            precis_allotment *allotment);

/* What causal prefixes need besides. */
typedef struct precis_prefix_arrays {
  int64_t *first_row; /* blocks + 2: rows first_row[b] .. first_row[b + 1] - 1 see b whole blocks */
  double *scale;               /* blocks + 1: log-scale of the first b blocks ... */
  precis_weight_mass *weights; /* ... and their weights */
  precis_summary_sums incoming;
  float *rounded; /* numbers of a tile */
  precis_job *jobs;
} precis_prefix_arrays;

void precis_prefix_arrays_lay(const precis_summary_extent *extent, int64_t blocks, int64_t jobs,
                              precis_allotment *allotment, precis_prefix_arrays *arrays);
void precis_prefix_arrays_free(precis_prefix_arrays *arrays);

/* Keys that come to a kept summary at a time. */
enum { PRECIS_KEPT_BATCH = 1024 };

/* A summary of all keys, kept from call to call. */
typedef struct precis_kept_arrays {
  double *moments;            /* kv_heads x (PRECIS_DEGREE_MAX + 1), of the fits */
  double *values, *counts;    /* kv_heads x value_numbers, kv_heads x count_numbers */
  float *values32, *counts32; /* the same, rounded */
  double *per, *fold;         /* kv_heads x value_dim: of the norm of the deviations in it, and of
                                 the values, see terms.h */
} precis_kept_arrays;

void precis_kept_arrays_lay(const precis_problem *problem, int64_t value_numbers,
                            int64_t count_numbers, precis_allotment *allotment,
                            precis_kept_arrays *arrays);
void precis_kept_arrays_free(precis_kept_arrays *arrays);

/* Keys that are left out of a summary, on their way in batches: those that have come, a parcel of
 * them, and how many each rank has. */
typedef struct precis_outlier_arrays {
  char *parcel;
  precis_job *jobs; /* heads */
  int64_t *counts;  /* ranks */
} precis_outlier_arrays;

void precis_outlier_arrays_lay(int ranks, int heads, int64_t parcel_bytes,
                               precis_allotment *allotment, precis_outlier_arrays *arrays);
void precis_outlier_arrays_free(precis_outlier_arrays *arrays);

#endif
