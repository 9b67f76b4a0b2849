/* kept.h - the summary of keys that were appended earlier, kept for later queries
 *
 * Every rank holds the whole of it, so that queries which see all keys need no communication. Keys
 * that have come since are sent to all ranks and added, O(features (value_dim + 1)) each; old keys
 * are not touched. Centres, degrees and powers of two stay as they were when it was built;
 * polynomials are fitted anew when queries or keys grow beyond their bound, or, where the plan has
 * a limit for keys, those beyond it join the outliers, which are kept too. It is dropped when the
 * survey moves the centres (keys doubled or drifted), when many keys come at once, and when too
 * many rows of a call had to be repaired; another takes its place where repair has cost so much
 * that this one was the wrong choice, see mpi/call/consider.c. */
#ifndef PRECIS_MPI_SUMMARIES_KEPT_H
#define PRECIS_MPI_SUMMARIES_KEPT_H

#include <stdint.h>

#include "mpi/summaries/summaries.h"
#include "mpi/summaries/summary_work.h"
#include "mpi/sequence/survey.h"
#include "src/layout/wire.h"

/* The sums lie in memory once for all handles that were forked with them, and are copied when one of
 * these adds keys. */
typedef struct precis_kept_shared {
  int handles;
  int64_t weighed; /* see precis_kept_weigh() */
} precis_kept_shared;

typedef struct precis_kept {
  int valid;
  int moves;                  /* of the survey's centres, when it was built */
  int64_t local_rows;         /* of this rank's keys, those in the summary */
  int64_t rows;               /* of all ranks' */
  double calls;               /* that it has served */
  precis_summaries plan;      /* arrays owned, but for those of the survey */
  int64_t value_numbers;      /* of a head: features x value_dim */
  int64_t count_numbers;      /* features, then with deviations features + count_features */
  precis_kept_arrays at;
  precis_kept_shared *shared; /* who has its sums: values, counts and both rounded */
  precis_keys tokens;         /* outlier keys of all ranks */
} precis_kept;

/* Takes over plan (which is emptied) and makes room; filled by precis_kept_store(), made valid by
 * the caller. Errors: MEMORY (the plan stays with the caller). */
int precis_kept_create(const precis_terms *terms, precis_summaries *plan, precis_kept *kept);
void precis_kept_free(precis_kept *kept);
/* The same summary for a fork of the handle. Errors: MEMORY. */
int precis_kept_fork(precis_kept *kept, const precis_problem *problem, precis_kept *child);
/* From now on its sums are its own. Errors: MEMORY; they are then as they were. */
int precis_kept_own(precis_kept *kept, const precis_problem *problem);
/* Bytes of its sums, 0 if they were weighed with this number already; numbers are positive. */
int64_t precis_kept_weigh(const precis_kept *kept, const precis_problem *problem, int64_t number);
/* Of its sums and fits, and of outliers' keys. */
int64_t precis_kept_bytes(const precis_kept *kept, const precis_problem *problem);

/* Stores reduced sums of a tile. */
void precis_kept_store(precis_kept *kept, int value_dim, const precis_summary_part *part,
                       const float *sums);

/* How far the queries of a call and the keys that have come since reach, one for each kv_head. */
typedef struct precis_kept_reach {
  double radius;              /* max |q - plan.q_center| of the bulk ... */
  double all;                 /* ... and of all */
  double outlier_share;       /* of queries beyond the plan's limit, on some rank */
  precis_reach queries, keys; /* of the bulk, in the axes of the plan; 0 where there are none */
} precis_kept_reach;

/* This rank's part of it, whose maxima over the ranks are wanted: an array of doubles, as it were.
 * q: rows x heads x dim. */
void precis_kept_measure(const precis_terms *terms, const precis_keys *keys, int64_t rows, const float *q,
                         const precis_kept *kept, precis_kept_reach *reach);

/* Collective. Whether it serves queries and new keys of this reach (kv_heads, of all ranks) and
 * `rows` keys in all, with centres that have moved so often: lifts the limit for queries where too many are beyond it, fits polynomials
 * anew if need be. Drops it if not. Errors: MPI, MEMORY. */
int precis_kept_check(precis_world *world, const precis_terms *terms, int moves,
                      precis_kept_reach *reach, int64_t rows, precis_kept *kept);

/* Collective. Adds keys that have come since. Errors: MEMORY, MPI. */
int precis_kept_update(precis_task *task, precis_kept *kept);

/* Bytes that all ranks send to add so many keys. */
precis_wire precis_kept_update_wire(const precis_problem *problem, const precis_world *world,
                                    int64_t rows);

/* Attends with this rank's queries to all keys; no communication. Errors: MEMORY, this rank's
 * alone. */
int precis_kept_run(precis_task *task, const precis_kept *kept,
                    precis_summary_result *result);

#endif
