/* journal.h - what outlives the job: a manifest for each context, and the segments that they name
 *
 *   DATA/version                   what this is; without it nothing of a folder is touched
 *   DATA/contexts/ID.manifest      lines as in record.h: what was asked for, then each append, and
 *                                  now and then what promises are measured in (errands_unit.h)
 *   DATA/contexts/ID.rewritten     the same, shorter, that is about to take its place
 *   DATA/contexts/ID.deleted       the same, of a deleted context whose segments are not all gone
 *   DATA/segments/ID-SEQUENCE-JOB-RANK.safetensors
 *   DATA/lock                      held by the job that serves it; holds its number
 *
 * A segment that others were merged into has sequence 0 and a number of its own in place of RANK.
 *
 * A line of a manifest is written after its segments are safe on disk, and answered after it is:
 * from then on the append is there. A context is deleted when its manifest has its other name. A
 * start reads, and changes nothing before all is loaded; what it removes then has a name of ours
 * and belongs to a context that it knows, and was never acknowledged. All calls are those of the
 * one thread of rank 0 that talks MPI. */
#ifndef PRECIS_SERVICE_JOURNAL_H
#define PRECIS_SERVICE_JOURNAL_H

#include <jansson.h>

#include "mpi/service/contexts.h"
#include "mpi/service/log.h"
#include "mpi/service/segments.h"
#include "src/base/message.h"

typedef struct precis_journal {
  const char *data; /* folder */
  const precis_log *log;
  int lock;                         /* descriptor, or -1 */
  int version;                      /* in the file; 1: of 0.1.0, which wrote none */
  char job[PRECIS_SEGMENT_JOB + 1]; /* a number that no other job has */
  json_t *uses;                     /* name of a segment -> how many contexts have it */
  json_t *owners;                   /* id of a context -> how many of its segments are in use */
  json_t *graves;                   /* ids of contexts that are called deleted */
  int skip_damaged; /* contexts that are damaged are left out, and keep nobody else down */
  int read_only;    /* nothing on disk is changed */
  int blind;        /* not all uses are known: no segment is removed any more */
  int strangers;    /* files in DATA/contexts that may be manifests which were set aside: what they
                       name is unknown, so nothing is merged */
} precis_journal;

/* Takes the folder, or makes it. Errors: IO (also where another job serves it, or it is something
 * else), MEMORY. */
int precis_journal_open(const char *data, const precis_log *log, precis_journal *journal,
                        precis_message *why);
/* The folder as it is, which no job serves: for those who only read. Errors: IO, FORMAT, MEMORY. */
int precis_journal_look(const char *data, const precis_log *log, precis_journal *journal,
                        precis_message *why);
void precis_journal_close(precis_journal *journal);

/* Reads all manifests: contexts that are held, not listed and in slots of their own, linked by
 * `next`. Changes nothing on disk. Errors: IO, FORMAT, MEMORY. */
int precis_journal_read(precis_journal *journal, precis_contexts *contexts, precis_context **found,
                        precis_message *why);
/* The context cannot be had, for that reason, which is said. With skip_damaged it is left out if it
 * is damaged, and SUCCESS returned: then no segment is removed any more. Else returns status. */
int precis_journal_skip(precis_journal *journal, precis_contexts *contexts, const char *id,
                        int status, const char *why);
/* Once all that was found is loaded, and listed: cuts off what was being written when the last job
 * ended, removes what that left, and says what it does not know. Errors: IO, MEMORY. */
int precis_journal_settle(precis_journal *journal, precis_contexts *contexts, precis_message *why);

/* A new context, with the segments that it has already. Errors: IO, MEMORY. */
int precis_journal_create(precis_journal *journal, precis_context *context, precis_message *why);
/* An append whose segments are on disk. After an error it is as if it had not been. Errors: IO,
 * MEMORY. */
int precis_journal_append(precis_journal *journal, const precis_stage *stage,
                          const precis_segment *segments, int count, precis_message *why);
/* A line that is no append. After an error it is as if it had not been. Errors: IO, MEMORY. */
int precis_journal_note(precis_journal *journal, precis_context *context, const json_t *record,
                        precis_message *why);
/* One segment, safe on disk, takes the place of `count` from number `first` on in a context. Names
 * of those that no context has any more, and that may go, are added to `dead`. After an error it is
 * as if it had not been. Errors: IO, MEMORY. */
int precis_journal_merge(precis_journal *journal, precis_context *context, int64_t first,
                         int64_t count, const precis_segment *to, json_t *dead,
                         precis_message *why);
/* Writes the manifest anew where lines have piled up in it. Errors: IO, MEMORY. */
int precis_journal_shorten(precis_journal *journal, precis_contexts *contexts,
                           precis_context *context, precis_message *why);
/* Counts the context among those that have its segments. */
void precis_journal_count(precis_journal *journal, const precis_context *context);
/* Deletes the context, and segments that no other has. After an error all of it is still there.
 * Errors: IO. */
int precis_journal_delete(precis_journal *journal, precis_context *context, precis_message *why);

/* For settling: removes the manifest of a deleted context if none of its segments is left. */
void precis_journal_fill_grave(precis_journal *journal, const char *id);

#endif
