#include "mpi/call/estimate.h"

#include <math.h>
#include <stdlib.h>

#include "mpi/moves/repair.h"
#include "src/plan/choose.h"
#include "src/base/memory.h"
#include "src/base/problem.h"

enum { HELD_OUT = 64 };

/* This rank's held-out rows, all heads of each: halfway between the sampled ones, see
 * mpi/plan/prospect.c. */
static int64_t hold_out(const precis_task *task, precis_failed_row *held)
{
  int64_t queries = precis_visible_queries(task->map), first = task->map->start[task->world->rank],
          count = 0;
  int64_t sampled = queries < PRECIS_SAMPLE_QUERIES ? queries : PRECIS_SAMPLE_QUERIES;
  for (int i = 0; i < HELD_OUT && sampled > 0; i++) {
    int64_t number = (int64_t)i * sampled / HELD_OUT;
    int64_t row = (number * queries / sampled + (number + 1) * queries / sampled) / 2 - first;
    for (int h = 0; h < task->problem->heads && row >= 0 && row < task->rows; h++)
      held[count++] = (precis_failed_row){row, h};
  }
  return count;
}

static double larger(double a, double b)
{
  return b > a || isnan(b) ? b : a; /* of which NaN is the largest */
}

/* Of one row, in the unit of the tolerance. distance: |out - m_i| of the result as it is. */
static double error_of(const precis_judge *judge, int64_t at, const precis_finished *exact,
                       double mean, double distance)
{
  const precis_attention *a = judge->a;
  const precis_problem *p = &a->problem;
  int g = precis_problem_kv_head(p, (int)(at % p->heads));
  const precis_finished row = precis_finished_at(&judge->task->to, at, p->value_dim),
                        truth = precis_finished_at(exact, at, p->value_dim);
  if (a->options.tol_of == PRECIS_UNIT_LSE)
    return *row.lse == *truth.lse ? 0 : fabs((double)*row.lse - *truth.lse);
  double center[PRECIS_DIM_MAX];
  const precis_norm norm = precis_attention_norm(a, g);
  for (int c = 0; c < p->value_dim; c++)
    center[c] = truth.out[c];
  double difference = precis_norm_distance(&norm, row.out, center),
         unit = a->options.tol_of == PRECIS_UNIT_RANGE ? 1 : fmax(mean, distance);
  return difference > 0 ? difference / unit : 0;
}

/* The mean distances of all rows of each head from what the mean query gets. */
static int find_means(const precis_judge *judge, const float *distance, double *mean, double *rows)
{
  const precis_attention *a = judge->a;
  int heads = a->problem.heads;
  for (int h = 0; h < heads; h++)
    mean[h] = rows[h] = 0;
  for (int64_t i = 0; i < judge->task->rows * heads; i++)
    if (judge->task->to.lse[i] != -INFINITY) {
      mean[i % heads] += distance[i];
      rows[i % heads]++;
    }
  if (MPI_Allreduce(MPI_IN_PLACE, mean, 2 * heads, MPI_DOUBLE, MPI_SUM, a->world.comm))
    return PRECIS_ERR_MPI;
  for (int h = 0; h < heads; h++)
    mean[h] = rows[h] > 0 ? mean[h] / rows[h] : 0;
  return PRECIS_SUCCESS;
}

/* What is needed for a while. */
typedef struct needs {
  precis_finished exact; /* of which only the held-out rows are ever touched */
  precis_failed_row *held;
  float *distance;
  double *mean; /* heads, then as many for rows */
} needs;

static int create(const precis_judge *judge, needs *n)
{
  const precis_problem *p = &judge->a->problem;
  int64_t rows = judge->task->rows * p->heads;
  int status = precis_finished_create(rows, p->value_dim, &n->exact);
  n->held = precis_memory_array((int64_t)HELD_OUT * p->heads, sizeof *n->held);
  n->distance = precis_memory_array(rows, sizeof *n->distance);
  n->mean = precis_memory_array(2 * (int64_t)p->heads, sizeof *n->mean);
  return n->held && n->distance && n->mean ? status : PRECIS_ERR_MEMORY;
}

static int measure(const precis_judge *judge, needs *n, double *error)
{
  const precis_problem *p = &judge->a->problem;
  precis_world *world = judge->task->world;
  precis_task exact = *judge->task;
  int64_t repaired, count = hold_out(judge->task, n->held);
  exact.to = n->exact;
  int status = precis_world_agree(world, precis_repair_run(&exact, n->held, count, 0, &repaired),
                                  NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_judge_distances(judge, n->distance);
  if (status == PRECIS_SUCCESS)
    status = find_means(judge, n->distance, n->mean, n->mean + p->heads);
  *error = 0;
  for (int64_t i = 0; i < count && status == PRECIS_SUCCESS; i++) {
    int64_t at = n->held[i].row * p->heads + n->held[i].head;
    *error = larger(*error, error_of(judge, at, &n->exact, n->mean[n->held[i].head],
                                     n->distance[at]));
  }
  if (status == PRECIS_SUCCESS &&
      MPI_Allreduce(MPI_IN_PLACE, error, 1, MPI_DOUBLE, MPI_MAX, world->comm))
    status = PRECIS_ERR_MPI;
  return status;
}

int precis_estimate_error(const precis_judge *judge, double *error)
{
  needs n = {.held = NULL};
  int status = precis_world_agree(judge->task->world, create(judge, &n), NULL);
  if (status == PRECIS_SUCCESS)
    status = measure(judge, &n, error);
  precis_finished_free(&n.exact);
  free(n.held);
  free(n.distance);
  free(n.mean);
  return status;
}
