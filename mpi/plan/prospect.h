/* prospect.h - whether summaries keep the promise, with which degrees, and at what price */
#ifndef PRECIS_MPI_PLAN_PROSPECT_H
#define PRECIS_MPI_PLAN_PROSPECT_H

#include "mpi/handle/attention.h"
#include "mpi/plan/plan.h"
#include "mpi/summaries/summaries.h"
#include "src/plan/wish.h"

typedef struct precis_prospect {
  precis_summaries plan; /* release with precis_prospect_free() */
  double *moments;       /* of the fits; owned, the plan borrows it */
  double *spread;        /* kv_heads: deviations of sampled scores; owned. NULL: not known */
  int use;               /* summaries are to run */
  double seconds;        /* predicted, with repair, of this call */
  double instead_seconds, calls; /* of the wish, for comparison */
  double failing;                /* predicted share of rows to repair */
  int over_memory;               /* there are none within the memory limit */
  char why[128];
} precis_prospect;

/* Collective. Surveys the queries, samples, fits; equal on all ranks. Errors: MEMORY, MPI,
 * INTERNAL. */
int precis_prospect_make(precis_attention *attention, const precis_query_map *map, int64_t rows,
                         const float *q, const precis_wish *wish, precis_prospect *prospect);
void precis_prospect_free(precis_prospect *prospect);

#endif
