#include "src/paper/sample.h"

#include <math.h>
#include <string.h>

#include "src/summary/bulk.h"
#include "src/oracle/following.h"

/* x with P(N(0, 1) < x) = p, 0 < p < 1, by bisection. */
static double normal_quantile(double p)
{
  double low = -40, high = 40;
  for (int i = 0; i < 60; i++) {
    double middle = (low + high) / 2;
    if (erfc(-middle * M_SQRT1_2) / 2 < p)
      low = middle;
    else
      high = middle;
  }
  return (low + high) / 2;
}

/* The length of a Gaussian vector at normal quantile z, in units of its root mean square: by Wilson
 * and Hilferty, "The distribution of chi-square", PNAS 17 (1931). */
static double length_at(int dim, double z)
{
  double h = 2. / (9 * dim), root = 1 - h + z * sqrt(h);
  return root > 0 ? pow(root, 1.5) : 0;
}

/* Of the longest of n vectors, the median. */
static double longest(const precis_paper_scores *s, int64_t n)
{
  if (s->unit)
    return 1;
  double z = normal_quantile(pow(.5, 1. / (double)n));
  return length_at(s->dim, z < 38 ? z : 38);
}

/* The length of a value in units of its columns' deviations. */
static double deviation(const precis_paper_scores *s)
{
  return sqrt(s->value_dim);
}

double precis_paper_signal(const precis_paper_scores *s)
{
  const double linear = PRECIS_FOLLOWING_LINEAR;
  double square = s->signal * s->signal, follows = square / (1 + square),
         signal = linear * linear * follows * s->value_dim / s->dim,
         noise = s->value_dim / fmax(1, (double)s->keys),
         mean_of_square = s->unit ? 1 : 1 - .25 / s->dim; /* of a Gaussian vector's length */
  return s->spread * mean_of_square * sqrt(signal + noise);
}

double precis_paper_bound(const precis_paper_scores *s)
{
  if (s->bound > 0)
    return s->bound;
  return s->spread * sqrt(s->dim) * longest(s, s->queries) * longest(s, s->keys);
}

precis_head_sample precis_paper_sample(const precis_paper_scores *s, double *moments,
                                       double *lengths)
{
  enum { ROWS = PRECIS_SAMPLE_QUERIES, KEYS = PRECIS_SAMPLE_KEYS };
  double bound = precis_paper_bound(s), most = longest(s, s->queries), away = deviation(s),
         quantiles[KEYS];
  for (int j = 0; j < KEYS; j++)
    quantiles[j] = normal_quantile((j + .5) / KEYS);
  memset(moments, 0, ROWS * PRECIS_SAMPLE_MOMENTS * sizeof *moments);
  for (int i = 0; i < ROWS; i++) {
    double length = s->unit ? 1 : length_at(s->dim, normal_quantile((i + .5) / ROWS));
    double most_here = bound * fmin(1, length / most);
    lengths[i] = most_here / bound;
    for (int j = 0; j < KEYS; j++)
      precis_sample_add(moments + (int64_t)i * PRECIS_SAMPLE_MOMENTS, 1, away,
                        fmax(-most_here, fmin(most_here, s->spread * length * quantiles[j])));
  }
  return (precis_head_sample){.rows = ROWS,
                              .moments = moments,
                              .lengths = lengths,
                              .unit = bound,
                              .bound = bound,
                              .least_deviation = precis_bulk_least_deviation(away)};
}
