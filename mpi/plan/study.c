/* What is found out about queries and keys: see study.h. */
#include "mpi/plan/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/problem.h"

/* The mean of a few queries would fit those alone, and the summary is to serve later ones too. */
enum { CENTER_QUERIES = 64 };

static int create(precis_study *s)
{
  const precis_problem *p = &s->a->problem;
  precis_summaries *plan = &s->out->plan;
  int64_t queries = precis_visible_queries(s->map), heads = p->kv_heads;
  s->group = p->heads / p->kv_heads;
  s->sampled = (int)(queries < PRECIS_SAMPLE_QUERIES ? queries : PRECIS_SAMPLE_QUERIES);
  int64_t pairs = heads * s->sampled;
  plan->q_center = precis_memory_array(heads * p->dim, sizeof(double));
  plan->key_radius = precis_memory_array(heads, sizeof(double));
  plan->query_radius = precis_memory_array(heads, sizeof(double));
  plan->key_unit = precis_memory_array(heads + 1, sizeof(double));
  plan->query_unit = precis_memory_array(heads, sizeof(double));
  plan->log_scale = precis_memory_array(heads, sizeof(double));
  plan->least_deviation = precis_memory_array(heads, sizeof(double));
  plan->exponent = precis_memory_array(heads, sizeof *plan->exponent);
  plan->fit = calloc((size_t)heads, sizeof *plan->fit);
  plan->moments = s->out->moments =
      precis_memory_array(heads, (PRECIS_DEGREE_MAX + 1) * sizeof(double));
  s->out->spread = precis_memory_array(heads, sizeof(double));
  for (int64_t g = 0; g < heads && s->out->spread != NULL; g++)
    s->out->spread[g] = 0;
  s->query_radius = precis_memory_array(heads, sizeof(double));
  s->log_scale = precis_memory_array(heads * PRECIS_LEVELS, sizeof(double));
  s->sample = precis_memory_array(pairs * p->dim, sizeof *s->sample);
  s->lengths = precis_memory_array(pairs, sizeof *s->lengths);
  s->moments =
      precis_memory_array(pairs * PRECIS_LEVELS * PRECIS_SAMPLE_MOMENTS, sizeof *s->moments);
  s->key_rho = precis_memory_array(s->a->keys.rows, sizeof *s->key_rho);
  s->goals = precis_memory_array(s->a->problem.kv_heads, sizeof *s->goals);
  s->log_weight = precis_memory_array(s->a->keys.rows, sizeof *s->log_weight);
  s->sampled_keys = precis_memory_array(PRECIS_SAMPLE_KEYS, sizeof *s->sampled_keys);
  int made = plan->q_center && plan->key_radius && plan->query_radius && plan->key_unit &&
             plan->query_unit && plan->log_scale && plan->least_deviation && plan->exponent &&
             plan->fit && plan->moments && s->out->spread && s->query_radius && s->log_scale &&
             s->sample && s->lengths && s->moments && s->key_rho && s->log_weight &&
             s->sampled_keys && s->goals;
  return made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

void precis_study_free(precis_study *s)
{
  void *arrays[] = {s->query_radius, s->log_scale,  s->sample,       s->lengths, s->moments,
                    s->key_rho,      s->log_weight, s->sampled_keys, s->goals};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
}

static int sum(const precis_study *s, double *x, int64_t count)
{
  MPI_Comm comm = s->a->world.comm;
  return MPI_Allreduce(MPI_IN_PLACE, x, (int)count, MPI_DOUBLE, MPI_SUM, comm) ? PRECIS_ERR_MPI
                                                                               : PRECIS_SUCCESS;
}

static int most(const precis_study *s, double *x, int64_t count)
{
  MPI_Comm comm = s->a->world.comm;
  return MPI_Allreduce(MPI_IN_PLACE, x, (int)count, MPI_DOUBLE, MPI_MAX, comm) ? PRECIS_ERR_MPI
                                                                               : PRECIS_SUCCESS;
}

static int center_queries(const precis_study *s)
{
  const precis_problem *p = &s->a->problem;
  double *center = s->out->plan.q_center;
  int64_t size = (int64_t)p->kv_heads * p->dim, queries = precis_visible_queries(s->map);
  memset(center, 0, (size_t)size * sizeof *center);
  for (int g = 0; g < p->kv_heads; g++)
    precis_bulk_query_sums(p->dim, s->group, s->rows, s->q + (int64_t)g * s->group * p->dim,
                           (int64_t)p->heads * p->dim, center + (int64_t)g * p->dim);
  int status = sum(s, center, size);
  double count = (double)queries * s->group;
  for (int64_t i = 0; i < size; i++)
    center[i] = queries >= CENTER_QUERIES ? center[i] / count : 0;
  return status;
}

static double query_norm(const precis_study *s, int g, const float *q)
{
  const precis_problem *p = &s->a->problem;
  const double *center = s->out->plan.q_center + (int64_t)g * p->dim;
  return precis_bulk_query_radius(p->dim, 1, 1, q, p->dim, center);
}

/* Row number i of the sample is query i n / sampled, head i modulo the group. Each rank adds its
 * own to zeros. The typical norm of a head is the mean of its sample. */
static int sample_queries(const precis_study *s)
{
  const precis_problem *p = &s->a->problem;
  int64_t queries = precis_visible_queries(s->map), first = s->map->start[s->a->world.rank];
  int64_t size = (int64_t)p->kv_heads * s->sampled * p->dim;
  memset(s->sample, 0, (size_t)size * sizeof *s->sample);
  for (int i = 0; i < s->sampled; i++) {
    int64_t row = i * queries / s->sampled - first;
    if (row < 0 || row >= s->rows)
      continue;
    for (int g = 0; g < p->kv_heads; g++)
      memcpy(s->sample + ((int64_t)g * s->sampled + i) * p->dim,
             s->q + (row * p->heads + g * s->group + i % s->group) * p->dim,
             (size_t)p->dim * sizeof *s->q);
  }
  if (MPI_Allreduce(MPI_IN_PLACE, s->sample, (int)size, MPI_FLOAT, MPI_SUM, s->a->world.comm))
    return PRECIS_ERR_MPI;
  for (int g = 0; g < p->kv_heads; g++) {
    double total = 0;
    for (int i = 0; i < s->sampled; i++) {
      int64_t at = (int64_t)g * s->sampled + i;
      s->lengths[at] = query_norm(s, g, s->sample + at * p->dim);
      total += s->lengths[at];
    }
    s->out->plan.query_unit[g] = s->sampled > 0 ? total / s->sampled : 0;
  }
  return PRECIS_SUCCESS;
}

static int find_key_units(const precis_study *s)
{
  int heads = s->a->problem.kv_heads;
  double *unit = s->out->plan.key_unit; /* with room for the count */
  memset(unit, 0, (size_t)(heads + 1) * sizeof *unit);
  precis_outliers_key_norms(&s->a->keys, precis_survey_k_center(&s->a->survey), s->key_step, unit,
                            unit + heads);
  int status = sum(s, unit, heads + 1);
  for (int g = 0; g < heads && unit[heads] > 0; g++)
    unit[g] /= unit[heads];
  return status;
}

/* Histograms of the norms of all keys and of all queries, and the longest queries. */
static int find_levels(precis_study *s)
{
  const precis_problem *p = &s->a->problem;
  const precis_keys *keys = &s->a->keys;
  int64_t histogram[2][PRECIS_NORM_BINS] = {{0}};
  precis_outliers_key_rho(keys, precis_survey_k_center(&s->a->survey), s->out->plan.key_unit,
                          s->key_rho);
  for (int64_t j = 0; j < keys->rows; j++)
    histogram[0][precis_outliers_bin(s->key_rho[j])] += !precis_keys_masked(keys, j);
  memset(s->query_radius, 0, (size_t)p->kv_heads * sizeof *s->query_radius);
  for (int64_t i = 0; i < s->rows; i++)
    for (int h = 0; h < p->heads; h++) {
      int g = h / s->group;
      double norm = query_norm(s, g, s->q + (i * p->heads + h) * p->dim);
      s->query_radius[g] = fmax(s->query_radius[g], norm);
      double rho = precis_outliers_rho(norm, s->out->plan.query_unit[g]);
      histogram[1][precis_outliers_bin(rho)]++;
    }
  if (MPI_Allreduce(MPI_IN_PLACE, histogram, 2 * PRECIS_NORM_BINS, MPI_INT64_T, MPI_SUM,
                    s->a->world.comm))
    return PRECIS_ERR_MPI;
  memcpy(s->query_lengths, histogram[1], sizeof s->query_lengths);
  s->keys = precis_outliers_levels(histogram[0]);
  s->queries = precis_outliers_levels(histogram[1]);
  if (s->wish->past) /* which of them are to be answered exactly has no meaning then */
    s->queries.count = 1;
  return most(s, s->query_radius, p->kv_heads);
}

static precis_bulk bulk_of(const precis_study *s, int g)
{
  const precis_problem *p = &s->a->problem;
  const precis_survey *survey = &s->a->survey;
  return (precis_bulk){.kv_head = g,
                       .k_center = precis_survey_k_center(survey) + (int64_t)g * p->dim,
                       .v_center =
                           precis_survey_v_center(&s->a->keys, survey) + (int64_t)g * p->value_dim,
                       .norm = precis_attention_norm(s->a, g),
                       .least_deviation = s->out->plan.least_deviation[g],
                       .q_center = s->out->plan.q_center + (int64_t)g * p->dim,
                       .scale = p->scale};
}

/* The largest log weights within each limit: those of the keys at its own level and above. */
static int find_scales(const precis_study *s, int g)
{
  const precis_keys *keys = &s->a->keys;
  precis_bulk bulk = bulk_of(s, g);
  double scale[PRECIS_LEVELS];
  for (int l = 0; l < PRECIS_LEVELS; l++)
    scale[l] = -INFINITY;
  precis_bulk_weights(&bulk, keys, 0, keys->rows, s->log_weight);
  for (int64_t j = 0; j < keys->rows; j++) {
    int level = precis_outliers_level(&s->keys, s->key_rho[j]);
    scale[level] = fmax(scale[level], s->log_weight[j]);
  }
  for (int l = PRECIS_LEVELS - 2; l >= 0; l--)
    scale[l] = fmax(scale[l], scale[l + 1]);
  int status = most(s, scale, PRECIS_LEVELS);
  for (int l = 0; l < PRECIS_LEVELS; l++)
    s->log_scale[l * s->a->problem.kv_heads + g] = scale[l];
  return status;
}

/* Every so many keys of the sequence: at most PRECIS_SAMPLE_KEYS of all ranks'. */
static void list_sampled_keys(precis_study *s)
{
  const precis_keys *keys = &s->a->keys;
  const int64_t step = s->key_step;
  s->sampled_key_count = 0;
  for (int64_t j = 0; j < keys->rows; j++)
    if (keys->position[j] % step == 0 && !precis_keys_masked(keys, j))
      s->sampled_keys[s->sampled_key_count++] = j;
}

/* From the mean deviation of the sampled keys. */
static int find_least_deviation(const precis_study *s, int g)
{
  double sums[2] = {0, 0}, *least = &s->out->plan.least_deviation[g];
  *least = 0;
  precis_bulk bulk = bulk_of(s, g);
  for (int i = 0; i < s->sampled_key_count; i++) {
    float deviation;
    precis_bulk_deviations(&bulk, &s->a->keys, s->sampled_keys[i], 1, &deviation);
    sums[0] += deviation;
    sums[1]++;
  }
  int status = sum(s, sums, 2);
  *least = precis_bulk_least_deviation(sums[1] > 0 ? sums[0] / sums[1] : 0);
  return status;
}

static double *moments_of(const precis_study *s, int level, int g, int i)
{
  int64_t at = ((int64_t)level * s->a->problem.kv_heads + g) * s->sampled + i;
  return s->moments + at * PRECIS_SAMPLE_MOMENTS;
}

static double score(const precis_bulk *bulk, int dim, const float *q, const float *k)
{
  double total = 0;
  for (int c = 0; c < dim; c++)
    total += (q[c] - bulk->q_center[c]) * (k[c] - bulk->k_center[c]);
  return bulk->scale * total;
}

/* Moments of the sampled rows over sampled keys (of a causal row: those it sees), each key at its
 * level. Weights are relative to the largest of the tightest bulk; those of far heavier outliers
 * are cut off, which nobody will miss. */
static void sample_keys(const precis_study *s, int g, double *parts)
{
  const double exponent_most = 300;
  const precis_problem *p = &s->a->problem;
  const precis_keys *keys = &s->a->keys;
  precis_bulk bulk = bulk_of(s, g);
  int64_t queries = precis_visible_queries(s->map);
  double scale = s->log_scale[(s->keys.count - 1) * p->kv_heads + g];
  for (int n = 0; n < s->sampled_key_count; n++) {
    int64_t j = s->sampled_keys[n];
    int level = precis_outliers_level(&s->keys, s->key_rho[j]);
    double w = exp(fmin(s->log_weight[j] - scale, exponent_most));
    const float *k = keys->k + (j * p->kv_heads + g) * p->dim;
    float deviation;
    precis_bulk_deviations(&bulk, keys, j, 1, &deviation);
    for (int i = 0; i < s->sampled; i++)
      if (!p->causal ||
          precis_visible_position(s->map, i * queries / s->sampled) >= keys->position[j]) {
        double y = score(&bulk, p->dim, s->sample + ((int64_t)g * s->sampled + i) * p->dim, k);
        precis_sample_add(moments_of(s, level, g, i), w, deviation, fmin(y, exponent_most));
        precis_study_signal_add(s, g, j, i, w, y, parts);
      }
  }
}

/* Moments above the highest degree that is in question do not travel: rows are moved together,
 * added up, and moved apart. */
static int sum_moments(precis_study *s, int64_t rows)
{
  const int above = PRECIS_SAMPLE_EXP - (s->degree_most + 1), used = PRECIS_SAMPLE_MOMENTS - above,
            tail = PRECIS_SAMPLE_MOMENTS - PRECIS_SAMPLE_EXP;
  double *m = s->moments;
  for (int64_t i = 0; i < rows && above > 0; i++) {
    memmove(m + i * used, m + i * PRECIS_SAMPLE_MOMENTS, (size_t)(s->degree_most + 1) * sizeof *m);
    memmove(m + i * used + s->degree_most + 1, m + i * PRECIS_SAMPLE_MOMENTS + PRECIS_SAMPLE_EXP,
            (size_t)tail * sizeof *m);
  }
  int status = sum(s, m, rows * used);
  for (int64_t i = rows - 1; i >= 0 && above > 0; i--) {
    double *to = m + i * PRECIS_SAMPLE_MOMENTS, *from = m + i * used;
    memmove(to + PRECIS_SAMPLE_EXP, from + s->degree_most + 1, (size_t)tail * sizeof *m);
    memmove(to, from, (size_t)(s->degree_most + 1) * sizeof *m);
    memset(to + s->degree_most + 1, 0, (size_t)above * sizeof *m);
  }
  return status;
}

/* The sums of all ranks; those of a limit with those of all that are tighter. */
static int add_moments(precis_study *s, int64_t each)
{
  int status = sum_moments(s, each * s->keys.count / PRECIS_SAMPLE_MOMENTS);
  for (int l = s->keys.count - 2; l >= 0; l--)
    for (int64_t i = 0; i < each; i++)
      s->moments[l * each + i] += s->moments[(l + 1) * each + i];
  return status;
}

int precis_study_weigh(precis_study *s)
{
  const precis_problem *p = &s->a->problem;
  int64_t each = (int64_t)p->kv_heads * s->sampled * PRECIS_SAMPLE_MOMENTS,
          numbers = precis_study_signal_numbers(s);
  double *parts = precis_memory_array(numbers, sizeof *parts);
  int status = precis_world_agree(&s->a->world, parts ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status != PRECIS_SUCCESS) {
    free(parts);
    return status;
  }
  memset(parts, 0, (size_t)numbers * sizeof *parts);
  memset(s->moments, 0, (size_t)(each * PRECIS_LEVELS) * sizeof *s->moments);
  list_sampled_keys(s);
  for (int g = 0; g < p->kv_heads && status == PRECIS_SUCCESS; g++) {
    status = find_scales(s, g);
    if (status == PRECIS_SUCCESS)
      status = find_least_deviation(s, g);
    if (status == PRECIS_SUCCESS)
      sample_keys(s, g, parts);
  }
  if (status == PRECIS_SUCCESS)
    status = add_moments(s, each);
  if (status == PRECIS_SUCCESS)
    status = precis_study_signal_find(s, parts);
  free(parts);
  return status;
}

int precis_study_survey(precis_study *s)
{
  s->key_step = s->map->keys / PRECIS_SAMPLE_KEYS + 1;
  int status = precis_world_agree(&s->a->world, create(s), NULL);
  if (status == PRECIS_SUCCESS)
    status = center_queries(s);
  if (status == PRECIS_SUCCESS)
    status = sample_queries(s);
  if (status == PRECIS_SUCCESS)
    status = find_key_units(s);
  return status == PRECIS_SUCCESS ? find_levels(s) : status;
}
