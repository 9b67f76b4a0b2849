/* mixture.h - heads of one call in groups, each attended to in its own way
 *
 * Where the scores of some heads spread much further than those of others, one plan for all of them
 * is as dear as the dearest head. Heads of about the same spread are tried together, the widest of
 * them alone and for all; those for which the same was found best make a group. */
#ifndef PRECIS_MPI_CALL_MIXTURE_H
#define PRECIS_MPI_CALL_MIXTURE_H

#include "mpi/call/call.h"

typedef struct precis_mixture {
  int groups;     /* below 2: all heads together */
  int *group;     /* kv_heads: the number of its group; owned */
  double seconds; /* predicted */
} precis_mixture;

/* Collective, after a plan for all heads. Whether groups are predicted to be clearly faster. Free
 * it in any case. Errors: MPI, INTERNAL; what memory does not suffice for is left out. */
int precis_mixture_find(precis_call *c, precis_mixture *mixture);
void precis_mixture_free(precis_mixture *mixture);

/* Collective. Attends group by group. Errors: those of precis_attend(); the handle and, unless they
 * are made in place, the results are then as they were. */
int precis_mixture_attend(precis_call *c, const precis_mixture *mixture,
                          const precis_results *results, precis_report *report,
                          precis_message *why);

/* The call on the heads that the handle has now. */
precis_call precis_mixture_call(const precis_call *c, const float *q);

#endif
