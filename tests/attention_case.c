#include "tests/attention_case.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "src/problem.h"
#include "src/reference.h"

typedef struct data {
  precis_problem problem;
  float *q, *k, *v, *bias;
} data;

int64_t attention_case_share(spread how, int64_t rows, int ranks, int rank)
{
  switch (how) {
  case SPREAD_LAST:
    return rank == ranks - 1 ? rows : 0;
  case SPREAD_RANDOM: { /* uneven, some shares empty: cuts at the squares, forth for odd ranks */
    int64_t from = rows * rank * rank / ranks / ranks, to = rows * (rank + 1) * (rank + 1) / ranks / ranks;
    return to - from;
  }
  case SPREAD_NOT_FIRST:
    if (ranks > 1)
      return rank == 0 ? 0 : rows * rank / (ranks - 1) - rows * (rank - 1) / (ranks - 1);
    return rows;
  case SPREAD_EVEN:
    break;
  }
  return rows * (rank + 1) / ranks - rows * rank / ranks;
}

static float bias_of(bias_kind kind, int64_t j)
{
  unsigned hash = (unsigned)j * 2654435761u >> 16;
  switch (kind) {
  case BIAS_HALF_MASKED:
    return hash % 2 ? -INFINITY : (float)(hash % 100) / 50 - 1;
  case BIAS_ALL_MASKED:
    return -INFINITY;
  default:
    return (float)(hash % 1000) / 100 - 5;
  }
}

static data make(const attention_case *c)
{
  data d = {.problem = c->problem};
  precis_problem_settle(&d.problem, NULL);
  precis_recipe recipe = {c->kind, d.problem, c->strength > 0 ? c->strength : 1, 7};
  int64_t q = precis_generate_width(&recipe, PRECIS_ROLE_Q), k = precis_generate_width(&recipe, PRECIS_ROLE_K);
  int64_t v = precis_generate_width(&recipe, PRECIS_ROLE_V);
  d.q = malloc((size_t)(c->queries * q + 1) * sizeof *d.q);
  d.k = malloc((size_t)(c->keys * k + 1) * sizeof *d.k);
  d.v = malloc((size_t)(c->keys * v + 1) * sizeof *d.v);
  d.bias = malloc((size_t)(c->keys + 1) * sizeof *d.bias);
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, 0, c->queries, d.q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, 0, c->keys, d.k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, c->keys, d.v);
  for (int64_t i = 0; i < c->keys * v; i++)
    d.v[i] = (float)(d.v[i] + c->value_offset);
  for (int64_t j = 0; j < c->keys; j++)
    d.bias[j] = bias_of(c->bias, j);
  return d;
}

static void drop(data *d)
{
  free(d->q);
  free(d->k);
  free(d->v);
  free(d->bias);
}

/* Range and visibility of the unmasked keys, per value column. */
static double range_of(const attention_case *c, const data *d, int g, int column)
{
  double most = -INFINITY, least = INFINITY;
  for (int64_t j = 0; j < c->keys; j++) {
    if (c->bias != BIAS_NONE && d->bias[j] == -INFINITY)
      continue;
    double v = d->v[(j * d->problem.kv_heads + g) * d->problem.value_dim + column];
    most = v > most ? v : most;
    least = v < least ? v : least;
  }
  return most > least ? most - least : 1;
}

static int64_t visible(const attention_case *c, int64_t query)
{
  int64_t position = c->explicit_positions ? c->first_position + query : query + c->keys - c->queries;
  if (!c->problem.causal || position >= c->keys)
    return c->keys;
  return position < 0 ? 0 : position + 1;
}

static void compare_row(const attention_case *c, const data *d, int64_t query, int head, const double *ranges,
                        const float *out, float lse, attention_outcome *o)
{
  const precis_problem *p = &d->problem;
  double want[PRECIS_DIM_MAX], want_lse;
  precis_reference_keys keys = {visible(c, query), d->k, d->v, c->bias == BIAS_NONE ? NULL : d->bias};
  precis_reference_attend(p, head, d->q + (query * p->heads + head) * p->dim, &keys, want, &want_lse);
  int g = precis_problem_kv_head(p, head);
  for (int i = 0; i < p->value_dim; i++) {
    double error = fabs(out[i] - want[i]) - fabs(want[i]) * FLT_EPSILON / 2;
    error /= ranges[g * p->value_dim + i];
    o->error = !(error <= o->error) ? error : o->error;
    o->bad_empty |= want_lse == -INFINITY && out[i] != 0;
  }
  if (want_lse == -INFINITY || lse == -INFINITY) {
    o->bad_empty |= (double)lse != want_lse;
    return;
  }
  double error = fabs(lse - want_lse) - fabs(want_lse) * FLT_EPSILON;
  o->lse_error = !(error <= o->lse_error) ? error : o->lse_error;
}

static void compare(const attention_case *c, const data *d, int64_t first, int64_t rows, const float *out,
                    const float *lse, attention_outcome *o)
{
  const precis_problem *p = &d->problem;
  double *ranges = malloc((size_t)(p->kv_heads * p->value_dim) * sizeof *ranges);
  for (int i = 0; i < p->kv_heads * p->value_dim; i++)
    ranges[i] = range_of(c, d, i / p->value_dim, i % p->value_dim);
  for (int64_t i = 0; i < rows * p->heads; i++)
    compare_row(c, d, first + i / p->heads, (int)(i % p->heads), ranges, out + i * p->value_dim, lse[i], o);
  free(ranges);
}

static int append_all(precis_attention *attention, const attention_case *c, const data *d, int ranks, int rank)
{
  int appends = c->appends > 0 ? c->appends : 1;
  for (int a = 0; a < appends; a++) {
    int64_t begin = c->keys * a / appends, part = c->keys * (a + 1) / appends - begin;
    for (int r = 0; r < rank; r++)
      begin += attention_case_share(c->spread, part, ranks, r);
    int64_t rows = attention_case_share(c->spread, part, ranks, rank);
    int status = precis_append(attention, rows, d->k + begin * d->problem.kv_heads * d->problem.dim,
                               d->v + begin * d->problem.kv_heads * d->problem.value_dim,
                               c->bias == BIAS_NONE ? NULL : d->bias + begin);
    if (status != PRECIS_SUCCESS)
      return status;
  }
  return PRECIS_SUCCESS;
}

static void attend_and_compare(precis_attention *attention, const attention_case *c, const data *d, int ranks,
                               int rank, attention_outcome *o)
{
  const precis_problem *p = &d->problem;
  int64_t first = 0, rows = attention_case_share(c->spread, c->queries, ranks, rank);
  for (int r = 0; r < rank; r++)
    first += attention_case_share(c->spread, c->queries, ranks, r);
  float *out = malloc((size_t)(rows * p->heads * p->value_dim + 1) * sizeof *out);
  float *lse = malloc((size_t)(rows * p->heads + 1) * sizeof *lse);
  const float *q = d->q + first * p->heads * p->dim;
  o->status = c->explicit_positions
                  ? precis_attend_at(attention, c->first_position + first, rows, q, out, lse, &o->report)
                  : precis_attend(attention, rows, q, out, lse, &o->report);
  if (o->status == PRECIS_SUCCESS)
    compare(c, d, first, rows, out, lse, o);
  free(out);
  free(lse);
}

attention_outcome attention_case_run(MPI_Comm comm, const attention_case *c, precis_move move)
{
  int ranks, rank;
  MPI_Comm_size(comm, &ranks);
  MPI_Comm_rank(comm, &rank);
  attention_outcome o = {.error = 0};
  data d = make(c);
  precis_options options = {.move = move, .threads = c->threads > 0 ? c->threads : 1, .fast_memory_bytes = 1 << 18,
                            .tile_rows = c->tile_rows};
  precis_attention *attention = NULL;
  o.status = precis_create(comm, &c->problem, &options, &attention);
  if (o.status == PRECIS_SUCCESS)
    o.status = append_all(attention, c, &d, ranks, rank);
  if (o.status == PRECIS_SUCCESS)
    attend_and_compare(attention, c, &d, ranks, rank, &o);
  precis_destroy(&attention);
  drop(&d);
  double worst[2] = {isnan(o.error) ? INFINITY : o.error, isnan(o.lse_error) ? INFINITY : o.lse_error};
  MPI_Allreduce(MPI_IN_PLACE, worst, 2, MPI_DOUBLE, MPI_MAX, comm);
  MPI_Allreduce(MPI_IN_PLACE, &o.bad_empty, 1, MPI_INT, MPI_MAX, comm);
  o.error = worst[0];
  o.lse_error = worst[1];
  return o;
}
