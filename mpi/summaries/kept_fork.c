/* kept_fork.c - a summary that handles share until one of them adds keys */
#include <stdlib.h>
#include <string.h>

#include "mpi/summaries/kept.h"
#include "src/base/memory.h"

/* A copy of `count` elements, NULL without memory; *good is cleared then. */
static void *copy(const void *from, int64_t count, size_t size, int *good)
{
  void *made = from ? precis_memory_array(count, size) : NULL;
  if (made != NULL)
    memcpy(made, from, (size_t)count * size);
  *good &= made != NULL || from == NULL;
  return made;
}

static void copy_turning(const precis_problem *p, const precis_turning *from, precis_turning *to,
                         int *good)
{
  int64_t heads = p->kv_heads, map = heads * p->dim * p->dim;
  to->to_queries = copy(from->to_queries, map, sizeof *to->to_queries, good);
  to->to_keys = copy(from->to_keys, map, sizeof *to->to_keys, good);
  to->error = copy(from->error, heads, sizeof *to->error, good);
  to->queries = copy(from->queries, heads, sizeof *to->queries, good);
  to->keys = copy(from->keys, heads, sizeof *to->keys, good);
  to->moments = copy(from->moments, heads, sizeof *to->moments, good);
}

static void copy_plan(const precis_problem *p, const precis_summaries *from, precis_summaries *to,
                      int *good)
{
  int64_t heads = p->kv_heads;
  *to = *from;
  to->moments = NULL; /* those of the summary count */
  to->q_center = copy(from->q_center, heads * p->dim, sizeof *to->q_center, good);
  to->key_radius = copy(from->key_radius, heads, sizeof *to->key_radius, good);
  to->query_radius = copy(from->query_radius, heads, sizeof *to->query_radius, good);
  to->key_unit = copy(from->key_unit, heads, sizeof *to->key_unit, good);
  to->query_unit = copy(from->query_unit, heads, sizeof *to->query_unit, good);
  to->log_scale = copy(from->log_scale, heads, sizeof *to->log_scale, good);
  to->least_deviation = copy(from->least_deviation, heads, sizeof *to->least_deviation, good);
  to->exponent = copy(from->exponent, heads, sizeof *to->exponent, good);
  to->fit = copy(from->fit, heads, sizeof *to->fit, good);
  copy_turning(p, &from->turning, &to->turning, good);
}

/* Outlier keys. */
static void copy_tokens(const precis_keys *from, precis_keys *to, int *good)
{
  *to = (precis_keys){.kv_heads = from->kv_heads, .dim = from->dim, .value_dim = from->value_dim};
  if (from->rows == 0)
    return;
  if (precis_keys_reserve(to, from->rows, from->bias != NULL) == PRECIS_SUCCESS)
    precis_keys_append(to, from);
  else
    *good = 0;
}

int precis_kept_fork(precis_kept *kept, const precis_problem *p, precis_kept *child)
{
  int64_t columns = (int64_t)p->kv_heads * p->value_dim;
  int good = 1;
  precis_kept made = *kept;
  copy_plan(p, &kept->plan, &made.plan, &good);
  made.at.moments = copy(kept->at.moments, (int64_t)p->kv_heads * (PRECIS_DEGREE_MAX + 1),
                      sizeof *made.at.moments, &good);
  made.at.per = copy(kept->at.per, columns, sizeof *made.at.per, &good);
  made.at.fold = copy(kept->at.fold, columns, sizeof *made.at.fold, &good);
  copy_tokens(&kept->tokens, &made.tokens, &good);
  made.shared->handles++;
  if (!good) {
    precis_kept_free(&made);
    return PRECIS_ERR_MEMORY;
  }
  *child = made;
  return PRECIS_SUCCESS;
}

int precis_kept_own(precis_kept *kept, const precis_problem *p)
{
  if (kept->shared->handles == 1)
    return PRECIS_SUCCESS;
  int64_t values = p->kv_heads * kept->value_numbers, counts = p->kv_heads * kept->count_numbers;
  const precis_kept_shared alone = {.handles = 1};
  int good = 1;
  precis_kept own = {.at.values = copy(kept->at.values, values, sizeof *own.at.values, &good),
                     .at.counts = copy(kept->at.counts, counts, sizeof *own.at.counts, &good),
                     .at.values32 = copy(kept->at.values32, values, sizeof *own.at.values32, &good),
                     .at.counts32 = copy(kept->at.counts32, counts, sizeof *own.at.counts32, &good),
                     .shared = copy(&alone, 1, sizeof alone, &good)};
  if (!good) {
    free(own.at.values);
    free(own.at.counts);
    free(own.at.values32);
    free(own.at.counts32);
    free(own.shared);
    return PRECIS_ERR_MEMORY;
  }
  kept->shared->handles--;
  kept->at.values = own.at.values;
  kept->at.counts = own.at.counts;
  kept->at.values32 = own.at.values32;
  kept->at.counts32 = own.at.counts32;
  kept->shared = own.shared;
  return PRECIS_SUCCESS;
}

int64_t precis_kept_weigh(const precis_kept *kept, const precis_problem *p, int64_t number)
{
  if (kept->shared == NULL || kept->shared->weighed == number)
    return 0;
  kept->shared->weighed = number;
  return p->kv_heads * (kept->value_numbers + kept->count_numbers) *
         (int64_t)(sizeof *kept->at.values + sizeof *kept->at.values32);
}
