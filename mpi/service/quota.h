/* quota.h - what the contexts that were made with one token may take together */
#ifndef PRECIS_SERVICE_QUOTA_H
#define PRECIS_SERVICE_QUOTA_H

#include "mpi/service/contexts.h"

/* Numbers that a token of the context takes, all ranks together; bytes are four times that. */
int64_t precis_quota_row(const precis_spec *spec, int with_bias);

/* With the lock of contexts: whether so much more may come to those that the owner has, open
 * appends included. Errors: MEMORY, with words. */
int precis_quota_check(const precis_contexts *contexts, const precis_owner *owner,
                       const precis_quota *more, precis_message *why);

#endif
