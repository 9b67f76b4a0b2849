/* manifest.h - the lines of a context's manifest */
#ifndef PRECIS_SERVICE_MANIFEST_H
#define PRECIS_SERVICE_MANIFEST_H

#include <jansson.h>

#include "mpi/service/contexts.h"
#include "mpi/service/journal.h"
#include "mpi/service/segments.h"

typedef struct precis_manifest_path {
  char text[4096 + 128];
} precis_manifest_path;

precis_manifest_path precis_manifest_at(const char *data, const char *id);
/* Removes it, and makes that safe on disk as far as can be. */
void precis_manifest_unlink(const precis_manifest_path *path);

/* What was asked for and one line for all segments that the context has, malloc'ed; NULL without
 * memory. */
char *precis_manifest_text(const precis_context *context);
/* [[name, rows], ...]; NULL without memory. */
json_t *precis_manifest_segments(const precis_segment *segments, int count);
/* The line for an append; NULL without memory. */
json_t *precis_manifest_append(const precis_stage *stage, json_t *segments);

/* Fills in a context from the text of its manifest: everything but the slot; *used is the length of
 * what could be read. Errors: FORMAT, MEMORY. */
int precis_manifest_parse(const char *text, int64_t bytes, precis_context *context, int64_t *used);

#endif
