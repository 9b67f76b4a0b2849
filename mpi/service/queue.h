/* queue.h - errands of HTTP threads for the thread that calls MPI, first come first served */
#ifndef PRECIS_SERVICE_QUEUE_H
#define PRECIS_SERVICE_QUEUE_H

#include <pthread.h>
#include <stdint.h>

#include "mpi/service/contexts.h"
#include "src/base/message.h"
#include "src/precis.h"

typedef enum precis_errand_kind {
  PRECIS_ERRAND_CREATE,
  PRECIS_ERRAND_FORK,
  PRECIS_ERRAND_DESTROY,
  PRECIS_ERRAND_OPEN,
  PRECIS_ERRAND_FILL,
  PRECIS_ERRAND_COMMIT,
  PRECIS_ERRAND_DROP,
  PRECIS_ERRAND_ATTEND
} precis_errand_kind;

/* Of those that are waited for, the waiting thread owns the errand; the others are malloc'ed and
 * belong to who takes them. */
typedef struct precis_errand {
  precis_errand_kind kind;
  precis_context *context; /* CREATE, FORK, DESTROY, ATTEND */
  precis_context *parent;  /* FORK */
  precis_stage *stage;     /* OPEN, FILL, COMMIT, DROP: ended by COMMIT and DROP */

  int rank, array; /* FILL */
  int64_t first, count;
  float *values; /* malloc'ed */

  int64_t rows, position; /* ATTEND, see precis_order */
  const float *q;
  float *out, *lse, *bounds; /* bounds NULL: not wanted */
  precis_report report;
  int64_t tokens; /* of the context that was attended to; after a COMMIT */
  int batched;    /* attends that ran together */

  int gone; /* failed, as the context is no longer there */

  int client;             /* the socket of who waits, to be looked at; 0: none */
  double until;           /* precis_deadlines_now(); 0: it may take as long as it does */
  int left, late;         /* was not carried out: the client is gone; its time is over */
  double put, waited_for; /* when it came in; seconds in the queue */
  double synced; /* COMMIT: seconds until it was on record; 0: it is not */
  int pieces;             /* ATTEND: that it was done in; 0: in one go */

  int waited, done;
  int status; /* when done; words in why */
  precis_message why;
  pthread_cond_t ready;
  struct precis_errand *next;
} precis_errand;

typedef struct precis_queue {
  pthread_mutex_t lock;
  pthread_cond_t filled, emptied;
  precis_errand *first, **end;
  int64_t count, values; /* errands; floats that wait with them */
  int closed;            /* nothing is taken in any more */
} precis_queue;

enum { PRECIS_QUEUE_ERRANDS = 512, PRECIS_QUEUE_VALUES = 1 << 24 };

void precis_queue_create(precis_queue *queue);
/* There must be nothing in it. */
void precis_queue_free(precis_queue *queue);

/* Puts it at the end and waits until it is done. Returns its status; where the queue is full or
 * closed, or it is late before anybody has taken it, nothing happens and *refused is set. DESTROY
 * and COMMIT are taken in even if it is full. */
int precis_queue_run(precis_queue *queue, precis_errand *errand, int *refused);
/* Puts it at the end; a FILL waits for room. Returns 0 if the queue is closed, but a DROP is always
 * taken in. */
int precis_queue_put(precis_queue *queue, precis_errand *errand);
void precis_queue_close(precis_queue *queue);
int precis_queue_is_closed(precis_queue *queue);
int64_t precis_queue_length(precis_queue *queue);

/* For the one who carries errands out. The first one, or NULL after about so many seconds. While
 * attends to a context are done in pieces (context->pieces), what changes it waits for their end,
 * and so do the attends of several rows that came after that. */
precis_errand *precis_queue_take(precis_queue *queue, double seconds);
/* The next attend to the same context, of at most so many rows, that nothing stands before which
 * changes the context; or NULL. Multi-row causal attends that end at the last key are not given. */
precis_errand *precis_queue_take_like(precis_queue *queue, const precis_errand *attend,
                                      int64_t rows);
/* Whether it is of no use to anybody any more: its client is gone, or its time is over; sets left
 * or late. */
int precis_queue_is_useless(precis_errand *errand);
/* Tells who waits, or releases it. */
void precis_queue_finish(precis_queue *queue, precis_errand *errand, int status,
                         const precis_message *why);

#endif
