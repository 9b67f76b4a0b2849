/* study_signal.c - what rows are to keep, before they have run: an estimate of the unit of the
 * tolerance
 *
 * The unit of outputs is how far rows are from what the mean query gets (signal.h). Sampled keys
 * tell it with noise that would count as signal, so they are cut into groups: products of what
 * different groups say of a row have the noise in them on both sides, independent, and 0 in the
 * mean. What the values' own noise leaves of all keys is added. The estimate steers, proofs never
 * depend on it. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/plan/study.h"
#include "src/base/problem.h"

/* The mean of a row's distance is a little less than its root mean square. */
static const double MEAN_OF_SQUARE = 0.95;

/* Of R counts what is proved: the rows' bounds come off it, this part of the tolerance in the mean.
 */
static const double PROVED = 0.4;

enum { GROUPS = 3, ROWS_MOST = 48, COLUMNS_MOST = 4, PAIRS = GROUPS * (GROUPS - 1) / 2 };

/* Of a row over the keys of a group: sums with the row's own weights, and with those of the mean
 * query. */
typedef struct part {
  double l, o[COLUMNS_MOST], mean_l, mean_o[COLUMNS_MOST];
} part;

/* The columns that a row speaks for: few of them, and each row the next few, so that all rows
 * together speak for all columns. */
typedef struct columns {
  int count;
  int at[COLUMNS_MOST];
} columns;

static columns columns_of(const precis_study *s, int row)
{
  int dv = s->a->problem.value_dim;
  columns c = {.count = dv < COLUMNS_MOST ? dv : COLUMNS_MOST};
  for (int i = 0; i < c.count; i++)
    c.at[i] = (row * c.count + i) % dv;
  return c;
}

static int rows_of(const precis_study *s)
{
  return s->sampled < ROWS_MOST ? s->sampled : ROWS_MOST;
}

void precis_study_signal_add(const precis_study *s, int g, int64_t j, int i, double w, double y,
                             double *parts)
{
  const precis_attention *a = s->a;
  const precis_keys *keys = &a->keys;
  int rows = rows_of(s), dv = a->problem.value_dim;
  if (rows == 0 || i % (s->sampled / rows) != 0 || i / (s->sampled / rows) >= rows)
    return;
  int row = i / (s->sampled / rows);
  const columns c = columns_of(s, row);
  int64_t group = keys->position[j] / s->key_step % GROUPS;
  part *p = (part *)parts + ((int64_t)g * rows + row) * GROUPS + group;
  const double *center = precis_survey_v_center(&a->keys, &a->survey) + (int64_t)g * dv,
               *per = a->survey.per + (int64_t)g * dv;
  const float *v = keys->v + (j * keys->kv_heads + g) * dv;
  double own = w * exp(fmin(y, 300));
  p->l += own;
  p->mean_l += w;
  for (int n = 0; n < c.count; n++) {
    double x = (v[c.at[n]] - center[c.at[n]]) * per[c.at[n]];
    p->o[n] += own * x;
    p->mean_o[n] += w * x;
  }
}

int64_t precis_study_signal_numbers(const precis_study *s)
{
  return (int64_t)s->a->problem.kv_heads * rows_of(s) * GROUPS *
         (int64_t)(sizeof(part) / sizeof(double));
}

/* What a row gets beyond the mean query, by the keys of each group. */
static int difference(const part *row, const columns *c, double x[GROUPS][COLUMNS_MOST])
{
  int good = 1;
  for (int a = 0; a < GROUPS; a++) {
    good &= row[a].l > 0 && row[a].mean_l > 0 && row[a].l < DBL_MAX;
    for (int n = 0; n < c->count; n++)
      x[a][n] = row[a].o[n] / row[a].l - row[a].mean_o[n] / row[a].mean_l;
  }
  return good;
}

/* Sums over rows of the products of two groups, by columns. */
typedef struct products {
  double sum[PAIRS][PRECIS_DIM_MAX];
  int rows[PRECIS_DIM_MAX];
} products;

/* Their mean over the rows, all columns together, as if all were known. */
static double mean_product(const products *p, int pair, int dv)
{
  double sum = 0;
  int known = 0;
  for (int n = 0; n < dv; n++)
    if (p->rows[n] > 0) {
      sum += p->sum[pair][n] / p->rows[n];
      known++;
    }
  return known > 0 ? sum / known * dv : 0;
}

/* The mean square of what rows get beyond the mean query: products of groups, less their own
 * deviation. */
static double square_of(const precis_study *s, int g, const part *parts)
{
  products p = {.rows = {0}};
  double x[GROUPS][COLUMNS_MOST], sum = 0, square = 0;
  int rows = rows_of(s), dv = s->a->problem.value_dim;
  for (int i = 0; i < rows; i++) {
    const columns c = columns_of(s, i);
    int good = difference(parts + ((int64_t)g * rows + i) * GROUPS, &c, x), number = 0;
    for (int n = 0; n < c.count; n++)
      p.rows[c.at[n]] += good;
    for (int a = 0; a < GROUPS && good; a++)
      for (int b = 0; b < a; b++, number++)
        for (int n = 0; n < c.count; n++)
          p.sum[number][c.at[n]] += x[a][n] * x[b][n];
  }
  for (int i = 0; i < PAIRS; i++) {
    double mean = mean_product(&p, i, dv);
    sum += mean / PAIRS;
    square += mean * mean / PAIRS;
  }
  double deviation = sqrt(fmax(0, square - sum * sum) / GROUPS);
  return fmax(0, sum - deviation);
}

/* What independent values leave: the deviation of a mean of so many, each weighted by about its
 * score. */
static double noise_of(const precis_study *s, int g)
{
  double square = 0, weights = 0, deviation = 2 * s->out->plan.least_deviation[g];
  for (int i = 0; i < s->sampled; i++) {
    const double *row = s->moments + ((int64_t)g * s->sampled + i) * PRECIS_SAMPLE_MOMENTS;
    square += row[0] > 0 ? fmin(row[2] / row[0], 1e3) : 0;
    weights += row[0] > 0;
  }
  double keys = fmax(1, (double)s->map->keys);
  return weights > 0 ? square / weights * deviation * deviation / keys : 0;
}

/* Of the rows that the handle has answered; -1: none yet. */
static double known(const precis_study *s, int g)
{
  const precis_signal *signal = &s->a->signal;
  double least = -1;
  for (int h = g * s->group; h < (g + 1) * s->group; h++) {
    double mean = signal->rows[h] > 0 ? signal->sum[h] / signal->rows[h] : -1;
    least = h == g * s->group || mean < least ? mean : least;
  }
  return least;
}

int precis_study_signal_find(precis_study *s, double *parts)
{
  const precis_attention *a = s->a;
  if (MPI_Allreduce(MPI_IN_PLACE, parts, (int)precis_study_signal_numbers(s), MPI_DOUBLE, MPI_SUM,
                    a->world.comm))
    return PRECIS_ERR_MPI;
  int dv = a->problem.value_dim;
  for (int g = 0; g < a->problem.kv_heads; g++) {
    double signal = known(s, g), square = square_of(s, g, (const part *)parts) + noise_of(s, g),
           estimate = MEAN_OF_SQUARE * sqrt(square) * (1 - PROVED * fmin(s->wish->tol, 1));
    if (signal < 0)
      signal = precis_visible_queries(s->map) > 1 ? estimate : 0;
    const double zero[PRECIS_DIM_MAX] = {0};
    const precis_norm norm = precis_attention_norm(a, g);
    double center = precis_norm_distance_double(
        &norm, precis_survey_v_center(&a->keys, &a->survey) + (int64_t)g * dv, zero);
    double error = precis_wish_tol(s->wish);
    if (s->wish->unit == PRECIS_UNIT_OUTPUTS)
      error *= s->wish->tol < DBL_MAX ? signal : 1;
    if (s->wish->unit != PRECIS_UNIT_LSE)
      error -= center * 0x1p-24;
    s->goals[g] = (precis_goal){.unit = s->wish->unit, .error = error, .away = signal};
  }
  return PRECIS_SUCCESS;
}

precis_goal precis_study_goal(const precis_study *s, int g, double share)
{
  return precis_goal_times(s->goals[g], share);
}
