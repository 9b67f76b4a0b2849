/* manifest.h - the lines of a context's manifest */
#ifndef PRECIS_SERVICE_MANIFEST_H
#define PRECIS_SERVICE_MANIFEST_H

#include <jansson.h>

#include "mpi/service/contexts.h"
#include "mpi/service/journal.h"
#include "mpi/service/segments.h"

#define PRECIS_MANIFEST_ENDING ".manifest"
#define PRECIS_MANIFEST_GRAVE ".deleted"
#define PRECIS_MANIFEST_ANEW ".rewritten"

typedef struct precis_manifest_path {
  char text[4096 + 128];
} precis_manifest_path;

precis_manifest_path precis_manifest_at(const char *data, const char *id);
/* What the manifest is called while the segments of a deleted context are removed: until all are,
 * it tells whose they were. */
precis_manifest_path precis_manifest_grave_at(const char *data, const char *id);
/* Where it is written anew, until it takes the place of the old one. */
precis_manifest_path precis_manifest_anew_at(const char *data, const char *id);
/* Whether a file in DATA/contexts is called so. id: of PRECIS_CONTEXT_ID characters. */
int precis_manifest_is_named(const char *file, const char *ending, char *id);

/* What was asked for and one line for all segments that the context has, malloc'ed; NULL without
 * memory. With the lock of the contexts, if it is listed. */
char *precis_manifest_text(const precis_context *context);
/* [[name, rows, sum], ...]; NULL without memory. */
json_t *precis_manifest_segments(const precis_segment *segments, int count);
/* What its promises are measured in, of c->unit; NULL without memory. */
json_t *precis_manifest_unit(const precis_context *context, int with_mean);
/* The line for an append; NULL without memory. */
json_t *precis_manifest_append(const precis_stage *stage, json_t *segments);

/* The line for `count` segments from number `first` on that one takes the place of; NULL without
 * memory. */
json_t *precis_manifest_merge(int64_t first, int64_t count, const precis_segment *to);
/* A new list with entry in the place of them; NULL without memory. */
json_t *precis_manifest_splice(const json_t *segments, int64_t first, int64_t count, json_t *entry);
/* What a manifest that is written anew has to keep of the lines that it had: keys of appends, and
 * that segments were merged. With the lock of the contexts. NULL without memory. */
json_t *precis_manifest_before(const precis_context *context);
/* Errors: FORMAT, MEMORY. */
int precis_manifest_read_merge(json_t *merge, precis_context *context);
int precis_manifest_read_before(json_t *before, precis_context *context);

/* One of these. Errors: FORMAT. */
int precis_manifest_segment(const json_t *entry, precis_segment *segment);

/* Fills in a context from the text of its manifest: everything but the slot; *used is the length of
 * the complete lines. What follows them was being written when a job ended, and was acknowledged to
 * nobody; a complete line that cannot be read is damage. label: names the file. Errors: FORMAT,
 * MEMORY. */
int precis_manifest_parse(const char *label, const char *text, int64_t bytes,
                          precis_context *context, int64_t *used, precis_message *why);

#endif
