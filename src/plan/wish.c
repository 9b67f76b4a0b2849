#include "src/plan/wish.h"

#include <math.h>

/* Certificates grow with the square of a query's norm, if not faster, and norms of queries in some
 * tens of dimensions spread by a tenth: this leaves room for rows that are rarer than one in many
 * thousands, where the sample has 128. */
static const double LATER_MARGIN = 0.7;

double precis_wish_limit(const precis_wish *w)
{
  return w->force ? INFINITY : w->calls * w->instead_seconds + w->credit;
}

double precis_wish_later(const precis_wish *w, const precis_summary_size *size)
{
  const precis_wire none = {0};
  return w->calls > 1 ? (w->calls - 1) * precis_model_kept(w->scene, size, &none, 0).seconds : 0;
}

double precis_wish_repair(const precis_wish *w, double failing)
{
  double rows = (double)w->scene->queries * w->scene->problem->heads;
  return precis_model_repair_seconds(w->scene, failing * rows);
}

double precis_wish_price_of_failing(const precis_wish *w, double failing, double nearly)
{
  double repair = w->calls * precis_wish_repair(w, failing);
  return precis_choose_price_of_failing(w->force, repair, failing, nearly);
}

double precis_wish_tol(const precis_wish *w)
{
  return w->calls > 1 ? LATER_MARGIN * w->tol : w->tol;
}
