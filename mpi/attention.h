/* attention.h - what a handle holds */
#ifndef PRECIS_MPI_ATTENTION_H
#define PRECIS_MPI_ATTENTION_H

#include "mpi/kept.h"
#include "mpi/past.h"
#include "mpi/signal.h"
#include "mpi/survey.h"
#include "mpi/world.h"
#include "src/jobs.h"
#include "src/keys.h"
#include "src/message.h"
#include "src/norm.h"
#include "src/precis.h"
#include "src/rates.h"

/* Of a query head in the last attend, over the rows of all ranks: what is left to judge them by
 * when R is known better. */
typedef struct precis_head_sums {
  double relied; /* R must be so much for rows that do not keep tol by their own distance: the largest
                    of their bounds / tol. 0: there are none, or tol is in another unit */
  double bound;  /* the largest, in the norm of precis_unit */
  double squares; /* of bounds in PRECIS_UNIT_OUTPUTS, summed */
  double largest; /* lower bound of |true - m_i| */
  double rows;
} precis_head_sums;

struct precis_attention {
  precis_world world;
  precis_problem problem; /* settled */
  precis_options options;
  precis_engine engine;
  /* Of any rank the smallest: what ranks send, decide and promise must not depend on their own. */
  int64_t fast_memory_least;
  int64_t thread_memory_least; /* fast memory of a thread */
  int threads_least;
  precis_rates rates; /* of threads_least threads: options.machine, or nominal */
  precis_keys keys;
  precis_survey survey;
  int64_t appended;        /* keys of all ranks */
  int64_t surveyed;        /* of them, those in the survey ... */
  int64_t surveyed_before; /* ... and those that were in it when the present call began */
  precis_kept kept;        /* summary of earlier keys, where one was worth it */
  double exact_spent;      /* predicted seconds of exact attends since there was none ... */
  double repair_spent;     /* ... and of what it left to repair since it was built */
  double exact_patience;   /* so many of them, and a summary is looked for again, */
  double repair_patience;  /* or another one: each doubles what has been spent by then */
  precis_past past;        /* queries that a summary might serve */
  int with_bias;           /* some key of some rank has had a bias */
  precis_signal signal;    /* what answers so far differ by from what the mean query gets */
  precis_head_report *heads; /* of the last attend that succeeded, if has_heads */
  precis_head_sums *sums;
  int has_heads;
};

/* Puts this rank's rows, finite ones, where they are to stay: rows x kv_heads x dim, rows x
 * kv_heads x value_dim and, unless it is NULL, rows. Collective; returns the same on every rank. */
typedef int precis_attention_fill(void *context, float *k, float *v, float *bias);

/* Collective, like precis_append(), for rows that need not be in memory twice. with_bias: on all
 * ranks alike. Errors: those of `fill`, MEMORY, MPI; the sequence is then as it was. */
int precis_attention_append(precis_attention *attention, int64_t rows, int with_bias,
                            precis_attention_fill *fill, void *context);

/* Not collective, but the same on all ranks. Of a job that is done by several handles, or a handle that
 * sees a part of its queries at a time, before its first attend: the mean of all queries that see a
 * key (heads x dim), in place of those of the first attend; and what rows answered earlier add up
 * to (heads each: sum, most and rows of mpi/signal.h). */
void precis_attention_set_mean_query(precis_attention *attention, const double *mean_query);
void precis_attention_set_answered(precis_attention *attention, const double *sum,
                                   const double *most, const double *rows);
/* Likewise, after the last: rows that are answered again are judged by R as it is. */
void precis_attention_settle(precis_attention *attention);

/* In which certificates are, of the keys surveyed so far. Borrows from the survey. */
precis_norm precis_attention_norm(const precis_attention *attention, int kv_head);

/* Agrees on status; if it is an error, gives its text to options.message. */
int precis_attention_end(precis_attention *attention, int status, precis_message *why);

#endif
