/* report_sum.c - the reports of batches in one */
#include <math.h>

#include "src/cli/report.h"
#include "src/summary/summarise.h"

/* A summary that every query sees is kept from batch to batch: keys are gone over once. */
static double flops_of(const precis_run_report *r, const precis_report *a)
{
  const precis_problem *p = &r->problem;
  int kept = r->batches.count > 0 && !p->causal;
  double keys = kept ? 0 : (double)a->keys * p->kv_heads,
         tokens = keys + (double)a->queries * p->heads,
         feature_columns =
             (double)precis_summary_numbers(a->features, a->count_features, p->value_dim);
  return 2. * (p->dim + p->value_dim) * (double)a->pairs + 2 * tokens * feature_columns;
}

/* What was foretold: of what ran, and of what was considered every time instead. */
static void add_forecasts(precis_report *to, const precis_report *a, const precis_report *b)
{
  for (int move = 0; move < PRECIS_MOVES; move++) {
    int ran = move == (int)to->move, ma = ran ? (int)a->move : move, mb = ran ? (int)b->move : move;
    const precis_forecast *fa = &a->forecast[ma], *fb = &b->forecast[mb];
    int known = ran || (a->predicted_bytes[ma] >= 0 && b->predicted_bytes[mb] >= 0);
    to->predicted_bytes[move] = known ? a->predicted_bytes[ma] + b->predicted_bytes[mb] : -1;
    to->forecast[move] = (precis_forecast){.seconds = 0};
    if (!known)
      continue;
    to->forecast[move] = (precis_forecast){
        .seconds = fa->seconds > 0 && fb->seconds > 0 ? fa->seconds + fb->seconds : 0,
        .network_bytes = fa->network_bytes + fb->network_bytes,
        .node_bytes = fa->node_bytes + fb->node_bytes,
        .fast_memory_words = fa->fast_memory_words + fb->fast_memory_words,
        .peak_bytes = fa->peak_bytes > fb->peak_bytes ? fa->peak_bytes : fb->peak_bytes};
  }
}

static void add_seconds(precis_report *to, const precis_report *a, const precis_report *b)
{
  to->seconds_survey = a->seconds_survey + b->seconds_survey;
  to->seconds_plan = a->seconds_plan + b->seconds_plan;
  to->seconds_summarise = a->seconds_summarise + b->seconds_summarise;
  to->seconds_apply = a->seconds_apply + b->seconds_apply;
  to->seconds_exact = a->seconds_exact + b->seconds_exact;
  to->seconds_wait = a->seconds_wait + b->seconds_wait;
  to->seconds_total = a->seconds_total + b->seconds_total;
  to->seconds_processor = a->seconds_processor + b->seconds_processor;
}

/* `likely` is the one of a and b that says which move ran. */
static precis_report sum_of(const precis_report *a, const precis_report *b,
                            const precis_report *likely)
{
  precis_report to = *likely;
  to.queries = a->queries + b->queries;
  to.outlier_queries = a->outlier_queries + b->outlier_queries;
  to.rows_recomputed = a->rows_recomputed + b->rows_recomputed;
  to.repair_bytes = a->repair_bytes + b->repair_bytes;
  to.network_bytes = a->network_bytes + b->network_bytes;
  to.node_bytes = a->node_bytes + b->node_bytes;
  to.messages = a->messages + b->messages;
  to.pairs = a->pairs + b->pairs;
  to.pairs_most = a->pairs_most + b->pairs_most;
  add_forecasts(&to, a, b);
  add_seconds(&to, a, b);
  return to;
}

static void count_batch(precis_batches_report *batches, const precis_report *batch)
{
  batches->count++;
  batches->rows[batch->move] += batch->queries;
  if (batch->queries > batches->largest)
    batches->largest = batch->queries;
}

int precis_report_add(precis_run_report *r, const precis_report *batch, int again)
{
  precis_batches_report *batches = &r->batches;
  int estimate = r->attend.estimate || batch->estimate,
      first = batches->count == 0 && batches->again == 0;
  /* All that outlives a batch of what it promised; see worth.h for the rest. */
  double estimated =
      fmax(r->attend.estimate ? r->attend.promise : 0, batch->estimate ? batch->promise : 0);
  precis_report part = *batch;
  if (again)
    part.queries = 0;
  r->flops += flops_of(r, batch);
  int largest = first || part.queries > batches->largest;
  r->attend = first ? part : sum_of(&r->attend, &part, largest ? &part : &r->attend);
  r->attend.estimate = estimate;
  r->attend.promise = estimated;
  if (again)
    batches->again += batch->queries;
  else
    count_batch(batches, batch);
  return largest;
}
