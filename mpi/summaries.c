/* The summaries move where every query sees every key. Tiles of features, key/value head after
 * key/value head, pass through three stages: tile t is summarised from this rank's keys while tile
 * t - 1 is being reduced over the ranks and tile t - 2 is applied to this rank's queries. Memory is
 * a few tiles, the packed keys of one head and the packed queries of one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/kept.h"
#include "mpi/reduce.h"
#include "mpi/summary_work.h"
#include "src/cost.h"

enum { SUMMARY_TAG = 20, STAGES = 3 };

typedef struct pipeline {
  precis_summary_work work;
  precis_reduction stage[STAGES];
  precis_kept *kept;    /* or NULL */
  precis_queries exact; /* of outlier keys; empty where there are none */
  double weights; /* sum of all weights of the head that is being applied: count 0 of its summary */
} pipeline;

static void poll(precis_summary_work *work)
{
  pipeline *p = work->poll_context;
  for (int i = 0; i < STAGES; i++) {
    int status = precis_reduction_poll(&p->stage[i]);
    work->task->poll_status = work->task->poll_status ? work->task->poll_status : status;
  }
}

static int summarise(pipeline *p, int64_t number)
{
  precis_summary_work *x = &p->work;
  precis_reduction *stage = &p->stage[number % STAGES];
  precis_summary_part part = precis_summary_part_at(x, number);
  double start = MPI_Wtime();
  if (precis_summary_load_keys(x, part.kv_head))
    precis_bulk_scale_weights(x->keys->rows, x->log_weight, x->plan->log_scale[part.kv_head], x->w);
  precis_summary_clear(x, &part);
  precis_summary_add(x, &part, 0, x->keys->rows);
  precis_summary_get(x, &part, stage->vector);
  x->task->seconds_summarise += MPI_Wtime() - start;
  return precis_reduction_start(stage, part.numbers);
}

static void collect(const void *context, const precis_summary_work *x, int g, int64_t i,
                    precis_summary_row *row)
{
  const pipeline *p = context;
  precis_summary_gather(x, g, i, &x->sums, x->plan->log_scale[g], p->weights, row);
  if (x->plan->outlier_keys > 0)
    precis_summary_gather_queries(x, g, i, &p->exact, row);
}

static void apply(pipeline *p, int64_t number)
{
  precis_summary_work *x = &p->work;
  const float *sums = p->stage[number % STAGES].vector;
  precis_summary_part part = precis_summary_part_at(x, number);
  double start = MPI_Wtime();
  precis_summary_load_queries(x, part.kv_head);
  if (part.first == 0)
    p->weights = sums[part.numbers - part.features];
  if (p->kept != NULL)
    precis_kept_store(p->kept, x->task->problem->value_dim, &part, sums);
  precis_summary_apply(x, &part, sums, 0, x->task->rows, &x->sums);
  if ((number + 1) % (x->value_tiles + x->count_tiles) == 0)
    precis_summary_finish(x, part.kv_head, 0, x->task->rows * x->group, collect, p);
  x->task->seconds_apply += MPI_Wtime() - start;
}

static int run_tiles(pipeline *p)
{
  precis_task *task = p->work.task;
  int64_t tiles = precis_summary_tiles(&p->work);
  int status = PRECIS_SUCCESS;
  for (int64_t i = 0; i < tiles + STAGES - 1 && status == PRECIS_SUCCESS; i++) {
    if (i < tiles)
      status = summarise(p, i);
    double start = MPI_Wtime();
    if (status == PRECIS_SUCCESS && i >= 1 && i - 1 < tiles)
      status = precis_reduction_turn(&p->stage[(i - 1) % STAGES]);
    if (status == PRECIS_SUCCESS && i >= 2)
      status = precis_reduction_wait(&p->stage[(i - 2) % STAGES]);
    task->seconds_wait += MPI_Wtime() - start;
    if (status == PRECIS_SUCCESS && i >= 2) {
      apply(p, i - 2);
      precis_task_progress(task, i - 1, tiles);
    }
  }
  return status == PRECIS_SUCCESS ? task->poll_status : status;
}

int precis_summaries_run(precis_task *task, const precis_summaries *plan, double tol,
                         precis_kept *kept, precis_summary_result *result)
{
  pipeline p = {.kept = kept};
  int status = precis_summary_work_create(task, plan, tol, result, &p.work);
  p.work.poll = poll;
  p.work.poll_context = &p;
  for (int i = 0; i < STAGES && status == PRECIS_SUCCESS; i++)
    status =
        precis_reduction_create(task->world, SUMMARY_TAG + i, p.work.numbers_most, &p.stage[i]);
  if (status == PRECIS_SUCCESS && plan->outlier_keys > 0)
    status = precis_queries_create(task->problem, task->rows, task->q, NULL, &p.exact);
  status = precis_world_agree(task->world, status, NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_summary_attend_outliers(&p.work, &p.exact, kept ? &kept->tokens : NULL);
  if (status == PRECIS_SUCCESS)
    status = run_tiles(&p);
  precis_queries_free(&p.exact);
  for (int i = 0; i < STAGES; i++)
    precis_reduction_free(&p.stage[i]);
  precis_summary_work_free(&p.work);
  if (status != PRECIS_SUCCESS)
    precis_summary_result_free(result);
  return status;
}

void precis_summaries_release(precis_summaries *plan)
{
  free(plan->q_center);
  free(plan->key_radius);
  free(plan->query_radius);
  free(plan->key_unit);
  free(plan->query_unit);
  free(plan->log_scale);
  free(plan->exponent);
  free(plan->fit);
  *plan = (precis_summaries){0};
}

void precis_summary_result_free(precis_summary_result *result)
{
  free(result->rows);
  *result = (precis_summary_result){0};
}

int64_t precis_summaries_bytes(const precis_problem *problem, const precis_summaries *plan,
                               int ranks, int prefixes)
{
  int64_t numbers = plan->features * (problem->value_dim + 1) + plan->count_features;
  int64_t chain = (ranks - 1) * numbers * (int64_t)sizeof(float);
  int64_t outliers = plan->outlier_keys * precis_cost_outlier_key(problem) +
                     plan->outlier_queries * precis_cost_outlier_query(problem);
  return problem->kv_heads * (prefixes ? chain : precis_reduction_bytes(ranks, numbers)) +
         outliers * (ranks - 1);
}
