/* The summaries move, where every query sees every key. Tiles of features of S, key/value head after key/value head, pass through three
 * stages: tile t is summarised from this rank's keys while tile t - 1 is being reduced over the ranks and tile t - 2 is
 * applied to this rank's queries. Memory is a few tiles, the packed keys of one head and the packed queries of one. */
#include "mpi/summaries.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/reduce.h"
#include "src/apply.h"
#include "src/certificate.h"
#include "src/memory.h"
#include "src/partial.h"
#include "src/queries.h"
#include "src/summarise.h"

enum { SUMMARY_TAG = 20, STAGES = 3 };

/* Keys between two polls of the messages in flight. */
enum { POLL_KEYS = 1 << 14 };

/* A tile of features of one head's summary. */
typedef struct tile {
  int kv_head;
  int counts_only;
  int64_t first, features;
} tile;

typedef struct work {
  precis_task *task;
  const precis_summaries *plan;
  double tol;
  precis_summary_result *result;
  int group; /* query heads of a key/value head */
  precis_summarise_shape summarise, summarise_counts;
  precis_apply_shape apply, apply_counts;
  int64_t value_tiles, count_tiles; /* of each head */
  int64_t numbers_most;             /* in a tile */
  precis_reduction stage[STAGES];
  double *values, *counts; /* sums of one tile */
  char *scratch;
  int64_t scratch_each; /* bytes of a thread */
  int keys_of, queries_of; /* heads whose rows are packed; -1: none */
  float *k, *v, *w;
  double *log_weight;
  float *q, *num, *den, *env;
  double *norm;
} work;

static tile tile_at(const work *x, int64_t number)
{
  int64_t each = x->value_tiles + x->count_tiles, within = number % each;
  tile t = {.kv_head = (int)(number / each), .counts_only = within >= x->value_tiles};
  int64_t size = t.counts_only ? x->apply_counts.tile_features : x->apply.tile_features;
  int64_t begin = t.counts_only ? x->plan->features : 0;
  int64_t end = t.counts_only ? x->plan->features + x->plan->count_features : x->plan->features;
  t.first = begin + (t.counts_only ? within - x->value_tiles : within) * size;
  t.features = end - t.first < size ? end - t.first : size;
  return t;
}

static int64_t numbers_of(const work *x, const tile *t)
{
  return t->features * (t->counts_only ? 1 : x->task->problem->value_dim + 1);
}

static precis_bulk bulk_of(const work *x, int g)
{
  const precis_problem *p = x->task->problem;
  double scale = fabs(p->scale);
  return (precis_bulk){.kv_head = g,
                       .k_center = x->task->k_center + (int64_t)g * p->dim,
                       .v_center = x->task->v_center + (int64_t)g * p->value_dim,
                       .q_center = x->plan->q_center + (int64_t)g * p->dim,
                       .scale = p->scale,
                       .exponent = precis_bulk_exponent(x->plan->key_radius[g], scale * x->plan->query_radius[g])};
}

/* Makes the keys of head g the packed ones. */
static void load_keys(work *x, int g)
{
  if (x->keys_of == g)
    return;
  precis_bulk bulk = bulk_of(x, g);
  int64_t rows = x->task->keys->rows;
  precis_bulk_weights(&bulk, x->task->keys, 0, rows, x->log_weight);
  precis_bulk_scale_weights(rows, x->log_weight, x->plan->log_scale[g], x->w);
  precis_bulk_keys(&bulk, x->task->keys, 0, rows, x->k, x->v);
  x->keys_of = g;
}

/* Makes the queries of head g's group the packed ones, with cleared sums. */
static void load_queries(work *x, int g)
{
  if (x->queries_of == g)
    return;
  const precis_problem *p = x->task->problem;
  precis_bulk bulk = bulk_of(x, g);
  int64_t rows = x->task->rows * x->group;
  precis_bulk_queries(&bulk, p->dim, x->group, x->task->rows, x->task->q + (int64_t)g * x->group * p->dim,
                      (int64_t)p->heads * p->dim, x->q, x->norm);
  memset(x->num, 0, (size_t)(rows * p->value_dim) * sizeof *x->num);
  memset(x->den, 0, (size_t)rows * sizeof *x->den);
  memset(x->env, 0, (size_t)rows * sizeof *x->env);
  x->queries_of = g;
}

static void poll_all(work *x)
{
  for (int i = 0; i < STAGES; i++) {
    int status = precis_reduction_poll(&x->stage[i]);
    x->task->poll_status = x->task->poll_status ? x->task->poll_status : status;
  }
}

/* This thread's part of n things: [first, end). */
static void part_of(int64_t n, int threads, int number, int64_t *first, int64_t *end)
{
  *first = n * number / threads;
  *end = n * (number + 1) / threads;
}

static void summarise(work *x, const tile *t, float *to)
{
  const precis_problem *p = x->task->problem;
  const precis_summarise_shape *shape = t->counts_only ? &x->summarise_counts : &x->summarise;
  int64_t rows = x->task->keys->rows, columns = t->counts_only ? 0 : p->value_dim;
  int threads = x->task->engine.threads;
  double start = MPI_Wtime();
  load_keys(x, t->kv_head);
  memset(x->values, 0, (size_t)(t->features * columns) * sizeof *x->values);
  memset(x->counts, 0, (size_t)t->features * sizeof *x->counts);
  for (int64_t key = 0; key < rows; key += POLL_KEYS) {
    int64_t keys = rows - key < POLL_KEYS ? rows - key : POLL_KEYS;
    precis_weighted_keys part = {keys, x->k + key * p->dim, p->dim, x->v + key * p->value_dim, p->value_dim, x->w + key};
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int i = 0; i < threads; i++) {
      int64_t first, end;
      part_of(t->features, threads, i, &first, &end);
      precis_summarise_add(shape, &part, t->first + first, end - first, x->values + first * columns,
                           x->counts + first, x->scratch + i * x->scratch_each);
    }
    poll_all(x);
  }
  precis_summary_round(t->features * columns, 1, x->values, to);
  precis_summary_round(t->features, 1, x->counts, to + t->features * columns);
  x->task->seconds_summarise += MPI_Wtime() - start;
}

static void apply(work *x, const tile *t, const float *from)
{
  const precis_problem *p = x->task->problem;
  const precis_polynomial *fit = &x->plan->fit[t->kv_head];
  const precis_apply_shape *shape = t->counts_only ? &x->apply_counts : &x->apply;
  int64_t columns = t->counts_only ? 0 : p->value_dim, rows = x->task->rows * x->group;
  const precis_apply_coefficients coefficients = {fit->a, fit->e};
  const precis_summary_tile whole = {t->first, t->features, from, from + t->features * columns};
  int threads = x->task->engine.threads;
  double start = MPI_Wtime();
  load_queries(x, t->kv_head);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int i = 0; i < threads; i++) {
    int64_t first, end;
    part_of(rows, threads, i, &first, &end);
    precis_query_rows part = {end - first, x->q + first * p->dim, p->dim, x->num + first * p->value_dim,
                              p->value_dim, x->den + first, x->env + first};
    precis_apply_tile(shape, &coefficients, &whole, &part, x->scratch + i * x->scratch_each);
  }
  poll_all(x);
  x->task->seconds_apply += MPI_Wtime() - start;
}

static void fail(work *x, int64_t row, int head)
{
  x->result->failed[x->result->failures++] = (precis_failed_row){row, head};
}

/* Results and certificates of the head whose queries are packed; all its tiles have been applied. `weights` is the sum of all
 * weights, count[0] of the summary. */
static void finish_head(work *x, int g, double weights)
{
  const precis_problem *p = x->task->problem;
  const precis_summary_rounding rounding = {x->plan->envelope_degree, PRECIS_KEY_BLOCK, x->plan->features};
  const double *most = x->plan->value_most + (int64_t)g * p->value_dim;
  const double *center = x->task->v_center + (int64_t)g * p->value_dim;
  double least[256];
  for (int c = 0; c < p->value_dim; c++)
    least[c] = -x->plan->value_least[(int64_t)g * p->value_dim + c];
  for (int64_t i = 0; i < x->task->rows * x->group; i++) {
    int64_t row = i / x->group, head = g * x->group + i % x->group, to = row * p->heads + head;
    double bound = x->norm[i] * x->plan->key_radius[g], den = x->den[i];
    double mass = (fmax(x->env[i], 0) + weights * precis_certificate_rounding(&rounding, &x->plan->fit[g], bound)) / den;
    float *out = x->task->out + to * p->value_dim;
    for (int c = 0; c < p->value_dim; c++)
      out[c] = (float)(x->num[i * p->value_dim + c] / den + center[c]);
    double offset = precis_queries_offset(p, x->task->q + to * p->dim, x->task->k_center + (int64_t)g * p->dim);
    x->task->lse[to] = (float)(x->plan->log_scale[g] + log(den) + offset);
    precis_certificate proved = precis_certificate_make(den > 0 ? mass : INFINITY, p->value_dim, out, most, least);
    if (!(proved.error <= x->tol)) {
      fail(x, row, (int)head);
      continue;
    }
    x->result->error = fmax(x->result->error, proved.error);
    x->result->lse_error = fmax(x->result->lse_error, proved.lse_error);
  }
}

static int run_tiles(work *x)
{
  int64_t each = x->value_tiles + x->count_tiles, tiles = each * x->task->problem->kv_heads;
  double weights = 0;
  int status = PRECIS_SUCCESS;
  for (int64_t i = 0; i < tiles + STAGES - 1 && status == PRECIS_SUCCESS; i++) {
    if (i < tiles) {
      tile t = tile_at(x, i);
      summarise(x, &t, x->stage[i % STAGES].vector);
      status = precis_reduction_start(&x->stage[i % STAGES], numbers_of(x, &t));
    }
    double start = MPI_Wtime();
    if (status == PRECIS_SUCCESS && i >= 1 && i - 1 < tiles)
      status = precis_reduction_turn(&x->stage[(i - 1) % STAGES]);
    if (status == PRECIS_SUCCESS && i >= 2)
      status = precis_reduction_wait(&x->stage[(i - 2) % STAGES]);
    x->task->seconds_wait += MPI_Wtime() - start;
    if (status != PRECIS_SUCCESS || i < 2)
      continue;
    tile t = tile_at(x, i - 2);
    const float *sums = x->stage[(i - 2) % STAGES].vector;
    if (t.first == 0)
      weights = sums[t.features * x->task->problem->value_dim];
    apply(x, &t, sums);
    if ((i - 1) % each == 0)
      finish_head(x, t.kv_head, weights);
    precis_task_progress(x->task, i - 1, tiles);
  }
  return status == PRECIS_SUCCESS ? x->task->poll_status : status;
}

static int plan_shapes(work *x)
{
  const precis_problem *p = x->task->problem;
  int dv = p->value_dim, high = x->plan->envelope_degree;
  int64_t fast = x->task->fast_memory_bytes / x->task->engine.threads;
  if (precis_summarise_plan(p->dim, dv, x->plan->degree, fast, &x->summarise) ||
      precis_summarise_plan(p->dim, 0, high, fast, &x->summarise_counts) ||
      precis_apply_plan(p->dim, dv, x->plan->degree, fast, &x->apply) ||
      precis_apply_plan(p->dim, 0, high, fast, &x->apply_counts))
    return PRECIS_ERR_INTERNAL;
  /* One tile size for both ends of the wire: what is summarised at once is applied at once. */
  if (x->summarise.tile_features < x->apply.tile_features)
    x->apply.tile_features = x->summarise.tile_features;
  if (x->summarise_counts.tile_features < x->apply_counts.tile_features)
    x->apply_counts.tile_features = x->summarise_counts.tile_features;
  int64_t size = x->apply.tile_features, counts = x->apply_counts.tile_features;
  x->value_tiles = (x->plan->features + size - 1) / size;
  x->count_tiles = (x->plan->count_features + counts - 1) / counts;
  int64_t values = (size < x->plan->features ? size : x->plan->features) * (dv + 1);
  int64_t only = counts < x->plan->count_features ? counts : x->plan->count_features;
  x->numbers_most = values > only ? values : only;
  const int64_t needs[] = {precis_summarise_scratch(&x->summarise), precis_summarise_scratch(&x->summarise_counts),
                           precis_apply_scratch(&x->apply), precis_apply_scratch(&x->apply_counts)};
  for (int i = 0; i < 4; i++)
    x->scratch_each = needs[i] > x->scratch_each ? needs[i] : x->scratch_each;
  x->scratch_each = (x->scratch_each + 63) / 64 * 64;
  return PRECIS_SUCCESS;
}

static int create(work *x)
{
  const precis_problem *p = x->task->problem;
  int64_t keys = x->task->keys->rows, rows = x->task->rows * x->group;
  int status = plan_shapes(x);
  for (int i = 0; i < STAGES && status == PRECIS_SUCCESS; i++)
    status = precis_reduction_create(x->task->world, SUMMARY_TAG + i, x->numbers_most, &x->stage[i]);
  if (status != PRECIS_SUCCESS)
    return status;
  x->values = precis_memory_array(x->numbers_most, sizeof *x->values);
  x->counts = precis_memory_array(x->numbers_most, sizeof *x->counts);
  x->scratch = precis_memory_array(x->scratch_each, (size_t)x->task->engine.threads);
  x->k = precis_memory_array(keys * p->dim, sizeof *x->k);
  x->v = precis_memory_array(keys * p->value_dim, sizeof *x->v);
  x->w = precis_memory_array(keys, sizeof *x->w);
  x->log_weight = precis_memory_array(keys, sizeof *x->log_weight);
  x->q = precis_memory_array(rows * p->dim, sizeof *x->q);
  x->num = precis_memory_array(rows * p->value_dim, sizeof *x->num);
  x->den = precis_memory_array(rows, sizeof *x->den);
  x->env = precis_memory_array(rows, sizeof *x->env);
  x->norm = precis_memory_array(rows, sizeof *x->norm);
  x->result->failed = precis_memory_array(x->task->rows * p->heads, sizeof *x->result->failed);
  int made = x->values && x->counts && x->scratch && x->k && x->v && x->w && x->log_weight && x->q && x->num &&
             x->den && x->env && x->norm && x->result->failed;
  return made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

static void release(work *x)
{
  for (int i = 0; i < STAGES; i++)
    precis_reduction_free(&x->stage[i]);
  void *arrays[] = {x->values, x->counts, x->scratch, x->k,   x->v,   x->w,
                    x->log_weight, x->q,  x->num,     x->den, x->env, x->norm};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
}

int precis_summaries_run(precis_task *task, const precis_summaries *plan, double tol, precis_summary_result *result)
{
  work x = {.task = task, .plan = plan, .tol = tol, .result = result, .keys_of = -1, .queries_of = -1};
  x.group = task->problem->heads / task->problem->kv_heads;
  *result = (precis_summary_result){0};
  int status = precis_world_agree(task->world, create(&x), NULL);
  if (status == PRECIS_SUCCESS)
    status = run_tiles(&x);
  release(&x);
  if (status != PRECIS_SUCCESS) {
    free(result->failed);
    result->failed = NULL;
  }
  return status;
}

int64_t precis_summaries_bytes(const precis_problem *problem, const precis_summaries *plan, int ranks)
{
  int64_t numbers = plan->features * (problem->value_dim + 1) + plan->count_features;
  return problem->kv_heads * precis_reduction_bytes(ranks, numbers);
}
