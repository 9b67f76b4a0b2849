/* keys.h - idempotency keys: a client that did not hear of the end of a request may send it again
 */
#ifndef PRECIS_SERVICE_KEYS_H
#define PRECIS_SERVICE_KEYS_H

#include "mpi/service/contexts.h"
#include "mpi/service/request.h"

/* So many are remembered of a context; then the oldest are forgotten. */
enum { PRECIS_KEYS_MOST = 100000 };

typedef enum precis_claim { PRECIS_CLAIM_NEW, PRECIS_CLAIM_BUSY, PRECIS_CLAIM_DONE } precis_claim;

/* The request's key, "" if it has none; NULL and an error in the reply if it cannot be one. */
const char *precis_keys_read(precis_request *request);

/* Of an append. DONE: *done is what was done then, the caller's. */
precis_claim precis_keys_claim(precis_contexts *contexts, precis_context *context, const char *key,
                               json_t **done);
/* Replies to DONE: as then, if the body is the same. */
void precis_keys_answer(precis_request *request, const json_t *done, const precis_sum *sum);
/* Of a new context. Keys of one owner are nothing to another. DONE: *context is the one that was
 * made, held. */
precis_claim precis_keys_claim_context(precis_contexts *contexts, const char *owner,
                                       const char *key, precis_context **context);
/* Replies to DONE with the context, if the request is the same. */
void precis_keys_answer_context(precis_request *request, precis_context *context,
                                const precis_sum *sum);
/* The reply to BUSY. */
void precis_keys_refuse_busy(precis_request *request);
/* What was claimed as NEW is over, done or not. */
void precis_keys_release(precis_contexts *contexts, precis_context *context, const char *key);
void precis_keys_release_context(precis_contexts *contexts, const char *owner, const char *key);

#endif
