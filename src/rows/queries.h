/* queries.h - a set of query rows with what they have gathered so far */
#ifndef PRECIS_SRC_ROWS_QUERIES_H
#define PRECIS_SRC_ROWS_QUERIES_H

#include <stdint.h>

#include "src/exact/jobs.h"
#include "src/exact/parcel.h"
#include "src/exact/partial.h"
#include "src/precis.h"
#include "src/rows/row.h"

typedef struct precis_queries {
  int64_t rows;
  const float *q;          /* rows x heads x dim; borrowed */
  const int64_t *position; /* rows, or NULL when not causal; borrowed */
  precis_partial partial;  /* heads x rows; owned */
} precis_queries;

/* Takes the rows and allocates their partials. Errors: MEMORY. */
int precis_queries_create(const precis_problem *problem, int64_t rows, const float *q,
                          const int64_t *position, precis_queries *queries);
void precis_queries_free(precis_queries *queries);

/* Fills jobs[0..heads): every head against its tile of a parcel of all key/value heads. */
void precis_queries_jobs(const precis_problem *problem, const precis_queries *queries,
                         const precis_parcel_kind *kind, int64_t key_rows, const void *parcel,
                         precis_job *jobs);

/* Partials of rows [first, first + rows) in the form that travels, head after head. */
void precis_queries_pack(const precis_problem *problem, const precis_queries *queries,
                         int64_t first, int64_t rows, float *wire);
void precis_queries_merge(const precis_problem *problem, precis_queries *queries, int64_t first,
                          int64_t rows, const float *wire);

/* Writes rows [first, first + rows) as results with their proofs, to rows x heads of them. Returns
 * 0, or -1 if a result is not finite. */
int precis_queries_finish(const precis_terms *terms, const precis_queries *queries, int64_t first,
                          int64_t rows, const precis_finished *to);

#endif
