#include "src/oracle/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/oracle/contract.h"
#include "src/base/memory.h"
#include "src/base/problem.h"
#include "src/oracle/reference.h"

static int allocate(const precis_oracle_case *c, precis_oracle *o)
{
  const precis_problem *p = c->problem;
  int64_t vectors = c->count * p->heads, columns = (int64_t)p->kv_heads * p->value_dim;
  o->out = precis_memory_array(vectors * p->value_dim, sizeof *o->out);
  o->anchor = precis_memory_array(vectors * p->value_dim, sizeof *o->anchor);
  o->lse = precis_memory_array(vectors, sizeof *o->lse);
  o->distance = precis_memory_array(vectors, sizeof *o->distance);
  o->mean_query = precis_memory_array((int64_t)p->heads * p->dim, sizeof *o->mean_query);
  o->sigma = precis_memory_array(columns, sizeof *o->sigma);
  o->mean = precis_memory_array(columns, sizeof *o->mean);
  o->low = precis_memory_array(columns, sizeof *o->low);
  o->high = precis_memory_array(columns, sizeof *o->high);
  o->largest = precis_memory_array(p->kv_heads, sizeof *o->largest);
  o->visible = precis_memory_array(p->heads, sizeof *o->visible);
  o->signal = precis_memory_array(p->heads, sizeof *o->signal);
  int complete = o->out && o->anchor && o->lse && o->distance && o->mean_query && o->sigma &&
                 o->mean && o->low && o->high && o->largest && o->visible && o->signal;
  return complete ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

void precis_oracle_free(precis_oracle *o)
{
  void *all[] = {o->out,  o->anchor, o->lse,  o->distance, o->mean_query, o->sigma,
                 o->mean, o->low,    o->high, o->largest,  o->visible,    o->signal};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
  *o = (precis_oracle){0};
}

/* Deviations, means and ranges of all columns. */
static int measure_values(const precis_oracle_case *c, precis_oracle *o)
{
  int dv = c->problem->value_dim;
  int64_t columns = (int64_t)c->problem->kv_heads * dv;
  precis_moments m = {.columns = columns, .low = o->low, .high = o->high};
  m.mean = precis_memory_array(columns, sizeof *m.mean);
  m.square = precis_memory_array(columns, sizeof *m.square);
  int status = m.mean && m.square ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  if (status == PRECIS_SUCCESS) {
    precis_moments_clear(&m);
    precis_moments_add(&m, c->keys, c->v, c->bias);
    for (int64_t i = 0; i < columns; i++) {
      o->mean[i] = (double)m.mean[i];
      o->sigma[i] = precis_moments_deviation(&m, i);
    }
    for (int g = 0; g < c->problem->kv_heads; g++) {
      o->largest[g] = 0;
      precis_contract_raise(c->keys, columns, (int64_t)g * dv, dv, c->v, c->bias,
                            o->mean + (int64_t)g * dv, o->sigma + (int64_t)g * dv, &o->largest[g]);
    }
  }
  free(m.mean);
  free(m.square);
  return status;
}

/* Keys at or before a query, masked ones included. */
static int64_t seen_by(const precis_oracle_case *c, int64_t query)
{
  if (!c->problem->causal)
    return c->keys;
  int64_t position = c->position ? c->position[query] : query + c->keys - c->queries;
  return position < 0 ? 0 : position >= c->keys ? c->keys : position + 1;
}

static int64_t first_unmasked(const precis_oracle_case *c)
{
  int64_t j = 0;
  while (j < c->keys && precis_reference_masked(c->bias, j))
    j++;
  return j;
}

static void average_queries(const precis_oracle_case *c, precis_oracle *o)
{
  int64_t width = (int64_t)c->problem->heads * c->problem->dim, needed = first_unmasked(c) + 1;
  if (c->mean_query != NULL) {
    memcpy(o->mean_query, c->mean_query, (size_t)width * sizeof *o->mean_query);
    return;
  }
  for (int64_t i = 0; i < width; i++) {
    long double sum = 0;
    int64_t count = 0;
    for (int64_t query = 0; query < c->queries; query++)
      if (seen_by(c, query) >= needed) {
        sum += (long double)c->q[query * width + i];
        count++;
      }
    o->mean_query[i] = count > 0 ? (double)(sum / count) : 0;
  }
}

/* m_i of the rows in turn, by a sum over keys that goes on from row to row, and begins again where
 * a row sees less than the one before. */
static void anchor_rows(const precis_oracle_case *c, int head, precis_oracle *o)
{
  const precis_problem *p = c->problem;
  double sum[PRECIS_DIM_MAX], unused;
  precis_reference_partial partial = {.o = sum};
  int64_t done = INT64_MAX;
  for (int64_t i = 0; i < c->count; i++) {
    int64_t seen = seen_by(c, c->rows ? c->rows[i] : i);
    if (seen < done) {
      precis_reference_clear(p->value_dim, &partial);
      done = 0;
    }
    precis_reference_keys more = {seen - done, c->k + done * p->kv_heads * p->dim,
                                  c->v + done * p->kv_heads * p->value_dim,
                                  c->bias ? c->bias + done : NULL};
    precis_reference_add_double(p, head, o->mean_query + (int64_t)head * p->dim, &more, &partial);
    done = seen;
    precis_reference_finish(p->value_dim, &partial,
                            o->anchor + (i * p->heads + head) * p->value_dim, &unused);
  }
}

static void attend_rows(const precis_oracle_case *c, int head, precis_oracle *o)
{
  const precis_problem *p = c->problem;
  const double *sigma = o->sigma + (int64_t)precis_problem_kv_head(p, head) * p->value_dim;
  for (int64_t i = 0; i < c->count; i++) {
    int64_t query = c->rows ? c->rows[i] : i, at = i * p->heads + head;
    precis_reference_keys keys = {seen_by(c, query), c->k, c->v, c->bias};
    precis_reference_attend(p, head, c->q + (query * p->heads + head) * p->dim, &keys,
                            o->out + at * p->value_dim, &o->lse[at]);
    o->distance[at] = 0;
    if (o->lse[at] == -INFINITY)
      continue;
    o->distance[at] = precis_contract_distance(p->value_dim, o->out + at * p->value_dim,
                                               o->anchor + at * p->value_dim, sigma);
    o->visible[head]++;
    o->signal[head] += o->distance[at];
  }
}

int precis_oracle_make(const precis_oracle_case *c, precis_oracle *o)
{
  *o = (precis_oracle){.problem = *c->problem, .count = c->count};
  int status = allocate(c, o);
  if (status == PRECIS_SUCCESS)
    status = measure_values(c, o);
  if (status != PRECIS_SUCCESS)
    return status;
  average_queries(c, o);
  for (int head = 0; head < c->problem->heads; head++) {
    o->visible[head] = 0;
    o->signal[head] = 0;
    anchor_rows(c, head, o);
    attend_rows(c, head, o);
  }
  return PRECIS_SUCCESS;
}

static double lse_error(float computed, double want)
{
  if (computed == -INFINITY || want == -INFINITY)
    return (double)computed == want ? 0 : INFINITY;
  double error = fabs((double)computed - want) - fabs(want) * (0x1p-24 + 0x1p-52);
  return isnan(error) ? INFINITY : fmax(error, 0);
}

precis_oracle_error precis_oracle_judge(const precis_oracle *o, int64_t i, int head,
                                        double mean_signal, const float *out, float lse)
{
  int dv = o->problem.value_dim;
  int64_t at = i * o->problem.heads + head,
          first = (int64_t)precis_problem_kv_head(&o->problem, head) * dv;
  double computed[PRECIS_DIM_MAX];
  precis_oracle_error error = {.lse = lse_error(lse, o->lse[at])};
  for (int c = 0; c < dv; c++) {
    computed[c] = (double)out[c];
    double difference = fabs(computed[c] - o->out[at * dv + c]);
    difference /= precis_contract_range_unit(o->low[first + c], o->high[first + c]);
    error.range = fmax(error.range, isfinite(difference) ? difference : INFINITY);
  }
  error.absolute = precis_contract_distance(dv, computed, o->out + at * dv, o->sigma + first);
  error.absolute = isfinite(error.absolute) ? error.absolute : INFINITY;
  error.outputs = error.absolute > 0 ? error.absolute / fmax(mean_signal, o->distance[at]) : 0;
  return error;
}

int precis_oracle_constant(const precis_oracle *o, int head, double mean_signal)
{
  return mean_signal <
         PRECIS_CONSTANT_SHARE * o->largest[precis_problem_kv_head(&o->problem, head)];
}
