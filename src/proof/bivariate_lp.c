/* bivariate_lp.c - cutting planes in the plane, on the simplex code of COIN-OR Clp
 *
 * Scaled as polynomial_lp.c is, so that the solver's absolute tolerances mean the same everywhere:
 *
 *   a[b] = center[b] + t z_b           the approximation in hand comes off first
 *   e[b] = t x_b / size[b]             a term costs about t x_b
 *   a constraint at u is divided by t sum_b |u1^.. u2^..| / size[b] over blocks of even powers,
 *   which are never negative: adding to their x_b pays for whatever is violated, anywhere
 *
 * and t is about the optimum. Where the optimum turns out to be much smaller than t, the program is
 * set up anew around what was found, with the constraints that had been found to matter. */
#include "src/proof/bivariate_lp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/proof/linear_program.h"
#include "src/precis.h"

enum {
  BLOCKS = PRECIS_BLOCKS_MAX,
  GRID = 48,       /* intervals either way that are searched for violated constraints */
  STRIDE = 4,      /* every so many grid points start as constraints */
  ROUNDS = 20,     /* of cutting planes */
  REFINEMENTS = 3, /* of the scale */
  FRESH = 256,     /* constraints found in a round, at most */
  MOST = 4096      /* in all */
};

static const double box = 1e6; /* on the scaled unknowns */
static const double envelope_box = 1e4;
static const double feasible = 1e-9;    /* the solver's tolerances, scaled */
static const double violated = 5e-4;    /* a constraint worth adding, scaled */
static const double spare = 1e-3;       /* added to x_b of even powers, pays for what is violated */
static const double too_small = .2;     /* an optimum to set up anew for, as a share of t */
static const double spread = 1e-6;      /* weight of the whole domain in the moments */
static const double margin = 2e-3;      /* the slanted edge is moved out so far, for the proof */
static const double resolution = 1e-12; /* below it double cannot tell A from e^y */

typedef struct point {
  double u1, u2;
  int sign;
} point;

typedef struct search {
  precis_bivariate_lp *problem;
  Clp_Simplex *model;
  int columns, even[BLOCKS];
  double t, stretch[2], natural[BLOCKS], mean[BLOCKS], center[BLOCKS];
  double a[BLOCKS], e[BLOCKS]; /* the solution in hand */
  double u[GRID + 1][GRID + 1][2], exponential[GRID + 1][GRID + 1], slack[GRID + 1][GRID + 1];
  int points, fresh; /* points[] holds all constraints, of which the last `fresh` wait */
  point point[MOST];
  CoinBigIndex start[MOST + 1];
  int column[MOST * 2 * BLOCKS];
  double element[MOST * 2 * BLOCKS], lower[MOST], upper[MOST];
} search;

/* u1^lead u2^trail of all blocks. */
static void monomials(const precis_feature_set *set, double u1, double u2, double *to)
{
  double power1[PRECIS_BIVARIATE_DEGREE_MAX + 1] = {1},
                                              power2[PRECIS_BIVARIATE_DEGREE_MAX + 1] = {1};
  for (int i = 1; i <= PRECIS_BIVARIATE_DEGREE_MAX; i++) {
    power1[i] = power1[i - 1] * u1;
    power2[i] = power2[i - 1] * u2;
  }
  for (int b = 0; b < set->blocks; b++)
    to[b] = power1[set->block[b].lead] * power2[set->block[b].trail];
}

static double coordinate(const search *s, int which, double position)
{
  double stretch = s->stretch[which];
  return sinh(stretch * cos(3.14159265358979323846 * position / GRID)) / sinh(stretch);
}

/* Grid positions, not necessarily whole, to u: dense at the edges and around 0, at the scale of a
 * typical score. What lies beyond the slanted edge is drawn onto it. */
static void place(const search *s, double position1, double position2, double *u)
{
  const precis_bivariate_domain *d = &s->problem->domain;
  u[0] = coordinate(s, 0, position1);
  u[1] = coordinate(s, 1, position2);
  double sum = fabs(u[0]) * d->lead_bound + fabs(u[1]) * d->trail_bound;
  double most = d->bound * (1 + margin);
  if (sum > most) {
    u[0] *= most / sum;
    u[1] *= most / sum;
  }
}

static double exponential_at(const search *s, const double *u)
{
  const precis_bivariate_domain *d = &s->problem->domain;
  return exp(d->lead_bound * u[0] + d->trail_bound * u[1]);
}

/* What a constraint is divided by, but for t. */
static double divisor(const search *s, const double *m)
{
  double sum = 0;
  for (int b = 0; b < s->problem->set->blocks; b++)
    sum += s->even[b] ? m[b] * s->natural[b] : 0;
  return sum;
}

/* The smaller E - sign (e^y - A), scaled, and its sign; negative where a constraint is violated. */
static double slack(const search *s, const double *u, double exponential, int *sign)
{
  const precis_feature_set *set = s->problem->set;
  double m[BLOCKS], error = exponential, room = 0;
  monomials(set, u[0], u[1], m);
  for (int b = 0; b < set->value_blocks; b++)
    error -= s->a[b] * m[b];
  for (int b = 0; b < set->blocks; b++)
    room += s->e[b] * m[b];
  *sign = error > 0 ? 1 : -1;
  return (room - fabs(error)) / (s->t * divisor(s, m));
}

static double slack_at(const search *s, double position1, double position2, int *sign)
{
  double u[2];
  place(s, position1, position2, u);
  return slack(s, u, exponential_at(s, u), sign);
}

/* Row number i of those that wait: E + sign A >= sign e^y at a point. */
static void write_row(search *s, const point *at, int i)
{
  const precis_feature_set *set = s->problem->set;
  double m[BLOCKS], residual = exponential_at(s, (const double[]){at->u1, at->u2});
  CoinBigIndex first = s->start[i], to = first;
  monomials(set, at->u1, at->u2, m);
  double scale = 1 / divisor(s, m);
  for (int b = 0; b < set->value_blocks; b++) {
    s->element[to++] = at->sign * scale * m[b];
    residual -= s->center[b] * m[b];
  }
  for (int b = 0; b < set->blocks; b++)
    s->element[to++] = scale * m[b] * s->natural[b];
  for (CoinBigIndex k = first; k < to; k++)
    s->column[k] = (int)(k - first);
  s->lower[i] = at->sign * residual * scale / s->t;
  s->upper[i] = HUGE_VAL;
  s->start[i + 1] = to;
}

/* Hands the last `count` points to the solver. */
static void add_rows(search *s, int count)
{
  for (int i = 0; i < count; i++)
    write_row(s, &s->point[s->points - count + i], i);
  Clp_addRows(s->model, count, s->lower, s->upper, s->start, s->column, s->element);
}

static void constrain(search *s, const double *u, int sign)
{
  if (s->points < MOST) {
    s->point[s->points++] = (point){u[0], u[1], sign};
    s->fresh++;
  }
}

/* Goes down from a grid point, in ever smaller steps. */
static void descend(const search *s, double *p1, double *p2, int *sign)
{
  double least = slack_at(s, *p1, *p2, sign);
  for (double step = .5; step > .01; step *= .5)
    for (int k = 0; k < 8; k++) {
      static const int way[8][2] = {{1, 0}, {-1, 0}, {0, 1},  {0, -1},
                                    {1, 1}, {1, -1}, {-1, 1}, {-1, -1}};
      double q1 = fmin(fmax(*p1 + step * way[k][0], 0), GRID),
             q2 = fmin(fmax(*p2 + step * way[k][1], 0), GRID);
      int other;
      double found = slack_at(s, q1, q2, &other);
      if (found < least) {
        *p1 = q1;
        *p2 = q2;
        *sign = other;
        least = found;
      }
    }
}

static int lowest_around(const search *s, int i, int j)
{
  for (int k = i > 0 ? i - 1 : 0; k <= i + 1 && k <= GRID; k++)
    for (int l = j > 0 ? j - 1 : 0; l <= j + 1 && l <= GRID; l++)
      if (s->slack[k][l] < s->slack[i][j])
        return 0;
  return 1;
}

/* Adds the worst point of every violated region of the grid. */
static void find_violated(search *s)
{
  int sign;
  s->fresh = 0;
  for (int i = 0; i <= GRID; i++)
    for (int j = 0; j <= GRID; j++)
      s->slack[i][j] = slack(s, s->u[i][j], s->exponential[i][j], &sign);
  for (int i = 0; i <= GRID; i++)
    for (int j = 0; j <= GRID && s->fresh < FRESH; j++) {
      if (s->slack[i][j] > .05 || !lowest_around(s, i, j))
        continue;
      double p1 = i, p2 = j, u[2];
      descend(s, &p1, &p2, &sign);
      if (slack_at(s, p1, p2, &sign) >= -violated)
        continue;
      place(s, p1, p2, u);
      constrain(s, u, sign);
    }
}

/* A fresh program for the center and t in hand, with all constraints so far. */
static int set_up(search *s)
{
  const precis_feature_set *set = s->problem->set;
  double cost[2 * BLOCKS] = {0}, lower[2 * BLOCKS], upper[2 * BLOCKS];
  s->columns = set->value_blocks + set->blocks;
  for (int b = 0; b < set->blocks; b++)
    cost[set->value_blocks + b] = s->mean[b] * s->natural[b];
  for (int k = 0; k < s->columns; k++) {
    upper[k] = k < set->value_blocks ? box : envelope_box;
    lower[k] = -upper[k];
  }
  s->model = precis_linear_program_make(s->model, s->columns, cost, lower, upper, feasible);
  if (!s->model)
    return PRECIS_ERR_MEMORY;
  add_rows(s, s->points);
  return PRECIS_SUCCESS;
}

/* Solves, and reads the solution in hand. */
static int solve(search *s)
{
  const precis_feature_set *set = s->problem->set;
  Clp_dual(s->model, 0);
  if (Clp_status(s->model) != 0)
    return PRECIS_ERR_INTERNAL;
  const double *x = Clp_getColSolution(s->model);
  for (int b = 0; b < set->value_blocks; b++)
    s->a[b] = s->center[b] + s->t * *x++;
  for (int b = 0; b < set->blocks; b++)
    s->e[b] = s->t * *x++ * s->natural[b];
  return PRECIS_SUCCESS;
}

/* Cutting planes until nothing is violated, or the optimum proves to be less than enough: *found
 * tells. */
static int cut(search *s, double enough, double *found)
{
  int status = set_up(s);
  for (int round = 0; status == PRECIS_SUCCESS && round < ROUNDS; round++) {
    status = solve(s);
    if (status != PRECIS_SUCCESS)
      break;
    *found = Clp_objectiveValue(s->model) * s->t;
    if (*found > 0 && *found < enough)
      break;
    find_violated(s);
    if (s->fresh == 0)
      break;
    add_rows(s, s->fresh);
  }
  return status;
}

static int refine(search *s)
{
  double found = 0;
  int status = cut(s, too_small * s->t, &found);
  for (int i = 0; i < REFINEMENTS && status == PRECIS_SUCCESS && found < too_small * s->t; i++) {
    memcpy(s->center, s->a, sizeof s->center);
    s->t = fmax(found, 1e-3 * s->t);
    status = cut(s, i + 1 < REFINEMENTS ? too_small * s->t : -HUGE_VAL, &found);
  }
  return status;
}

/* The means that the objective has, with a little of the whole domain so that no term is free, and
 * what each term is measured in. */
static void weigh(search *s)
{
  const precis_feature_set *set = s->problem->set;
  double m[BLOCKS], mean[BLOCKS] = {0}, size[BLOCKS] = {0};
  const int count = (GRID + 1) * (GRID + 1);
  for (int i = 0; i < count; i++) {
    const double *u = s->u[i / (GRID + 1)][i % (GRID + 1)];
    monomials(set, u[0], u[1], m);
    for (int b = 0; b < set->blocks; b++) {
      mean[b] += m[b] / count;
      size[b] += fabs(m[b]) / count;
    }
  }
  for (int b = 0; b < set->blocks; b++) {
    s->mean[b] = s->problem->mean[b] + spread * mean[b];
    s->natural[b] = 1 / (s->problem->size[b] + spread * size[b]);
    s->even[b] = set->block[b].lead % 2 == 0 && set->block[b].trail % 2 == 0;
  }
}

/* A typical |u| of one variable, from a block that has it alone. */
static double typical(const precis_bivariate_lp *p, int which)
{
  for (int n = 2; n > 0; n--) {
    int b = precis_feature_set_find(p->set, which ? 0 : n, which ? n : 0);
    if (b >= 0 && p->size[b] > 0)
      return fmin(fmax(pow(p->size[b], 1. / n), 1e-3), 1);
  }
  return 1;
}

static void prepare(search *s, precis_bivariate_lp *problem)
{
  s->problem = problem;
  memcpy(s->center, problem->a, sizeof s->center);
  memcpy(s->a, problem->a, sizeof s->a);
  for (int which = 0; which < 2; which++)
    s->stretch[which] = log(1 + 1 / typical(problem, which));
  for (int i = 0; i <= GRID; i++)
    for (int j = 0; j <= GRID; j++) {
      place(s, i, j, s->u[i][j]);
      s->exponential[i][j] = exponential_at(s, s->u[i][j]);
    }
  weigh(s);
  /* With x_b = 1 the approximation in hand is feasible for this t: a scale to start from. */
  s->t = 1;
  double worst = 0;
  for (int i = 0; i <= GRID; i++)
    for (int j = 0; j <= GRID; j++) {
      int sign;
      worst = fmax(worst, -slack(s, s->u[i][j], s->exponential[i][j], &sign));
      if (i % STRIDE == 0 && j % STRIDE == 0) {
        constrain(s, s->u[i][j], -1);
        constrain(s, s->u[i][j], 1);
      }
    }
  s->t = worst;
}

int precis_bivariate_lp_solve(precis_bivariate_lp *problem)
{
  search *s = calloc(1, sizeof *s);
  if (!s)
    return PRECIS_ERR_MEMORY;
  prepare(s, problem);
  int status = s->t > resolution ? refine(s) : PRECIS_ERR_INTERNAL;
  if (status == PRECIS_SUCCESS) {
    memcpy(problem->a, s->a, sizeof s->a);
    for (int b = 0; b < problem->set->blocks; b++)
      problem->e[b] = s->e[b] + (s->even[b] ? spare * s->t * s->natural[b] : 0);
  }
  if (s->model)
    Clp_deleteModel(s->model);
  free(s);
  return status;
}
