/* contexts.h - rank 0's book of contexts, and of the appends that are on their way into them
 *
 * Threads that talk HTTP and the thread that talks MPI share it; each call takes the lock. A
 * context that was found is held until it is let go, also after its removal. */
#ifndef PRECIS_SERVICE_CONTEXTS_H
#define PRECIS_SERVICE_CONTEXTS_H

#include <jansson.h>
#include <pthread.h>
#include <stdint.h>

#include "mpi/service/service.h"
#include "mpi/service/sum.h"
#include "mpi/service/token.h"
#include "src/base/message.h"
#include "src/precis.h"

enum { PRECIS_CONTEXT_ID = 20, PRECIS_CONTEXT_NAME = 128, PRECIS_CONTEXT_KEY = 128 };

/* What was asked for. */
typedef struct precis_spec {
  char name[PRECIS_CONTEXT_NAME + 1]; /* "" for none */
  precis_problem problem;             /* settled */
  double tol;
  precis_unit tol_of;
  precis_guarantee guarantee;
  precis_move move;
} precis_spec;

/* Who asks, by the name of the token. */
typedef struct precis_owner {
  char name[PRECIS_TOKEN_NAME + 1]; /* "" where no token is asked for */
  precis_quota quota;
} precis_owner;

typedef struct precis_context {
  char id[PRECIS_CONTEXT_ID];
  precis_spec spec; /* does not change */
  int slot;         /* on the ranks; -1: not there yet, or no longer */
  int references;
  int listed;     /* 0: deleted */
  int64_t tokens; /* committed */
  int with_bias;
  int pieces; /* attends to it that are under way in pieces; with the queue's lock */
  char owner[PRECIS_TOKEN_NAME + 1];
  char parent[PRECIS_CONTEXT_ID]; /* that it was forked from, or "" */
  int64_t *held;                  /* ranks: rows of each */
  int64_t *dealt;                 /* ranks: rows of each, those of open appends included */
  int64_t appends, attends, moves[PRECIS_MOVES];
  double created;                   /* seconds since 1970 */
  char key[PRECIS_CONTEXT_KEY + 1]; /* that it was made with, or "" */
  precis_sum sum;                   /* of the request that made it; "": not known */
  json_t *keys;    /* of appends that were done: key -> {appended, tokens, sum of the body} */
  json_t *pending; /* of appends under way */
  /* Of its manifest, see journal.h; that thread's alone. */
  int manifest; /* descriptor, or -1 */
  int64_t manifest_bytes, sequence;
  int64_t torn_bytes;     /* that follow them, of a line that was not written to its end */
  json_t *segments;       /* [[name, rows, sum], ...] */
  int damaged;            /* nothing can be written any more */
  int merged;             /* segments were: names of its appends may be in no list any more */
  int64_t manifest_least; /* bytes of it when it was last written as a whole; 0: not known */
  int64_t merge_tried;    /* segments that it had when there was nothing to merge */
  /* What the unit of its promises is, see unit.h; that thread's alone. */
  double *unit;         /* NULL: nothing is known; owned */
  double unit_recorded; /* rows of R that are on record; 0: nothing is */
  int64_t refreshed; /* tokens that it had when its summary was last brought up to date unasked */
  struct precis_context *next;
} precis_context;

/* An append on its way. */
typedef struct precis_stage {
  precis_context *context; /* held */
  int number;              /* of the shards; -1: not open yet */
  int64_t rows, tokens;    /* of the append; of the context after it */
  int with_bias;
  int64_t *counts;  /* ranks: rows of each */
  int64_t promised; /* bytes on the rank that gets most */
  char key[PRECIS_CONTEXT_KEY + 1];
  precis_sum sum; /* of the body, if there is a key */
} precis_stage;

typedef struct precis_contexts {
  pthread_mutex_t lock;
  const precis_service_options *options;
  int ranks;
  precis_context *first; /* oldest first */
  int64_t count, made;
  int64_t *bytes;           /* ranks: held */
  int64_t promised;         /* bytes of appends that are open */
  precis_context **in_slot; /* NULL: free */
  unsigned char *stages;    /* nonzero: taken */
  json_t *pending;          /* idempotency keys of contexts that are being made */
  json_t *damaged;          /* left out at the start: [{"id", "error"}, ...] */
} precis_contexts;

/* Errors: MEMORY. */
int precis_contexts_create(const precis_service_options *options, int ranks,
                           precis_contexts *contexts);
void precis_contexts_free(precis_contexts *contexts);

/* A new one, held, listed once precis_contexts_enlist() is called. parent: that it is to be forked
 * from, or NULL. Errors: MEMORY (too many, or too much for its owner; words in why). */
int precis_contexts_make(precis_contexts *contexts, const precis_spec *spec,
                         const precis_owner *owner, const precis_context *parent,
                         precis_context **context, precis_message *why);
void precis_contexts_enlist(precis_contexts *contexts, precis_context *context);
/* Holds it; NULL if there is none. */
precis_context *precis_contexts_find(precis_contexts *contexts, const char *id);
/* No longer found. */
void precis_contexts_delist(precis_contexts *contexts, precis_context *context);
void precis_contexts_release(precis_contexts *contexts, precis_context *context);
/* The slot is free again. */
void precis_contexts_vacate(precis_contexts *contexts, precis_context *context);

/* Deals the rows of an append to the ranks. quota: of the context's owner. Holds the context.
 * Errors: MEMORY, with words. */
int precis_stage_make(precis_contexts *contexts, precis_context *context, const precis_quota *quota,
                      int64_t rows, int with_bias, precis_stage **stage, precis_message *why);
/* What was done counts if `committed`. */
void precis_stage_end(precis_contexts *contexts, precis_stage *stage, int committed);
/* What was answered to an append, tokens included; with the lock, or before there are threads. */
void precis_contexts_remember(precis_context *context, const char *key, const char *sum,
                              int64_t rows);
/* A number for its shards. */
void precis_stage_number(precis_contexts *contexts, precis_stage *stage);

/* Counts an attend. */
void precis_contexts_attended(precis_contexts *contexts, precis_context *context, precis_move move);
/* What each rank holds. */
void precis_contexts_weigh(precis_contexts *contexts, const int64_t *bytes);

/* One that is damaged on disk is left out, and why. */
void precis_contexts_leave_out(precis_contexts *contexts, const char *id, const char *error);
/* Whether it was left out. */
int precis_contexts_is_left_out(precis_contexts *contexts, const char *id);
/* [{"id", "error"}, ...], NULL without memory. */
json_t *precis_contexts_left_out(precis_contexts *contexts);

/* As JSON objects, NULL without memory. */
json_t *precis_contexts_describe(precis_contexts *contexts, precis_context *context);
json_t *precis_contexts_list(precis_contexts *contexts);

#endif
