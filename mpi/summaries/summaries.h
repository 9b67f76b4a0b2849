/* summaries.h - the summaries move: what was found out and decided before it runs, and what it
 * leaves to repair */
#ifndef PRECIS_MPI_SUMMARIES_SUMMARIES_H
#define PRECIS_MPI_SUMMARIES_SUMMARIES_H

#include <stdint.h>

#include "mpi/moves/repair.h"
#include "mpi/moves/task.h"
#include "src/proof/turning.h"
#include "src/proof/bivariate.h"
#include "src/summary/bulk.h"
#include "src/plan/choose.h"
#include "src/layout/wire.h"

/* Equal on all ranks. */
typedef struct precis_summaries {
  int degree, envelope_degree; /* the highest of any feature */
  precis_feature_set set;
  int64_t features, count_features; /* with values; with counts only */
  double seconds;                   /* predicted */
  double *q_center;                 /* kv_heads x dim */
  double *key_radius;               /* kv_heads: max |k - center| of the bulk */
  double *query_radius;             /* kv_heads: max |q - q_center| of the bulk */
  double *key_unit, *query_unit;    /* kv_heads: typical norms, see src/summary/outliers.h */
  double key_rho, query_rho;        /* the bulk lies within these; infinity: it is all */
  int64_t outlier_keys;             /* beyond, on all ranks */
  int64_t outlier_queries;          /* (query, head) pairs beyond, on all ranks */
  double *log_scale;                /* kv_heads: largest log w of the bulk */
  double *least_deviation;          /* kv_heads: what deviations are raised to, see src/summary/bulk.h */
  int *exponent;                    /* kv_heads: of the power of two, see src/summary/bulk.h */
  precis_bivariate *fit;            /* kv_heads */
  double *moments;        /* kv_heads x (PRECIS_DEGREE_MAX + 1), of the fits in y; borrowed */
  precis_turning turning; /* of queries and keys into common axes; owned */
  int sampled;           /* nothing is to be proved: every row with a normaliser is good */
  int wire_roundings;    /* of a summary's sums to float32 on their way */
} precis_summaries;

/* How a head's keys and queries are made ready. */
precis_bulk precis_summaries_bulk(const precis_terms *terms, const precis_summaries *plan,
                                  int kv_head);

/* Valid as long as the plan. */
static inline precis_summary_size precis_summaries_size(const precis_summaries *plan)
{
  return (precis_summary_size){plan->degree, plan->envelope_degree, plan->features,
                               plan->count_features, &plan->set,
                               plan->outlier_keys, plan->outlier_queries};
}

/* Frees what is not borrowed. */
void precis_summaries_release(precis_summaries *plan);

typedef struct precis_summary_result {
  precis_failed_row *rows; /* of this rank, outliers, of which nothing is known; owned */
  int64_t outliers;
} precis_summary_result;

void precis_summary_result_free(precis_summary_result *result);

struct precis_kept;

/* Collective. All queries against all keys through summaries, which are stored in `kept` if that is
 * not NULL: results with proofs to task->to. Errors: MEMORY, MPI. */
int precis_summaries_run(precis_task *task, const precis_summaries *plan,
                         struct precis_kept *kept, precis_summary_result *result);

/* Collective. The same for causal queries, where every key of a lower rank comes before all keys
 * and queries of a higher one, and the positions of a rank's queries ascend (see mpi/moves/align.h). */
int precis_causal_run(precis_task *task, const precis_summaries *plan,
                      precis_summary_result *result);

/* Bytes that all ranks send for it, with or without causal prefixes; apart: by ranks that share no
 * memory though they may be on one node. */
precis_wire precis_summaries_wire(const precis_problem *problem, const precis_summaries *plan,
                                  const precis_world *world, int prefixes, int apart);

#endif
