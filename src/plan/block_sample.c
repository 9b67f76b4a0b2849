#include "src/plan/block_sample.h"

#include <float.h>
#include <math.h>

enum { LEADS = PRECIS_BLOCK_LEAD_MOST + 1, TRAILS = PRECIS_BLOCK_TRAIL_MOST + 1, LONGEST = 8 };

void precis_block_row_add(precis_block_row *row, double w, double deviation, double y1, double y2)
{
  double y = y1 + y2, power1 = w, size1 = w;
  row->weights += w;
  row->normaliser += w * exp(y);
  row->square += w * y * y;
  for (int a = 0; a < LEADS; a++, power1 *= y1, size1 *= fabs(y1)) {
    double power = power1, size = size1;
    for (int b = 0; b < TRAILS; b++, power *= y2, size *= fabs(y2)) {
      row->mean[a][b] += power;
      row->size[a][b] += size;
      row->deviating[a][b] += power * deviation;
    }
  }
}

/* Whether anything can be said of the row: else quotients overflow. */
static int counts(const precis_block_row *row)
{
  return row->normaliser >= DBL_MIN;
}

/* The row of largest second moment below a limit; -1 for none. */
static int longest_below(int rows, const precis_block_row *row, double *limit)
{
  double best = -1;
  int found = -1;
  for (int i = 0; i < rows; i++) {
    double spread = counts(&row[i]) ? row[i].square / row[i].weights : -1;
    if (spread < *limit && spread > best) {
      best = spread;
      found = i;
    }
  }
  *limit = best;
  return found;
}

void precis_block_moments(int rows, const precis_block_row *row, const precis_feature_set *set,
                          precis_bivariate_moments *moments)
{
  double limit = INFINITY;
  int used = 0;
  *moments = (precis_bivariate_moments){{0}, {0}};
  for (; used < LONGEST; used++) {
    int i = longest_below(rows, row, &limit);
    if (i < 0)
      break;
    for (int b = 0; b < set->blocks; b++) {
      int lead = set->block[b].lead, trail = set->block[b].trail;
      moments->mean[b] += row[i].mean[lead][trail] / row[i].normaliser;
      moments->size[b] += row[i].size[lead][trail] / row[i].normaliser;
    }
  }
  if (used == 0) /* an empty sample: any moments will do */
    for (int b = 0; b < set->blocks; b++)
      moments->mean[b] = moments->size[b] = b == 0;
}

static int has(const precis_feature_set *set, int lead, int trail)
{
  int b = precis_feature_set_find(set, lead, trail);
  return b >= 0 && b < set->value_blocks;
}

/* A term of the Taylor series that is left out although those before it, in either variable, are
 * there. */
static int first_left_out(const precis_feature_set *set, int lead, int trail)
{
  return !has(set, lead, trail) && (lead == 0 || has(set, lead - 1, trail)) &&
         (trail == 0 || has(set, lead, trail - 1));
}

/* Whether E can bound the term by a block of even powers that is hardly higher. */
static int covered(const precis_feature_set *set, int lead, int trail)
{
  return precis_feature_set_find(set, (lead + 1) / 2 * 2, (trail + 1) / 2 * 2) >= 0;
}

/* How much worse it is without: the next lower block of even powers has to make up for the largest
 * score, not for a typical one. */
static double uncovered(const precis_block_row *row, int trail)
{
  double square = trail > 0 ? row->size[0][2] : row->size[2][0];
  double bound = trail > 0 ? row->trail_bound : row->lead_bound;
  return square > 0 ? fmax(2.5, 0.6 * bound / sqrt(square / row->weights)) : 2.5;
}

/* The error mass of a row by the terms left out, relative to its normaliser. */
static double left_out(const precis_block_row *row, const precis_feature_set *set, int luck)
{
  const double lucky = 1 / 1.3;
  double sum = 0;
  for (int a = 0; a < LEADS; a++)
    for (int b = 0; b < (set->lead < set->dim ? TRAILS : 1); b++) {
      if (!first_left_out(set, a, b))
        continue;
      double factor = luck ? lucky : covered(set, a, b) ? 1 : uncovered(row, b);
      sum += factor * row->size[a][b] / (tgamma(a + 1) * tgamma(b + 1));
    }
  return sum / row->normaliser;
}

/* Root mean square of a row's scores, and the mean of it; never 0. */
static double spread_of(const precis_block_row *row)
{
  return row->weights > 0 ? sqrt(row->square / row->weights) : 0;
}

static double mean_spread(int rows, const precis_block_row *row)
{
  double sum = 0;
  int count = 0;
  for (int i = 0; i < rows; i++)
    if (row[i].weights > 0) {
      sum += spread_of(&row[i]);
      count++;
    }
  return sum > 0 ? sum / count : 1;
}

double precis_block_estimate(int rows, const precis_block_row *row, const precis_feature_set *set,
                             int luck, const precis_goal *goal)
{
  int judged = 0, over = 0;
  double mean = mean_spread(rows, row);
  for (int i = 0; i < rows; i++) {
    if (!counts(&row[i]))
      continue;
    judged++;
    double mass = left_out(&row[i], set, luck),
           deviation = row[i].deviating[0][0] / row[i].mean[0][0];
    const precis_error_mass masses = {mass, mass * deviation};
    over += precis_certificate_ratio(&masses, 1, spread_of(&row[i]) / mean, goal) > 1;
  }
  return judged > 0 ? (double)over / judged : 0;
}

double precis_block_failing(int rows, const precis_block_row *row, const precis_bivariate *fit,
                            const precis_summary_rounding *rounding, double least_deviation,
                            const precis_goal *goal)
{
  const precis_feature_set *set = &fit->set;
  double least = set->blocks > set->value_blocks ? least_deviation : 0;
  int judged = 0, failing = 0;
  double mean = mean_spread(rows, row);
  for (int i = 0; i < rows; i++) {
    const precis_block_row *r = &row[i];
    double each = precis_certificate_rounding(
        rounding, precis_bivariate_magnitude(fit, r->lead_bound, r->trail_bound),
        precis_bivariate_envelope_magnitude(fit, r->lead_bound, r->trail_bound));
    precis_error_mass sums = {0, 0};
    const precis_weight_mass weights = {r->weights, r->deviating[0][0]};
    double total = 0;
    for (int b = 0; b < set->blocks; b++) {
      int lead = set->block[b].lead, trail = set->block[b].trail;
      sums.all += fit->e[b] * r->mean[lead][trail];
      sums.deviating += fit->e[b] * r->deviating[lead][trail];
      total += fit->a[b] * r->mean[lead][trail];
    }
    const precis_error_mass mass = precis_certificate_mass(&sums, each, &weights, least);
    judged += r->weights > 0;
    failing +=
        r->weights > 0 && precis_certificate_ratio(&mass, total, spread_of(r) / mean, goal) > 1;
  }
  return judged > 0 ? (double)failing / judged : 0;
}
