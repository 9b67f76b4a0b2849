#include "mpi/summaries/kept.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/moves/spread.h"
#include "src/tokens/keys.h"
#include "src/schedule/cost.h"
#include "src/base/memory.h"

int precis_kept_create(const precis_terms *terms, precis_summaries *plan, precis_kept *kept)
{
  const precis_problem *p = terms->problem;
  precis_kept made = {
      .plan = *plan, .tokens = {.kv_heads = p->kv_heads, .dim = p->dim, .value_dim = p->value_dim}};
  made.value_numbers = plan->features * p->value_dim;
  made.count_numbers = PRECIS_SUMMARY_COUNTS * plan->features + plan->count_features;
  precis_allotment allotment = {.failed = 0};
  precis_kept_arrays_lay(p, made.value_numbers, made.count_numbers, &allotment, &made.at);
  made.shared = precis_allot_array(&allotment, 1, sizeof *made.shared);
  if (made.shared != NULL)
    *made.shared = (precis_kept_shared){.handles = 1};
  if (allotment.failed) {
    made.plan = (precis_summaries){0};
    precis_kept_free(&made);
    return PRECIS_ERR_MEMORY;
  }
  memcpy(made.at.moments, plan->moments,
         (size_t)p->kv_heads * (PRECIS_DEGREE_MAX + 1) * sizeof *made.at.moments);
  memcpy(made.at.per, terms->per, (size_t)p->kv_heads * (size_t)p->value_dim * sizeof *made.at.per);
  memcpy(made.at.fold, terms->fold, (size_t)p->kv_heads * (size_t)p->value_dim * sizeof *made.at.fold);
  *kept = made;
  plan->q_center = plan->key_radius = plan->query_radius = NULL;
  plan->key_unit = plan->query_unit = plan->log_scale = plan->least_deviation = NULL;
  plan->exponent = NULL;
  plan->fit = NULL;
  plan->turning = (precis_turning){0};
  return PRECIS_SUCCESS;
}

int64_t precis_kept_bytes(const precis_kept *kept, const precis_problem *p)
{
  precis_allotment measure = {.measures = 1};
  precis_kept_arrays arrays;
  if (kept->at.values == NULL)
    return 0;
  precis_kept_arrays_lay(p, kept->value_numbers, kept->count_numbers, &measure, &arrays);
  return (int64_t)measure.bytes + p->kv_heads * (int64_t)sizeof *kept->plan.fit +
         kept->tokens.capacity * precis_keys_row_bytes(p, 1);
}

void precis_kept_free(precis_kept *kept)
{
  precis_summaries_release(&kept->plan);
  if (kept->shared != NULL && --kept->shared->handles > 0)
    kept->at.values = kept->at.counts = NULL, kept->at.values32 = kept->at.counts32 = NULL;
  else
    free(kept->shared);
  precis_kept_arrays_free(&kept->at);
  precis_keys_free(&kept->tokens);
  *kept = (precis_kept){0};
}

static double *values_at(const precis_kept *k, int value_dim, const precis_summary_part *part)
{
  return k->at.values + part->kv_head * k->value_numbers + part->first * value_dim;
}

static double *counts_at(const precis_kept *k, const precis_summary_part *part)
{
  return k->at.counts + part->kv_head * k->count_numbers + part->first;
}

/* A tile's counts are together where it is on its way, and apart here: of each of its features, in
 * turn plain, where it has values, and with deviations. Returns how many there are. */
static int counts_apart(const precis_kept *k, const precis_summary_part *part, double *counts[2])
{
  counts[0] = counts_at(k, part);
  counts[1] = counts[0] + k->plan.features;
  if (part->counts_only)
    counts[0] = counts[1];
  return part->counts_only ? 1 : 2;
}

/* Brings the rounded copy of a tile up to date. */
static void refresh(precis_kept *k, int value_dim, const precis_summary_part *part)
{
  const double *values = values_at(k, value_dim, part);
  precis_summary_round(part->values, 1, values, k->at.values32 + (values - k->at.values));
  double *counts[2];
  for (int c = 0, columns = counts_apart(k, part, counts); c < columns; c++)
    precis_summary_round(part->features, 1, counts[c], k->at.counts32 + (counts[c] - k->at.counts));
}

void precis_kept_store(precis_kept *kept, int value_dim, const precis_summary_part *part,
                       const float *sums)
{
  double *values = values_at(kept, value_dim, part), *counts[2];
  for (int64_t i = 0; i < part->values; i++)
    values[i] = sums[i];
  sums += part->values;
  for (int c = 0, columns = counts_apart(kept, part, counts); c < columns; c++)
    for (int64_t i = 0; i < part->features; i++)
      counts[c][i] = *sums++;
  refresh(kept, value_dim, part);
}

/* One batch of rows on its way: k, v and bias of all heads. */
static int64_t batch_words(const precis_keys *keys)
{
  return (int64_t)keys->kv_heads * (keys->dim + keys->value_dim) + 1;
}

static void pack(const precis_keys *keys, int64_t first, int64_t rows, float *to)
{
  int64_t k_row = (int64_t)keys->kv_heads * keys->dim,
          v_row = (int64_t)keys->kv_heads * keys->value_dim;
  memcpy(to, keys->k + first * k_row, (size_t)(rows * k_row) * sizeof *to);
  memcpy(to + rows * k_row, keys->v + first * v_row, (size_t)(rows * v_row) * sizeof *to);
  for (int64_t j = 0; j < rows; j++)
    to[rows * (k_row + v_row) + j] = keys->bias ? keys->bias[first + j] : 0;
}

/* The log-scale of a head raised to that of new keys, and its sums with it. */
static void raise_scale(precis_kept *kept, int g, double most)
{
  double *scale = &kept->plan.log_scale[g];
  if (!(most > *scale))
    return;
  double keep = exp(*scale - most);
  precis_summary_merge(kept->value_numbers, keep, kept->at.values + g * kept->value_numbers, 0,
                       kept->at.values);
  precis_summary_merge(kept->count_numbers, keep, kept->at.counts + g * kept->count_numbers, 0,
                       kept->at.counts);
  *scale = most;
}

/* Adds the rows of a work whose task has them as its keys. */
static void add_rows(precis_summary_work *x, precis_kept *kept)
{
  int dv = x->task->problem->value_dim;
  for (int64_t t = 0; t < precis_summaries_tiles(&x->shape); t++) {
    precis_block tile = precis_summaries_tile(&x->shape, t);
    precis_summary_part part = precis_summary_part_of(x, &tile);
    int64_t rows = x->keys->rows;
    if (precis_summary_load_keys(x, part.kv_head)) {
      double most = -INFINITY;
      for (int64_t j = 0; j < rows; j++)
        most = fmax(most, x->at.log_weight[j]);
      raise_scale(kept, part.kv_head, most);
      precis_summary_weigh(x, 0, rows, kept->plan.log_scale[part.kv_head]);
    }
    precis_summary_clear(x, &part);
    precis_summary_add(x, &part, 0, rows);
    precis_summary_merge(part.values, 1, values_at(kept, dv, &part), 1, x->at.values);
    double *counts[2];
    for (int c = 0, columns = counts_apart(kept, &part, counts); c < columns; c++)
      precis_summary_merge(part.features, 1, counts[c], 1, x->at.counts + c * part.features);
    refresh(kept, dv, &part);
  }
}

/* Rows [first, first + count) of the root's keys to all ranks and into their summaries. */
static int add_batch(precis_task *task, precis_kept *kept, int root, int64_t first, int64_t count,
                     float *message)
{
  const precis_keys *own = task->keys;
  int64_t k_row = (int64_t)own->kv_heads * own->dim,
          v_row = (int64_t)own->kv_heads * own->value_dim;
  precis_keys rows = {.kv_heads = own->kv_heads,
                      .dim = own->dim,
                      .value_dim = own->value_dim,
                      .rows = count,
                      .k = message,
                      .v = message + count * k_row,
                      .bias = message + count * (k_row + v_row)};
  if (task->world->rank == root)
    pack(own, first, count, message);
  int status = precis_spread_broadcast(task, root, message,
                                       count * batch_words(own) * (int64_t)sizeof *message);
  precis_task adding = *task;
  precis_summary_result none;
  precis_summary_work work;
  adding.keys = &rows;
  adding.terms.per = kept->at.per;
  adding.terms.fold = kept->at.fold;
  adding.rows = 0;
  int made = precis_summary_work_create(&adding, &kept->plan, &none, &work);
  if (made == PRECIS_SUCCESS)
    made = precis_keys_reserve(&kept->tokens, work.split.tokens.rows, 1);
  status = precis_world_agree(task->world, status == PRECIS_SUCCESS ? made : status, NULL);
  if (status == PRECIS_SUCCESS) {
    add_rows(&work, kept);
    precis_keys_append(&kept->tokens, &work.split.tokens);
  }
  precis_summary_work_free(&work);
  precis_summary_result_free(&none);
  return status;
}

int precis_kept_update(precis_task *task, precis_kept *kept)
{
  precis_world *world = task->world;
  int64_t fresh = task->keys->rows - kept->local_rows,
          *counts = precis_memory_array(world->ranks, sizeof *counts);
  float *message = precis_memory_array(PRECIS_KEPT_BATCH * batch_words(task->keys), sizeof *message);
  int status =
      precis_world_agree(world, counts && message ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS &&
      MPI_Allgather(&fresh, 1, MPI_INT64_T, counts, 1, MPI_INT64_T, world->comm))
    status = PRECIS_ERR_MPI;
  int64_t all = 0;
  for (int root = 0; root < world->ranks && status == PRECIS_SUCCESS; root++)
    all += counts[root];
  if (all > 0) /* the same on all ranks */
    status = precis_world_agree(world, precis_kept_own(kept, task->problem), NULL);
  for (int root = 0; root < world->ranks && status == PRECIS_SUCCESS; root++) {
    for (int64_t done = 0; done < counts[root] && status == PRECIS_SUCCESS; done += PRECIS_KEPT_BATCH) {
      int64_t left = counts[root] - done, count = left < PRECIS_KEPT_BATCH ? left : PRECIS_KEPT_BATCH;
      status = add_batch(task, kept, root, kept->local_rows + done, count, message);
    }
    if (status == PRECIS_SUCCESS)
      kept->rows += counts[root];
  }
  kept->local_rows = task->keys->rows;
  free(counts);
  free(message);
  return status;
}

precis_wire precis_kept_update_wire(const precis_problem *p, const precis_world *world,
                                    int64_t rows)
{
  int64_t row = ((int64_t)p->kv_heads * (p->dim + p->value_dim) + 1) * (int64_t)sizeof(float);
  return precis_cost_tree(world->ranks, world->nodes, rows * row);
}
