/* signal_prefixes.h - what the mean query gets from the keys before this rank's queries, and the
 * keys among them, under a causal mask */
#ifndef PRECIS_MPI_SEQUENCE_SIGNAL_PREFIXES_H
#define PRECIS_MPI_SEQUENCE_SIGNAL_PREFIXES_H

#include "mpi/sequence/signal.h"

typedef struct precis_signal_prefixes {
  double *base;    /* heads x (m, l, value_dim of o), see src/tokens/mean_query.h: of all keys before the
                      position of this rank's first query */
  precis_keys own; /* the keys at the positions of this rank's queries, ascending */
  int owned;       /* own came from other ranks; else it borrows */
} precis_signal_prefixes;

/* Collective. Errors: MEMORY, MPI. Free it in any case. */
int precis_signal_prefixes_find(const precis_signal *signal, const precis_signal_rows *of,
                                precis_signal_prefixes *prefixes);
void precis_signal_prefixes_free(precis_signal_prefixes *prefixes);

#endif
