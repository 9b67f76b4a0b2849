#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mpi/call/call.h"
#include "mpi/world/room.h"
#include "src/model/footprint.h"
#include "src/exact/tile_rounding.h"
#include "src/layout/tree.h"

double precis_call_score_most(const precis_call *c)
{
  const precis_attention *a = c->a;
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  double radius = 0;
  for (int g = 0; g < a->problem.kv_heads; g++)
    radius = extremes.radius[g] > radius ? extremes.radius[g] : radius;
  return fabs(a->problem.scale) * c->query_most * radius;
}

precis_terms precis_call_terms(const precis_call *c)
{
  const precis_attention *a = c->a;
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  int range = a->options.tol_of == PRECIS_UNIT_RANGE;
  precis_terms terms = {.problem = &a->problem,
                        .k_center = precis_survey_k_center(&a->survey),
                        .v_center = precis_survey_v_center(&a->keys, &a->survey),
                        .per = range ? a->survey.per_range : a->survey.per,
                        .largest = range,
                        .fold = a->survey.fold,
                        .key_radius = extremes.radius,
                        .log_keys = log(a->appended > 1 ? (double)a->appended : 1)};
  if (a->with_bias && a->appended > 0 && *extremes.bias_top > -INFINITY) {
    terms.bias_center = *extremes.bias_top;
    terms.bias_reach = *extremes.bias_top + *extremes.bias_bottom;
  }
  terms.sum_terms = PRECIS_TILE_SUM_ROUNDINGS;
  /* Partials of repaired rows travel, whatever the move. */
  terms.roundings = 2 * precis_tree_depth(&a->world.layout);
  return terms;
}

double precis_call_processor(void)
{
  struct timespec time = {0};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int64_t rounded(double x)
{
  return x < 9e18 ? (int64_t)x : INT64_MAX;
}

static void report_summaries(const precis_call *c, precis_report *r)
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
  r->outlier_keys = c->use_kept ? c->a->kept.tokens.rows : plan->outlier_keys;
  r->outlier_queries = c->outlier_queries;
  r->kept = c->use_kept;
  r->lead_axes = c->lead_axes;
}

static precis_forecast forecast_of(const precis_prediction *p)
{
  return (precis_forecast){.seconds = p->seconds,
                           .network_bytes = p->bytes.network,
                           .node_bytes = p->bytes.node,
                           .fast_memory_words = p->fast_memory_words,
                           .peak_bytes = p->peak_bytes};
}

/* What ranks of a node would have shared, had there been room. A summary that is kept, or one of
 * prefixes, shares nothing. */
static void report_sharing(const precis_call *c, precis_report *r)
{
  const precis_scene *s = &c->plan.scene;
  precis_summary_size size;
  int mates = precis_scene_largest_node(s), apart = 0;
  int64_t each = 0;
  if (c->plan.move == PRECIS_MOVE_TILES) {
    each = precis_footprint_shared_tiles(s);
    apart = c->task.tiles_apart;
  } else if (c->plan.move == PRECIS_MOVE_SUMMARIES && !c->use_kept && !c->prefixes) {
    size = precis_summaries_size(&c->summary);
    each = precis_footprint_shared_summary(s, &size);
    apart = c->task.summary_apart;
  }
  r->shared_bytes = each * mates;
  r->shared_by_messages = each > 0 && apart;
  size_t length = strlen(r->why);
  if (r->shared_by_messages)
    snprintf(r->why + length, sizeof r->why - length,
             "; by messages inside nodes, as %s has %.3g MB free and %.3g MB are needed",
             precis_room_place(), (double)s->shared_room * mates * 1e-6,
             (double)r->shared_bytes * 1e-6);
}

/* Sums and maxima over the ranks. */
int precis_call_report(precis_call *c, int status, precis_report *report, precis_message *why)
{
  precis_attention *a = c->a;
  precis_traffic sent = precis_traffic_minus(&a->world.traffic, &c->before);
  int64_t counts[4] = {sent.network_bytes - c->repair.network_bytes,
                       sent.node_bytes - c->repair.node_bytes, sent.messages - c->repair.messages,
                       c->repair.network_bytes + c->repair.node_bytes};
  double most[] = {c->task.pairs,
                   c->surveyed - c->started,
                   c->planned - c->surveyed,
                   c->task.seconds_summarise,
                   c->task.seconds_apply,
                   c->task.seconds_exact,
                   c->task.seconds_wait,
                   MPI_Wtime() - c->started,
                   precis_call_processor() - c->processor_started};
  double pairs = c->task.pairs;
  const precis_told told[] = {
      {PRECIS_FOLD_SUM, 4, NULL, counts},
      {PRECIS_FOLD_MAX, sizeof most / sizeof *most, most, NULL},
      {PRECIS_FOLD_SUM, 1, &pairs, NULL},
  };
  status = precis_judge_meet(a, &c->judge, status, why, told, sizeof told / sizeof *told);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_report r = {
      .size = sizeof r,
      .ranks = a->world.ranks,
      .nodes = a->world.nodes,
      .threads = a->threads_least,
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
      .seconds_survey = most[1],
      .seconds_plan = most[2],
      .seconds_summarise = most[3],
      .seconds_apply = most[4],
      .seconds_exact = most[5],
      .seconds_wait = most[6],
      .seconds_total = most[7],
      .seconds_processor = most[8],
  };
  precis_judge_report(&c->judge, &r);
  if (c->plan.move == PRECIS_MOVE_SUMMARIES && a->options.guarantee == PRECIS_GUARANTEE_SAMPLED) {
    r.estimate = 1;
    r.promise = c->estimate;
  }
  r.estimate_missed = c->estimate_missed ? c->estimate : 0;
  report_summaries(c, &r);
  memcpy(r.why, c->plan.why, sizeof r.why);
  report_sharing(c, &r);
  for (int move = 0; move < PRECIS_MOVES; move++)
    r.forecast[move] = forecast_of(&c->plan.predicted[move]);
  memcpy(r.predicted_bytes, c->plan.bytes, sizeof r.predicted_bytes);
  *report = r;
  return PRECIS_SUCCESS;
}
