#include "mpi/plan/turned_survey.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/axes.h"
#include "src/base/memory.h"
#include "src/summary/outliers.h"

/* Covariances are taken from about so many rows of each kind. They steer: what is proved rests on
 * the reach of all rows. */
enum { COVARIANCE_ROWS = 4096, KEYS_SAMPLED = 256, QUERIES = 0, KEYS = 1, LEAD = 0, TRAIL = 1 };

static const precis_problem *problem_of(const precis_turned_survey *s)
{
  return &s->study->a->problem;
}

static double *covariance_of(const precis_turned_survey *s, int g, int which)
{
  int64_t size = (int64_t)problem_of(s)->dim * problem_of(s)->dim;
  return s->covariance + (2 * (int64_t)g + which) * size;
}

static double *squares_of(const precis_turned_survey *s, int g, int which, int part)
{
  return s->squares + ((2 * (int64_t)g + which) * 2 + part) * (problem_of(s)->dim + 1);
}

int precis_turned_survey_create(const precis_study *study, precis_limits limits,
                                precis_turned_survey *s)
{
  const precis_problem *p = &study->a->problem;
  int64_t dim = p->dim, heads = p->kv_heads, keys = study->map->keys;
  *s = (precis_turned_survey){.study = study, .limits = limits, .step = keys / KEYS_SAMPLED + 1};
  s->keys_sampled = (int)((keys + s->step - 1) / s->step);
  int64_t sampled = heads * s->keys_sampled;
  s->covariance = precis_memory_array(2 * heads * dim * dim, sizeof *s->covariance);
  s->scratch = precis_memory_array(precis_axes_scratch(p->dim) + dim, sizeof *s->scratch);
  s->squares = precis_memory_array(4 * heads * (dim + 1), sizeof *s->squares);
  s->keys = precis_memory_array(sampled * dim, sizeof *s->keys);
  s->weights = precis_memory_array(sampled, sizeof *s->weights);
  s->deviations = precis_memory_array(sampled, sizeof *s->deviations);
  s->turned = precis_memory_array(s->keys_sampled * dim, sizeof *s->turned);
  int made = s->covariance && s->scratch && s->squares && s->keys && s->weights && s->deviations &&
             s->turned;
  return made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

void precis_turned_survey_free(precis_turned_survey *s)
{
  void *arrays[] = {s->covariance, s->scratch,    s->squares, s->keys,
                    s->weights,    s->deviations, s->turned};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
  *s = (precis_turned_survey){0};
}

static precis_bulk bulk_of(const precis_turned_survey *s, int g)
{
  const precis_problem *p = problem_of(s);
  const precis_attention *a = s->study->a;
  int64_t map = (int64_t)g * p->dim * p->dim;
  return (precis_bulk){.kv_head = g,
                       .k_center = precis_survey_k_center(&a->survey) + (int64_t)g * p->dim,
                       .v_center =
                           precis_survey_v_center(&a->keys, &a->survey) + (int64_t)g * p->value_dim,
                       .norm = precis_attention_norm(a, g),
                       .least_deviation = s->study->out->plan.least_deviation[g],
                       .q_center = s->study->out->plan.q_center + (int64_t)g * p->dim,
                       .scale = p->scale,
                       .lead = p->dim,
                       .to_queries = s->turning->to_queries + map,
                       .to_keys = s->turning->to_keys + map};
}

static int key_in_bulk(const precis_turned_survey *s, int64_t j)
{
  return !precis_keys_masked(&s->study->a->keys, j) &&
         !(s->study->key_rho[j] > s->study->keys.rho[s->limits.keys]);
}

static int query_in_bulk(const precis_turned_survey *s, int g, const float *query)
{
  const precis_problem *p = problem_of(s);
  const precis_summaries *plan = &s->study->out->plan;
  double norm =
      precis_bulk_query_radius(p->dim, 1, 1, query, p->dim, plan->q_center + (int64_t)g * p->dim);
  return !(precis_outliers_rho(norm, plan->query_unit[g]) >
           s->study->queries.rho[s->limits.queries]);
}

/* Query number i of this rank's for a head: row, then head in the group. */
static const float *query_at(const precis_turned_survey *s, int g, int64_t i)
{
  const precis_problem *p = problem_of(s);
  int group = p->heads / p->kv_heads;
  return s->study->q + (i / group * p->heads + (int64_t)g * group + i % group) * p->dim;
}

/* Every so many rows, that about COVARIANCE_ROWS of all ranks' are taken. */
static int64_t stride_of(int64_t rows_of_all)
{
  return rows_of_all / COVARIANCE_ROWS + 1;
}

/* This rank's part of the covariances of a head. */
static void add_covariances(const precis_turned_survey *s, int g)
{
  const precis_problem *p = problem_of(s);
  const precis_study *q = s->study;
  const precis_keys *keys = &q->a->keys;
  const double *k_center = precis_survey_k_center(&q->a->survey) + (int64_t)g * p->dim,
               *q_center = s->study->out->plan.q_center + (int64_t)g * p->dim;
  int group = p->heads / p->kv_heads;
  int64_t some = stride_of(precis_visible_queries(q->map) * group);
  for (int64_t i = 0; i < q->rows * group; i += some)
    if (query_in_bulk(s, g, query_at(s, g, i)))
      precis_axes_add_covariance(p->dim, 1, query_at(s, g, i), p->dim, q_center,
                                 covariance_of(s, g, QUERIES));
  some = stride_of(q->map->keys);
  for (int64_t j = 0; j < keys->rows; j += some)
    if (key_in_bulk(s, j))
      precis_axes_add_covariance(p->dim, 1, keys->k + (j * p->kv_heads + g) * p->dim, p->dim,
                                 k_center, covariance_of(s, g, KEYS));
}

/* Axes of all heads, each found on one rank: a broken-down search shows in the error. */
static int find_axes(precis_turned_survey *s, precis_turning *turning, int *usable)
{
  const precis_problem *p = problem_of(s);
  precis_world *world = &s->study->a->world;
  int64_t size = (int64_t)p->dim * p->dim;
  int good = 1;
  for (int g = world->rank; g < p->kv_heads; g += world->ranks) {
    double *to_queries = turning->to_queries + g * size, *to_keys = turning->to_keys + g * size;
    if (precis_axes_make(p->dim, covariance_of(s, g, QUERIES), covariance_of(s, g, KEYS),
                         to_queries, to_keys, s->scratch + precis_axes_scratch(p->dim), s->scratch))
      good = 0;
    turning->error[g] = good ? precis_axes_error(p->dim, to_queries, to_keys) : INFINITY;
  }
  size_t map = (size_t)size * sizeof *turning->to_keys;
  if (precis_world_share(world, turning->to_queries, map, p->kv_heads) ||
      precis_world_share(world, turning->to_keys, map, p->kv_heads) ||
      precis_world_share(world, turning->error, sizeof *turning->error, p->kv_heads))
    return PRECIS_ERR_MPI;
  *usable = 1;
  for (int g = 0; g < p->kv_heads; g++)
    *usable = *usable && turning->error[g] < 1e-6;
  return PRECIS_SUCCESS;
}

/* How far this rank's rows of a head reach. */
static void measure(const precis_turned_survey *s, int g)
{
  const precis_problem *p = problem_of(s);
  const precis_study *q = s->study;
  precis_bulk bulk = bulk_of(s, g);
  int group = p->heads / p->kv_heads;
  for (int64_t i = 0; i < q->rows * group; i++)
    if (query_in_bulk(s, g, query_at(s, g, i)))
      precis_bulk_query_reach(&bulk, p->dim, 1, 1, query_at(s, g, i), p->dim,
                              squares_of(s, g, QUERIES, LEAD), squares_of(s, g, QUERIES, TRAIL));
  for (int64_t j = 0; j < q->a->keys.rows; j++)
    if (key_in_bulk(s, j))
      precis_bulk_key_reach(&bulk, &q->a->keys, j, 1, squares_of(s, g, KEYS, LEAD),
                            squares_of(s, g, KEYS, TRAIL));
}

/* This rank's sampled keys of a head, their weights and deviations, into zeros. */
static void sample_keys(precis_turned_survey *s, int g)
{
  const precis_problem *p = problem_of(s);
  const precis_keys *keys = &s->study->a->keys;
  precis_bulk bulk = bulk_of(s, g);
  for (int64_t j = 0; j < keys->rows; j++) {
    if (keys->position[j] % s->step != 0 || !key_in_bulk(s, j))
      continue;
    int64_t at = (int64_t)g * s->keys_sampled + keys->position[j] / s->step;
    double log_weight;
    precis_bulk_weights(&bulk, keys, j, 1, &log_weight);
    s->weights[at] = exp(log_weight - s->study->out->plan.log_scale[g]);
    precis_bulk_deviations(&bulk, keys, j, 1, &s->deviations[at]);
    memcpy(s->keys + at * p->dim, keys->k + (j * p->kv_heads + g) * p->dim,
           (size_t)p->dim * sizeof *s->keys);
  }
}

static void clear(double *x, int64_t count)
{
  memset(x, 0, (size_t)count * sizeof *x);
}

int precis_turned_survey_run(precis_turned_survey *s, precis_turning *turning, int *usable)
{
  const precis_problem *p = problem_of(s);
  MPI_Comm comm = s->study->a->world.comm;
  int64_t matrices = 2 * (int64_t)p->kv_heads * p->dim * p->dim,
          squares = 4 * (int64_t)p->kv_heads * (p->dim + 1),
          sampled = (int64_t)p->kv_heads * s->keys_sampled;
  s->turning = turning;
  clear(s->covariance, matrices);
  clear(s->squares, squares);
  clear(s->weights, sampled);
  memset(s->deviations, 0, (size_t)sampled * sizeof *s->deviations);
  memset(s->keys, 0, (size_t)(sampled * p->dim) * sizeof *s->keys);
  for (int g = 0; g < p->kv_heads; g++)
    add_covariances(s, g);
  if (MPI_Allreduce(MPI_IN_PLACE, s->covariance, (int)matrices, MPI_DOUBLE, MPI_SUM, comm))
    return PRECIS_ERR_MPI;
  int status = find_axes(s, turning, usable);
  if (status != PRECIS_SUCCESS || !*usable)
    return status;
  for (int g = 0; g < p->kv_heads; g++) {
    measure(s, g);
    sample_keys(s, g);
  }
  if (MPI_Allreduce(MPI_IN_PLACE, s->squares, (int)squares, MPI_DOUBLE, MPI_MAX, comm) ||
      MPI_Allreduce(MPI_IN_PLACE, s->weights, (int)sampled, MPI_DOUBLE, MPI_SUM, comm) ||
      MPI_Allreduce(MPI_IN_PLACE, s->deviations, (int)sampled, MPI_FLOAT, MPI_SUM, comm) ||
      MPI_Allreduce(MPI_IN_PLACE, s->keys, (int)(sampled * p->dim), MPI_FLOAT, MPI_SUM, comm))
    return PRECIS_ERR_MPI;
  return PRECIS_SUCCESS;
}

precis_reach precis_turned_survey_queries(const precis_turned_survey *s, int g, int lead)
{
  return precis_reach_of(squares_of(s, g, QUERIES, LEAD), squares_of(s, g, QUERIES, TRAIL),
                         problem_of(s)->dim, lead);
}

precis_reach precis_turned_survey_keys(const precis_turned_survey *s, int g, int lead)
{
  return precis_reach_of(squares_of(s, g, KEYS, LEAD), squares_of(s, g, KEYS, TRAIL),
                         problem_of(s)->dim, lead);
}

static double dot(const double *a, const double *b, int n)
{
  double sum = 0;
  for (int i = 0; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

/* One sampled row against the turned keys. */
static void fill_row(const precis_turned_survey *s, int g, int lead, int64_t number,
                     const double *query, precis_block_row *row)
{
  const precis_problem *p = problem_of(s);
  const precis_study *q = s->study;
  const double *weights = s->weights + (int64_t)g * s->keys_sampled;
  const float *deviations = s->deviations + (int64_t)g * s->keys_sampled;
  precis_reach keys = precis_turned_survey_keys(s, g, lead);
  int64_t queries = precis_visible_queries(q->map);
  int64_t position = precis_visible_position(q->map, number * queries / q->sampled);
  double scale = fabs(p->scale);
  row->lead_bound = scale * sqrt(dot(query, query, lead)) * keys.lead;
  row->trail_bound = scale * sqrt(dot(query + lead, query + lead, p->dim - lead)) * keys.trail;
  for (int64_t j = 0; j < s->keys_sampled; j++) {
    const double *key = s->turned + j * p->dim;
    if (weights[j] > 0 && (!p->causal || position >= j * s->step))
      precis_block_row_add(row, weights[j], deviations[j], p->scale * dot(query, key, lead),
                           p->scale * dot(query + lead, key + lead, p->dim - lead));
  }
}

void precis_turned_survey_table(precis_turned_survey *s, int g, int lead, precis_block_row *table)
{
  const precis_problem *p = problem_of(s);
  precis_bulk bulk = bulk_of(s, g);
  double query[PRECIS_FEATURES_DIM_MAX];
  int sampled = s->study->sampled;
  for (int64_t j = 0; j < s->keys_sampled; j++)
    precis_axes_turn(p->dim, bulk.to_keys, s->keys + ((int64_t)g * s->keys_sampled + j) * p->dim,
                     bulk.k_center, s->turned + j * p->dim);
  for (int i = 0; i < sampled; i++) {
    const float *from = s->study->sample + ((int64_t)g * sampled + i) * p->dim;
    precis_axes_turn(p->dim, bulk.to_queries, from, bulk.q_center, query);
    memset(&table[i], 0, sizeof *table);
    if (query_in_bulk(s, g, from))
      fill_row(s, g, lead, i, query, &table[i]);
  }
}
