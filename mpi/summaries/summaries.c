/* The summaries move where every query sees every key. Tiles of features, key/value head after
 * key/value head, pass through three stages: one is summarised from this rank's keys while one is
 * being reduced over the ranks and one is applied to this rank's queries, as
 * src/schedule/summaries.c has it. Here is what a step does on this rank. Memory is a few tiles,
 * the packed keys of one head and the packed queries of one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/moves/execute.h"
#include "mpi/summaries/kept.h"
#include "mpi/summaries/summary_work.h"
#include "src/schedule/cost.h"
#include "src/base/memory.h"

typedef struct pipeline {
  precis_summary_work work;
  precis_schedule schedule;
  precis_execution execution;
  precis_kept *kept;    /* or NULL */
  const float **from;   /* what is added up: of as many as a node has ranks, or of nodes */
  precis_queries exact; /* of outlier keys; empty where there are none */
  precis_weight_mass weights; /* of all keys of the head that is being applied */
} pipeline;

static void poll(precis_summary_work *work)
{
  pipeline *p = work->poll_context;
  int status = precis_execution_poll(&p->execution);
  work->task->poll_status = work->task->poll_status ? work->task->poll_status : status;
}

static void summarise(pipeline *p, const precis_step *step)
{
  precis_summary_work *x = &p->work;
  precis_summary_part part = precis_summary_part_of(x, &step->block);
  double start = MPI_Wtime();
  if (precis_summary_load_keys(x, part.kv_head))
    precis_summary_weigh(x, 0, x->keys->rows, x->plan->log_scale[part.kv_head]);
  precis_summary_clear(x, &part);
  precis_summary_add(x, &part, 0, x->keys->rows);
  precis_summary_get(x, &part, precis_execution_at(&p->execution, step));
  x->task->seconds_summarise += MPI_Wtime() - start;
}

/* The tiles of all ranks of this node. */
static void sum(pipeline *p, const precis_step *step)
{
  precis_execution *x = &p->execution;
  double start = MPI_Wtime();
  for (int l = 0; l < x->window.mates; l++)
    p->from[l] = precis_execution_seen(x, l, step);
  precis_summary_sum(step->bytes / (int64_t)sizeof(float), x->window.mates, p->from,
                     (float *)(x->slot[step->into] + step->into_offset));
  p->work.task->seconds_summarise += MPI_Wtime() - start;
}

/* Slices of other nodes, added to this one's. */
static void merge(pipeline *p, const precis_step *step)
{
  int nodes = p->schedule.nodes->count;
  int64_t numbers = step->bytes / (nodes - 1) / (int64_t)sizeof(float);
  float *into = (float *)(p->execution.slot[step->into] + step->into_offset);
  double start = MPI_Wtime();
  p->from[0] = into;
  for (int i = 1; i < nodes; i++)
    p->from[i] = (const float *)precis_execution_at(&p->execution, step) + numbers * (i - 1);
  precis_summary_sum(numbers, nodes, p->from, into);
  p->work.task->seconds_summarise += MPI_Wtime() - start;
}

static void collect(const void *context, const precis_summary_work *x, int g, int64_t i,
                    precis_row *row)
{
  const pipeline *p = context;
  precis_summary_gather(x, g, i, &x->at.sums, x->plan->log_scale[g], &p->weights, row);
  if (x->plan->outlier_keys > 0)
    precis_summary_gather_queries(x, g, i, &p->exact, row);
}

static void apply(pipeline *p, const precis_step *step)
{
  precis_summary_work *x = &p->work;
  const float *sums = precis_execution_at(&p->execution, step);
  precis_summary_part part = precis_summary_part_of(x, &step->block);
  double start = MPI_Wtime();
  precis_summary_load_queries(x, part.kv_head);
  if (part.first == 0)
    p->weights = precis_summary_weights_wire(&part, sums);
  if (p->kept != NULL)
    precis_kept_store(p->kept, x->task->problem->value_dim, &part, sums);
  precis_summary_apply(x, &part, sums, 0, x->task->rows, &x->at.sums);
  x->task->seconds_apply += MPI_Wtime() - start;
}

static void finish(pipeline *p, const precis_step *step)
{
  precis_summary_work *x = &p->work;
  double start = MPI_Wtime();
  precis_summary_finish(x, step->block.first_head / x->group, 0, x->task->rows * x->group, collect,
                        p);
  x->task->seconds_apply += MPI_Wtime() - start;
}

static int work(precis_execution *execution, const precis_step *step)
{
  pipeline *p = execution->move;
  switch (step->kind) {
  case PRECIS_STEP_SUMMARISE:
    summarise(p, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_SUM:
    sum(p, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_MERGE:
    merge(p, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_APPLY:
    apply(p, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_FINISH:
    finish(p, step);
    return PRECIS_SUCCESS;
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

static int create(pipeline *p, precis_task *task, const precis_summaries *plan,
                  precis_summary_result *result)
{
  int status = precis_summary_work_create(task, plan, result, &p->work);
  if (status != PRECIS_SUCCESS)
    return status;
  p->work.poll = poll;
  p->work.poll_context = p;
  const precis_world *world = task->world;
  p->schedule = precis_schedule_summaries(&p->work.shape,
                                          task->summary_apart ? &world->apart : &world->layout);
  status = precis_execution_create(task, &p->schedule, work, p, &p->execution);
  const precis_nodes *nodes = p->schedule.nodes;
  p->from = precis_memory_array(nodes->largest > nodes->count ? nodes->largest : nodes->count,
                                sizeof *p->from);
  if (p->from == NULL)
    return PRECIS_ERR_MEMORY;
  if (status == PRECIS_SUCCESS && plan->outlier_keys > 0)
    status = precis_queries_create(task->problem, task->rows, task->q, NULL, &p->exact);
  return status;
}

static int run(precis_task *task, const precis_summaries *plan, precis_kept *kept,
               precis_summary_result *result, int *without_room)
{
  pipeline p = {.kept = kept};
  int status = precis_world_agree(task->world, create(&p, task, plan, result), NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_execution_open(&p.execution);
  *without_room = p.execution.without_room;
  if (status == PRECIS_SUCCESS)
    status = precis_summary_attend_outliers(&p.work, &p.exact, kept ? &kept->tokens : NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_execution_run(&p.execution, p.schedule.rounds);
  precis_queries_free(&p.exact);
  precis_execution_free(&p.execution);
  free(p.from);
  precis_summary_work_free(&p.work);
  if (status != PRECIS_SUCCESS)
    precis_summary_result_free(result);
  return status;
}

/* Somebody else may have taken, since the plan was made, what it counted on. */
int precis_summaries_run(precis_task *task, const precis_summaries *plan, precis_kept *kept,
                         precis_summary_result *result)
{
  int without_room, status = run(task, plan, kept, result, &without_room);
  if (!without_room)
    return status;
  task->summary_apart = 1;
  return run(task, plan, kept, result, &without_room);
}

precis_bulk precis_summaries_bulk(const precis_terms *terms, const precis_summaries *plan, int g)
{
  const precis_problem *p = terms->problem;
  return (precis_bulk){.kv_head = g,
                       .k_center = terms->k_center + (int64_t)g * p->dim,
                       .v_center = terms->v_center + (int64_t)g * p->value_dim,
                       .norm = precis_terms_norm(terms, g),
                       .fold = terms->fold + (int64_t)g * p->value_dim,
                       .least_deviation = plan->least_deviation[g],
                       .q_center = plan->q_center + (int64_t)g * p->dim,
                       .scale = p->scale,
                       .exponent = plan->exponent[g],
                       .lead = plan->set.lead,
                       .to_queries = precis_turning_map(plan->turning.to_queries, p->dim, g),
                       .to_keys = precis_turning_map(plan->turning.to_keys, p->dim, g)};
}

void precis_summaries_release(precis_summaries *plan)
{
  free(plan->q_center);
  free(plan->key_radius);
  free(plan->query_radius);
  free(plan->key_unit);
  free(plan->query_unit);
  free(plan->log_scale);
  free(plan->least_deviation);
  free(plan->exponent);
  free(plan->fit);
  precis_turning_free(&plan->turning);
  *plan = (precis_summaries){0};
}

void precis_summary_result_free(precis_summary_result *result)
{
  free(result->rows);
  *result = (precis_summary_result){0};
}

precis_wire precis_summaries_wire(const precis_problem *problem, const precis_summaries *plan,
                                  const precis_world *world, int prefixes, int apart)
{
  int64_t numbers =
      precis_summary_numbers(plan->features, plan->count_features, problem->value_dim);
  int64_t outliers = plan->outlier_keys * precis_cost_outlier_key(problem) +
                     plan->outlier_queries * precis_cost_outlier_query(problem);
  numbers *= problem->kv_heads;
  precis_wire wire =
      apart ? precis_cost_summaries_apart(&world->apart, numbers)
            : precis_cost_summaries(world->ranks, world->nodes, world->node, numbers, prefixes);
  return precis_wire_plus(wire, precis_cost_tree(world->ranks, world->nodes, outliers));
}
