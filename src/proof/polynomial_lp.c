/* polynomial_lp.c - cutting planes, on the simplex code of COIN-OR Clp
 *
 * Unknowns and constraints are scaled so that the solver's absolute tolerances mean the same
 * everywhere, although e^y and the moments vary over many orders of magnitude:
 *
 *   p = center + t sum_k z_k phi_k     the approximation in hand comes off first, in long double
 *   e = t sum_m x_m phi_m
 *   a constraint at u is divided by t D(u), D(u) = sum_m natural[m] |u|^m, in which each term costs
 *   the same: natural[m] is 1 / moment[m]
 *
 * with phi_k / D orthonormal on the grid, and t about the optimum. Where the optimum turns out to
 * be much smaller than t, the program is set up anew around what was found, as in iterative
 * refinement.
 *
 * Clp's own drivers (Clp_initialSolve and the like) would install a signal handler; Clp_dual does
 * not. */
#include "src/proof/polynomial_lp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/proof/grid_basis.h"
#include "src/proof/linear_program.h"
#include "src/precis.h"

enum {
  SIZE = PRECIS_DEGREE_MAX + 1,
  GRID = 512,      /* intervals that are searched for violated constraints */
  STRIDE = 8,      /* every so many grid points start as constraints */
  ROUNDS = 16,     /* of cutting planes */
  REFINEMENTS = 3, /* of the scale */
  FRESH = GRID + 1 /* constraints that can wait: of either sign, one for every two grid points */
};

static const double box = 1e6;        /* on the scaled unknowns, which are 1 to 1e3 in size */
static const double feasible = 1e-10; /* the solver's tolerances, scaled */
static const double violated = 1e-6;  /* a constraint worth adding, scaled */
static const double spare = 2e-6;     /* times t D, pays for what is still violated */
static const double too_small = .02;  /* an optimum to set up anew for, as a share of t */

typedef struct search {
  const precis_minimax *problem;
  Clp_Simplex *model;
  int columns, sizes;    /* in all; those that are sizes of terms come last, from this one on */
  double stretch, reach; /* of the grid, see place(), and sinh(stretch) */
  double t, natural[SIZE], cost[SIZE]; /* of phi_m, as a part of e */
  precis_grid_basis basis;
  long double center[SIZE];
  long double p[SIZE], e[SIZE]; /* the solution in hand */
  double u[GRID + 1];
  long double exponential[GRID + 1];
  int fresh; /* constraints that wait */
  CoinBigIndex start[FRESH + 1];
  int column[FRESH * 2 * SIZE];
  double element[FRESH * 2 * SIZE], lower[FRESH], upper[FRESH];
} search;

static long double horner(const long double *c, int degree, long double u)
{
  long double sum = c[degree];
  for (int k = degree - 1; k >= 0; k--)
    sum = sum * u + c[k];
  return sum;
}

/* Grid position, not necessarily whole, to u: dense at both ends as Chebyshev's points are, and
 * around 0 at the scale of a typical score, where most of the objective lies. */
static double place(const search *s, double position)
{
  return sinh(s->stretch * cos(3.14159265358979323846 * position / GRID)) / s->reach;
}

/* What a constraint at u is divided by, but for t. */
static double divisor(const search *s, double u)
{
  int m = s->problem->envelope_degree;
  double sum = s->natural[m];
  while (--m >= 0)
    sum = sum * fabs(u) + s->natural[m];
  return sum;
}

/* E - sign (e^y - P), scaled: negative where the constraint is violated. */
static double slack(const search *s, double u, long double exponential, int sign)
{
  long double error = exponential - horner(s->p, s->problem->degree, u);
  long double room = horner(s->e, s->problem->envelope_degree, u) - (sign > 0 ? error : -error);
  return (double)(room / ((long double)s->t * divisor(s, u)));
}

static double slack_at(const search *s, double position, int sign)
{
  double u = place(s, position);
  return slack(s, u, expl((long double)s->problem->bound * u), sign);
}

/* Adds E + sign P >= sign e^y at u to those that wait. */
static void constrain(search *s, double u, int sign)
{
  const precis_minimax *problem = s->problem;
  long double exponential = expl((long double)problem->bound * u);
  long double residual = exponential - horner(s->center, problem->degree, u);
  double scale = 1 / divisor(s, u), phi[SIZE];
  CoinBigIndex first = s->start[s->fresh], at = first;

  precis_grid_basis_at(&s->basis, u, phi);
  for (int k = 0; k <= problem->degree; k++)
    s->element[at++] = sign * scale * phi[k];
  for (int m = 0; m <= problem->envelope_degree; m++)
    if (problem->used[m])
      s->element[at++] = scale * phi[m];
  for (CoinBigIndex i = first; i < at; i++)
    s->column[i] = (int)(i - first);
  s->lower[s->fresh] = (double)(sign * residual * scale / s->t);
  s->upper[s->fresh] = HUGE_VAL;
  s->start[++s->fresh] = at;
}

/* Adds price |c_i| <= cost of c_i = center_i + t sum_k x_k phi_k's coefficient of u^i, for the
 * columns from `first` on, one for each k up to `degree` that is used; the cost is a column too. */
static void constrain_size(search *s, int i, double price, long double center, int first,
                           int degree, const bool *used, int cost)
{
  for (int sign = -1; sign <= 1; sign += 2) {
    CoinBigIndex at = s->start[s->fresh];
    int column = first;
    for (int k = 0; k <= degree; k++) {
      if (used && !used[k])
        continue;
      if (k >= i && (k - i) % 2 == 0) {
        s->column[at] = column;
        s->element[at++] = -sign * price * (double)s->basis.power[k][i];
      }
      column++;
    }
    s->column[at] = cost;
    s->element[at++] = 1;
    s->lower[s->fresh] = (double)(sign * price * center / s->t);
    s->upper[s->fresh] = HUGE_VAL;
    s->start[++s->fresh] = at;
  }
}

static void constrain_sizes(search *s)
{
  const precis_minimax *problem = s->problem;
  int first = problem->degree + 1, cost = s->sizes;
  for (int i = 0; i <= problem->degree; i++)
    if (problem->p_price[i] > 0)
      constrain_size(s, i, problem->p_price[i], s->center[i], 0, problem->degree, NULL, cost++);
  for (int i = 0; i <= problem->envelope_degree; i++)
    if (problem->e_price[i] > 0 && problem->used[i])
      constrain_size(s, i, problem->e_price[i], 0, first, problem->envelope_degree, problem->used,
                     cost++);
}

static void add_constraints(search *s)
{
  Clp_addRows(s->model, s->fresh, s->lower, s->upper, s->start, s->column, s->element);
  s->fresh = 0;
}

/* The minimum of the slack near grid point j, by parabolas through three points ever closer
 * together. */
static double lowest(const search *s, int j, int sign)
{
  double at = j, least = slack_at(s, at, sign);

  for (double step = 1; step > 1e-3 && at > step && at < GRID - step; step *= .1) {
    double left = slack_at(s, at - step, sign), right = slack_at(s, at + step, sign);
    double curvature = left - 2 * least + right;
    if (!(curvature > 0))
      continue;
    double move = step * fmax(-1, fmin((left - right) / (2 * curvature), 1));
    double found = slack_at(s, at + move, sign);
    if (found < least) {
      at += move;
      least = found;
    }
  }
  return at;
}

/* Adds the worst point of every violated stretch of the grid. A minimum above .1 on the grid is not
 * looked at: the slack moves far less from one point to the next. */
static void find_violated(search *s)
{
  for (int sign = -1; sign <= 1; sign += 2) {
    double left, here = HUGE_VAL, right = slack(s, s->u[0], s->exponential[0], sign);
    for (int j = 0; j <= GRID && s->fresh < FRESH; j++) {
      left = here;
      here = right;
      right = j < GRID ? slack(s, s->u[j + 1], s->exponential[j + 1], sign) : HUGE_VAL;
      if (here > left || here > right || here > .1)
        continue;
      double at = lowest(s, j, sign);
      if (slack_at(s, at, sign) < -violated)
        constrain(s, place(s, at), sign);
    }
  }
}

/* A fresh program for the center and t in hand. */
static int set_up(search *s)
{
  const precis_minimax *problem = s->problem;
  double cost[4 * SIZE] = {0}, lower[4 * SIZE], upper[4 * SIZE];

  s->columns = problem->degree + 1;
  for (int m = 0; m <= problem->envelope_degree; m++)
    if (problem->used[m])
      cost[s->columns++] = s->cost[m];
  s->sizes = s->columns;
  for (int k = 0; k <= problem->degree; k++)
    if (problem->p_price[k] > 0)
      cost[s->columns++] = 1;
  for (int m = 0; m <= problem->envelope_degree; m++)
    if (problem->e_price[m] > 0 && problem->used[m])
      cost[s->columns++] = 1;
  for (int k = 0; k < s->columns; k++) {
    lower[k] = k < s->sizes ? -box : 0;
    upper[k] = k < s->sizes ? box : HUGE_VAL;
  }
  s->model = precis_linear_program_make(s->model, s->columns, cost, lower, upper, feasible);
  if (!s->model)
    return PRECIS_ERR_MEMORY;
  s->fresh = 0;
  constrain_sizes(s);
  for (int j = 0; j <= GRID; j += STRIDE) {
    constrain(s, s->u[j], -1);
    constrain(s, s->u[j], 1);
  }
  add_constraints(s);
  return PRECIS_SUCCESS;
}

/* Adds t x phi_k. */
static void add(const search *s, int k, double x, long double *to)
{
  for (int i = k % 2; i <= k; i += 2)
    to[i] += (long double)s->t * x * s->basis.power[k][i];
}

/* Solves, and reads the solution in hand. */
static int solve(search *s)
{
  const precis_minimax *problem = s->problem;

  Clp_dual(s->model, 0);
  if (Clp_status(s->model) != 0)
    return PRECIS_ERR_INTERNAL;
  const double *x = Clp_getColSolution(s->model);
  for (int k = 0; k < s->sizes; k++)
    if (!(fabs(x[k]) < .999 * box))
      return PRECIS_ERR_INTERNAL;
  memcpy(s->p, s->center, sizeof s->p);
  memset(s->e, 0, sizeof s->e);
  for (int k = 0; k <= problem->degree; k++)
    add(s, k, *x++, s->p);
  for (int m = 0; m <= problem->envelope_degree; m++)
    if (problem->used[m])
      add(s, m, *x++, s->e);
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
    if (*found < enough)
      break;
    find_violated(s);
    if (s->fresh == 0)
      break;
    add_constraints(s);
  }
  return status;
}

/* Finds the scale of the optimum, and the optimum. */
static int refine(search *s)
{
  double found = 0;
  int status = cut(s, too_small * s->t, &found);

  for (int i = 0; i < REFINEMENTS && status == PRECIS_SUCCESS && found < too_small * s->t; i++) {
    double t = s->t;
    long double center[SIZE];
    memcpy(center, s->center, sizeof center);
    memcpy(s->center, s->p, sizeof s->center);
    s->t = fmax(found, 1e-6 * t);
    status = cut(s, too_small * s->t, &found);
    if (status == PRECIS_ERR_INTERNAL) {
      /* Next to nothing, by cancellation, as for the moments of a few points: the coarser scale
       * must do. */
      memcpy(s->center, center, sizeof center);
      s->t = t;
      return cut(s, -HUGE_VAL, &found);
    }
  }
  return status;
}

/* The basis, and what its polynomials cost. */
static void find_basis(search *s)
{
  const precis_minimax *problem = s->problem;
  int most =
      problem->degree > problem->envelope_degree ? problem->degree : problem->envelope_degree;
  double weight[GRID + 1];
  for (int j = 0; j <= GRID; j++)
    weight[j] = 1 / (divisor(s, s->u[j]) * divisor(s, s->u[j]));
  precis_grid_basis_make(most + 1, GRID + 1, s->u, weight, &s->basis);
  for (int m = 0; m <= problem->envelope_degree; m++) {
    long double sum = 0;
    for (int i = m % 2; i <= m; i += 2)
      sum += s->basis.power[m][i] * problem->moment[i];
    s->cost[m] = (double)sum;
  }
}

static void prepare(search *s, const precis_minimax *problem)
{
  double spread = problem->envelope_degree >= 2 ? sqrt(problem->moment[2]) : 1;

  s->problem = problem;
  s->stretch = log(1 + 1 / spread);
  s->reach = sinh(s->stretch);
  memcpy(s->center, problem->p, sizeof s->center);
  /* An odd moment may vanish: the one before tells the size of the term. */
  for (int m = 0; m <= problem->envelope_degree; m++)
    s->natural[m] = problem->used[m] ? 1 / problem->moment[m - m % 2] : 0;
  for (int j = 0; j <= GRID; j++) {
    double u = s->u[j] = place(s, j);
    s->exponential[j] = expl((long double)problem->bound * u);
    /* With e = t D the approximation in hand is feasible: a scale to start from. */
    double residual = (double)(s->exponential[j] - horner(s->center, problem->degree, u));
    s->t = fmax(s->t, fabs(residual) / divisor(s, u));
  }
  find_basis(s);
  double rounding = 0;
  for (int k = 0; k <= problem->degree; k++)
    rounding += problem->p_price[k] * (double)fabsl(s->center[k]);
  s->t = fmax(s->t, rounding);
}

int precis_minimax_solve(precis_minimax *problem)
{
  search *s = calloc(1, sizeof *s);
  if (!s)
    return PRECIS_ERR_MEMORY;
  prepare(s, problem);

  int status = refine(s);
  if (status == PRECIS_SUCCESS) {
    memcpy(problem->p, s->p, sizeof s->p);
    for (int m = 0; m <= problem->envelope_degree; m++)
      problem->e[m] = s->e[m] + (m % 2 == 0 ? spare * s->t * s->natural[m] : 0);
  }
  if (s->model)
    Clp_deleteModel(s->model);
  free(s);
  return status;
}
