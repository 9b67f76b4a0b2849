#include "mpi/call/mixture.h"

#include <math.h>
#include <stdlib.h>

#include "mpi/handle/subset.h"
#include "src/base/memory.h"

/* Heads whose spreads are nearer than this are tried as one; trials are no more than so many. */
static const double NEAR = 1.1;
enum { TRIALS_MOST = 16, FITS = 12 };
/* Of what the call takes: groups have to save so much, and trials may take so much. */
static const double SAVING = 0.05, EFFORT = 0.05;

/* What is best for a head alone. */
typedef struct trial {
  int summaries, degree, envelope_degree, lead;
  double seconds;
} trial;

/* Heads that one trial stands for, in the order of their spreads. */
typedef struct cluster {
  int first, count;
  trial found;
  int group;
} cluster;

static int by_spread(const void *a, const void *b)
{
  const double *x = *(const double *const *)a, *y = *(const double *const *)b;
  return *x != *y ? (*x < *y ? -1 : 1) : (x < y ? -1 : x > y);
}

/* What trying a few polynomials takes. */
static double fits(const precis_call *c)
{
  return FITS * c->a->rates.fit_time;
}

static double whole_seconds(const precis_call *c)
{
  return c->plan.predicted[c->plan.move].seconds;
}

/* Whether there may be anything to gain, from what is known without a trial. */
static int promises(const precis_call *c)
{
  const precis_attention *a = c->a;
  return !c->grouped && c->prospect.spread != NULL && !c->use_kept && a->problem.kv_heads > 1 &&
         a->options.move == PRECIS_MOVE_AUTO && a->options.guarantee == PRECIS_GUARANTEE_BOUND &&
         precis_visible_queries(&c->plan.map) >= PRECIS_SAMPLE_QUERIES;
}

/* Ascending into clusters. Returns how many there are. */
static int make_clusters(const double *const *order, int heads, cluster *clusters)
{
  double least = *order[0], most = *order[heads - 1];
  double near = fmax(NEAR, pow(most / fmax(least, most * 1e-6), 1. / (TRIALS_MOST - 1)));
  int count = 0;
  for (int i = 0; i < heads; i++) {
    if (i == 0 || *order[i] > near * *order[clusters[count - 1].first])
      clusters[count++] = (cluster){.first = i};
    clusters[count - 1].count++;
  }
  return count;
}

precis_call precis_mixture_call(const precis_call *c, const float *q)
{
  return (precis_call){.a = c->a,
                       .rows = c->rows,
                       .q = q,
                       .query_most = c->query_most,
                       .first_position = c->first_position,
                       .grouped = 1,
                       .part = 1,
                       .before = c->a->world.traffic,
                       .started = MPI_Wtime(),
                       .processor_started = precis_call_processor()};
}

/* Collective. Plans for one head as if there were no other. */
static int try_head(const precis_call *c, int kv_head, const precis_learnt *learnt, float *q,
                    trial *found)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  int each = p->heads / p->kv_heads * p->dim;
  precis_subset subset;
  precis_message why = {""};
  int status =
      precis_subset_enter(a, 1, &kv_head, c->rows * each * (int64_t)sizeof *q, learnt, &subset);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_subset_gather(&subset, c->rows, p->dim, c->q, q);
  precis_call alone = precis_mixture_call(c, q);
  status = precis_call_plan(&alone, PRECIS_SUCCESS, &why);
  const precis_summaries *plan = &alone.prospect.plan;
  if (status == PRECIS_SUCCESS && alone.plan.move == PRECIS_MOVE_SUMMARIES)
    *found = (trial){1, plan->degree, plan->envelope_degree,
                     plan->turning.keys != NULL ? plan->set.lead : 0, whole_seconds(&alone)};
  else if (status == PRECIS_SUCCESS)
    *found = (trial){.seconds = whole_seconds(&alone)};
  precis_call_free(&alone);
  precis_subset_leave(&subset, NULL);
  return status;
}

static int same(const trial *a, const trial *b)
{
  return a->summaries == b->summaries && a->degree == b->degree &&
         a->envelope_degree == b->envelope_degree && a->lead == b->lead;
}

/* Clusters with the same outcome have one number, ascending from 0 in the order of first sight. */
static int number_groups(cluster *clusters, int count)
{
  int groups = 0;
  for (int i = 0; i < count; i++) {
    clusters[i].group = -1;
    for (int j = 0; j < i && clusters[i].group < 0; j++)
      if (same(&clusters[i].found, &clusters[j].found))
        clusters[i].group = clusters[j].group;
    if (clusters[i].group < 0)
      clusters[i].group = groups++;
  }
  return groups;
}

/* A cluster that would gain less by a summary of its own than a group takes joins the next stronger
 * one. */
static void join_small(const precis_call *c, cluster *clusters, int count)
{
  for (int i = 0; i + 1 < count; i++) {
    trial *weak = &clusters[i].found, *strong = &clusters[i + 1].found;
    int heads = 0;
    for (int j = 0; j <= i; j++)
      heads += same(&clusters[j].found, weak) ? clusters[j].count : 0;
    if (!weak->summaries || !strong->summaries || same(weak, strong) ||
        heads * (strong->seconds - weak->seconds) > fits(c))
      continue;
    const trial was = *weak;
    for (int j = 0; j <= i; j++)
      if (same(&clusters[j].found, &was))
        clusters[j].found = *strong;
  }
}

static void take_groups(const precis_call *c, const double *const *order, cluster *clusters,
                        int count, precis_mixture *m)
{
  join_small(c, clusters, count);
  int groups = number_groups(clusters, count);
  m->seconds = groups * fits(c);
  for (int i = 0; i < count; i++) {
    m->seconds += clusters[i].count * clusters[i].found.seconds;
    for (int j = 0; j < clusters[i].count; j++)
      m->group[order[clusters[i].first + j] - c->prospect.spread] = clusters[i].group;
  }
  m->groups = m->seconds < (1 - SAVING) * whole_seconds(c) ? groups : 0;
}

/* Collective. Tries the widest head of each cluster. */
static int try_clusters(const precis_call *c, const double *const *order, cluster *clusters,
                        int count, precis_mixture *m)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  precis_learnt learnt;
  float *q = precis_memory_array(c->rows * (p->heads / p->kv_heads), (size_t)p->dim * sizeof *q);
  int made = precis_learnt_create(a, &learnt);
  int status = precis_world_agree(&a->world, q || c->rows == 0 ? made : PRECIS_ERR_MEMORY, NULL);
  for (int i = 0; i < count && status == PRECIS_SUCCESS; i++) {
    int last = clusters[i].first + clusters[i].count - 1;
    status = try_head(c, (int)(order[last] - c->prospect.spread), &learnt, q, &clusters[i].found);
  }
  if (status == PRECIS_SUCCESS)
    take_groups(c, order, clusters, count, m);
  precis_learnt_free(&learnt);
  free(q);
  return status;
}

int precis_mixture_find(precis_call *c, precis_mixture *m)
{
  int heads = c->a->problem.kv_heads;
  *m = (precis_mixture){0};
  if (!promises(c))
    return PRECIS_SUCCESS;
  const double **order = precis_memory_array(heads, sizeof *order);
  cluster *clusters = precis_memory_array(heads, sizeof *clusters);
  m->group = precis_memory_array(heads, sizeof *m->group);
  int status = precis_world_agree(
      &c->a->world, order && clusters && m->group ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    for (int g = 0; g < heads; g++)
      order[g] = &c->prospect.spread[g];
    qsort(order, (size_t)heads, sizeof *order, by_spread);
    int count = make_clusters(order, heads, clusters);
    if (count > 1 && count * fits(c) < EFFORT * whole_seconds(c))
      status = try_clusters(c, order, clusters, count, m);
  }
  free(order);
  free(clusters);
  /* All heads together take less memory. */
  return status == PRECIS_ERR_MEMORY ? PRECIS_SUCCESS : status;
}

void precis_mixture_free(precis_mixture *m)
{
  free(m->group);
  m->group = NULL;
}
