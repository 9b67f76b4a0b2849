/* errands.h - rank 0's side of the work: errands from the queue become orders to all ranks */
#ifndef PRECIS_SERVICE_ERRANDS_H
#define PRECIS_SERVICE_ERRANDS_H

#include "mpi/service/contexts.h"
#include "mpi/service/hold.h"
#include "mpi/service/journal.h"
#include "mpi/service/queue.h"

typedef struct precis_errands {
  precis_hold *hold;
  precis_contexts *contexts;
  precis_queue *queue;
  const precis_log *log;
  precis_journal *journal; /* NULL: contexts end with the job */
  /* See pieces.h. */
  struct precis_pieces *pieces; /* that are under way, the next first */
  double piece_seconds, piece_ended;
  int64_t piece_rows; /* with fewer, keys are read for little: a piece has so many at least */
  double pace;        /* what exact attends take over what is foretold */
} precis_errands;

/* Makes an empty context on all ranks; not listed yet. Errors: those of precis_create(). */
int precis_errands_create(precis_errands *e, precis_context *context);
/* The same with the first `tokens` tokens of another context, which both share. */
int precis_errands_fork(precis_errands *e, const precis_context *parent, int64_t tokens,
                        precis_context *context);

/* The context is no longer on the ranks; nothing on disk changes. */
int precis_errands_forget(precis_errands *e, precis_context *context);

/* Carries out an errand, and attends that can go with it, and finishes them. Errors: MPI, after
 * which nothing more can be done. */
int precis_errands_run(precis_errands *e, precis_errand *errand);

/* When there is nothing else to do: adds what was appended to one context to the summary that it
 * has, lest the next attend do so. Errors: MPI. */
int precis_errands_refresh(precis_errands *e);

/* Asks all ranks whether they are there, and waits until they are. Errors: MPI. */
int precis_errands_ping(precis_errands *e);

#endif
