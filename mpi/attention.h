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
  int has_heads;
};

/* Puts this rank's rows, finite ones, where they are to stay: rows x kv_heads x dim, rows x
 * kv_heads x value_dim and, unless it is NULL, rows. Collective; returns the same on every rank. */
typedef int precis_attention_fill(void *context, float *k, float *v, float *bias);

/* Collective, like precis_append(), for rows that need not be in memory twice. with_bias: on all
 * ranks alike. Errors: those of `fill`, MEMORY, MPI; the sequence is then as it was. */
int precis_attention_append(precis_attention *attention, int64_t rows, int with_bias,
                            precis_attention_fill *fill, void *context);

/* In which certificates are, of the keys surveyed so far. Borrows from the survey. */
precis_norm precis_attention_norm(const precis_attention *attention, int kv_head);

/* Agrees on status; if it is an error, gives its text to options.message. */
int precis_attention_end(precis_attention *attention, int status, precis_message *why);

#endif
