#include "src/rows/row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clones.h"
#include "src/base/memory.h"
#include "src/base/problem.h"
#include "src/exact/rounding.h"
#include "src/base/weaken.h"

static const double LOG_2 = 0.693147180559945309417;

double precis_row_meet(int value_dim, double m, precis_row *row)
{
  if (m > row->m) {
    double keep = exp(row->m - m);
    row->l *= keep;
    row->mass.all *= keep;
    row->mass.deviating *= keep;
    for (int c = 0; c < value_dim; c++)
      row->o[c] *= keep;
    row->m = m;
  }
  return exp(m - row->m);
}

/* `error`: relative, of weights and sums. */
static void add(const precis_terms *terms, double m, double l, const double *o, double error,
                precis_row *row)
{
  int dv = terms->problem->value_dim;
  double factor = precis_row_meet(dv, m + terms->bias_center, row);
  row->l += factor * l;
  row->mass.all += factor * l * error;
  row->mass.deviating += factor * o[dv] * error;
  for (int c = 0; c < dv; c++)
    row->o[c] += factor * o[c];
}

void precis_row_add_exact(const precis_terms *terms, int g, double query_norm, double m, double l,
                          const double *o, precis_row *row)
{
  if (m == -INFINITY)
    return;
  double natural = LOG_2 * m, error = precis_rounding_exact(terms, g, query_norm, natural);
  add(terms, natural, l, o, error, row);
}

void precis_row_add_double(const precis_terms *terms, int g, double query_norm, double m, double l,
                           const double *o, precis_row *row)
{
  if (m == -INFINITY)
    return;
  double natural = LOG_2 * m, error = precis_rounding_double(terms, g, query_norm, natural);
  add(terms, natural, l, o, error, row);
}

PRECIS_CLONES
static double norm_of(int dim, const float *restrict q)
{
  double square = 0;
#pragma omp simd reduction(+ : square)
  for (int c = 0; c < dim; c++)
    square += (double)q[c] * q[c];
  return sqrt(square) * (1 + 1e-12);
}

double precis_row_query_norm(int dim, const float *q)
{
  return norm_of(dim, q);
}

/* scale <q, center>, what centring took from the scores, and the sum of the magnitudes of its
 * terms. */
typedef struct offset {
  double sum, size;
} offset;

PRECIS_CLONES
static offset offset_of(const precis_problem *p, const float *restrict q,
                        const double *restrict center)
{
  double sum = 0, size = 0;
#pragma omp simd reduction(+ : sum, size)
  for (int c = 0; c < p->dim; c++) {
    double part = q[c] * center[c];
    sum += part;
    size += fabs(part);
  }
  return (offset){p->scale * sum, fabs(p->scale) * size};
}

PRECIS_CLONES
static int write_out(int n, const double *restrict o, double divisor,
                     const double *restrict center, const double *restrict fold,
                     float *restrict out)
{
  double factor = 1 / divisor, nothing = 0;
  for (int c = 0; c < n; c++) {
    out[c] = (float)(o[c] * factor / fold[c] + center[c]);
    nothing += out[c] * 0.0;
  }
  return isnan(nothing) ? -1 : 0;
}

static int nothing_seen(const precis_terms *terms, precis_finished to)
{
  for (int c = 0; c < terms->problem->value_dim; c++)
    to.out[c] = 0;
  *to.lse = -INFINITY;
  to.proof[0] = to.proof[1] = 0;
  return 0;
}

/* Rounded to float32, but up. */
static float bound32(double x)
{
  float rounded = (float)x;
  return rounded < x ? nextafterf(rounded, INFINITY) : rounded;
}

int precis_row_finish(const precis_terms *terms, int g, const float *q, const precis_row *row,
                      precis_finished to)
{
  const precis_problem *p = terms->problem;
  const double *center = terms->v_center + (int64_t)g * p->value_dim;
  const precis_norm norm = precis_terms_norm(terms, g);
  if (row->m == -INFINITY)
    return nothing_seen(terms, to);
  int bad = write_out(p->value_dim, row->o, row->l, center,
                      terms->fold + (int64_t)g * p->value_dim, to.out);
  offset taken = offset_of(p, q, terms->k_center + (int64_t)g * p->dim);
  double lse = row->m + log(row->l) + taken.sum;
  /* What the last rounding does to out is not in the distance that the proof needs. */
  double rounding =
      precis_weaken(PRECIS_BOUND_OUTPUT_ROUNDING, precis_norm_rounding(&norm, to.out));
  precis_certificate proved = precis_certificate_make(
      &row->mass, row->l, precis_norm_distance(&norm, to.out, center) + rounding);
  *to.lse = (float)lse;
  to.proof[0] = bound32(proved.error + rounding);
  to.proof[1] = bound32(proved.lse_error +
                        precis_rounding_lse(p, taken.size + fabs(row->m) + fabs(log(row->l))));
  return bad || isnan(lse) || lse == INFINITY ? -1 : 0;
}

typedef void add_row(const precis_terms *terms, int kv_head, double query_norm, double m, double l,
                     const double *o, precis_row *row);

static int finish_whole(const precis_terms *terms, int g, const float *q,
                        const precis_partial *partial, add_row *add_one, precis_finished to)
{
  const precis_problem *p = terms->problem;
  double o[PRECIS_DIM_MAX];
  precis_row row = {.m = -INFINITY, .o = o};
  memset(o, 0, (size_t)p->value_dim * sizeof *o);
  add_one(terms, g, precis_row_query_norm(p->dim, q), *partial->m, *partial->l, partial->o, &row);
  return precis_row_finish(terms, g, q, &row, to);
}

int precis_row_finish_exact(const precis_terms *terms, int g, const float *q,
                            const precis_partial *partial, precis_finished to)
{
  return finish_whole(terms, g, q, partial, precis_row_add_exact, to);
}

int precis_row_finish_double(const precis_terms *terms, int g, const float *q,
                             const precis_partial *partial, precis_finished to)
{
  return finish_whole(terms, g, q, partial, precis_row_add_double, to);
}

int precis_finished_create(int64_t rows, int value_dim, precis_finished *finished)
{
  precis_finished made = {
      .out = precis_memory_array(rows, (size_t)value_dim * sizeof *made.out),
      .lse = precis_memory_array(rows, sizeof *made.lse),
      .proof = precis_memory_array(rows, PRECIS_PROOF_NUMBERS * sizeof *made.proof)};
  if (!made.out || !made.lse || !made.proof) {
    precis_finished_free(&made);
    return PRECIS_ERR_MEMORY;
  }
  for (int64_t i = 0; i < rows * PRECIS_PROOF_NUMBERS; i++)
    made.proof[i] = INFINITY;
  *finished = made;
  return PRECIS_SUCCESS;
}

void precis_finished_free(precis_finished *finished)
{
  free(finished->out);
  free(finished->lse);
  free(finished->proof);
  *finished = (precis_finished){0};
}
