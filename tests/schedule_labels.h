/* schedule_labels.h - the inside of tests/schedule_world.c: what ranks remember, labels of memory */
#ifndef PRECIS_TESTS_SCHEDULE_LABELS_H
#define PRECIS_TESTS_SCHEDULE_LABELS_H

#include "tests/schedule_world.h"

enum { PIECES = 4 * WORLD_RANKS, MESSAGES = 8 * WORLD_RANKS, READINGS = 8 * WORLD_RANKS };

/* Part of a buffer: bytes from `origin` on of something. */
typedef struct piece {
  int64_t offset, bytes, origin;
  precis_step_matter matter;
  precis_block block;
  uint64_t ranks; /* whose sums are in a summary */
  uint8_t *cover; /* of partials: kv_heads x keys, how often each was attended */
  int writer;     /* the rank, ... */
  int64_t marks;  /* ... and its last mark by then */
} piece;

/* Of part of a buffer that others see, by a rank whose last mark was `marks`. */
typedef struct reading {
  int rank;
  int64_t offset, bytes, marks;
} reading;

typedef struct buffer {
  int64_t size;
  int count;
  piece pieces[PIECES];
  int read;
  reading readings[READINGS];
} buffer;

typedef struct message {
  int active, started, receiving, request;
  int64_t order; /* of starting, on its rank */
  precis_step step;
  int count; /* labels of what is sent */
  piece *pieces;
} message;

/* Queries that are being attended, with what came from others. */
typedef struct gathered {
  precis_block block;
  uint8_t *merged; /* kv_heads x keys */
} gathered;

typedef struct person {
  int64_t at; /* next step */
  int64_t order;
  buffer **slot;      /* common ones are one buffer for the node */
  int64_t marks, met; /* of others: they have come so far */
  message messages[MESSAGES];
  uint8_t *cover; /* kv_heads x keys: attended here, */
  int computed;   /* since the last CLEAR */
  int open;       /* queries are still coming after it, */
  int count;      /* of so many blocks */
  gathered sums[WORLD_RANKS];
  uint8_t *has;      /* heads x queries of all ranks: here to be attended */
  uint8_t *done;     /* heads x queries of all ranks: results at home */
  uint8_t *summarised, *applied; /* kv_heads x features */
} person;

typedef struct world {
  const precis_schedule *schedule;
  const world_facts *facts;
  const world_lists *lists;
  int64_t keys, queries, key_start[WORLD_RANKS + 1], query_start[WORLD_RANKS + 1];
  person *people;
  void **memory; /* to be freed at the end */
  int64_t pieces_of_memory;
  world_verdict verdict;
  int aloud;
} world;

/* Memory that is there until the end of the run, zeroed. */
void *world_take(world *w, int64_t bytes);

/* Only the first complaint counts. */
void world_complain(world *w, int rank, const precis_step *step, world_verdict verdict,
                    const char *why);

/* Whether a step may read or write part of a slot. */
int world_may_touch(world *w, int rank, const precis_step *step, int slot, int64_t offset,
                    int64_t bytes, int writing);

/* The same for a slot of rank `owner` of the same node. */
int world_may_touch_of(world *w, int rank, const precis_step *step, int owner, int slot,
                       int64_t offset, int64_t bytes, int writing);

/* A message of `rank` is over: it has read or written until now. */
void world_settle(world *w, int rank, const precis_step *step);

/* Puts a label of `rank` down, in the place of what was there. */
void world_put(world *w, int rank, buffer *b, piece x);

/* Labels of part of a buffer, with offsets from its start; returns how many, -1 if there are
 * gaps. */
int world_get(const buffer *b, int64_t offset, int64_t bytes, piece *to);

int world_same_block(precis_block a, precis_block b);

/* The slot's part is one whole thing of this name; sets *found. */
int world_expect(world *w, int rank, const precis_step *step, piece *found);

/* Calls the slot's part what the step says. */
void world_label(world *w, int rank, const precis_step *step, uint64_t ranks, uint8_t *cover);

int world_all_are(const uint8_t *map, int64_t count, int value);

/* Any step but those of messages. */
void world_work(world *w, int rank, const precis_step *step);

#endif
