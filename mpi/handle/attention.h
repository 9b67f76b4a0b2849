/* attention.h - what a handle holds */
#ifndef PRECIS_MPI_HANDLE_ATTENTION_H
#define PRECIS_MPI_HANDLE_ATTENTION_H

#include "mpi/summaries/kept.h"
#include "mpi/sequence/past.h"
#include "mpi/sequence/signal.h"
#include "mpi/sequence/survey.h"
#include "mpi/world/world.h"
#include "src/exact/jobs.h"
#include "src/tokens/keys.h"
#include "src/base/message.h"
#include "src/tokens/norm.h"
#include "src/precis.h"
#include "src/precis_more.h"
#include "src/model/rates.h"

/* Of a query head in the last attend, over the rows of all ranks: what is left to judge them by
 * when R is known better. */
typedef struct precis_head_sums {
  double relied;  /* R must be so much for rows that do not keep tol by their own distance: the
                     largest  of their bounds / tol. 0: there are none, or tol is in another unit */
  double bound;   /* the largest, in the norm of precis_unit */
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
  int64_t appended;          /* keys of all ranks */
  int64_t surveyed;          /* of them, those in the survey ... */
  int64_t surveyed_before;   /* ... and those that were in it when the present call began */
  precis_kept kept;          /* summary of earlier keys, where one was worth it */
  double exact_spent;        /* predicted seconds of exact attends since there was none ... */
  double repair_spent;       /* ... and of what it left to repair since it was built */
  double exact_patience;     /* so many of them, and a summary is looked for again, */
  double repair_patience;    /* or another one: each doubles what has been spent by then */
  precis_past past;          /* queries that a summary might serve */
  int with_bias;             /* some key of some rank has had a bias */
  precis_signal signal;      /* what answers so far differ by from what the mean query gets */
  precis_head_report *heads; /* of the last attend that succeeded, if has_heads */
  precis_head_sums *sums;
  int has_heads;
  precis_group *groups; /* kv_heads: of the same, `group_count` of them */
  int group_count;
  int *head_list;   /* heads: of one group after the other */
  int64_t *rows_of; /* ranks: of an append */
  int64_t beside;   /* bytes held beside all this while it has some of its heads, see subset.h */
};

/* What precis_attention_groups() tells of an attend that succeeded: first that there are none, then
 * of each group in turn. count: of its query heads, in list; NULL: all of them. */
void precis_attention_forget_groups(precis_attention *attention);
void precis_attention_note_group(precis_attention *attention, const precis_report *report,
                                 int count, const int *list);

/* What it holds without a summary that is kept. */
int64_t precis_attention_held(const precis_attention *attention);

/* In which certificates are, of the keys surveyed so far. Borrows from the survey. */
precis_norm precis_attention_norm(const precis_attention *attention, int kv_head);

/* Agrees on status; if it is an error, gives its text to options.message. */
int precis_attention_end(precis_attention *attention, int status, precis_message *why);

/* Not collective: the same, where all ranks know the status. */
int precis_attention_say(const precis_attention *attention, int status, const precis_message *why);

#endif
