/* merger_choice.h - which segments of which context are to be merged */
#ifndef PRECIS_SERVICE_MERGER_CHOICE_H
#define PRECIS_SERVICE_MERGER_CHOICE_H

#include "mpi/service/contexts.h"
#include "mpi/service/merge.h"

/* Fills in what the merge is made of, owned by the caller. NULL: there is nothing to merge now. */
precis_context *precis_merger_choose(precis_contexts *contexts, precis_merge *merge);
/* A context that has all those segments, one after the other, from number *first on, or NULL. */
precis_context *precis_merger_next(precis_contexts *contexts, const precis_merge *merge,
                                   int64_t *first);

#endif
