/* waiting.h - what a rank is at, and whom it waits for
 *
 * One thread of a rank keeps the record while it works; any thread may read it meanwhile, such as
 * one that finds that there is no end. What is read may be some microseconds old, and its parts of
 * different age. */
#ifndef PRECIS_SRC_BASE_WAITING_H
#define PRECIS_SRC_BASE_WAITING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Zero is a valid record of one rank at nothing. */
typedef struct precis_waiting {
  _Atomic(const char *) step;  /* static text: "survey", "tiles"; NULL: none */
  _Atomic int64_t done, parts; /* of the step; parts 0: not counted */
  atomic_int meets;            /* nonzero: all ranks must come before it goes on */
  atomic_int blocked;          /* nonzero: it goes on when messages are there */
  int ranks;                   /* constant */
  atomic_int *from, *to;       /* of each rank: messages that have not come, or not gone */
  atomic_int *meet;            /* of each rank: nonzero: it has to come to a meeting on this node */
} precis_waiting;

/* Returns 0, or -1 if memory is short; the record is then that of one rank at nothing. */
int precis_waiting_create(int ranks, precis_waiting *waiting);
void precis_waiting_free(precis_waiting *waiting);

/* Begins a step, named by static text (NULL: none). */
void precis_waiting_step(precis_waiting *waiting, const char *step);
void precis_waiting_count(precis_waiting *waiting, int64_t done, int64_t parts);

/* "tiles, 3 of 8 done, waits for a message from rank 2, and for rank 0 to take what it sent"; empty
 * where there is nothing to say. Cut to fit, ended by a zero; returns text. */
char *precis_waiting_describe(const precis_waiting *waiting, char *text, size_t size);

#endif
