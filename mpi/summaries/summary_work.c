#include "mpi/summaries/summary_work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/rows/queries.h"
#include "src/schedule/emit.h"

/* Keys between two polls of the messages in flight. */
enum { POLL_KEYS = 1 << 14 };

precis_summary_part precis_summary_part_of(const precis_summary_work *x, const precis_block *block)
{
  int counts_only = block->first_feature >= x->plan->features;
  precis_summary_part part = {.kv_head = block->first_head,
                              .counts_only = counts_only,
                              .first = block->first_feature,
                              .features = block->features,
                              .counts = block->features};
  if (!counts_only) {
    part.values = block->features * x->task->problem->value_dim;
    part.counts *= PRECIS_SUMMARY_COUNTS;
  }
  part.numbers = part.values + part.counts;
  return part;
}

static precis_bulk bulk_of(const precis_summary_work *x, int g)
{
  return precis_summaries_bulk(&x->task->terms, x->plan, g);
}

/* This thread's part of n things: [first, end). */
static void part_of(int64_t n, int threads, int number, int64_t *first, int64_t *end)
{
  *first = n * number / threads;
  *end = n * (number + 1) / threads;
}

int precis_summary_load_keys(precis_summary_work *x, int g)
{
  if (x->keys_of == g)
    return 0;
  precis_bulk bulk = bulk_of(x, g);
  int threads = x->task->engine.threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int i = 0; i < threads; i++) {
    int64_t a, b;
    part_of(x->keys->rows, threads, i, &a, &b);
    precis_bulk_weights(&bulk, x->keys, a, b - a, x->at.log_weight + a);
    precis_bulk_keys(&bulk, x->keys, a, b - a, x->at.k + a * x->keys->dim,
                     x->at.v + a * x->keys->value_dim);
    precis_bulk_deviations(&bulk, x->keys, a, b - a, x->at.deviation + a);
  }
  x->keys_of = g;
  return 1;
}

void precis_summary_weigh(precis_summary_work *x, int64_t first, int64_t keys, double log_scale)
{
  precis_bulk_scale_weights(keys, x->at.log_weight + first, log_scale, x->at.w + first);
  for (int64_t j = first; j < first + keys && x->plan->count_features > 0; j++)
    x->at.w_deviation[j] = x->at.w[j] * x->at.deviation[j];
}

void precis_summary_clear_sums(const precis_summary_work *x, const precis_summary_sums *sums)
{
  int64_t rows = x->task->rows * x->group;
  memset(sums->num, 0, (size_t)(rows * x->task->problem->value_dim) * sizeof *sums->num);
  memset(sums->den, 0, (size_t)rows * sizeof *sums->den);
  memset(sums->env, 0, (size_t)rows * sizeof *sums->env);
  memset(sums->deviating, 0, (size_t)rows * sizeof *sums->deviating);
}

int precis_summary_load_queries(precis_summary_work *x, int g)
{
  if (x->queries_of == g)
    return 0;
  const precis_problem *p = x->task->problem;
  precis_bulk bulk = bulk_of(x, g);
  int64_t stride = (int64_t)p->heads * p->dim;
  int threads = x->task->engine.threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int i = 0; i < threads; i++) {
    int64_t a, b;
    part_of(x->task->rows, threads, i, &a, &b);
    precis_bulk_queries(&bulk, p->dim, x->group, b - a,
                        x->task->q + (int64_t)g * x->group * p->dim + a * stride, stride,
                        x->at.q + a * x->group * p->dim, x->at.norm + a * x->group);
  }
  precis_summary_clear_sums(x, &x->at.sums);
  x->queries_of = g;
  return 1;
}

void precis_summary_clear(precis_summary_work *x, const precis_summary_part *t)
{
  memset(x->at.values, 0, (size_t)t->values * sizeof *x->at.values);
  memset(x->at.counts, 0, (size_t)t->counts * sizeof *x->at.counts);
}

void precis_summary_add(precis_summary_work *x, const precis_summary_part *t, int64_t first,
                        int64_t keys)
{
  const precis_problem *p = x->task->problem;
  const precis_summarise_shape *shape =
      t->counts_only ? &x->kernels.summarise_counts : &x->kernels.summarise;
  int64_t columns = t->counts_only ? 0 : p->value_dim, end = first + keys;
  int threads = x->task->engine.threads;
  for (int64_t key = first; key < end; key += POLL_KEYS) {
    int64_t some = end - key < POLL_KEYS ? end - key : POLL_KEYS;
    const float *w = t->counts_only ? x->at.w_deviation : x->at.w;
    precis_weighted_keys rows = {
        some,    x->at.k + key * p->dim, p->dim, x->at.v + key * p->value_dim, p->value_dim,
        w + key, x->at.deviation + key};
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int i = 0; i < threads; i++) {
      int64_t from, to;
      part_of(t->features, threads, i, &from, &to);
      precis_summarise_add(shape, &rows, t->first + from, to - from, x->at.values + from * columns,
                           x->at.counts + from, x->at.counts + t->features + from,
                           x->at.scratch + i * x->kernels.scratch);
    }
    x->poll(x);
  }
}

precis_weight_mass precis_summary_weights(const precis_summary_part *t, const double *counts)
{
  return (precis_weight_mass){counts[0], counts[t->features]};
}

precis_weight_mass precis_summary_weights_wire(const precis_summary_part *t, const float *sums)
{
  const float *counts = sums + t->values;
  return (precis_weight_mass){counts[0], counts[t->features]};
}

void precis_summary_get(const precis_summary_work *x, const precis_summary_part *t, float *to)
{
  precis_summary_round(t->values, 1, x->at.values, to);
  precis_summary_round(t->counts, 1, x->at.counts, to + t->values);
}

/* Counts alone are those with deviations, and none of P's. */
static const double none[PRECIS_BLOCKS_MAX];

/* Queries first .. first + rows - 1 and their sums. */
static precis_query_rows queries_at(const precis_summary_work *x, const precis_summary_sums *sums,
                                    int64_t first, int64_t rows, int counts_only)
{
  const precis_problem *p = x->task->problem;
  return (precis_query_rows){.rows = rows,
                             .q = x->at.q + first * p->dim,
                             .q_stride = p->dim,
                             .num = sums->num + first * p->value_dim,
                             .num_stride = p->value_dim,
                             .den = sums->den + first,
                             .env = (counts_only ? sums->deviating : sums->env) + first,
                             .deviating = sums->deviating + first};
}

void precis_summary_apply(precis_summary_work *x, const precis_summary_part *t, const float *from,
                          int64_t first, int64_t rows, const precis_summary_sums *sums)
{
  const precis_bivariate *fit = &x->plan->fit[t->kv_head];
  const precis_apply_shape *shape = t->counts_only ? &x->kernels.apply_counts : &x->kernels.apply;
  const precis_apply_coefficients coefficients = {t->counts_only ? none : fit->a, fit->e};
  const float *counts = from + t->values;
  const precis_summary_tile tile = {t->first, t->features, from, counts, counts + t->features};
  int threads = x->task->engine.threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int i = 0; i < threads; i++) {
    int64_t a, b;
    part_of(rows * x->group, threads, i, &a, &b);
    precis_query_rows part = queries_at(x, sums, first * x->group + a, b - a, t->counts_only);
    precis_apply_tile(shape, &coefficients, &tile, &part, x->at.scratch + i * x->kernels.scratch);
  }
  x->poll(x);
}

void precis_summary_apply_whole(precis_summary_work *x, int g, const float *values,
                                const float *counts)
{
  const precis_bivariate *fit = &x->plan->fit[g];
  const precis_apply_coefficients coefficients = {fit->a, fit->e}, envelope = {none, fit->e};
  int64_t with_values = x->plan->features, only_counts = x->plan->count_features;
  const float *deviating = counts + with_values;
  const precis_summary_tile all = {0, with_values, values, counts, deviating},
                            only = {with_values, only_counts, NULL, deviating + with_values, NULL};
  int threads = x->task->engine.threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int i = 0; i < threads; i++) {
    int64_t a, b;
    part_of(x->task->rows * x->group, threads, i, &a, &b);
    precis_query_rows part = queries_at(x, &x->at.sums, a, b - a, 0),
                      counted = queries_at(x, &x->at.sums, a, b - a, 1);
    void *scratch = x->at.scratch + i * x->kernels.scratch;
    precis_apply_whole(&x->kernels.apply, &coefficients, &all, &part, scratch);
    precis_apply_whole(&x->kernels.apply_counts, &envelope, &only, &counted, scratch);
  }
}

/* Errors: INTERNAL. */
static int plan_shapes(precis_summary_work *x)
{
  const precis_summaries *plan = x->plan;
  precis_placement at = precis_task_placement(x->task);
  if (precis_summary_kernels_plan(&plan->set, x->task->problem->value_dim, x->task->thread_memory,
                                  &x->kernels))
    return PRECIS_ERR_INTERNAL;
  x->shape = precis_shape_summaries(&at, plan->features, plan->count_features, &x->kernels);
  x->extent = (precis_summary_extent){.heads = x->task->problem->heads,
                                      .kv_heads = x->task->problem->kv_heads,
                                      .dim = x->task->problem->dim,
                                      .value_dim = x->task->problem->value_dim,
                                      .keys = x->task->keys->rows,
                                      .rows = x->task->rows,
                                      .numbers_most = precis_summaries_numbers_most(&x->shape),
                                      .scratch = (int64_t)x->kernels.scratch,
                                      .threads = x->task->engine.threads};
  return PRECIS_SUCCESS;
}

/* Errors: MEMORY. */
static int allocate(precis_summary_work *x)
{
  precis_allotment allotment = {.failed = 0};
  precis_summary_arrays_lay(&x->extent, &allotment, &x->at);
  x->result->rows = precis_summary_aside_lay(&x->extent, &allotment);
  return allotment.failed ? PRECIS_ERR_MEMORY : PRECIS_SUCCESS;
}

static void no_poll(precis_summary_work *x)
{
  (void)x;
}

int precis_summary_work_create(precis_task *task, const precis_summaries *plan,
                               precis_summary_result *result, precis_summary_work *work)
{
  *result = (precis_summary_result){0};
  *work = (precis_summary_work){.task = task,
                                .plan = plan,
                                .result = result,
                                .poll = no_poll,
                                .keys_of = -1,
                                .queries_of = -1};
  work->group = task->problem->heads / task->problem->kv_heads;
  work->keys = task->keys;
  int status = plan_shapes(work);
  if (status == PRECIS_SUCCESS && isfinite(plan->key_rho)) {
    status = precis_outliers_split(task->keys, task->terms.k_center, plan->key_unit, plan->key_rho,
                                   &work->split);
    work->keys = &work->split.bulk;
  }
  return status == PRECIS_SUCCESS ? allocate(work) : status;
}

void precis_summary_work_free(precis_summary_work *x)
{
  precis_summary_arrays_free(&x->at);
  precis_outliers_free(&x->split);
}
