#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/call.h"
#include "mpi/estimate.h"
#include "mpi/repair.h"
#include "src/footprint.h"

void precis_call_set_up(precis_call *c, float *out, float *lse)
{
  precis_attention *a = c->a;
  c->task = (precis_task){
      .world = &a->world,
      .problem = &a->problem,
      .engine = a->engine,
      .keys = &a->keys,
      .k_center = precis_survey_k_center(&a->survey),
      .v_center = precis_survey_v_center(&a->keys, &a->survey),
      .kind = c->plan.kind,
      .tile_rows = c->plan.tile_rows,
      .thread_memory = a->thread_memory_least,
      .map = &c->plan.map,
      .key_rows = c->plan.key_rows,
      .cuts = c->plan.cuts,
      .deal_queries = c->plan.deal_queries,
      .deal_keys =
          c->plan.move == PRECIS_MOVE_QUERIES ? c->plan.deal_keys_for_queries : c->plan.deal_keys,
      .tiles_apart = c->plan.tiles_apart,
      .summary_apart = c->plan.summary_apart,
      .rows = c->rows,
      .q = c->q,
      .out = out,
      .lse = lse,
      .progress = a->options.progress,
      .progress_context = a->options.context,
  };
}

static const precis_summaries *summaries_of(const precis_call *c)
{
  return c->use_kept || c->keeping ? &c->a->kept.plan : &c->prospect.plan;
}

static double bound_of(const precis_call *c)
{
  double most = 0;
  for (int g = 0; g < c->a->problem.kv_heads; g++)
    most = fmax(most, summaries_of(c)->fit[g].domain.bound);
  return most;
}

/* Where exact moves are forbidden, rows over the tolerance are an error; where no tolerance was
 * named, only rows of which nothing is proved are. */
static int check_failures(precis_call *c, const precis_summary_result *result, precis_message *why)
{
  int64_t failures = result->failures;
  if (MPI_Allreduce(MPI_IN_PLACE, &failures, 1, MPI_INT64_T, MPI_SUM, c->a->world.comm))
    return PRECIS_ERR_MPI;
  if (failures == 0 || c->a->options.move != PRECIS_MOVE_SUMMARIES)
    return PRECIS_SUCCESS;
  int degree = summaries_of(c)->degree;
  int64_t rows = precis_visible_queries(&c->plan.map) * c->a->problem.heads;
  if (c->a->options.tol > 0)
    return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                              "summaries of degree %d miss the tolerance %g in %" PRId64
                              " of %" PRId64 " rows, and exact moves are not allowed",
                              degree, c->a->options.tol, failures, rows);
  return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                            "summaries of degree %d prove nothing of %" PRId64 " of %" PRId64
                            " rows, and exact moves are not allowed",
                            degree, failures, rows);
}

static int attend_by_summaries(precis_call *c, precis_task *task, precis_summary_result *result)
{
  precis_attention *a = c->a;
  double tol = precis_call_certificate_tol(c);
  if (c->use_kept) {
    int status = precis_kept_update(task, &a->kept);
    return status == PRECIS_SUCCESS
               ? precis_world_agree(&a->world, precis_kept_run(task, &a->kept, tol, result), NULL)
               : status;
  }
  if (c->prefixes)
    return precis_causal_run(task, &c->prospect.plan, tol, result);
  return precis_summaries_run(task, summaries_of(c), tol, c->keeping ? &a->kept : NULL, result);
}

/* Outlier queries, which were planned for, and rows whose certificate is over the tolerance, which
 * were not: traffic for these is counted apart. A kept summary plans for neither. */
static int answer_exactly(precis_call *c, precis_task *task, const precis_summary_result *result,
                          precis_message *why)
{
  precis_world *world = &c->a->world;
  precis_traffic start = world->traffic;
  int status = PRECIS_SUCCESS;
  precis_waiting_step(&world->waiting, "rows to be answered exactly");
  if (isfinite(summaries_of(c)->query_rho)) {
    status = precis_repair_run(task, result->rows + result->capacity - result->outliers,
                               result->outliers, &c->outlier_queries);
    status = precis_world_agree(world, status, why);
  }
  if (!c->use_kept)
    start = world->traffic;
  if (status == PRECIS_SUCCESS)
    status = precis_repair_run(task, result->rows, result->failures, &c->repaired);
  if (c->a->options.guarantee == PRECIS_GUARANTEE_SAMPLED) {
    status = precis_world_agree(world, status, why);
    if (status == PRECIS_SUCCESS)
      status = precis_estimate_error(task, &c->prospect.plan, c->estimate);
  }
  c->repair = precis_traffic_minus(&world->traffic, &start);
  return status;
}

/* The move and what it leaves to be answered exactly, on rows at home or in line. */
static int run_summaries_on(precis_call *c, precis_task *task, precis_message *why)
{
  precis_summary_result result = {.rows = NULL};
  int status = attend_by_summaries(c, task, &result);
  c->error = result.error;
  c->lse_error = result.lse_error;
  if (status == PRECIS_SUCCESS)
    status = check_failures(c, &result, why);
  if (status == PRECIS_SUCCESS)
    status = answer_exactly(c, task, &result, why);
  precis_summary_result_free(&result);
  return status;
}

/* A summary to serve later calls is built where there is room for it. Without memory there is none.
 */
static int prepare_keeping(precis_call *c)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  const precis_summary_size size = precis_summaries_size(&c->prospect.plan);
  if (a->options.guarantee == PRECIS_GUARANTEE_SAMPLED ||
      !precis_footprint_keeps(&c->plan.scene, &size))
    return PRECIS_SUCCESS;
  int status = precis_kept_create(p, &c->prospect.plan, &a->kept);
  c->keeping = status == PRECIS_SUCCESS;
  return precis_world_agree(&a->world, status, NULL);
}

/* After the move: what was built is good from now on, unless too many rows had to be repaired. */
static void settle_kept(precis_call *c, int status)
{
  precis_attention *a = c->a;
  double rows = (double)precis_visible_queries(&c->plan.map) * a->problem.heads;
  if (!c->keeping && !c->use_kept)
    return;
  if (c->keeping) {
    a->kept.moves = a->survey.moves;
    a->kept.local_rows = a->keys.rows;
    a->kept.rows = a->appended;
    a->kept.valid = 1;
    a->exact_spent = a->repair_spent = 0;
    a->repair_patience = fmax(a->repair_patience, a->kept.plan.seconds);
  }
  a->kept.calls++;
  a->repair_spent += precis_model_repair_seconds(&c->plan.scene, (double)c->repaired);
  if (status != PRECIS_SUCCESS || (double)c->repaired > PRECIS_REPAIRED_MOST * rows + 1)
    precis_kept_free(&a->kept);
}

static int run_at_home(precis_call *c, precis_message *why)
{
  int status = c->use_kept ? PRECIS_SUCCESS : prepare_keeping(c);
  if (status == PRECIS_SUCCESS)
    status = run_summaries_on(c, &c->task, why);
  c->summary = *summaries_of(c);
  c->bound = bound_of(c);
  settle_kept(c, status);
  return status;
}

static int run_summaries(precis_call *c, precis_message *why)
{
  if (!c->prefixes)
    return run_at_home(c, why);
  c->summary = c->prospect.plan;
  c->bound = bound_of(c);
  int status = precis_align_make(&c->task, &c->align);
  if (status == PRECIS_SUCCESS) {
    status = run_summaries_on(c, &c->align.task, why);
    /* RANGE is one rank's own: all must know before results travel. */
    status = precis_world_agree(&c->a->world, status, why);
  }
  return status == PRECIS_SUCCESS ? precis_align_back(&c->task, &c->align) : status;
}

/* Where the estimate misses the tolerance, the exact move runs after all. */
static int check_estimate(precis_call *c, precis_message *why)
{
  const precis_options *options = &c->a->options;
  double error = c->estimate[0] + precis_call_rounding(c);
  if (options->guarantee != PRECIS_GUARANTEE_SAMPLED || !(options->tol > 0) ||
      error <= options->tol)
    return PRECIS_SUCCESS;
  if (options->move == PRECIS_MOVE_SUMMARIES)
    return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                              "the error of summaries is estimated at %.3g, over the tolerance %g, "
                              "and exact moves are not allowed",
                              error, options->tol);
  c->plan.move = c->exact_move;
  c->error = c->lse_error = 0;
  snprintf(c->plan.why, sizeof c->plan.why,
           "%s: exact, as the error of summaries was estimated at %.3g",
           precis_move_name(c->exact_move), error);
  return precis_call_run(c, why);
}

int precis_call_run(precis_call *c, precis_message *why)
{
  int status;
  precis_waiting_step(&c->a->world.waiting, precis_move_name(c->plan.move));
  switch (c->plan.move) {
  case PRECIS_MOVE_TILES:
    return precis_ring_run(&c->task);
  case PRECIS_MOVE_HEADS:
    return precis_heads_run(&c->task);
  case PRECIS_MOVE_QUERIES:
    return precis_queries_run(&c->task);
  case PRECIS_MOVE_SUMMARIES:
    status = run_summaries(c, why);
    return status == PRECIS_SUCCESS ? check_estimate(c, why) : status;
  case PRECIS_MOVE_AUTO:
    break;
  }
  return PRECIS_ERR_INTERNAL;
}
