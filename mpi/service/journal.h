/* journal.h - what outlives the job: a manifest for each context, and the segments that they name
 *
 *   DATA/contexts/ID.manifest      lines as in record.h: what was asked for, then each append
 *   DATA/segments/NAME.safetensors
 *   DATA/lock                      held by the job that serves it
 *
 * A line of a manifest is written after its segments are safe on disk, and answered after it is:
 * from then on the append is there. Whatever no manifest names is a leftover and is removed when a
 * job begins. All calls are those of the one thread of rank 0 that talks MPI. */
#ifndef PRECIS_SERVICE_JOURNAL_H
#define PRECIS_SERVICE_JOURNAL_H

#include <jansson.h>

#include "mpi/service/contexts.h"
#include "mpi/service/segments.h"
#include "src/message.h"

typedef struct precis_journal {
  const char *data; /* folder */
  int lock;         /* descriptor, or -1 */
  json_t *uses;     /* name of a segment -> how many contexts have it */
} precis_journal;

/* Makes the folders that are missing. Errors: IO (also where another job serves it), MEMORY. */
int precis_journal_open(const char *data, precis_journal *journal, precis_message *why);
void precis_journal_close(precis_journal *journal);

/* Reads all manifests: contexts that are held, not listed and in slots of their own, linked by
 * `next`. Cuts off lines that were not written to their end, removes leftovers. Errors: IO, FORMAT,
 * MEMORY. */
int precis_journal_read(precis_journal *journal, precis_contexts *contexts, precis_context **found,
                        precis_message *why);

/* A new context, with the segments that it has already. Errors: IO, MEMORY. */
int precis_journal_create(precis_journal *journal, precis_context *context, precis_message *why);
/* An append whose segments are on disk. After an error it is as if it had not been. Errors: IO,
 * MEMORY. */
int precis_journal_append(precis_journal *journal, const precis_stage *stage,
                          const precis_segment *segments, int count, precis_message *why);
/* Counts the context among those that have its segments (1), or no longer (-1). */
void precis_journal_count(precis_journal *journal, const precis_context *context, int change);
/* The context, and segments that no other has. */
void precis_journal_delete(precis_journal *journal, precis_context *context);

#endif
