/* precis_attend(): survey, plan, move, report. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/align.h"
#include "mpi/attention.h"
#include "mpi/plan.h"
#include "mpi/prospect.h"
#include "mpi/repair.h"
#include "mpi/task.h"
#include "src/blas.h"
#include "src/memory.h"
#include "src/rounding.h"

/* Bytes that a kept summary may always take on a rank. */
static const int64_t KEPT_ALWAYS = (int64_t)64 << 20;

typedef struct call {
  precis_attention *a;
  int64_t rows;
  const float *q;
  double query_most; /* max |q| of all ranks */
  precis_attend_plan plan;
  precis_prospect prospect; /* of summaries; empty where they were not considered */
  int use_kept, keeping;    /* the handle's summary serves, or is being built */
  int prefixes;             /* summaries of causal prefixes, ... */
  precis_align align;       /* ... on rows brought in line */
  precis_task task;
  precis_traffic before, repair; /* counted before the call, and by the repair alone */
  int64_t repaired;
  precis_summaries summary; /* the one that ran; arrays may be gone */
  double bound;             /* its largest B */
  double error, lse_error; /* largest certificates of this rank's rows */
  double output_rounding;  /* of a result to float32, in units of its column's range */
  double started, surveyed, planned;
} call;

static int check_queries(call *c, const float *out, precis_message *why)
{
  const precis_problem *p = &c->a->problem;
  int64_t row;
  int head;
  if (c->rows < 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "rows is %" PRId64 ", must not be negative", c->rows);
  if (c->rows > 0 && (c->q == NULL || out == NULL))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "q and out must not be NULL where there are rows");
  c->query_most = precis_survey_queries(c->rows, p->heads, p->dim, c->q, &row, &head);
  if (c->query_most < 0)
    return precis_message_set(why, PRECIS_ERR_NONFINITE,
                              "q holds a value that is not finite in local row %" PRId64 ", head %d", row, head);
  return PRECIS_SUCCESS;
}

/* Brings the survey up to date and the largest query to all ranks. */
static int survey(call *c)
{
  precis_attention *a = c->a;
  if (MPI_Allreduce(MPI_IN_PLACE, &c->query_most, 1, MPI_DOUBLE, MPI_MAX, a->world.comm))
    return PRECIS_ERR_MPI;
  if (a->surveyed == a->appended)
    return PRECIS_SUCCESS;
  int status = precis_survey_update(&a->world, &a->keys, &a->survey);
  if (status == PRECIS_SUCCESS)
    a->surveyed = a->appended;
  return status;
}

/* The largest of the scores' bounds, natural units. */
static double score_most(const call *c)
{
  const precis_attention *a = c->a;
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  double radius = 0;
  for (int g = 0; g < a->problem.kv_heads; g++)
    radius = extremes.radius[g] > radius ? extremes.radius[g] : radius;
  return fabs(a->problem.scale) * c->query_most * radius;
}

/* Float32 must hold every score, every value times the sum of a tile's weights, and the offsets that centring takes away. All ranks
 * see the same figures. */
static int check_range(const call *c, precis_message *why)
{
  const precis_attention *a = c->a;
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  double score = score_most(c);
  if (score > 1e37 || *extremes.bias_most > 1e37 || c->query_most * fabs(a->problem.scale) > 1e37)
    return precis_message_set(why, PRECIS_ERR_RANGE,
                              "scores may reach %g and biases %g, beyond the range of float32 arithmetic", score,
                              *extremes.bias_most);
  for (int64_t i = 0; i < (int64_t)a->problem.kv_heads * a->problem.value_dim; i++)
    if (extremes.value_most[i] + extremes.value_least[i] > 1e30)
      return precis_message_set(why, PRECIS_ERR_RANGE, "values span %g, beyond the range of float32 sums",
                                extremes.value_most[i] + extremes.value_least[i]);
  return PRECIS_SUCCESS;
}

static void set_up_task(call *c, float *out, float *lse)
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
      .fast_memory_bytes = a->fast_memory,
      .map = &c->plan.map,
      .key_rows = c->plan.key_rows,
      .cuts = c->plan.cuts,
      .deal_queries = c->plan.deal_queries,
      .deal_keys = c->plan.move == PRECIS_MOVE_QUERIES ? c->plan.deal_keys_for_queries : c->plan.deal_keys,
      .rows = c->rows,
      .q = c->q,
      .out = out,
      .lse = lse,
      .progress = a->options.progress,
      .progress_context = a->options.context,
  };
}

static precis_traffic minus(const precis_traffic *now, const precis_traffic *before)
{
  return (precis_traffic){now->network_bytes - before->network_bytes, now->node_bytes - before->node_bytes,
                          now->messages - before->messages};
}

static const precis_summaries *summaries_of(const call *c)
{
  return c->use_kept || c->keeping ? &c->a->kept.plan : &c->prospect.plan;
}

static double bound_of(const call *c)
{
  double most = 0;
  for (int g = 0; g < c->a->problem.kv_heads; g++)
    most = fmax(most, summaries_of(c)->fit[g].bound);
  return most;
}

/* Where exact moves are forbidden, rows over the tolerance are an error; where no tolerance was named, only rows of which nothing is proved
 * are. */
static int check_failures(call *c, const precis_summary_result *result, precis_message *why)
{
  int64_t failures = result->failures;
  if (MPI_Allreduce(MPI_IN_PLACE, &failures, 1, MPI_INT64_T, MPI_SUM, c->a->world.comm))
    return PRECIS_ERR_MPI;
  if (failures == 0 || c->a->options.move != PRECIS_MOVE_SUMMARIES)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                            "summaries of degree %d miss the tolerance %g in %" PRId64 " of %" PRId64
                            " rows, and exact moves are not allowed",
                            summaries_of(c)->degree, c->a->options.tol, failures,
                            precis_visible_queries(&c->plan.map) * c->a->problem.heads);
}

/* What certificates may promise, so that the rounding of results to float32 still fits under the tolerance. */
static double certificate_tol(const call *c)
{
  return c->a->options.tol > 0 ? c->a->options.tol - c->output_rounding : DBL_MAX;
}

static int attend_by_summaries(call *c, precis_task *task, precis_summary_result *result)
{
  precis_attention *a = c->a;
  double tol = certificate_tol(c);
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

/* The move and the repair of what it leaves, on rows at home or in line. */
static int run_summaries_on(call *c, precis_task *task, precis_message *why)
{
  precis_summary_result result = {.failed = NULL};
  int status = attend_by_summaries(c, task, &result);
  if (status != PRECIS_SUCCESS)
    return status;
  c->error = result.error;
  c->lse_error = result.lse_error;
  status = check_failures(c, &result, why);
  if (status == PRECIS_SUCCESS) {
    precis_traffic start = c->a->world.traffic;
    status = precis_repair_run(task, result.failed, result.failures, &c->repaired);
    c->repair = minus(&c->a->world.traffic, &start);
  }
  free(result.failed);
  return status;
}

/* A summary to serve later calls is built where it takes no more memory than the keys themselves, or little. Without memory there is none. */
static int prepare_keeping(call *c)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  int64_t keys = a->appended / a->world.ranks * p->kv_heads * (p->dim + p->value_dim) * (int64_t)sizeof(float);
  int64_t bytes = precis_kept_bytes(p, &c->prospect.plan);
  if (bytes > keys && bytes > KEPT_ALWAYS)
    return PRECIS_SUCCESS;
  int status = precis_kept_create(p, &c->prospect.plan, &a->kept);
  c->keeping = status == PRECIS_SUCCESS;
  return precis_world_agree(&a->world, status, NULL);
}

/* After the move: what was built is good from now on, unless too many rows had to be repaired. */
static void settle_kept(call *c, int status)
{
  precis_attention *a = c->a;
  double rows = (double)precis_visible_queries(&c->plan.map) * a->problem.heads;
  if (c->keeping) {
    a->kept.moves = a->survey.moves;
    a->kept.local_rows = a->keys.rows;
    a->kept.rows = a->appended;
    a->kept.valid = 1;
    a->exact_spent = 0;
  }
  if ((c->keeping || c->use_kept) && (status != PRECIS_SUCCESS || (double)c->repaired > 0.05 * rows + 1)) {
    precis_kept_free(&a->kept);
  }
}

static int run_at_home(call *c, precis_message *why)
{
  int status = c->use_kept ? PRECIS_SUCCESS : prepare_keeping(c);
  if (status == PRECIS_SUCCESS)
    status = run_summaries_on(c, &c->task, why);
  c->summary = *summaries_of(c);
  c->bound = bound_of(c);
  settle_kept(c, status);
  return status;
}

static int run_summaries(call *c, precis_message *why)
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

static int run_move(call *c, precis_message *why)
{
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

/* What the exact parts promise: of rounding. */
static double rounding(const call *c)
{
  const precis_attention *a = c->a;
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  precis_rounding r = {.dim = a->problem.dim, .score_most = score_most(c), .bias_most = *extremes.bias_most};
  /* One product of a block, then one addition for each block of a tile. */
  r.sum_terms = a->engine.shape.key_block + c->plan.tile_rows / a->engine.shape.key_block + 1;
  for (int hop = 1; hop < a->world.ranks && c->plan.move != PRECIS_MOVE_TILES; hop *= 2)
    r.roundings += 2;
  return precis_rounding_bound(&r) + c->output_rounding;
}

/* Half a unit in the last place of the largest value, in units of its column's range; worst column. */
static double output_rounding(const precis_attention *a)
{
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  double worst = 0;
  for (int64_t i = 0; i < (int64_t)a->problem.kv_heads * a->problem.value_dim; i++) {
    double most = extremes.value_most[i], least = -extremes.value_least[i], range = most - least;
    double size = fabs(most) > fabs(least) ? fabs(most) : fabs(least);
    if (range > 0 && size / range > worst)
      worst = size / range;
  }
  return worst * 0x1p-24;
}

static int64_t rounded(double x)
{
  return x < 9e18 ? (int64_t)x : INT64_MAX;
}

/* How well the results are known: exact ones to rounding, others to their certificates. */
static void set_promise(const call *c, double error, double lse_error, precis_report *r)
{
  int summaries = c->plan.move == PRECIS_MOVE_SUMMARIES;
  double by_rounding = !summaries || c->repaired > 0 ? rounding(c) : 0;
  error += summaries ? c->output_rounding : 0;
  r->promise = error > by_rounding ? error : by_rounding;
  r->lse_promise = lse_error > by_rounding ? lse_error : by_rounding;
}

static void report_summaries(const call *c, precis_report *r)
{
  const precis_summaries *plan = &c->summary;
  if (c->plan.move != PRECIS_MOVE_SUMMARIES)
    return;
  r->degree = plan->degree;
  r->envelope_degree = plan->envelope_degree;
  r->features = plan->features;
  r->count_features = plan->count_features;
  r->rows_recomputed = c->repaired;
  r->bound = c->bound;
}

/* Sums and maxima over the ranks. */
static int make_report(call *c, precis_report *report)
{
  precis_attention *a = c->a;
  precis_traffic sent = minus(&a->world.traffic, &c->before);
  int64_t counts[4] = {sent.network_bytes - c->repair.network_bytes, sent.node_bytes - c->repair.node_bytes,
                       sent.messages - c->repair.messages, c->repair.network_bytes + c->repair.node_bytes};
  double most[] = {c->task.pairs, c->error, c->lse_error, c->surveyed - c->started, c->planned - c->surveyed,
                   c->task.seconds_summarise, c->task.seconds_apply, c->task.seconds_exact, c->task.seconds_wait,
                   MPI_Wtime() - c->started};
  double pairs = c->task.pairs;
  if (MPI_Allreduce(MPI_IN_PLACE, counts, 4, MPI_INT64_T, MPI_SUM, a->world.comm) ||
      MPI_Allreduce(MPI_IN_PLACE, most, sizeof most / sizeof *most, MPI_DOUBLE, MPI_MAX, a->world.comm) ||
      MPI_Allreduce(MPI_IN_PLACE, &pairs, 1, MPI_DOUBLE, MPI_SUM, a->world.comm))
    return PRECIS_ERR_MPI;
  precis_report r = {
      .ranks = a->world.ranks,
      .nodes = a->world.nodes,
      .threads = a->engine.threads,
      .fast_memory_bytes = a->fast_memory_least,
      .queries = precis_visible_queries(&c->plan.map),
      .keys = a->appended,
      .move = c->plan.move,
      .network_bytes = counts[0],
      .node_bytes = counts[1],
      .messages = counts[2],
      .repair_bytes = counts[3],
      .pairs = rounded(pairs),
      .pairs_most = rounded(most[0]),
      .seconds_survey = most[3],
      .seconds_plan = most[4],
      .seconds_summarise = most[5],
      .seconds_apply = most[6],
      .seconds_exact = most[7],
      .seconds_wait = most[8],
      .seconds_total = most[9],
  };
  set_promise(c, most[1], most[2], &r);
  report_summaries(c, &r);
  memcpy(r.why, c->plan.why, sizeof r.why);
  memcpy(r.predicted_bytes, c->plan.bytes, sizeof r.predicted_bytes);
  *report = r;
  return PRECIS_SUCCESS;
}

/* Everything after the plan: results go to arrays of our own first, as the caller's are touched on success only. */
static int attend_planned(call *c, float *out, float *lse, precis_report *report, precis_message *why)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  float *made_out = precis_memory_array(c->rows * p->heads, (size_t)p->value_dim * sizeof *out);
  float *made_lse = precis_memory_array(c->rows * p->heads, sizeof *lse);
  precis_report made_report;
  int status = precis_world_agree(&a->world, made_out && made_lse ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, why);
  if (status == PRECIS_SUCCESS) {
    set_up_task(c, made_out, made_lse);
    int threads = precis_blas_threads(1);
    status = run_move(c, why);
    precis_blas_threads(threads);
    status = precis_world_agree(&a->world, status, why);
  }
  if (status == PRECIS_SUCCESS)
    status = make_report(c, &made_report);
  if (status == PRECIS_SUCCESS && c->rows > 0) {
    memcpy(out, made_out, (size_t)(c->rows * p->heads * p->value_dim) * sizeof *out);
    if (lse != NULL)
      memcpy(lse, made_lse, (size_t)(c->rows * p->heads) * sizeof *lse);
  }
  if (status == PRECIS_SUCCESS && report != NULL)
    *report = made_report;
  free(made_out);
  free(made_lse);
  return status;
}

/* Every query sees every key, as far as positions go. */
static int all_visible(const precis_query_map *map)
{
  for (int r = 0; r < map->ranks && map->causal; r++)
    if (map->start[r + 1] > map->start[r] && map->first_position[r] < map->keys - 1)
      return 0;
  return 1;
}

/* Uses the handle's summary if there is one that serves these queries. */
static int consider_kept(call *c)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  int group = p->heads / p->kv_heads;
  if (!a->kept.valid || certificate_tol(c) <= 0)
    return PRECIS_SUCCESS;
  double *radius = precis_memory_array(p->kv_heads, sizeof *radius);
  int status = precis_world_agree(&a->world, radius ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  for (int g = 0; g < p->kv_heads && status == PRECIS_SUCCESS; g++)
    radius[g] = precis_bulk_query_radius(p->dim, group, c->rows, c->q + (int64_t)g * group * p->dim,
                                         (int64_t)p->heads * p->dim, a->kept.plan.q_center + (int64_t)g * p->dim);
  if (status == PRECIS_SUCCESS &&
      MPI_Allreduce(MPI_IN_PLACE, radius, p->kv_heads, MPI_DOUBLE, MPI_MAX, a->world.comm))
    status = PRECIS_ERR_MPI;
  if (status == PRECIS_SUCCESS)
    status = precis_kept_check(&a->world, p, &a->survey, radius, a->appended, &a->kept);
  free(radius);
  if (status != PRECIS_SUCCESS || !a->kept.valid)
    return status;
  c->use_kept = 1;
  c->plan.move = PRECIS_MOVE_SUMMARIES;
  c->plan.bytes[PRECIS_MOVE_SUMMARIES] = precis_kept_update_bytes(p, a->world.ranks, a->appended - a->kept.rows);
  snprintf(c->plan.why, sizeof c->plan.why, "summaries: kept from an earlier call, %" PRId64 " keys are new",
           a->appended - a->kept.rows);
  return PRECIS_SUCCESS;
}

/* Fills c->prospect: whether summaries can and should be used, or why not. */
static int study_summaries(call *c, int forced)
{
  precis_attention *a = c->a;
  precis_rates rates = precis_rates_nominal(a->engine.threads);
  double pairs = precis_visible_pairs(&c->plan.map, 0, precis_visible_queries(&c->plan.map)) * a->problem.heads;
  precis_wish wish = {.tol = certificate_tol(c), .degree = a->options.degree, .force = forced};
  c->prefixes = !all_visible(&c->plan.map);
  if (!(wish.tol > 0)) {
    snprintf(c->prospect.why, sizeof c->prospect.why, "float32 cannot hold results to the tolerance");
    return PRECIS_SUCCESS;
  }
  if (c->prefixes) {
    int status = precis_align_plan(&a->world, &a->keys, &c->plan.map, &c->align);
    if (status != PRECIS_SUCCESS)
      return status;
    if (!c->align.possible) {
      snprintf(c->prospect.why, sizeof c->prospect.why, "positions of queries do not ascend over the ranks");
      return PRECIS_SUCCESS;
    }
  }
  wish.prefixes = c->prefixes;
  wish.credit = c->prefixes ? 0 : a->exact_spent;
  wish.exact_rounding = rounding(c);
  wish.exact_seconds = precis_choose_exact_seconds(&a->problem, &rates, a->world.ranks, a->appended, pairs,
                                                   (double)c->plan.bytes[c->plan.move]);
  return precis_prospect_make(a, &c->plan.map, c->rows, c->q, &wish, &c->prospect);
}

/* Puts summaries in the place of the exact move that was planned, where they are wanted and better. */
static int consider_summaries(call *c, precis_message *why)
{
  precis_attention *a = c->a;
  int forced = a->options.move == PRECIS_MOVE_SUMMARIES;
  if (!forced && (a->options.move != PRECIS_MOVE_AUTO || !(a->options.tol > 0)))
    return PRECIS_SUCCESS;
  int status = all_visible(&c->plan.map) ? consider_kept(c) : PRECIS_SUCCESS;
  if (status != PRECIS_SUCCESS || c->use_kept)
    return status;
  status = study_summaries(c, forced);
  if (status != PRECIS_SUCCESS)
    return status;
  if (c->prospect.plan.features > 0)
    c->plan.bytes[PRECIS_MOVE_SUMMARIES] =
        precis_summaries_bytes(&a->problem, &c->prospect.plan, a->world.ranks, c->prefixes) +
        c->align.queries_leaving * (precis_cost_query_row(&a->problem) + precis_cost_output_row(&a->problem)) +
        c->align.keys_leaving * precis_cost_key_row(&a->problem, a->with_bias);
  if (c->prospect.use) {
    snprintf(c->plan.why, sizeof c->plan.why, "summaries: %s, predicted %.3g s against %.3g s exact, %.2g of rows to repair",
             forced ? "asked for" : "cheaper", c->prospect.seconds, c->prospect.exact_seconds, c->prospect.failing);
    c->plan.move = PRECIS_MOVE_SUMMARIES;
  } else if (forced) {
    return precis_message_set(why, PRECIS_ERR_TOLERANCE, "summaries cannot be used: %s", c->prospect.why);
  } else {
    snprintf(c->plan.why, sizeof c->plan.why, "%s: exact, as %s", precis_move_name(c->plan.move), c->prospect.why);
    a->exact_spent += c->prefixes ? 0 : c->prospect.exact_seconds;
  }
  return PRECIS_SUCCESS;
}

static int attend(precis_attention *a, int explicit_positions, int64_t first_position, int64_t rows, const float *q,
                  float *out, float *lse, precis_report *report)
{
  if (a == NULL)
    return PRECIS_ERR_ARGUMENT;
  precis_message why = {""};
  call c = {.a = a, .rows = rows, .q = q, .before = a->world.traffic, .started = MPI_Wtime()};
  int status = precis_attention_end(a, check_queries(&c, out, &why), &why);
  if (status != PRECIS_SUCCESS)
    return status;
  status = survey(&c);
  c.surveyed = MPI_Wtime();
  c.output_rounding = output_rounding(a);
  if (status == PRECIS_SUCCESS)
    status = check_range(&c, &why);
  if (status == PRECIS_SUCCESS)
    status = precis_attend_plan_make(a, rows, explicit_positions, first_position, &c.plan);
  if (status == PRECIS_SUCCESS) {
    status = consider_summaries(&c, &why);
    c.planned = MPI_Wtime();
    if (status == PRECIS_SUCCESS)
      status = attend_planned(&c, out, lse, report, &why);
    precis_align_free(&c.align);
    precis_prospect_free(&c.prospect);
    precis_attend_plan_free(&c.plan);
  }
  return precis_attention_end(a, status, &why);
}

int precis_attend(precis_attention *attention, int64_t rows, const float *q, float *out, float *lse,
                  precis_report *report)
{
  return attend(attention, 0, 0, rows, q, out, lse, report);
}

int precis_attend_at(precis_attention *attention, int64_t first_position, int64_t rows, const float *q, float *out,
                     float *lse, precis_report *report)
{
  return attend(attention, 1, first_position, rows, q, out, lse, report);
}
