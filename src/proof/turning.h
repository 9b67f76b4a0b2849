/* turning.h - the common axes that a plan of summaries turns queries and keys into (src/summary/axes.h), or
 * none */
#ifndef PRECIS_SRC_PROOF_TURNING_H
#define PRECIS_SRC_PROOF_TURNING_H

#include "src/proof/bivariate.h"
#include "src/precis.h"

/* Largest norms in axes: of whole rows, and of their parts in the leading and the other axes. */
typedef struct precis_reach {
  double whole, lead, trail;
} precis_reach;

/* Equal on all ranks. Arrays are owned; all are NULL where rows are not turned. */
typedef struct precis_turning {
  double *to_queries, *to_keys;      /* kv_heads x dim x dim */
  double *error;                     /* kv_heads: of precis_axes_error() */
  precis_reach *queries, *keys;      /* kv_heads; of queries times |s| */
  precis_bivariate_moments *moments; /* kv_heads: of the fits */
} precis_turning;

/* Uninitialised arrays. Errors: MEMORY. */
int precis_turning_create(const precis_problem *problem, precis_turning *turning);
void precis_turning_free(precis_turning *turning);

/* The map of a head; NULL for none. */
const double *precis_turning_map(const double *maps, int dim, int kv_head);

/* From squared norms for every number of leading axes, see precis_bulk_query_reach(). */
precis_reach precis_reach_of(const double *lead_squares, const double *trail_squares, int dim,
                             int lead);

/* Where A and E of a head have to hold, for the reach of its queries and keys; a little more than
 * that. */
precis_bivariate_domain precis_turning_domain(const precis_reach *queries,
                                              const precis_reach *keys);

#endif
