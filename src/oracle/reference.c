#include "src/oracle/reference.h"

#include <math.h>

#include "src/base/problem.h"

/* Terms of a score that add up to more are summed with care: 2^-64 of this is 2^-36. */
static const double CAREFUL_ABOVE = 0x1p28;

int precis_reference_masked(const float *bias, int64_t j)
{
  return bias != NULL && bias[j] <= PRECIS_BIAS_MASK;
}

/* The rounding of every sum is kept and added at the end (Neumaier): as good as 128 bits. */
static long double careful_product(int dim, const double *q, const float *k)
{
  long double sum = 0, lost = 0;
  for (int i = 0; i < dim; i++) {
    long double term = (long double)q[i] * (long double)k[i], next = sum + term;
    lost += fabsl(sum) >= fabsl(term) ? (sum - next) + term : (term - next) + sum;
    sum = next;
  }
  return sum + lost;
}

/* Products of two float32 are exact, and their sum in 64 bits of mantissa is good enough to judge
 * what was computed in double, unless large terms cancel. */
static long double score(const precis_problem *problem, int head, const double *q,
                         const precis_reference_keys *keys, int64_t j)
{
  if (precis_reference_masked(keys->bias, j))
    return -INFINITY;
  int kv_head = precis_problem_kv_head(problem, head);
  const float *k = keys->k + (j * problem->kv_heads + kv_head) * problem->dim;
  long double product = 0;
  double reach = 0;
  for (int i = 0; i < problem->dim; i++) {
    long double term = (long double)q[i] * (long double)k[i];
    product += term;
    reach += fabs((double)term);
  }
  if (reach * fabs(problem->scale) > CAREFUL_ABOVE)
    product = careful_product(problem->dim, q, k);
  return (long double)problem->scale * product + (keys->bias ? (long double)keys->bias[j] : 0);
}

static void widen(const precis_problem *problem, const float *q, double *wide)
{
  for (int i = 0; i < problem->dim; i++)
    wide[i] = (double)q[i];
}

static const float *value(const precis_problem *problem, int head,
                          const precis_reference_keys *keys, int64_t j)
{
  return keys->v +
         (j * problem->kv_heads + precis_problem_kv_head(problem, head)) * problem->value_dim;
}

void precis_reference_attend(const precis_problem *problem, int head, const float *q,
                             const precis_reference_keys *keys, double *out, double *lse)
{
  double wide[PRECIS_DIM_MAX];
  long double m = -INFINITY, l = 0;
  widen(problem, q, wide);
  for (int64_t j = 0; j < keys->count; j++)
    m = fmaxl(m, score(problem, head, wide, keys, j));
  for (int c = 0; c < problem->value_dim; c++)
    out[c] = 0;
  *lse = -INFINITY;
  if (m == -INFINITY)
    return;
  for (int64_t j = 0; j < keys->count; j++) {
    double weight = exp((double)(score(problem, head, wide, keys, j) - m));
    const float *v = value(problem, head, keys, j);
    l += weight;
    for (int c = 0; c < problem->value_dim; c++)
      out[c] += weight * (double)v[c];
  }
  for (int c = 0; c < problem->value_dim; c++)
    out[c] = (double)(out[c] / l);
  *lse = (double)(m + logl(l));
}

void precis_reference_clear(int value_dim, precis_reference_partial *partial)
{
  partial->m = -INFINITY;
  partial->l = 0;
  for (int c = 0; c < value_dim; c++)
    partial->o[c] = 0;
}

void precis_reference_rescale(int value_dim, double m, precis_reference_partial *partial)
{
  if (m == partial->m) /* also both -infinity, whose difference is no number */
    return;
  double factor = exp(partial->m - m);
  partial->m = m;
  partial->l *= factor;
  for (int c = 0; c < value_dim; c++)
    partial->o[c] *= factor;
}

void precis_reference_add_double(const precis_problem *problem, int head, const double *q,
                                 const precis_reference_keys *keys,
                                 precis_reference_partial *partial)
{
  for (int64_t j = 0; j < keys->count; j++) {
    long double x = score(problem, head, q, keys, j);
    if (x == -INFINITY)
      continue;
    if (x > partial->m)
      precis_reference_rescale(problem->value_dim, (double)x, partial);
    double weight = exp((double)(x - partial->m));
    const float *v = value(problem, head, keys, j);
    partial->l += weight;
    for (int c = 0; c < problem->value_dim; c++)
      partial->o[c] += weight * (double)v[c];
  }
}

void precis_reference_add(const precis_problem *problem, int head, const float *q,
                          const precis_reference_keys *keys, precis_reference_partial *partial)
{
  double wide[PRECIS_DIM_MAX];
  widen(problem, q, wide);
  precis_reference_add_double(problem, head, wide, keys, partial);
}

void precis_reference_merge(int value_dim, const precis_reference_partial *from,
                            precis_reference_partial *into)
{
  if (from->m == -INFINITY)
    return;
  precis_reference_rescale(value_dim, fmax(from->m, into->m), into);
  double factor = exp(from->m - into->m);
  into->l += factor * from->l;
  for (int c = 0; c < value_dim; c++)
    into->o[c] += factor * from->o[c];
}

void precis_reference_finish(int value_dim, const precis_reference_partial *partial, double *out,
                             double *lse)
{
  int nothing = partial->l == 0;
  for (int c = 0; c < value_dim; c++)
    out[c] = nothing ? 0 : partial->o[c] / partial->l;
  *lse = nothing ? -INFINITY : partial->m + log(partial->l);
}
