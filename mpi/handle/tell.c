/* tell.c - what a handle tells of itself: src/precis_more.h */
#include <string.h>

#include "mpi/handle/attention.h"
#include "src/model/held.h"
#include "src/precis_more.h"

int64_t precis_attention_held(const precis_attention *a)
{
  const precis_problem *p = &a->problem;
  return (int64_t)(sizeof *a + precis_held_bytes(p, (double)a->keys.capacity, a->keys.bias != NULL,
                                                 &a->engine,
                                                 sizeof *a->heads + sizeof *a->sums +
                                                     sizeof *a->head_list + sizeof *a->groups)) +
         a->beside + precis_past_bytes(&a->past, p);
}

int64_t precis_attention_bytes(const precis_attention *a)
{
  return a != NULL ? precis_attention_held(a) + precis_kept_bytes(&a->kept, &a->problem) : 0;
}

char *precis_attention_waits(const precis_attention *a, char *text, size_t size)
{
  if (a != NULL)
    return precis_waiting_describe(&a->world.waiting, text, size);
  if (size > 0)
    text[0] = '\0';
  return text;
}

double precis_attention_foretell(const precis_attention *a, double pairs)
{
  if (a == NULL)
    return 0;
  const precis_problem *p = &a->problem;
  return pairs *
         (2. * (p->dim + p->value_dim) / a->rates.tile_flops + 1 / a->rates.tile_exponentials);
}

void precis_attention_forget_groups(precis_attention *a)
{
  a->group_count = 0;
}

void precis_attention_note_group(precis_attention *a, const precis_report *r, int count,
                                 const int *list)
{
  int used = 0;
  for (int i = 0; i < a->group_count; i++)
    used += a->groups[i].heads;
  for (int h = 0; h < count; h++)
    a->head_list[used + h] = list ? list[h] : h;
  a->groups[a->group_count++] = (precis_group){.size = sizeof *a->groups,
                                               .move = r->move,
                                               .heads = count,
                                               .head_list = a->head_list + used,
                                               .degree = r->degree,
                                               .envelope_degree = r->envelope_degree,
                                               .features = r->features,
                                               .count_features = r->count_features,
                                               .bound = r->bound,
                                               .outlier_keys = r->outlier_keys,
                                               .outlier_queries = r->outlier_queries,
                                               .promise = r->promise};
}

int precis_attention_groups(const precis_attention *a)
{
  return a != NULL ? a->group_count : 0;
}

int precis_attention_group(const precis_attention *a, int index, precis_group *group)
{
  if (group == NULL || index < 0 || index >= precis_attention_groups(a) ||
      group->size < sizeof group->size || group->size > sizeof *group)
    return PRECIS_ERR_ARGUMENT;
  precis_group found = a->groups[index];
  found.size = group->size;
  memcpy(group, &found, found.size);
  return PRECIS_SUCCESS;
}

int precis_attention_set_mean_query(precis_attention *a, const double *mean_query)
{
  if (a == NULL || mean_query == NULL)
    return PRECIS_ERR_ARGUMENT;
  precis_signal_set_mean(&a->problem, mean_query, &a->signal);
  return PRECIS_SUCCESS;
}

int precis_attention_set_answered(precis_attention *a, const precis_head_worth *heads)
{
  if (a == NULL || heads == NULL || heads[0].size < sizeof heads->size ||
      heads[0].size > sizeof *heads)
    return PRECIS_ERR_ARGUMENT;
  size_t size = heads[0].size;
  for (int h = 0; h < a->problem.heads; h++) {
    precis_head_worth head = {0};
    memcpy(&head, (const char *)heads + (size_t)h * size, size);
    a->signal.sum[h] = head.sum;
    a->signal.most[h] = head.most;
    a->signal.rows[h] = head.rows;
  }
  return PRECIS_SUCCESS;
}

int precis_attention_settle(precis_attention *a)
{
  if (a == NULL)
    return PRECIS_ERR_ARGUMENT;
  a->signal.settled = 1;
  return PRECIS_SUCCESS;
}

int precis_attention_worth(const precis_attention *a, precis_head_worth *heads)
{
  if (a == NULL || heads == NULL || !a->has_heads || heads[0].size < sizeof heads->size ||
      heads[0].size > sizeof *heads)
    return PRECIS_ERR_ARGUMENT;
  size_t size = heads[0].size;
  for (int h = 0; h < a->problem.heads; h++) {
    const precis_head_sums *sums = &a->sums[h];
    const precis_head_worth head = {.size = size,
                                    .relied = sums->relied,
                                    .bound = sums->bound,
                                    .squares = sums->squares,
                                    .largest = sums->largest,
                                    .sum = a->signal.sum[h],
                                    .most = a->signal.most[h],
                                    .rows = a->signal.rows[h]};
    memcpy((char *)heads + (size_t)h * size, &head, size);
  }
  return PRECIS_SUCCESS;
}
