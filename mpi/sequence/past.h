/* past.h - some queries of earlier calls
 *
 * One call of a decoding caller has a query or two, too few to tell how the next will look. So a
 * handle remembers rows of all its calls, each as likely as any other (Vitter's algorithm R), and a
 * summary that is to serve later calls is fitted to these. */
#ifndef PRECIS_MPI_SEQUENCE_PAST_H
#define PRECIS_MPI_SEQUENCE_PAST_H

#include <stdint.h>

#include "mpi/world/world.h"
#include "src/precis.h"
#include "src/layout/visible.h"

typedef struct precis_past {
  double calls; /* whose rows were offered; equal on all ranks */
  int64_t seen; /* rows of this rank that were offered */
  int rows;     /* those remembered */
  float *q;     /* rows x heads x dim; NULL before the first, or without memory */
} precis_past;

/* Offers the rows of a call, rows x heads x dim. Without memory nothing is remembered. */
void precis_past_add(precis_past *past, const precis_problem *problem, int64_t rows,
                     const float *q);

/* A copy for another handle, as far as there is memory. */
precis_past precis_past_copy(const precis_past *past, const precis_problem *problem);
void precis_past_free(precis_past *past);

/* What it takes, and what it takes from the first rows on. */
int64_t precis_past_bytes(const precis_past *past, const precis_problem *problem);
int64_t precis_past_most(const precis_problem *problem);

/* The rows of a call and those of the past, which see all keys. */
typedef struct precis_past_view {
  precis_query_map map; /* of all ranks */
  int64_t rows;         /* of this rank */
  float *q;
  int64_t *counts; /* what the map points to */
} precis_past_view;

/* Collective. Errors: MEMORY, MPI. Free it in any case. */
int precis_past_view_make(const precis_past *past, precis_world *world,
                          const precis_problem *problem, int64_t keys, int64_t rows, const float *q,
                          precis_past_view *view);
void precis_past_view_free(precis_past_view *view);

#endif
