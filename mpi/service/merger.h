/* merger.h - merges go on beside the work: files by a thread that has the lowest priority, the rest
 * in small steps of the thread that owns the journal
 *
 * The merged segment is written, whole and safe on disk; then each context that has all of those it
 * was made of puts it on record in their place; then they are removed. Wherever that ends, what
 * contexts have is complete. What forks share they go on sharing: no merge reaches beyond what all
 * who have a part of it have, and all of them take it. */
#ifndef PRECIS_SERVICE_MERGER_H
#define PRECIS_SERVICE_MERGER_H

#include <pthread.h>

#include "mpi/service/journal.h"
#include "mpi/service/merge.h"

typedef enum precis_merger_state {
  PRECIS_MERGER_IDLE,
  PRECIS_MERGER_WRITING, /* the thread is there */
  PRECIS_MERGER_REPLACING
} precis_merger_state;

typedef struct precis_merger {
  precis_journal *journal;
  precis_contexts *contexts;
  precis_merger_state state;
  precis_merge merge; /* that is under way */
  pthread_t thread;
  atomic_int stop, written; /* written: the thread has ended */
  int status;               /* of the thread, with words in why */
  precis_message why;
  json_t *dead; /* names of segments that are to be removed */
  int64_t made, failures;
  double rests_until; /* after a failure */
} precis_merger;

/* Errors: MEMORY. */
int precis_merger_create(precis_merger *merger, precis_journal *journal, precis_contexts *contexts);
/* A little of what there is to do; returns 0 if that is nothing. What fails is logged, changes
 * nothing and is tried again later. */
int precis_merger_step(precis_merger *merger);
/* Gives up what is under way. Nothing happens if it was not created. */
void precis_merger_end(precis_merger *merger);

#endif
