/* precis_more.h - more of a handle: append in place, watch, weigh, and do a job in parts
 *
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * What programs need that do more than append and attend: the program precis is made of these. The
 * conventions of precis.h hold. Calls in this header may still change from one minor version to the
 * next; those of precis.h do not.
 */
#ifndef PRECIS_MORE_H
#define PRECIS_MORE_H

#include "precis.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Puts this rank's rows where they are to stay, which saves a second copy of them:
 *   k     rows x kv_heads x dim
 *   v     rows x kv_heads x value_dim
 *   bias  rows, or NULL where none was announced
 * May read files, and communicate where all ranks do. Returns PRECIS_SUCCESS, or an error of this
 * rank; what it wrote is then forgotten. */
typedef int precis_fill(void *context, float *k, float *v, float *bias);

/* Collective. precis_append() of rows that `fill` writes to their place in the handle. It is called
 * once on every rank, also for no rows, unless there is an error before. with_bias: nonzero where
 * it writes biases, too; ranks with rows all say the same (MISMATCH otherwise). After an error the
 * sequence is as it was. Errors: those of `fill` (the call then says nothing to options.message: it
 * is for `fill` to explain), ARGUMENT, MISMATCH, MEMORY, NONFINITE (also in masked rows), MPI. */
PRECIS_API int precis_append_in_place(precis_attention *attention, int64_t rows, int with_bias,
                                      precis_fill *fill, void *context);

/* Not collective. Bytes of memory that the handle holds on this rank between calls: keys and values
 * with the room to grow, a summary that is kept, and small change; MPI's own memory apart. What a
 * call takes on top is in precis_forecast. Of keys that forks share, each handle counts the whole.
 * NULL: 0. */
PRECIS_API int64_t precis_attention_bytes(const precis_attention *attention);

/* Not collective, and the one call that any thread may make while another is inside a collective
 * call on the handle (but for precis_destroy()). What this rank is at and whom it waits for, such
 * as "tiles, 3 of 8 done, waits for a message from rank 2": cut to fit, ended by a zero, empty
 * where there is nothing to say. Returns text. For a watchdog, which tells where a job that does
 * not end has come to. */
PRECIS_API char *precis_attention_waits(const precis_attention *attention, char *text, size_t size);

/* Not collective. Seconds that a rank of this machine (options.machine) is predicted to take for
 * so many pairs of a query and a key of a head, computed one by one, with nothing else to do. */
PRECIS_API double precis_attention_foretell(const precis_attention *attention, double pairs);

/* The heads of a call that were attended to in the same way. */
typedef struct precis_group {
  size_t size; /* sizeof(precis_group), set by the caller: see PRECIS_GROUP_INIT */
  precis_move move;
  int heads;            /* query heads, and which, ascending: the handle's, valid until its ... */
  const int *head_list; /* ... next call */
  /* Summaries, else 0; as in precis_report. */
  int degree, envelope_degree;
  int64_t features, count_features;
  double bound;
  int64_t outlier_keys, outlier_queries;
  double promise; /* of these heads, in the unit of options.tol_of; see precis_report.estimate */
} precis_group;

/* precis_group group = PRECIS_GROUP_INIT; */
#ifdef __cplusplus
#define PRECIS_GROUP_INIT                                                                          \
  {                                                                                                \
    sizeof(precis_group)                                                                           \
  }
#else
#define PRECIS_GROUP_INIT                                                                          \
  {                                                                                                \
    .size = sizeof(precis_group)                                                                   \
  }
#endif

/* Not collective. How many groups the last successful attend was made of: at least 1, or 0 if there
 * was none. Each query head is in one of them. */
PRECIS_API int precis_attention_groups(const precis_attention *attention);
/* Not collective. Fills *group up to group->size bytes; index from 0. Errors: ARGUMENT. */
PRECIS_API int precis_attention_group(const precis_attention *attention, int index,
                                      precis_group *group);

/* A job in parts: one handle attends with its queries a batch at a time, or one handle after
 * another does (the job was interrupted). The unit PRECIS_UNIT_OUTPUTS is of the whole job, so that
 * all parts are to be judged by the mean query and R of all queries, which a part does not see. The
 * calls below bring them in, and take out what later parts or handles need. See precis_unit.
 *
 *   before the first attend    precis_attention_set_mean_query(), of all queries
 *                              precis_attention_set_answered(), of earlier handles
 *   after each attend          precis_attention_worth(), to be added up and kept
 *   after the last one         precis_attention_settle(); R is now that of all rows. Those batches
 *                              are attended to again whose `relied` is larger than R.
 */

/* Of a query head, over the rows of all ranks. */
typedef struct precis_head_worth {
  size_t size; /* sizeof(precis_head_worth), set by the caller in the first element */
  /* Of the last attend. */
  double relied;  /* rows that do not keep tol by their own distance from m_i do if R is so much;
                     0: there are none, or tol is in another unit */
  double bound;   /* the largest proved bound, in the norm of precis_unit */
  double squares; /* of bounds in PRECIS_UNIT_OUTPUTS, summed */
  double largest; /* lower bound of |true_i - m_i|, the largest */
  /* Of all that was answered so far, earlier handles included. */
  double sum, most, rows; /* lower bounds of |true_i - m_i| and upper ones, summed; rows */
} precis_head_worth;

/* Not collective, but with the same values on all ranks, before the first attend: the mean of all
 * queries that see a key, heads x dim, in place of those of the first attend. Errors: ARGUMENT. */
PRECIS_API int precis_attention_set_mean_query(precis_attention *attention,
                                               const double *mean_query);
/* Likewise: what rows add up to that were answered before; `heads` elements, of which sum, most and
 * rows are read. Errors: ARGUMENT. */
PRECIS_API int precis_attention_set_answered(precis_attention *attention,
                                             const precis_head_worth *heads);
/* Likewise, after the last attend of all rows: those that are answered again are judged by R as it
 * is, and add nothing to it. Errors: ARGUMENT. */
PRECIS_API int precis_attention_settle(precis_attention *attention);
/* Not collective. `heads` elements, filled up to heads[0].size bytes each. Errors: ARGUMENT (size,
 * or there was no successful attend). */
PRECIS_API int precis_attention_worth(const precis_attention *attention, precis_head_worth *heads);

#ifdef __cplusplus
}
#endif
#endif
