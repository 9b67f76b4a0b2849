/* fork.h - handles that share the keys and values they have in common */
#ifndef PRECIS_MPI_FORK_H
#define PRECIS_MPI_FORK_H

#include "mpi/attention.h"

/* Collective, right after precis_create(): the handle's keys may be shared by forks. Errors:
 * MEMORY. */
int precis_attention_share(precis_attention *attention);

/* Collective. Makes *child with the first `tokens` keys of the handle, which lie in memory once as
 * long as both live; either appends and is destroyed without the other. Surveys and summaries are
 * made anew when the child needs them. Errors: MEMORY, MPI, those of precis_create(). */
int precis_attention_fork(precis_attention *attention, int64_t tokens, precis_attention **child);

#endif
