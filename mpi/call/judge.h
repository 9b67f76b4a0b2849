/* judge.h - which rows keep the tolerance, and what all results of a call are worth
 *
 * Every row has a bound on its own error (task.to.proof). The unit of the tolerance depends on all
 * rows (see signal.h), so that rows are judged when all have run; those that fail are answered
 * again, which only raises the unit. */
#ifndef PRECIS_MPI_CALL_JUDGE_H
#define PRECIS_MPI_CALL_JUDGE_H

#include "mpi/handle/attention.h"
#include "mpi/summaries/summaries.h"
#include "mpi/moves/task.h"

typedef struct precis_judge {
  precis_attention *a;
  precis_task *task; /* at home */
  double tol;        /* 0: rows need some proof, where `prove` says so, and that is all */
  int prove;
  int settled;               /* nothing better than these results can be had */
  int prefixes;              /* rows see the keys up to their positions */
  double *convert;           /* kv_heads: from the norm of the proofs to that of precis_unit */
  float *least;              /* rows x heads: lower bounds of |true - m_i| */
  double *sums;              /* heads x PRECIS_JUDGE_SUMS, of all ranks, this call alone */
  double *mean;              /* heads: R, at least */
  unsigned char *constant;   /* heads */
  double *figures;           /* heads x PRECIS_JUDGE_FIGURES, for the report */
  precis_failed_row *failed; /* of this rank */
  int64_t *repaired;         /* heads: rows of this rank that were answered again */
  int64_t failures;          /* of this rank ... */
  int64_t all_failures;      /* ... of all ... */
  int64_t constant_failures; /* ... and of those, in heads that are constant */
} precis_judge;

enum { PRECIS_JUDGE_SUMS = 4 }; /* of lower bounds, of upper ones, of rows; the largest lower one */

/* Not collective. Errors: MEMORY. On failure, too, free it. */
int precis_judge_create(precis_attention *a, precis_task *task, int prefixes, precis_judge *judge);
void precis_judge_free(precis_judge *judge);

/* Collective. Measures all rows as they stand, and lists those that fail. Errors: MPI, MEMORY. */
int precis_judge_rows(precis_judge *judge);

/* Collective. How far results are from what the mean query gets, rows x heads. Errors: MPI, MEMORY.
 */
int precis_judge_distances(const precis_judge *judge, float *distance);

/* Not collective. Rows of constant heads, which are computed exactly, fail no longer. Returns how
 * many do, of all ranks. */
int64_t precis_judge_drop_constant(precis_judge *judge);

/* Not collective. Those that fail are about to be answered again. */
void precis_judge_count_repair(precis_judge *judge);

/* Collective. What all ranks found, for the report, and whether they have all succeeded, with up to
 * PRECIS_JUDGE_TOLD parts of the caller's. Where this rank has failed, the judge may be zeros.
 * Errors: as precis_world_meet(). */
enum { PRECIS_JUDGE_TOLD = 4 };
int precis_judge_meet(precis_attention *a, precis_judge *judge, int status, precis_message *message,
                      const precis_told *told, int parts);

/* Not collective, after that meeting. What the call is worth, into the handle's heads
 * (mpi/handle/attention.h) and the report's promise. Rows of the handle are counted on. */
void precis_judge_report(precis_judge *judge, precis_report *report);

#endif
