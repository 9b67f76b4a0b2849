#include "mpi/handle/subset.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

static int group_of(const precis_problem *p)
{
  return p->heads / p->kv_heads;
}

int precis_learnt_create(const precis_attention *a, precis_learnt *learnt)
{
  const precis_problem *p = &a->problem;
  *learnt = (precis_learnt){.heads = precis_memory_array(p->heads, sizeof *learnt->heads),
                            .sums = precis_memory_array(p->heads, sizeof *learnt->sums)};
  if (!learnt->heads || !learnt->sums || precis_signal_create(p, &learnt->signal) != PRECIS_SUCCESS)
    return PRECIS_ERR_MEMORY;
  precis_signal_copy(p, &a->signal, &learnt->signal);
  return PRECIS_SUCCESS;
}

void precis_learnt_free(precis_learnt *learnt)
{
  free(learnt->heads);
  free(learnt->sums);
  precis_signal_free(&learnt->signal);
}

void precis_learnt_commit(precis_attention *a, const precis_learnt *learnt)
{
  const precis_problem *p = &a->problem;
  precis_signal known = learnt->signal;
  known.has_mean = learnt->found_mean;
  precis_signal_copy(p, &known, &a->signal);
  memcpy(a->heads, learnt->heads, (size_t)p->heads * sizeof *a->heads);
  memcpy(a->sums, learnt->sums, (size_t)p->heads * sizeof *a->sums);
  a->has_heads = 1;
}

int64_t precis_subset_bytes(const precis_attention *a, int count)
{
  const precis_problem *p = &a->problem;
  return a->keys.rows * count * ((int64_t)p->dim + p->value_dim) * (int64_t)sizeof(float);
}

/* Heads of `rows` rows, one behind the other. from_heads: in a row of `from`. */
static void copy_heads(int64_t rows, int each, const float *from, int from_heads, int count,
                       const int *list, float *to)
{
  for (int64_t i = 0; i < rows; i++)
    for (int h = 0; h < count; h++)
      memcpy(to + (i * count + h) * each, from + (i * from_heads + list[h]) * each,
             (size_t)each * sizeof *to);
}

static void copy_keys(const precis_subset *s, precis_keys *keys)
{
  const precis_keys *all = &s->whole.keys;
  copy_heads(all->rows, all->dim, all->k, all->kv_heads, s->count, s->list, keys->k);
  copy_heads(all->rows, all->value_dim, all->v, all->kv_heads, s->count, s->list, keys->v);
}

/* The numbers of the signal that outlive a call, between the whole handle's heads and the subset's.
 */
static void move_signal(const precis_subset *s, int out, precis_signal *all, precis_signal *some)
{
  const precis_problem *p = &s->whole.problem;
  int group = group_of(p);
  for (int h = 0; h < s->count * group; h++) {
    int64_t at = (int64_t)s->list[h / group] * group + h % group;
    double *pairs[][2] = {{all->sum + at, some->sum + h},
                          {all->most + at, some->most + h},
                          {all->rows + at, some->rows + h}};
    for (int i = 0; i < 3; i++)
      *pairs[i][!out] = *pairs[i][out];
    double *mean_all = all->mean_query + at * p->dim,
           *mean = some->mean_query + (int64_t)h * p->dim;
    if (out ? some->has_mean : all->has_mean)
      memcpy(out ? mean_all : mean, out ? mean : mean_all, (size_t)p->dim * sizeof(double));
  }
}

/* The subset's own arrays, with the handle still whole. Errors: MEMORY. */
typedef struct own {
  precis_problem problem;
  precis_keys keys;
  precis_survey survey;
  precis_signal signal;
  precis_head_report *heads;
  precis_head_sums *sums;
} own;

static void own_free(own *o)
{
  free(o->keys.k);
  free(o->keys.v);
  free(o->heads);
  free(o->sums);
  precis_survey_free(&o->survey);
  precis_signal_free(&o->signal);
}

static int own_create(const precis_attention *a, int count, own *o)
{
  *o = (own){.problem = a->problem, .keys = a->keys};
  o->problem.kv_heads = o->keys.kv_heads = count;
  o->problem.heads = count * group_of(&a->problem);
  o->keys.capacity = a->keys.rows;
  o->keys.strips = NULL;
  o->keys.k = precis_memory_array(a->keys.rows * count, (size_t)a->keys.dim * sizeof(float));
  o->keys.v = precis_memory_array(a->keys.rows * count, (size_t)a->keys.value_dim * sizeof(float));
  o->heads = precis_memory_array(o->problem.heads, sizeof *o->heads);
  o->sums = precis_memory_array(o->problem.heads, sizeof *o->sums);
  if ((a->keys.rows > 0 && (!o->keys.k || !o->keys.v)) || !o->heads || !o->sums ||
      precis_survey_create(&o->keys, &o->survey) != PRECIS_SUCCESS ||
      precis_signal_create(&o->problem, &o->signal) != PRECIS_SUCCESS)
    return PRECIS_ERR_MEMORY;
  return PRECIS_SUCCESS;
}

int precis_subset_enter(precis_attention *a, int count, const int *list, int64_t beside,
                        const precis_learnt *learnt, precis_subset *s)
{
  own o;
  int status = precis_world_agree(&a->world, own_create(a, count, &o), NULL);
  if (status != PRECIS_SUCCESS) {
    own_free(&o);
    return status;
  }
  *s = (precis_subset){.a = a, .count = count, .list = list};
  s->whole.problem = a->problem;
  s->whole.options = a->options;
  s->whole.keys = a->keys;
  s->whole.survey = a->survey;
  s->whole.surveyed = a->surveyed;
  s->whole.surveyed_before = a->surveyed_before;
  s->whole.beside = a->beside;
  s->whole.kept = a->kept;
  s->whole.exact_spent = a->exact_spent;
  s->whole.repair_spent = a->repair_spent;
  s->whole.exact_patience = a->exact_patience;
  s->whole.repair_patience = a->repair_patience;
  s->whole.signal = a->signal;
  s->whole.heads = a->heads;
  s->whole.sums = a->sums;
  s->whole.has_heads = a->has_heads;
  copy_keys(s, &o.keys);
  precis_signal known = learnt->signal;
  move_signal(s, 0, &known, &o.signal);
  o.signal.has_mean = known.has_mean;
  o.signal.settled = a->signal.settled;
  a->beside = precis_attention_held(a) + beside;
  a->problem = o.problem;
  a->keys = o.keys;
  a->survey = o.survey;
  a->signal = o.signal;
  a->heads = o.heads;
  a->sums = o.sums;
  a->surveyed = a->surveyed_before = 0;
  a->kept = (precis_kept){0};
  a->exact_spent = a->repair_spent = a->exact_patience = a->repair_patience = 0;
  /* Its results are the call's own, and the caller hears of the call as a whole. */
  a->options.results_in_place = 1;
  a->options.message = NULL;
  return PRECIS_SUCCESS;
}

static void learn(const precis_subset *s, precis_learnt *learnt)
{
  precis_attention *a = s->a;
  int group = group_of(&s->whole.problem);
  move_signal(s, 1, &learnt->signal, &a->signal);
  learnt->found_mean |= a->signal.has_mean;
  for (int h = 0; h < a->problem.heads; h++) {
    int64_t at = (int64_t)s->list[h / group] * group + h % group;
    learnt->heads[at] = a->heads[h];
    learnt->sums[at] = a->sums[h];
  }
}

void precis_subset_leave(precis_subset *s, precis_learnt *learnt)
{
  precis_attention *a = s->a;
  if (learnt != NULL)
    learn(s, learnt);
  own o = {.keys = a->keys,
           .survey = a->survey,
           .signal = a->signal,
           .heads = a->heads,
           .sums = a->sums};
  own_free(&o);
  precis_kept_free(&a->kept);
  a->problem = s->whole.problem;
  a->options = s->whole.options;
  a->keys = s->whole.keys;
  a->survey = s->whole.survey;
  a->surveyed = s->whole.surveyed;
  a->surveyed_before = s->whole.surveyed_before;
  a->beside = s->whole.beside;
  a->kept = s->whole.kept;
  a->exact_spent = s->whole.exact_spent;
  a->repair_spent = s->whole.repair_spent;
  a->exact_patience = s->whole.exact_patience;
  a->repair_patience = s->whole.repair_patience;
  a->signal = s->whole.signal;
  a->heads = s->whole.heads;
  a->sums = s->whole.sums;
  a->has_heads = s->whole.has_heads;
}

void precis_subset_gather(const precis_subset *s, int64_t rows, int each, const float *all,
                          float *some)
{
  int heads = s->whole.problem.heads, group = group_of(&s->whole.problem);
  for (int64_t i = 0; i < rows; i++)
    for (int g = 0; g < s->count; g++)
      memcpy(some + (i * s->count + g) * group * each,
             all + (i * heads + (int64_t)s->list[g] * group) * each,
             (size_t)group * (size_t)each * sizeof *some);
}

void precis_subset_scatter(const precis_subset *s, int64_t rows, int each, const float *some,
                           float *all)
{
  int heads = s->whole.problem.heads, group = group_of(&s->whole.problem);
  for (int64_t i = 0; i < rows; i++)
    for (int g = 0; g < s->count; g++)
      memcpy(all + (i * heads + (int64_t)s->list[g] * group) * each,
             some + (i * s->count + g) * group * each, (size_t)group * (size_t)each * sizeof *some);
}
