/* verify_work.h - what the parts of precis_verify() share
 *
 * verify.c goes through the rows, verify_unit.c finds what errors are measured in, verify_judge.c
 * measures them. */
#ifndef PRECIS_MPI_MEASURE_VERIFY_WORK_H
#define PRECIS_MPI_MEASURE_VERIFY_WORK_H

#include "mpi/measure/verify.h"
#include "src/oracle/contract.h"
#include "src/base/share.h"

/* Partial results of a block: of each sampled row and head. */
typedef struct precis_verify_partials {
  double *m, *l, *o, *largest; /* largest: the m of all ranks */
} precis_verify_partials;

/* What a rank works with: one block of sampled rows, one chunk of its keys. */
typedef struct precis_verify_work {
  precis_world *world;
  const precis_verify_job *job;
  const precis_verify_source *source;
  int64_t samples, *rows; /* the sampled rows */
  int64_t block_rows;
  precis_turns chunks;         /* of this rank's keys */
  precis_turns query_chunks;   /* of its queries */
  float *queries;              /* of a chunk */
  float *q, *out, *lse;        /* of a block */
  precis_verify_partials own;  /* of a block: what its queries get ... */
  precis_verify_partials mean; /* ... and the mean query, from the same keys */
  double *far;                 /* heads x (value_dim + 2): what the mean query got so far */
  float *k, *v, *bias;         /* of a chunk */
  int64_t columns;             /* kv_heads x value_dim */
  precis_moments values, own_values, part; /* of all ranks, of this one, and of each in turn */
  double *center, *sigma;                  /* columns: weighted means and deviations of values */
  double *most;                            /* kv_heads: the largest |v - mean| */
  int64_t first_unmasked;                  /* key; beyond the last: none */
  long double *sum;                        /* heads x dim, of visible queries */
  double *mean_query;                      /* heads x dim */
  double *distance, *absolute; /* samples x heads: |o - m|, -1 where nothing is visible, and
                                  |out - o| */
  double range, lse_error, squares, reference; /* so far: largest errors, sums of squares */
} precis_verify_work;

/* Keys among the `keys` from `first` on that a sampled query sees. */
int64_t precis_verify_visible(const precis_verify_work *w, int64_t row, int64_t first,
                              int64_t keys);

/* One pass over the keys, one over the queries: deviations, and the mean query. Collective. */
int precis_verify_unit(precis_verify_work *w, precis_message *why);

/* The mean query meets the chunk at hand, for every row of the block. */
void precis_verify_anchor(precis_verify_work *w, int64_t block, int64_t rows, int64_t first,
                          int64_t keys);

/* The block's rows, after partial results of all ranks are merged. */
void precis_verify_measure(precis_verify_work *w, int64_t block, int64_t rows);

/* Of all rows. */
void precis_verify_finish(const precis_verify_work *w, precis_verify_result *result);

#endif
