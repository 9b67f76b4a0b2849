#include "src/plan/choose.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/outliers.h"

enum { LONGEST_ROWS = 8 };

/* Terms of alternating signs are no matter where scores are small. */
static const double priced_from = 4;

void precis_sample_add(double *row, double w, double deviation, double y)
{
  double power = w, e = exp(y);
  for (int m = 0; m <= PRECIS_DEGREE_MAX; m++, power *= y) {
    row[m] += power;
    if (m <= PRECIS_SAMPLE_DEGREE)
      row[PRECIS_SAMPLE_EXP + m] += power * e;
  }
  row[PRECIS_SAMPLE_SQUARE] += w * e * e;
  row[PRECIS_SAMPLE_DEVIATION] += w * deviation;
  row[PRECIS_SAMPLE_DEVIATION + 1] += w * deviation * y * y;
}

static const double *row_of(const precis_head_sample *s, int row)
{
  return s->moments + (int64_t)row * PRECIS_SAMPLE_MOMENTS;
}

static double bound_of(const precis_head_sample *s, int row)
{
  return s->unit * s->lengths[row];
}

static int in_bulk(const precis_head_sample *s, int row)
{
  return bound_of(s, row) <= s->bound;
}

/* In the bulk, and quotients by its normaliser do not overflow. */
static int usable(const precis_head_sample *s, int row)
{
  return in_bulk(s, row) && row_of(s, row)[PRECIS_SAMPLE_EXP] >= DBL_MIN;
}

/* The rows of largest second moment, by repeated search: there are few of either. */
static int longest(const precis_head_sample *s, int *rows)
{
  double limit = INFINITY;
  int count = 0;
  for (; count < LONGEST_ROWS; count++) {
    double best = -1;
    for (int row = 0; row < s->rows; row++) {
      const double *moments = row_of(s, row);
      double spread = usable(s, row) ? moments[2] / moments[0] : -1;
      if (spread < limit && spread > best) {
        best = spread;
        rows[count] = row;
      }
    }
    if (best < 0)
      break;
    limit = best;
  }
  return count;
}

void precis_choose_moments(const precis_head_sample *sample, double *moments)
{
  int rows[LONGEST_ROWS], count = longest(sample, rows);
  for (int m = 0; m <= PRECIS_DEGREE_MAX; m++)
    moments[m] = 0;
  for (int i = 0; i < count; i++) {
    const double *row = row_of(sample, rows[i]);
    for (int m = 0; m <= PRECIS_DEGREE_MAX; m++)
      moments[m] += row[m] / row[PRECIS_SAMPLE_EXP];
  }
  if (count == 0) /* an empty sample: any moments will do */
    for (int m = 0; m <= PRECIS_DEGREE_MAX; m++)
      moments[m] = m % 2 == 0 ? pow(sample->bound / 4, m) : 0;
}

/* What moments are of y^m, of the bounds of |y|^m in the same rows. */
static void find_sizes(const precis_head_sample *s, double *sizes)
{
  int rows[LONGEST_ROWS], count = longest(s, rows);
  for (int m = 0; m <= PRECIS_DEGREE_MAX; m++)
    sizes[m] = 0;
  for (int i = 0; i < count; i++) {
    const double *row = row_of(s, rows[i]);
    double power = row[0] / row[PRECIS_SAMPLE_EXP];
    for (int m = 0; m <= PRECIS_DEGREE_MAX; m++, power *= bound_of(s, rows[i]))
      sizes[m] += power;
  }
}

/* Root mean square of a row's scores. */
static double spread_of(const double *row)
{
  return row[0] > 0 ? sqrt(fmax(row[2], 0) / row[0]) : 0;
}

static double mean_spread(const precis_head_sample *sample)
{
  double sum = 0;
  int rows = 0;
  for (int i = 0; i < sample->rows; i++)
    if (row_of(sample, i)[0] > 0) {
      sum += spread_of(row_of(sample, i));
      rows++;
    }
  return rows > 0 ? sum / rows : 0;
}

double precis_choose_expected(const precis_head_sample *sample, int degree, int envelope_degree,
                              const precis_goal *goal)
{
  int rows[LONGEST_ROWS], count = longest(sample, rows);
  double moments[PRECIS_DEGREE_MAX + 1], spread = 0;
  precis_choose_moments(sample, moments);
  double t =
      precis_polynomial_estimate(degree, envelope_degree, fmax(sample->bound, 1e-12), moments) /
      (count > 0 ? count : 1);
  for (int i = 0; i < count; i++)
    spread += spread_of(row_of(sample, rows[i])) / count;
  double mean = mean_spread(sample);
  /* Deviations are those of a typical key. Where t is large it is still to be told how large. */
  double small = fmin(t, .1);
  const precis_error_mass mass = {small, 2 * sample->least_deviation * small};
  return precis_certificate_ratio(&mass, 1, mean > 0 ? spread / mean : 1, goal) * (t / small);
}

int precis_choose_hopeful(const precis_head_sample *tight, const precis_head_sample *loose,
                          const precis_goal *goal, int count, precis_candidate *candidates)
{
  const double hopeless = 100, sure = .25;
  int kept = 0, enough = PRECIS_DEGREE_MAX;
  for (int i = 0; i < count; i++) {
    const precis_candidate c = candidates[i];
    if (c.degree > enough + 2 ||
        (c.degree > PRECIS_SAMPLE_DEGREE && (i < count - 1 || kept > 0) &&
         !(precis_choose_expected(tight, c.degree, c.envelope_degree, goal) <= hopeless)))
      continue;
    candidates[kept++] = c;
    if (enough == PRECIS_DEGREE_MAX && loose->bound <= PRECIS_BOUND_MOST &&
        precis_choose_expected(loose, c.degree, c.envelope_degree, goal) <= sure)
      enough = c.degree;
  }
  return kept;
}

int precis_choose_fit(const precis_head_sample *sample, int degree, int envelope_degree,
                      const precis_summary_rounding *rounding, precis_polynomial *fit)
{
  double moments[PRECIS_DEGREE_MAX + 1], sizes[PRECIS_DEGREE_MAX + 1];
  double bound = fmax(sample->bound, 1e-12);
  precis_choose_moments(sample, moments);
  if (rounding == NULL || bound <= priced_from)
    return precis_polynomial_fit(degree, envelope_degree, bound, moments, fit);
  find_sizes(sample, sizes);
  const precis_polynomial_prices prices = {sizes, precis_certificate_rounding(rounding, 1, 0),
                                           precis_certificate_rounding(rounding, 0, 1)};
  return precis_polynomial_fit_priced(degree, envelope_degree, bound, moments,
                                      isfinite(prices.value) ? &prices : NULL, fit);
}

/* Solves the symmetric positive definite system of order n in place by Cholesky's method; -1 if it
 * is not positive definite. */
static int solve(int n, double a[][PRECIS_SAMPLE_DEGREE + 1], double *b)
{
  for (int i = 0; i < n; i++) {
    for (int j = 0; j <= i; j++) {
      double sum = a[i][j];
      for (int k = 0; k < j; k++)
        sum -= a[i][k] * a[j][k];
      if (i == j && !(sum > 0))
        return -1;
      a[i][j] = i == j ? sqrt(sum) : sum / a[j][j];
    }
    for (int k = 0; k < i; k++)
      b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (int i = n - 1; i >= 0; i--) {
    for (int k = i + 1; k < n; k++)
      b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return 0;
}

/* The mean of (P - e^y)^2 of a row by its moments, relative to the square of the mean e^y. */
static double square_error(const double *row, int degree, const double *a)
{
  double sum = row[PRECIS_SAMPLE_SQUARE];
  for (int p = 0; p <= degree; p++) {
    sum -= 2 * a[p] * row[PRECIS_SAMPLE_EXP + p];
    for (int q = 0; q <= degree; q++)
      sum += a[p] * a[q] * row[p + q];
  }
  return fmax(sum, 0) / row[PRECIS_SAMPLE_EXP] * (row[0] / row[PRECIS_SAMPLE_EXP]);
}

double precis_choose_least_squares(const precis_head_sample *sample, int degree,
                                   precis_polynomial *fit)
{
  double a[PRECIS_SAMPLE_DEGREE + 1][PRECIS_SAMPLE_DEGREE + 1] = {{0}},
                                                            b[PRECIS_SAMPLE_DEGREE + 1] = {0},
                                                            worst = 0;
  double unit = fmax(sample->bound, 1e-20) / 4; /* powers of y in it are of about one size */
  double power[2 * PRECIS_SAMPLE_DEGREE + 1] = {1};
  for (int p = 1; p <= 2 * PRECIS_SAMPLE_DEGREE; p++)
    power[p] = power[p - 1] / unit;
  for (int i = 0; i < sample->rows && degree <= PRECIS_SAMPLE_DEGREE; i++) {
    const double *row = row_of(sample, i);
    if (!usable(sample, i))
      continue;
    double weight = row[0] / row[PRECIS_SAMPLE_EXP] / row[PRECIS_SAMPLE_EXP];
    for (int p = 0; p <= degree; p++) {
      b[p] += weight * row[PRECIS_SAMPLE_EXP + p] * power[p];
      for (int q = 0; q <= degree; q++)
        a[p][q] += weight * row[p + q] * power[p + q];
    }
  }
  if (degree > PRECIS_SAMPLE_DEGREE || solve(degree + 1, a, b))
    return INFINITY;
  *fit = (precis_polynomial){.degree = degree, .envelope_degree = degree, .bound = sample->bound};
  for (int p = 0; p <= degree; p++)
    fit->a[p] = b[p] * power[p];
  for (int i = 0; i < sample->rows; i++)
    if (usable(sample, i))
      worst = fmax(worst, square_error(row_of(sample, i), degree, fit->a));
  return sqrt(worst);
}

/* sum_j w_j E(y_j), and with deviations: about those of keys by weight for the constant term, and
 * for the others those of keys by their squared scores. */
static precis_error_mass envelope_of(const precis_polynomial *fit, const double *row)
{
  const double *deviation = row + PRECIS_SAMPLE_DEVIATION;
  double constant = fit->e[0] * row[0], others = 0;
  for (int m = 1; m <= PRECIS_DEGREE_MAX; m++)
    others += fit->e[m] * row[m];
  double mean = row[0] > 0 ? deviation[0] / row[0] : 0,
         far = row[2] > 0 ? deviation[1] / row[2] : mean;
  return (precis_error_mass){constant + others, constant * mean + others * far};
}

/* The certificate over what it may be, of a sampled row whose query is `times` as long as it is. */
static double ratio_of(const precis_head_sample *sample, int i, double times,
                       const precis_polynomial *fit, const precis_summary_rounding *rounding,
                       double mean, const precis_goal *goal)
{
  double row[PRECIS_SAMPLE_MOMENTS], power = 1, total = 0;
  memcpy(row, row_of(sample, i), sizeof row);
  for (int m = 0; m <= PRECIS_DEGREE_MAX; m++, power *= times) {
    row[m] *= power;
    total += fit->a[m] * row[m];
  }
  row[PRECIS_SAMPLE_DEVIATION + 1] *= times * times;
  double bound = times * bound_of(sample, i),
         least = fit->envelope_degree > fit->degree ? sample->least_deviation : 0,
         each = precis_certificate_rounding(rounding, precis_polynomial_magnitude(fit, bound),
                                            precis_polynomial_envelope_magnitude(fit, bound));
  const precis_error_mass sums = envelope_of(fit, row);
  const precis_weight_mass weights = {row[0], row[PRECIS_SAMPLE_DEVIATION]};
  const precis_error_mass mass = precis_certificate_mass(&sums, each, &weights, least);
  return precis_certificate_ratio(&mass, total, mean > 0 ? spread_of(row) / mean : 1, goal);
}

/* Those of the sample as they are. */
static double failing_of_sample(const precis_head_sample *sample, const precis_polynomial *fit,
                                const precis_summary_rounding *rounding, double mean,
                                const precis_goal *goal)
{
  int rows = 0, failing = 0;
  for (int i = 0; i < sample->rows; i++)
    if (in_bulk(sample, i) && row_of(sample, i)[0] > 0) {
      rows++;
      failing += !(ratio_of(sample, i, 1, fit, rounding, mean, goal) <= 1);
    }
  return rows > 0 ? (double)failing / rows : 0;
}

/* Some of the sampled rows at a length, as far as these have one. */
static double failing_at(const precis_head_sample *sample, double length,
                         const precis_polynomial *fit, const precis_summary_rounding *rounding,
                         double mean, const precis_goal *goal)
{
  enum { SOME = 32 };
  int rows = 0, failing = 0, step = sample->rows > SOME ? sample->rows / SOME : 1;
  for (int i = 0; i < sample->rows; i += step)
    if (sample->lengths[i] > 0 && row_of(sample, i)[0] > 0) {
      rows++;
      failing +=
          !(ratio_of(sample, i, length / sample->lengths[i], fit, rounding, mean, goal) <= 1);
    }
  return rows > 0 ? (double)failing / rows : 0;
}

double precis_choose_failing(const precis_head_sample *sample, const precis_polynomial *fit,
                             const precis_summary_rounding *rounding, const precis_goal *goal)
{
  enum { PARTS = 2 };
  const precis_lengths *lengths = &sample->all;
  double mean = mean_spread(sample), failing = 0, all = 0;
  if (lengths->histogram == NULL || !(lengths->unit > 0))
    return failing_of_sample(sample, fit, rounding, mean, goal);
  for (int bin = 0; bin < PRECIS_NORM_BINS; bin++) {
    double count = (double)lengths->histogram[bin], edge = precis_outliers_edge(bin),
           below = bin > 0 ? precis_outliers_edge(bin - 1) : 0;
    all += count;
    edge = isfinite(edge) ? edge : 1.2 * below;
    for (int i = 0; i < PARTS && count > 0 && below < lengths->most; i++) /* evenly in a bin */
      failing += count / PARTS *
                 failing_at(sample, (below + (edge - below) * (i + .5) / PARTS) * lengths->unit,
                            fit, rounding, mean, goal);
  }
  return all > 0 ? failing / all : failing_of_sample(sample, fit, rounding, mean, goal);
}

double precis_choose_price_of_failing(int forced, double repair_seconds, double failing,
                                      double nearly)
{
  const double failing_seconds = 1e9, nearly_seconds = 1e6;
  return forced ? failing * failing_seconds + nearly * nearly_seconds : repair_seconds;
}
