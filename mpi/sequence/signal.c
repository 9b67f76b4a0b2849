#include "mpi/sequence/signal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/sequence/signal_prefixes.h"
#include "mpi/world/meet.h"
#include "src/tokens/survey.h"
#include "src/tokens/mean_query.h"
#include "src/base/memory.h"
#include "src/tokens/norm.h"
#include "src/base/problem.h"
#include "src/base/weaken.h"

int precis_signal_create(const precis_problem *p, precis_signal *signal)
{
  double *at = precis_memory_array(precis_survey_signal_numbers(p), sizeof *at);
  if (at == NULL)
    return PRECIS_ERR_MEMORY;
  for (int64_t i = 0; i < precis_survey_signal_numbers(p); i++)
    at[i] = 0;
  *signal = (precis_signal){.array = at, .mean_query = at};
  signal->k_base = signal->mean_query + (int64_t)p->heads * p->dim;
  signal->v_base = signal->k_base + (int64_t)p->kv_heads * p->dim;
  signal->m = signal->v_base + (int64_t)p->kv_heads * p->value_dim;
  signal->l = signal->m + p->heads;
  signal->o = signal->l + p->heads;
  signal->farthest = signal->o + (int64_t)p->heads * p->value_dim;
  signal->per = signal->farthest + p->kv_heads;
  signal->sum = signal->per + (int64_t)p->kv_heads * p->value_dim;
  signal->most = signal->sum + p->heads;
  signal->rows = signal->most + p->heads;
  for (int h = 0; h < p->heads; h++)
    signal->m[h] = -INFINITY;
  return PRECIS_SUCCESS;
}

void precis_signal_free(precis_signal *signal)
{
  free(signal->array);
  *signal = (precis_signal){0};
}

void precis_signal_copy(const precis_problem *p, const precis_signal *from, precis_signal *to)
{
  if (from->has_mean)
    precis_signal_set_mean(p, from->mean_query, to);
  precis_signal_set_answered(p, from->sum, from->most, from->rows, to);
}

void precis_signal_copy_all(const precis_problem *p, const precis_signal *from, precis_signal *to)
{
  memcpy(to->array, from->array, (size_t)precis_survey_signal_numbers(p) * sizeof *to->array);
  to->has_mean = from->has_mean;
  to->has_base = from->has_base;
  to->moves = from->moves;
  to->rows_in = from->rows_in;
  to->keys_in = from->keys_in;
}

void precis_signal_set_mean(const precis_problem *p, const double *mean_query, precis_signal *to)
{
  memcpy(to->mean_query, mean_query, (size_t)p->heads * (size_t)p->dim * sizeof(double));
  to->has_mean = 1;
}

void precis_signal_set_answered(const precis_problem *p, const double *sum, const double *most,
                                const double *rows, precis_signal *to)
{
  memcpy(to->sum, sum, (size_t)p->heads * sizeof(double));
  memcpy(to->most, most, (size_t)p->heads * sizeof(double));
  memcpy(to->rows, rows, (size_t)p->heads * sizeof(double));
}

void precis_signal_pack(const precis_problem *p, const precis_signal *s, double *numbers)
{
  int64_t heads = p->heads, mean = heads * p->dim;
  double *sums = numbers + 1 + mean;
  numbers[0] = s->has_mean;
  memcpy(numbers + 1, s->mean_query, (size_t)mean * sizeof *numbers);
  memcpy(sums, s->sum, (size_t)heads * sizeof *sums);
  memcpy(sums + heads, s->most, (size_t)heads * sizeof *sums);
  memcpy(sums + 2 * heads, s->rows, (size_t)heads * sizeof *sums);
}

void precis_signal_unpack(const precis_problem *p, const double *numbers, precis_signal *s)
{
  int64_t heads = p->heads;
  const double *sums = numbers + 1 + heads * p->dim;
  precis_signal_set_mean(p, numbers + 1, s);
  precis_signal_set_answered(p, sums, sums + heads, sums + 2 * heads, s);
  s->has_mean = numbers[0] > 0;
}

double precis_signal_answered(const precis_problem *p, const precis_signal *s)
{
  double most = 0;
  for (int h = 0; h < p->heads; h++)
    most = fmax(most, s->rows[h]);
  return most;
}

int precis_signal_find_mean(precis_world *world, const precis_problem *p, int64_t rows,
                            const float *q, const float *lse, precis_signal *s)
{
  if (s->has_mean)
    return PRECIS_SUCCESS;
  int64_t size = (int64_t)p->heads * (p->dim + 1);
  double *sums = precis_memory_array(size, sizeof *sums);
  int status = sums ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, any = 0;
  const precis_told told = {PRECIS_FOLD_SUM, size, sums, NULL};
  double *count = sums ? sums + (int64_t)p->heads * p->dim : NULL;
  if (sums != NULL)
    memset(sums, 0, (size_t)size * sizeof *sums);
  for (int64_t i = 0; i < rows * p->heads && sums != NULL; i++) {
    int64_t h = i % p->heads;
    if (lse[i] == -INFINITY)
      continue;
    count[h]++;
    for (int c = 0; c < p->dim; c++)
      sums[h * p->dim + c] += q[i * p->dim + c];
  }
  status = precis_world_meet(world, status, NULL, &told, 1);
  for (int64_t i = 0; i < (int64_t)p->heads * p->dim && status == PRECIS_SUCCESS; i++) {
    any |= count[i / p->dim] > 0;
    s->mean_query[i] = count[i / p->dim] > 0 ? sums[i] / count[i / p->dim] : 0;
  }
  s->has_mean = status == PRECIS_SUCCESS && any;
  free(sums);
  return status;
}

static precis_mean_query mean_of(const precis_problem *p, const precis_signal *s, int h, double *o)
{
  int64_t g = precis_problem_kv_head(p, h);
  memset(o, 0, (size_t)p->value_dim * sizeof *o);
  return (precis_mean_query){.kv_head = (int)g,
                             .scale = p->scale,
                             .q = s->mean_query + (int64_t)h * p->dim,
                             .k_base = s->k_base + g * p->dim,
                             .v_base = s->v_base + g * p->value_dim,
                             .m = -INFINITY,
                             .o = o};
}

static precis_norm norm_of(const precis_problem *p, const precis_survey *survey, int g)
{
  return (precis_norm){p->value_dim, 0, survey->per + (int64_t)g * p->value_dim};
}

/* The factor from what is known of earlier keys to the norm of now; 0 where they have to be looked
 * at again, as centre or norm are others by now. */
static double convert_farthest(const precis_problem *p, const precis_survey *survey,
                               const precis_signal *s)
{
  const double little = 2;
  double most = 1;
  if (s->moves != survey->moves || s->rows_in == 0)
    return 0;
  for (int g = 0; g < p->kv_heads; g++) {
    const precis_norm before = {p->value_dim, 0, s->per + (int64_t)g * p->value_dim},
                      now = norm_of(p, survey, g);
    double up = precis_norm_conversion(&before, &now), down = precis_norm_conversion(&now, &before);
    if (!(up <= little && down <= little))
      return 0;
    most = fmax(most, up);
  }
  return most;
}

/* The largest deviation of all keys; factor: of convert_farthest(), by which earlier ones count. */
static void raise_farthest(const precis_problem *p, const precis_keys *keys,
                           const precis_survey *survey, const precis_signal *s, double factor,
                           double *farthest)
{
  enum { SOME = 256 };
  float deviation[SOME];
  int dv = p->value_dim;
  for (int g = 0; g < p->kv_heads; g++) {
    const precis_norm norm = norm_of(p, survey, g);
    const double *center = precis_survey_v_center(keys, survey) + (int64_t)g * dv;
    farthest[g] = factor * s->farthest[g];
    for (int64_t j = factor > 0 ? s->rows_in : 0; j < keys->rows; j += SOME) {
      int some = keys->rows - j < SOME ? (int)(keys->rows - j) : SOME;
      precis_norm_distances(&norm, some, keys->v + (j * keys->kv_heads + g) * dv,
                            (int64_t)keys->kv_heads * dv, center, deviation, 1);
      for (int i = 0; i < some; i++)
        if (deviation[i] > farthest[g] && !precis_keys_masked(keys, j + i))
          farthest[g] = deviation[i];
    }
  }
}

/* Sums of this rank's new keys: of each head m into most, the others into sums. */
static void add_new(const precis_problem *p, const precis_keys *keys, const precis_signal *s,
                    double *most, double *sums)
{
  int dv = p->value_dim;
  for (int h = 0; h < p->heads; h++) {
    double *row = sums + (int64_t)h * (dv + 1);
    precis_mean_query mean = mean_of(p, s, h, row + 1);
    precis_mean_query_add(&mean, keys, s->rows_in, keys->rows);
    most[h] = mean.m;
    row[0] = mean.l;
  }
}

/* Over all ranks: the largest exponents first, to which each brings its sums. */
static int add_up(precis_world *world, const precis_problem *p, int status, double *most,
                  double *own, double *sums)
{
  const int64_t dv = p->value_dim, size = p->heads * (dv + 1);
  const precis_told told[] = {{PRECIS_FOLD_MAX, p->heads + p->kv_heads, most, NULL},
                              {PRECIS_FOLD_SUM, size, sums, NULL}};
  if (status == PRECIS_SUCCESS)
    memcpy(own, most, (size_t)p->heads * sizeof *own);
  status = precis_world_meet(world, status, NULL, told, 1);
  if (status != PRECIS_SUCCESS)
    return status;
  for (int h = 0; h < p->heads; h++) {
    double factor = own[h] == -INFINITY ? 0 : exp(own[h] - most[h]);
    for (int c = 0; c <= dv; c++)
      sums[(int64_t)h * (dv + 1) + c] *= factor;
  }
  return precis_world_meet(world, PRECIS_SUCCESS, NULL, told + 1, 1);
}

int precis_signal_take(precis_world *world, const precis_problem *p, const precis_keys *keys,
                       const precis_survey *survey, int64_t appended, precis_signal *s)
{
  int dv = p->value_dim;
  if (s->keys_in == appended || !s->has_mean)
    return PRECIS_SUCCESS;
  if (!s->has_base) {
    memcpy(s->k_base, precis_survey_k_center(survey),
           (size_t)p->kv_heads * (size_t)p->dim * sizeof *s->k_base);
    memcpy(s->v_base, precis_survey_v_center(keys, survey),
           (size_t)p->kv_heads * (size_t)dv * sizeof *s->v_base);
    s->has_base = 1;
  }
  double *work = precis_memory_array((int64_t)p->heads * (dv + 3) + p->kv_heads, sizeof *work);
  int status = work ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  double factor = convert_farthest(p, survey, s);
  double *most = work, *own = work ? most + p->heads + p->kv_heads : NULL,
         *sums = work ? own + p->heads : NULL;
  if (status == PRECIS_SUCCESS) {
    add_new(p, keys, s, most, sums);
    raise_farthest(p, keys, survey, s, factor, most + p->heads);
  }
  status = add_up(world, p, status, most, own, sums);
  if (status == PRECIS_SUCCESS) {
    for (int h = 0; h < p->heads && status == PRECIS_SUCCESS; h++) {
      int64_t g = precis_problem_kv_head(p, h);
      precis_mean_query mean = {.m = s->m[h], .l = s->l[h], .o = s->o + (int64_t)h * dv};
      const double *row = sums + (int64_t)h * (dv + 1);
      precis_mean_query_merge(&mean, dv, most[h], row[0], row + 1);
      s->m[h] = mean.m;
      s->l[h] = mean.l;
      s->farthest[g] = most[p->heads + g];
    }
  }
  if (status == PRECIS_SUCCESS) {
    memcpy(s->per, survey->per, (size_t)p->kv_heads * (size_t)dv * sizeof *s->per);
    s->moves = survey->moves;
    s->rows_in = keys->rows;
    s->keys_in = appended;
  }
  free(work);
  return status;
}

/* A weight is off by e^delta - 1 with delta from dim products and sums in double, sums by as many
 * roundings as there are keys; both times the distance of a value from the centre at most. */
double precis_signal_rounding(const precis_problem *p, const precis_signal *s,
                              const precis_survey *survey, int h)
{
  const double unit = 0x1p-52;
  int64_t g = precis_problem_kv_head(p, h);
  double square = 0;
  for (int c = 0; c < p->dim; c++)
    square += s->mean_query[(int64_t)h * p->dim + c] * s->mean_query[(int64_t)h * p->dim + c];
  double bound = fabs(p->scale) * sqrt(square) * survey->extremes[g] * 2,
         score = fabs(s->m[h]) < INFINITY ? fabs(s->m[h]) : 0;
  double e = expm1((p->dim + 8) * unit * (bound + score + 50)) + (double)s->keys_in * unit;
  return precis_weaken(PRECIS_BOUND_ANCHOR_ROUNDING, e < 0.25 ? 4 * e * s->farthest[g] : INFINITY);
}

/* One row: its distance from m_i, and what is left of it by the proof. */
static void measure_row(const precis_norm *norm, const precis_finished *row, const double *center,
                        double convert, double rounding, int64_t i, float *least, float *distance)
{
  double away = *row->lse == -INFINITY ? 0 : precis_norm_distance(norm, row->out, center),
         proved = *row->lse == -INFINITY ? 0 : convert * row->proof[0],
         left = away * (1 - 0x1p-20) - proved - rounding;
  if (least != NULL)
    least[i] = left > 0 && left < INFINITY ? (float)(left * (1 - 0x1p-23)) : 0;
  if (distance != NULL)
    distance[i] = (float)away;
}

/* All rows of a head see all keys. */
static void measure_whole(const precis_signal *s, const precis_signal_rows *of, int h, float *least,
                          float *distance)
{
  const precis_problem *p = of->problem;
  int g = precis_problem_kv_head(p, h), dv = p->value_dim;
  const precis_norm norm = norm_of(p, of->survey, g);
  double center[PRECIS_DIM_MAX], rounding = precis_signal_rounding(p, s, of->survey, h);
  for (int c = 0; c < dv; c++)
    center[c] =
        s->v_base[(int64_t)g * dv + c] + (s->l[h] > 0 ? s->o[(int64_t)h * dv + c] / s->l[h] : 0);
  for (int64_t i = h; i < of->rows * p->heads; i += p->heads) {
    const precis_finished row = precis_finished_at(of->results, i, dv);
    measure_row(&norm, &row, center, of->convert[g], rounding, i, least, distance);
  }
}

/* Row by row with the keys that each sees more than the one before. base: of the keys before the
 * first row's position; own: those from there on, positions ascending. */
static void measure_prefixes(const precis_signal *s, const precis_signal_rows *of, int h,
                             const double *base, const precis_keys *own, float *least,
                             float *distance)
{
  const precis_problem *p = of->problem;
  int g = precis_problem_kv_head(p, h), dv = p->value_dim;
  const precis_norm norm = norm_of(p, of->survey, g);
  double o[PRECIS_DIM_MAX], center[PRECIS_DIM_MAX],
      rounding = precis_signal_rounding(p, s, of->survey, h);
  precis_mean_query mean = mean_of(p, s, h, o);
  int64_t key = 0, first = of->map->first_position[of->world->rank];
  precis_mean_query_merge(&mean, dv, base[0], base[1], base + 2);
  for (int64_t i = 0; i < of->rows; i++) {
    int64_t end = key;
    while (end < own->rows && own->position[end] <= first + i)
      end++;
    precis_mean_query_add(&mean, own, key, end);
    key = end;
    for (int c = 0; c < dv; c++)
      center[c] = mean.v_base[c] + (mean.l > 0 ? o[c] / mean.l : 0);
    int64_t at = i * p->heads + h;
    const precis_finished row = precis_finished_at(of->results, at, dv);
    measure_row(&norm, &row, center, of->convert[g], rounding, at, least, distance);
  }
}

int precis_signal_measure(const precis_signal *s, const precis_signal_rows *of, float *least,
                          float *distance)
{
  const precis_problem *p = of->problem;
  if (!of->prefixes) {
    for (int h = 0; h < p->heads; h++)
      measure_whole(s, of, h, least, distance);
    return PRECIS_SUCCESS;
  }
  precis_signal_prefixes before;
  int status = precis_signal_prefixes_find(s, of, &before);
  for (int h = 0; h < p->heads && status == PRECIS_SUCCESS; h++)
    measure_prefixes(s, of, h, before.base + (int64_t)h * (p->value_dim + 2), &before.own, least,
                     distance);
  precis_signal_prefixes_free(&before);
  return status;
}
