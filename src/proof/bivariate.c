/* bivariate.c - fits and evaluates */
#include "src/proof/bivariate.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "src/proof/bivariate_lp.h"
#include "src/precis.h"

static const double bound_min = 1e-12; /* its powers are far from underflow */

static double power(double x, int n)
{
  double result = 1;
  for (; n > 0; n--)
    result *= x;
  return result;
}

static double sum_blocks(const precis_feature_set *set, int blocks, const double *c, double y1,
                         double y2)
{
  double sum = 0;
  for (int b = 0; b < blocks; b++)
    sum += c[b] * power(y1, set->block[b].lead) * power(y2, set->block[b].trail);
  return sum;
}

/* Rounded up: a term passes 80 roundings at most. */
static double sum_magnitudes(const precis_feature_set *set, const double *c, double y1, double y2)
{
  double sum = 0;
  for (int b = 0; b < set->blocks; b++)
    sum += fabs(c[b] * power(y1, set->block[b].lead) * power(y2, set->block[b].trail));
  return sum * (1 + 64 * DBL_EPSILON);
}

double precis_bivariate_value(const precis_bivariate *f, double y1, double y2)
{
  return sum_blocks(&f->set, f->set.value_blocks, f->a, y1, y2);
}

double precis_bivariate_envelope(const precis_bivariate *f, double y1, double y2)
{
  return sum_blocks(&f->set, f->set.blocks, f->e, y1, y2);
}

double precis_bivariate_magnitude(const precis_bivariate *f, double y1, double y2)
{
  return sum_magnitudes(&f->set, f->a, y1, y2);
}

double precis_bivariate_envelope_magnitude(const precis_bivariate *f, double y1, double y2)
{
  return sum_magnitudes(&f->set, f->e, y1, y2);
}

precis_bivariate precis_bivariate_of(const precis_polynomial *fit, int dim)
{
  int most = fit->degree > fit->envelope_degree ? fit->degree : fit->envelope_degree;
  precis_bivariate f = {.set = precis_feature_set_full(dim, fit->degree, most),
                        .domain = {fit->bound, fit->bound, 0},
                        .objective = fit->objective};
  memcpy(f.a, fit->a, sizeof fit->a);
  memcpy(f.e, fit->e, sizeof fit->e);
  return f;
}

/* Back to y1 and y2, and whatever A and E are by now, makes E an envelope. */
static void finish(precis_bivariate *f, const precis_bivariate_lp *fit,
                   const precis_bivariate_moments *moments)
{
  const precis_feature_set *set = &f->set;
  double cost = 0;
  for (int b = 0; b < set->blocks; b++) {
    double unit = power(fit->domain.lead_bound, set->block[b].lead) *
                  power(fit->domain.trail_bound, set->block[b].trail);
    f->a[b] = b < set->value_blocks ? fit->a[b] / unit : 0;
    f->e[b] = fit->e[b] / unit;
    cost += fit->e[b] * fit->mean[b];
  }
  double missing = precis_bivariate_lacking(f, 2e-3 * fabs(cost) + DBL_EPSILON);
  f->e[0] = nextafter(f->e[0] + missing, HUGE_VAL);
  f->objective = 0;
  for (int b = 0; b < set->blocks; b++)
    f->objective += f->e[b] * moments->mean[b];
}

/* Taylor's polynomial, and no envelope yet. */
static void expand(precis_bivariate_lp *fit)
{
  for (int b = 0; b < fit->set->blocks; b++) {
    fit->a[b] = b < fit->set->value_blocks;
    fit->e[b] = 0;
    for (int i = 1; i <= fit->set->block[b].lead; i++)
      fit->a[b] *= fit->domain.lead_bound / i;
    for (int i = 1; i <= fit->set->block[b].trail; i++)
      fit->a[b] *= fit->domain.trail_bound / i;
  }
}

static bool is_full(const precis_feature_set *set)
{
  for (int p = 0; p < set->blocks; p++)
    if (set->block[p].lead != p)
      return false;
  return true;
}

/* By polynomial.h. An envelope of odd degree may have no use for its last block. */
static int fit_full(const precis_feature_set *set, double bound,
                    const precis_bivariate_moments *moments, precis_bivariate *result)
{
  precis_polynomial fit;
  int status =
      precis_polynomial_fit(set->value_blocks - 1, set->blocks - 1, bound, moments->mean, &fit);
  if (status != PRECIS_SUCCESS)
    return status;
  *result = precis_bivariate_of(&fit, set->dim);
  result->set = *set;
  return PRECIS_SUCCESS;
}

static bool valid(const precis_feature_set *set, const precis_bivariate_domain *d,
                  const precis_bivariate_moments *m)
{
  if (!set || !d || !m || !precis_feature_set_valid(set) ||
      !(d->bound > 0 && d->bound <= precis_bivariate_bound_most(set)) || !(m->size[0] > 0))
    return false;
  if (set->lead == set->dim)
    return is_full(set);
  if (!(d->lead_bound > 0) || !(d->trail_bound > 0) ||
      precis_feature_set_degree(set, set->blocks) > PRECIS_BIVARIATE_DEGREE_MAX)
    return false;
  for (int b = 0; b < set->blocks; b++)
    if (!(m->size[b] >= 0) || !isfinite(m->size[b]) || !(fabs(m->mean[b]) <= 1.001 * m->size[b]))
      return false;
  return true;
}

int precis_bivariate_fit(const precis_feature_set *set, const precis_bivariate_domain *domain,
                         const precis_bivariate_moments *moments, precis_bivariate *result)
{
  if (!result || !valid(set, domain, moments))
    return PRECIS_ERR_ARGUMENT;
  if (set->lead == set->dim)
    return fit_full(set, domain->bound, moments, result);
  precis_bivariate_domain d = {.bound = fmax(domain->bound, bound_min)};
  d.lead_bound = fmax(fmin(domain->lead_bound, d.bound), 1e-3 * d.bound);
  d.trail_bound = fmax(fmin(domain->trail_bound, d.bound), 1e-3 * d.bound);

  precis_bivariate_lp fit = {.set = set, .domain = d};
  precis_bivariate f = {.set = *set, .domain = d};
  for (int b = 0; b < set->blocks; b++) {
    double unit = moments->size[0] * power(d.lead_bound, set->block[b].lead) *
                  power(d.trail_bound, set->block[b].trail);
    fit.mean[b] = moments->mean[b] / unit;
    fit.size[b] = moments->size[b] / unit;
  }
  expand(&fit);
  int status = precis_bivariate_lp_solve(&fit);
  if (status != PRECIS_SUCCESS && status != PRECIS_ERR_INTERNAL)
    return status;
  finish(&f, &fit, moments); /* Taylor's polynomial with a constant, where nothing was found */
  if (!isfinite(f.e[0]))
    return PRECIS_ERR_INTERNAL;
  *result = f;
  return PRECIS_SUCCESS;
}

int precis_bivariate_covers(const precis_bivariate *fit, const precis_bivariate_domain *d)
{
  return d->bound <= fit->domain.bound && fmin(d->lead_bound, d->bound) <= fit->domain.lead_bound &&
         (fit->set.lead >= fit->set.dim ||
          fmin(d->trail_bound, d->bound) <= fit->domain.trail_bound);
}
