#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/call/call.h"
#include "mpi/call/estimate.h"
#include "mpi/moves/repair.h"
#include "src/model/footprint.h"
#include "src/summary/outliers.h"
#include "src/base/problem.h"

void precis_call_set_up(precis_call *c, const precis_finished *to)
{
  precis_attention *a = c->a;
  c->task = (precis_task){
      .world = &a->world,
      .problem = &a->problem,
      .engine = a->engine,
      .keys = &a->keys,
      .terms = c->terms,
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
      .to = *to,
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

/* Certificates of a kept summary are in the norm that its deviations were summed in. */
static void convert_proofs(const precis_call *c, const precis_task *task)
{
  const precis_problem *p = task->problem;
  int64_t dv = p->value_dim;
  for (int64_t i = 0; i < task->rows * p->heads; i++) {
    int g = precis_problem_kv_head(p, (int)(i % p->heads));
    const precis_norm frozen = {(int)dv, c->terms.largest, c->a->kept.at.per + g * dv},
                      now = precis_terms_norm(&c->terms, g);
    double factor = precis_norm_conversion(&frozen, &now) * (1 + 0x1p-22);
    task->to.proof[PRECIS_PROOF_NUMBERS * i] *= (float)factor;
  }
}

static int attend_by_kept(precis_call *c, precis_task *task, precis_summary_result *result)
{
  precis_attention *a = c->a;
  int status = precis_kept_update(task, &a->kept);
  if (status != PRECIS_SUCCESS)
    return status;
  task->terms.per = a->kept.at.per;
  task->terms.fold = a->kept.at.fold;
  status = precis_world_agree(&a->world, precis_kept_run(task, &a->kept, result), NULL);
  task->terms.per = c->terms.per;
  task->terms.fold = c->terms.fold;
  if (status == PRECIS_SUCCESS)
    convert_proofs(c, task);
  return status;
}

static int attend_by_summaries(precis_call *c, precis_task *task, precis_summary_result *result)
{
  precis_attention *a = c->a;
  if (c->use_kept)
    return attend_by_kept(c, task, result);
  if (c->prefixes)
    return precis_causal_run(task, &c->prospect.plan, result);
  return precis_summaries_run(task, summaries_of(c), c->keeping ? &a->kept : NULL, result);
}

/* Outlier queries, which were planned for. A kept summary plans for none: traffic for these is
 * counted apart. */
static int answer_outliers(precis_call *c, precis_task *task, const precis_summary_result *result,
                           precis_message *why)
{
  precis_world *world = &c->a->world;
  precis_traffic start = world->traffic;
  precis_waiting_step(&world->waiting, "rows to be answered exactly");
  int status = precis_repair_run(task, result->rows, result->outliers, 0, &c->outlier_queries);
  status = precis_world_agree(world, status, why);
  if (c->use_kept)
    c->repair = precis_traffic_minus(&world->traffic, &start);
  return status;
}

/* The move and its outliers, on rows at home or in line. */
static int run_summaries_on(precis_call *c, precis_task *task, precis_message *why)
{
  precis_summary_result result = {.rows = NULL};
  int status = attend_by_summaries(c, task, &result);
  if (status == PRECIS_SUCCESS)
    status = answer_outliers(c, task, &result, why);
  precis_summary_result_free(&result);
  return status;
}

/* A summary to serve later calls is built where there is room for it. Without memory there is none.
 */
static int prepare_keeping(precis_call *c)
{
  precis_attention *a = c->a;
  const precis_summary_size size = precis_summaries_size(&c->prospect.plan);
  if (c->grouped || a->options.guarantee == PRECIS_GUARANTEE_SAMPLED ||
      !precis_footprint_keeps(&c->plan.scene, &size))
    return PRECIS_SUCCESS;
  int status = precis_kept_create(&c->terms, &c->prospect.plan, &a->kept);
  c->keeping = status == PRECIS_SUCCESS;
  return precis_world_agree(&a->world, status, NULL);
}

/* Predicted, of the best exact move. */
static double exact_seconds(const precis_call *c)
{
  double least = INFINITY;
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++)
    if (c->plan.predicted[move].seconds > 0)
      least = fmin(least, c->plan.predicted[move].seconds);
  return least;
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
  double repair = precis_model_repair_seconds(&c->plan.scene, (double)c->repaired);
  a->repair_spent += repair;
  /* Where an exact move would have been about as fast, it gives way. */
  if (status != PRECIS_SUCCESS ||
      (repair > 0.5 * exact_seconds(c) && (double)c->repaired > 0.05 * rows + 1))
    precis_kept_free(&a->kept);
}

/* For the report: arrays may be gone by then. */
static void note_summary(precis_call *c)
{
  const precis_summaries *plan = summaries_of(c);
  c->summary = *plan;
  c->bound = bound_of(c);
  c->lead_axes = plan->turning.keys != NULL ? plan->set.lead : 0;
}

static int run_at_home(precis_call *c, precis_message *why)
{
  int status = c->use_kept ? PRECIS_SUCCESS : prepare_keeping(c);
  if (status == PRECIS_SUCCESS)
    status = run_summaries_on(c, &c->task, why);
  note_summary(c);
  return status;
}

static int run_summaries(precis_call *c, precis_message *why)
{
  if (!c->prefixes)
    return run_at_home(c, why);
  note_summary(c);
  int status = precis_align_make(&c->task, &c->align);
  if (status == PRECIS_SUCCESS) {
    status = run_summaries_on(c, &c->align.task, why);
    /* RANGE is one rank's own: all must know before results travel. */
    status = precis_world_agree(&c->a->world, status, why);
  }
  return status == PRECIS_SUCCESS ? precis_align_back(&c->task, &c->align) : status;
}

static int run_move(precis_call *c, precis_message *why)
{
  precis_waiting_step(&c->a->world.waiting, precis_move_name(c->plan.move));
  switch (c->plan.move) {
  case PRECIS_MOVE_TILES:
    return precis_ring_run(&c->task);
  case PRECIS_MOVE_HEADS:
    return precis_heads_run(&c->task);
  case PRECIS_MOVE_QUERIES:
    return precis_queries_run(&c->task);
  case PRECIS_MOVE_SUMMARIES:
    return run_summaries(c, why);
  case PRECIS_MOVE_AUTO:
    break;
  }
  return PRECIS_ERR_INTERNAL;
}

/* What has been sent since is not among the bytes of the move. */
static void count_apart(precis_call *c, const precis_traffic *start)
{
  precis_traffic took = precis_traffic_minus(&c->a->world.traffic, start);
  c->repair.network_bytes += took.network_bytes;
  c->repair.node_bytes += took.node_bytes;
  c->repair.messages += took.messages;
}

/* Where the estimate misses the tolerance, the exact move runs after all. */
static int check_estimate(precis_call *c, precis_message *why)
{
  const precis_options *options = &c->a->options;
  precis_traffic start = c->a->world.traffic;
  int status = precis_estimate_error(&c->judge, &c->estimate);
  count_apart(c, &start);
  if (status != PRECIS_SUCCESS || !(options->tol > 0) || c->estimate <= options->tol)
    return status;
  if (options->move == PRECIS_MOVE_SUMMARIES)
    return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                              "the error of summaries is estimated at %.3g, over the tolerance %g, "
                              "and exact moves are not allowed",
                              c->estimate, options->tol);
  c->repair = precis_traffic_minus(&c->a->world.traffic, &c->before); /* all was in vain */
  c->plan.move = c->exact_move;
  c->estimate_missed = 1;
  snprintf(c->plan.why, sizeof c->plan.why,
           "%s: exact, as the error of summaries was estimated at %.3g",
           precis_move_name(c->exact_move), c->estimate);
  status = precis_world_agree(&c->a->world, run_move(c, why), why);
  return status == PRECIS_SUCCESS ? precis_judge_rows(&c->judge) : status;
}

/* Where exact moves are forbidden, rows over the tolerance are an error; where no tolerance was
 * named, only rows of which nothing is proved are. */
static int refuse_failures(const precis_call *c, precis_message *why)
{
  const precis_options *options = &c->a->options;
  int degree = c->summary.degree;
  int64_t failures = c->judge.all_failures,
          rows = precis_visible_queries(&c->plan.map) * c->a->problem.heads;
  if (options->tol > 0)
    return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                              "summaries of degree %d miss the tolerance %g in %" PRId64
                              " of %" PRId64 " rows, and exact moves are not allowed",
                              degree, options->tol, failures, rows);
  return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                            "summaries of degree %d prove nothing of %" PRId64 " of %" PRId64
                            " rows, and exact moves are not allowed",
                            degree, failures, rows);
}

static int refuse_rounding(const precis_call *c, precis_message *why)
{
  const precis_options *options = &c->a->options;
  int64_t rows = precis_visible_queries(&c->plan.map) * c->a->problem.heads;
  return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                            "results in float32 cannot keep the tolerance %g in %" PRId64
                            " of %" PRId64 " rows, even where they are computed in double",
                            options->tol, c->judge.all_failures, rows);
}

/* Rows that fail are answered again. */
static int repair(precis_call *c, int precise, precis_message *why)
{
  precis_world *world = &c->a->world;
  precis_judge *judge = &c->judge;
  precis_traffic start = world->traffic;
  int64_t repaired = 0;
  precis_waiting_step(&world->waiting,
                      precise ? "rows to be answered in double" : "rows to be answered exactly");
  if (c->repaired == 0 || !precise)
    precis_judge_count_repair(judge);
  judge->settled = precise;
  int status = precis_repair_run(&c->task, judge->failed, judge->failures, precise, &repaired);
  status = precis_world_agree(world, status, why);
  count_apart(c, &start);
  if (c->repaired == 0 || !precise)
    c->repaired += repaired;
  return status == PRECIS_SUCCESS ? precis_judge_rows(judge) : status;
}

/* Rows that fail although they are no outliers, which are answered exactly, of all ranks. */
static int count_bulk_failures(const precis_call *c, int64_t *count)
{
  const precis_problem *p = &c->a->problem;
  const precis_summaries *plan = summaries_of(c);
  int64_t mine = 0;
  for (int64_t i = 0; i < c->judge.failures; i++) {
    precis_failed_row row = c->judge.failed[i];
    int64_t g = precis_problem_kv_head(p, row.head);
    double norm =
        precis_bulk_query_radius(p->dim, 1, 1, c->q + (row.row * p->heads + row.head) * p->dim,
                                 p->dim, plan->q_center + g * p->dim);
    mine += !(precis_outliers_rho(norm, plan->query_unit[g]) > plan->query_rho);
  }
  return MPI_Allreduce(&mine, count, 1, MPI_INT64_T, MPI_SUM, c->a->world.comm) ? PRECIS_ERR_MPI
                                                                                : PRECIS_SUCCESS;
}

/* Where exact moves are forbidden: other summaries, as long as there are stronger ones. So a looser
 * tolerance never fails where a tighter one succeeds. */
static int run_stronger(precis_call *c, precis_message *why)
{
  int64_t bulk = 0;
  int status = count_bulk_failures(c, &bulk);
  while (status == PRECIS_SUCCESS && bulk > 0) {
    int found = c->a->options.tol > 0 ? precis_call_strengthen(c) : PRECIS_ERR_TOLERANCE;
    if (found == PRECIS_ERR_TOLERANCE)
      return refuse_failures(c, why);
    status = found;
    c->repair = precis_traffic_minus(&c->a->world.traffic, &c->before); /* all was in vain */
    c->outlier_queries = 0;
    if (status == PRECIS_SUCCESS)
      status = precis_world_agree(&c->a->world, run_move(c, why), why);
    if (status == PRECIS_SUCCESS)
      status = precis_judge_rows(&c->judge);
    if (status == PRECIS_SUCCESS)
      status = count_bulk_failures(c, &bulk);
  }
  return status;
}

/* Results as they are, rows that fail exactly, then in double, as long as some fail. */
static int judge(precis_call *c, precis_message *why)
{
  precis_attention *a = c->a;
  int forced = a->options.move == PRECIS_MOVE_SUMMARIES,
      summaries = c->plan.move == PRECIS_MOVE_SUMMARIES;
  int status =
      precis_signal_find_mean(&a->world, &a->problem, c->rows, c->q, c->task.to.lse, &a->signal);
  if (status == PRECIS_SUCCESS)
    status =
        precis_signal_take(&a->world, &a->problem, &a->keys, &a->survey, a->appended, &a->signal);
  c->judge.prove = summaries;
  if (status == PRECIS_SUCCESS)
    status = precis_judge_rows(&c->judge);
  if (status == PRECIS_SUCCESS && summaries && c->judge.all_failures > 0)
    status = forced ? run_stronger(c, why) : repair(c, 0, why);
  if (status == PRECIS_SUCCESS && summaries && a->options.guarantee == PRECIS_GUARANTEE_SAMPLED)
    status = check_estimate(c, why);
  if (status == PRECIS_SUCCESS && precis_judge_drop_constant(&c->judge) > 0)
    status = repair(c, 1, why);
  if (status == PRECIS_SUCCESS && precis_judge_drop_constant(&c->judge) > 0)
    status = refuse_rounding(c, why);
  return status;
}

int precis_call_run(precis_call *c, precis_message *why)
{
  int status = run_move(c, why);
  if (status == PRECIS_SUCCESS)
    status = precis_judge_create(c->a, &c->task, c->prefixes, &c->judge);
  status = precis_world_agree(&c->a->world, status, why);
  if (status == PRECIS_SUCCESS)
    status = judge(c, why);
  if (c->plan.move == PRECIS_MOVE_SUMMARIES && !c->prefixes)
    settle_kept(c, status);
  return status;
}
