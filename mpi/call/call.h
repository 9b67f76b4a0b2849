/* call.h - one precis_attend() from its arguments to its report
 *
 * mpi/call/attend.c checks and surveys, mpi/plan/plan.c plans an exact move, mpi/call/consider.c
 * puts summaries in its place where they are better, mpi/call/call_run.c runs what was decided,
 * mpi/call/call_report.c says how good it is and what it took. */
#ifndef PRECIS_MPI_CALL_CALL_H
#define PRECIS_MPI_CALL_CALL_H

#include "mpi/moves/align.h"
#include "mpi/handle/attention.h"
#include "mpi/call/judge.h"
#include "mpi/plan/plan.h"
#include "mpi/plan/prospect.h"
#include "mpi/moves/task.h"

typedef struct precis_call {
  precis_attention *a;
  int64_t rows;
  const float *q;
  const int64_t *first_position; /* or NULL */
  int grouped;                   /* of some heads of a call, see mixture.h: no summary is kept */
  double query_most;             /* max |q| of all ranks */
  precis_attend_plan plan;
  precis_prospect prospect; /* of summaries; empty where they were not considered */
  precis_move exact_move;   /* what summaries took the place of */
  double part;              /* of the tolerance that sampled rows have to keep; 1 at first */
  int use_kept, keeping;    /* the handle's summary serves, or is being built */
  int prefixes;             /* summaries of causal prefixes, ... */
  precis_align align;       /* ... on rows brought in line */
  precis_task task;
  precis_traffic before, repair;     /* counted before the call, and by the repair alone */
  int64_t outlier_queries, repaired; /* (query, head) pairs answered exactly: planned, and not */
  precis_summaries summary;          /* the one that ran; arrays may be gone */
  double bound;                      /* its largest B */
  int lead_axes;                     /* see precis_report */
  double estimate;     /* of the largest error, from sampled rows, in the unit of tol */
  int estimate_missed; /* it was over tol, and the exact move ran after all */
  precis_terms terms;
  precis_judge judge;
  int told; /* all ranks have the same status: none needs to be agreed on again */
  double started, surveyed, planned, processor_started;
} precis_call;

/* Processor time of this process so far, seconds. */
double precis_call_processor(void);

/* Collective. The call, with its rows checked, comes to a plan; status, why: what the check found
 * on this rank. Free it in any case. Errors: those of precis_attend(). */
int precis_call_plan(precis_call *c, int status, precis_message *why);
void precis_call_free(precis_call *c);

/* Collective. Everything after the plan: results where the options want them, and the report.
 * Errors: those of precis_attend(). */
int precis_call_answer(precis_call *c, const precis_results *results, precis_report *report,
                       precis_message *why);

/* Collective. Puts summaries in the place of the exact move that was planned, where they are wanted
 * and better. Errors: TOLERANCE (they were asked for and cannot be used), MEMORY, MPI, INTERNAL. */
int precis_call_consider(precis_call *c, precis_message *why);

/* Collective. Where summaries alone may run and have left rows over the tolerance: looks for ones
 * that keep a part of it only, in the place of those that ran. Errors: TOLERANCE (there are none,
 * or none that are stronger), MEMORY, MPI. */
int precis_call_strengthen(precis_call *c);

/* Sets up c->task with results to `to`. */
void precis_call_set_up(precis_call *c, const precis_finished *to);

/* Collective. Runs the move. Errors: those of the moves, TOLERANCE. */
int precis_call_run(precis_call *c, precis_message *why);

/* Collective. Sums and maxima over the ranks, and whether all have succeeded: status, why are what
 * became of the move on this rank. Errors: those of any rank, MPI. */
int precis_call_report(precis_call *c, int status, precis_report *report, precis_message *why);

/* The largest of the scores' bounds, natural units. */
double precis_call_score_most(const precis_call *c);

/* What all rows have in common where they are proved. */
precis_terms precis_call_terms(const precis_call *c);

#endif
