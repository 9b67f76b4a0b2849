/* promise_worst.c - values that make all errors of a row pull one way */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/oracle/oracle.h"
#include "tests/promise_run.h"

/* The row whose weights are off most, for one head. */
static int64_t worst_row(const promise_problem *p, int head, const float *weight,
                         const precis_oracle *truth)
{
  double most = -1;
  int64_t row = 0;
  for (int64_t i = 0; i < truth->count; i++) {
    const float *got = weight + (i * p->problem.heads + head) * p->keys;
    const double *want = truth->out + (i * p->problem.heads + head) * p->keys;
    double off = 0;
    for (int64_t j = 0; j < p->keys; j++)
      off += fabs(got[j] - want[j]);
    if (off > most) {
      most = off;
      row = i;
    }
  }
  return row;
}

/* v of a kv head: signs of what its first query head made of every key's weight in that row,
 * against the truth. Columns differ in size. */
static void turn_signs(promise_problem *p, int g, const float *weight, const precis_oracle *truth)
{
  const precis_problem *s = &p->problem;
  int head = g * (s->heads / s->kv_heads);
  int64_t at = (worst_row(p, head, weight, truth) * s->heads + head) * p->keys;
  for (int64_t j = 0; j < p->keys; j++)
    for (int c = 0; c < s->value_dim; c++)
      p->v[(j * s->kv_heads + g) * s->value_dim + c] =
          (float)((weight[at + j] > truth->out[at + j] ? 1 : -1) * (c % 3 == 1 ? .1 : 1 + c));
}

/* The same problem with a column for each key, which is 1 for that key. Returns 0 without memory.
 */
static int make_each(const promise_problem *p, promise_problem *each)
{
  const precis_problem *s = &p->problem;
  *each = *p;
  each->problem.value_dim = (int)p->keys;
  if (!promise_problem_allocate(each))
    return 0;
  memcpy(each->q, p->q, (size_t)(p->queries * s->heads * s->dim) * sizeof *p->q);
  memcpy(each->k, p->k, (size_t)(p->keys * s->kv_heads * s->dim) * sizeof *p->k);
  memcpy(each->bias, p->bias, (size_t)p->keys * sizeof *p->bias);
  for (int64_t j = 0; j < p->keys; j++)
    for (int g = 0; g < s->kv_heads; g++)
      each->v[(j * s->kv_heads + g) * p->keys + j] = 1;
  return 1;
}

/* What the last attend of `each` should have found. */
static int find_truth(const promise_problem *each, precis_oracle *truth)
{
  const promise_step *end = &each->step[each->steps - 1];
  int64_t first = each->queries - end->queries,
          *position = malloc((size_t)end->queries * sizeof *position);
  for (int64_t i = 0; i < end->queries; i++)
    position[i] = end->position + i;
  precis_oracle_case c = {.problem = &each->problem,
                          .queries = end->queries,
                          .keys = each->keys,
                          .q = each->q + first * each->problem.heads * each->problem.dim,
                          .k = each->k,
                          .v = each->v,
                          .bias = each->has_bias ? each->bias : NULL,
                          .position = end->explicit_position ? position : NULL,
                          .count = end->queries};
  int status = precis_oracle_make(&c, truth);
  free(position);
  return status == PRECIS_SUCCESS;
}

int promise_run_worst(MPI_Comm comm, promise_problem *p, promise_tally *tally)
{
  int64_t rows = p->step[p->steps - 1].queries;
  promise_problem each;
  if (p->keys > 250 || p->keys == 0 || rows == 0)
    return promise_run(comm, p, tally);
  int good = make_each(p, &each);
  float *out = calloc((size_t)(rows * p->problem.heads * p->keys), sizeof *out);
  good = good && promise_run_keeping(comm, &each, out, tally);
  precis_oracle truth;
  good &= find_truth(&each, &truth);
  for (int g = 0; g < p->problem.kv_heads; g++)
    turn_signs(p, g, out, &truth);
  precis_oracle_free(&truth);
  free(out);
  promise_problem_free(&each);
  return promise_run(comm, p, tally) && good;
}
