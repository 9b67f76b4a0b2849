/* wish.h - what a summary is wanted for, and what it may cost
 *
 * A summary that is kept serves later calls, too. How many there will be nobody knows: it is judged
 * as if as many were to come as have been (then no decision is much worse than one that knew), each
 * with as many queries as the present one. Prices are seconds for all these calls together. */
#ifndef PRECIS_SRC_PLAN_WISH_H
#define PRECIS_SRC_PLAN_WISH_H

#include "src/plan/choose.h"
#include "src/model/model.h"

typedef struct precis_wish {
  precis_unit unit;
  double tol;            /* > 0 */
  int degree;            /* 0: any */
  int sampled;           /* an estimate will do: no proof, no envelope */
  int prefixes;          /* summaries of causal prefixes */
  int force;             /* summaries even if exact is cheaper */
  const precis_scene *scene;
  double calls;           /* that it is to serve, this one included; >= 1 */
  int past;               /* queries of earlier calls are studied with those of this one */
  double instead_seconds; /* predicted, of a call by another way: exact, or a summary that is there
                             with what its failing rows have cost */
  double credit;          /* seconds that may be spent on top, as so many have been already */
} precis_wish;

/* Beyond this, another way is cheaper. */
double precis_wish_limit(const precis_wish *wish);

/* What later calls will take, repair apart. */
double precis_wish_later(const precis_wish *wish, const precis_summary_size *size);

/* What failing rows of one call will take to repair. */
double precis_wish_repair(const precis_wish *wish, double failing);

/* What failing rows will cost, see precis_choose_price_of_failing(). */
double precis_wish_price_of_failing(const precis_wish *wish, double failing, double nearly);

/* What certificates of sampled rows have to keep. Rows of later calls may be worse than any that
 * were sampled. */
double precis_wish_tol(const precis_wish *wish);

#endif
