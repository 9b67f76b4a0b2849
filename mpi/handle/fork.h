/* fork.h - handles that share the keys and values they have in common */
#ifndef PRECIS_MPI_HANDLE_FORK_H
#define PRECIS_MPI_HANDLE_FORK_H

#include "mpi/handle/attention.h"

/* Collective, right after precis_create(): the handle's keys may be shared by forks. Errors:
 * MEMORY. */
int precis_attention_share(precis_attention *attention);

/* Collective. Makes *child with the first `tokens` keys of the handle, which lie in memory once as
 * long as both live; either appends and is destroyed without the other. With all of the
 * keys the child has the survey and the summary, too, which is copied when either adds keys to it;
 * else they are made anew when it needs them. Errors: MEMORY, MPI, those of precis_create(). */
int precis_attention_fork(precis_attention *attention, int64_t tokens, precis_attention **child);

/* Collective. Adds keys that have come since to the summary, if there is one, so that the next
 * attend need not. Errors: those of precis_attend(). */
int precis_attention_refresh(precis_attention *attention);
/* Whether there are any. The same on all ranks. */
int precis_attention_is_behind(const precis_attention *attention);

#endif
