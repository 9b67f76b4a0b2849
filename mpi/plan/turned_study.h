/* turned_study.h - whether it pays to turn queries and keys into common axes, and into which blocks
 * of monomials the summary is then cut */
#ifndef PRECIS_MPI_PLAN_TURNED_STUDY_H
#define PRECIS_MPI_PLAN_TURNED_STUDY_H

#include "mpi/plan/study.h"

typedef struct precis_turned_question {
  const precis_study *study; /* weighed */
  precis_limits limits;      /* of the bulk */
  double outlier_seconds;    /* for what lies beyond them */
  double best;               /* seconds to do better than, repair included; infinity for none */
} precis_turned_question;

/* Collective. If something better is found, plan.set, degrees, features, fit, exponent and turning
 * of the study's prospect are replaced, and its seconds and failing; *found tells. Centres, limits,
 * log-scales and radii of the plan must be there. Costs something: without the prospect of saving
 * more it does nothing. Errors: MEMORY, MPI. */
int precis_turned_study(const precis_turned_question *question, int *found);

#endif
