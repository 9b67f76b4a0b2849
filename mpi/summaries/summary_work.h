/* summary_work.h - what the two forms of the summaries move share: the packed rows of a head, tiles
 * of its summary, and what becomes of a row at the end */
#ifndef PRECIS_MPI_SUMMARIES_SUMMARY_WORK_H
#define PRECIS_MPI_SUMMARIES_SUMMARY_WORK_H

#include "mpi/summaries/summaries.h"
#include "src/rows/summary_arrays.h"
#include "src/proof/certificate.h"
#include "src/summary/outliers.h"
#include "src/rows/queries.h"
#include "src/schedule/shapes.h"

/* A tile of features of one head's summary. */
typedef struct precis_summary_part {
  int kv_head;
  int counts_only;
  int64_t first, features;
  int64_t values, counts; /* numbers: plain counts, where there are values, then with deviations */
  int64_t numbers;        /* of both, values first */
} precis_summary_part;

typedef struct precis_summary_work {
  precis_task *task;
  const precis_summaries *plan;
  precis_summary_result *result;
  int group;               /* query heads of a key/value head */
  precis_split_keys split; /* where the plan has a limit for keys */
  const precis_keys *keys; /* those to summarise: all of the task's, or the bulk */
  precis_summary_kernels kernels;
  precis_summaries_shape shape; /* of all keys; causal.c makes its own of prefixes */
  precis_summary_extent extent;
  precis_summary_arrays at;
  int keys_of, queries_of;      /* heads whose rows are packed; -1: none */
  void (*poll)(struct precis_summary_work *work); /* keeps messages moving */
  void *poll_context;
} precis_summary_work;

void precis_summary_clear_sums(const precis_summary_work *work, const precis_summary_sums *sums);

/* Not collective: the caller agrees on the result. Errors: MEMORY, INTERNAL. */
int precis_summary_work_create(precis_task *task, const precis_summaries *plan,
                               precis_summary_result *result, precis_summary_work *work);
void precis_summary_work_free(precis_summary_work *work);

/* The tile that a block of src/schedule/build.h names. */
precis_summary_part precis_summary_part_of(const precis_summary_work *work,
                                           const precis_block *block);

/* Makes the rows of a head the packed ones, if they are not. Of keys, all but weights are filled,
 * which are left to precis_summary_weigh(). Queries come with cleared sums. Both return whether
 * there was something to do. */
int precis_summary_load_keys(precis_summary_work *work, int kv_head);
int precis_summary_load_queries(precis_summary_work *work, int kv_head);

/* Weights of packed keys [first, first + keys) relative to a log-scale. */
void precis_summary_weigh(precis_summary_work *work, int64_t first, int64_t keys, double log_scale);

/* Sets the tile's values and counts to 0, adds packed keys [first, first + keys), rounds the sums
 * to `to`. */
void precis_summary_clear(precis_summary_work *work, const precis_summary_part *part);
void precis_summary_add(precis_summary_work *work, const precis_summary_part *part, int64_t first,
                        int64_t keys);
void precis_summary_get(const precis_summary_work *work, const precis_summary_part *part,
                        float *to);

/* Applies a tile as precis_summary_get() gives it to packed query rows [first, first + rows) (a row
 * has `group` queries). */
void precis_summary_apply(precis_summary_work *work, const precis_summary_part *part,
                          const float *from, int64_t first, int64_t rows,
                          const precis_summary_sums *sums);

/* Applies the whole summary of a head (values and counts of all features with values, counts with
 * deviations of all features) to all packed queries. */
void precis_summary_apply_whole(precis_summary_work *work, int kv_head, const float *values,
                                const float *counts);

/* The sums of weights of all keys in a summary, from the tile with its first feature, as it is added
 * up (its counts) and as it travels. */
precis_weight_mass precis_summary_weights(const precis_summary_part *part, const double *counts);
precis_weight_mass precis_summary_weights_wire(const precis_summary_part *part, const float *sums);

/* Adds sums over keys to a row: `index` is row x group + head in group; weights are of these keys,
 * relative to log_scale. */
void precis_summary_gather(const precis_summary_work *work, int kv_head, int64_t index,
                           const precis_summary_sums *sums, double log_scale,
                           const precis_weight_mass *weights, precis_row *row);

/* Collective. Sends this rank's outlier keys to all ranks, each of which attends to them with all
 * of its queries: into `exact`, and into `kept_tokens` if that is not NULL (untouched on failure).
 * Nothing is sent where the plan has none. Errors: MEMORY, MPI. */
int precis_summary_attend_outliers(precis_summary_work *work, precis_queries *exact,
                                   precis_keys *kept_tokens);

/* Adds what `exact` (of all heads and rows of the task) holds of a row. */
void precis_summary_gather_queries(const precis_summary_work *work, int kv_head, int64_t index,
                                   const precis_queries *exact, precis_row *row);

/* Gathers all that is known of a row. Runs in several threads at once. */
typedef void precis_summary_collect(const void *context, const precis_summary_work *work,
                                    int kv_head, int64_t index, precis_row *row);

/* Finishes rows x group [first, end) of a head: writes results with proofs to the task, and outliers
 * to the work's result. */
void precis_summary_finish(precis_summary_work *work, int kv_head, int64_t first, int64_t end,
                           precis_summary_collect *collect, const void *context);

#endif
