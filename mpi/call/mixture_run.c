/* Groups of heads, one after the other, and what they come to together: see mixture.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/call/mixture.h"
#include "mpi/handle/subset.h"
#include "src/base/memory.h"

/* A call in groups. Arrays are of all heads, those of `some` of the largest group's. */
typedef struct mixed {
  precis_call *c;
  const precis_mixture *m;
  precis_learnt learnt;
  precis_report *reports; /* of the groups */
  int *list;              /* kv_heads: of the group at hand */
  precis_results all, some;
  float *own_out;       /* of `all` */
  float *q;             /* of some */
  int64_t bytes;        /* of all these */
  precis_options whole; /* the handle's, for progress: */
  double done, part;    /* the share of heads in groups before, and in this one */
} mixed;

static int list_group(const mixed *x, int group, int *list)
{
  int count = 0;
  for (int g = 0; g < x->c->a->problem.kv_heads; g++)
    if (x->m->group[g] == group)
      list[count++] = g;
  return count;
}

static float *take(mixed *x, int64_t rows, int64_t each)
{
  x->bytes += rows * each * (int64_t)sizeof(float);
  return precis_memory_array(rows, (size_t)each * sizeof(float));
}

static void release(mixed *x)
{
  void *arrays[] = {x->reports,  x->list,        x->own_out, x->q,         x->some.out,
                    x->some.lse, x->some.bounds, x->all.lse, x->all.bounds};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
  precis_learnt_free(&x->learnt);
}

/* Errors: MEMORY. */
static int create(mixed *x, const precis_results *results)
{
  const precis_problem *p = &x->c->a->problem;
  int64_t rows = x->c->rows, dv = p->value_dim;
  int most = 0, group = p->heads / p->kv_heads;
  x->reports = precis_memory_array(x->m->groups, sizeof *x->reports);
  x->list = precis_memory_array(p->heads, sizeof *x->list);
  int learnt = precis_learnt_create(x->c->a, &x->learnt);
  if (!x->reports || !x->list || learnt != PRECIS_SUCCESS)
    return PRECIS_ERR_MEMORY;
  for (int i = 0; i < x->m->groups; i++) {
    int count = list_group(x, i, x->list) * group;
    most = count > most ? count : most;
  }
  if (!x->c->a->options.results_in_place)
    x->own_out = take(x, rows, p->heads * dv);
  x->all = (precis_results){x->own_out ? x->own_out : results->out,
                            results->lse ? take(x, rows, p->heads) : NULL,
                            results->bounds ? take(x, rows, p->heads) : NULL};
  x->some = (precis_results){take(x, rows, most * dv), take(x, rows, most),
                             results->bounds ? take(x, rows, most) : NULL};
  x->q = take(x, rows, (int64_t)most * p->dim);
  int made = x->all.out && x->some.out && x->some.lse && x->q && (!results->lse || x->all.lse) &&
             (!results->bounds || (x->all.bounds && x->some.bounds));
  return made || rows == 0 ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

/* Of a group's part of the call. */
static void progress(void *context, double share)
{
  const mixed *x = context;
  x->whole.progress(x->whole.context, x->done + x->part * share);
}

/* Collective. */
static int attend_group(mixed *x, int number, precis_message *why)
{
  precis_call *c = x->c;
  precis_attention *a = c->a;
  const precis_problem whole = a->problem;
  int count = list_group(x, number, x->list);
  precis_subset subset;
  int status = precis_subset_enter(a, count, x->list, x->bytes, &x->learnt, &subset);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_subset_gather(&subset, c->rows, whole.dim, c->q, x->q);
  x->done += x->part;
  x->part = (double)count / whole.kv_heads;
  if (a->options.progress != NULL) {
    a->options.progress = progress;
    a->options.context = x;
  }
  precis_call part = precis_mixture_call(c, x->q);
  status = precis_call_plan(&part, PRECIS_SUCCESS, why);
  if (status == PRECIS_SUCCESS)
    status = precis_call_answer(&part, &x->some, &x->reports[number], why);
  precis_call_free(&part);
  if (status == PRECIS_SUCCESS) {
    precis_subset_scatter(&subset, c->rows, whole.value_dim, x->some.out, x->all.out);
    if (x->all.lse != NULL)
      precis_subset_scatter(&subset, c->rows, 1, x->some.lse, x->all.lse);
    if (x->all.bounds != NULL)
      precis_subset_scatter(&subset, c->rows, 1, x->some.bounds, x->all.bounds);
  }
  precis_subset_leave(&subset, status == PRECIS_SUCCESS ? &x->learnt : NULL);
  return status;
}

/* "0-2, 5": query heads, which ascend. */
static void write_heads(const int *list, int count, char *text, size_t size)
{
  size_t used = 0;
  text[0] = '\0';
  for (int i = 0; i < count && used + 16 < size; i++) {
    int first = i;
    while (i + 1 < count && list[i + 1] == list[i] + 1)
      i++;
    used += (size_t)snprintf(text + used, size - used, i > first ? "%s%d-%d" : "%s%d",
                             used > 0 ? ", " : "", list[first], list[i]);
  }
}

/* Query heads of a group, into x->list. */
static int list_heads(const mixed *x, int number)
{
  const precis_problem *p = &x->c->a->problem;
  int group = p->heads / p->kv_heads, count = 0;
  for (int h = 0; h < p->heads; h++)
    if (x->m->group[h / group] == number)
      x->list[count++] = h;
  return count;
}

/* "heads 0-2 summaries, degree 2; head 3 tiles" */
static void explain(const mixed *x, char *why, size_t size)
{
  size_t used = 0;
  for (int i = 0; i < x->m->groups && used + 1 < size; i++) {
    const precis_report *r = &x->reports[i];
    char heads[64], degree[24] = "";
    int count = list_heads(x, i);
    write_heads(x->list, count, heads, sizeof heads);
    if (r->move == PRECIS_MOVE_SUMMARIES)
      snprintf(degree, sizeof degree, ", degree %d", r->degree);
    used += (size_t)snprintf(why + used, size - used, "%shead%s %s %s%s", i > 0 ? "; " : "",
                             count > 1 ? "s" : "", heads, precis_move_name(r->move), degree);
  }
}

static void add_forecast(precis_forecast *sum, const precis_forecast *f)
{
  sum->seconds += f->seconds;
  sum->network_bytes += f->network_bytes;
  sum->node_bytes += f->node_bytes;
  sum->fast_memory_words += f->fast_memory_words;
  sum->peak_bytes = f->peak_bytes > sum->peak_bytes ? f->peak_bytes : sum->peak_bytes;
}

/* What is counted and what is timed. */
static void add_costs(precis_report *sum, const precis_report *r)
{
  sum->network_bytes += r->network_bytes;
  sum->node_bytes += r->node_bytes;
  sum->messages += r->messages;
  sum->repair_bytes += r->repair_bytes;
  sum->pairs += r->pairs;
  sum->pairs_most += r->pairs_most;
  sum->shared_bytes = r->shared_bytes > sum->shared_bytes ? r->shared_bytes : sum->shared_bytes;
  sum->shared_by_messages |= r->shared_by_messages;
  sum->seconds_survey += r->seconds_survey;
  sum->seconds_plan += r->seconds_plan;
  sum->seconds_summarise += r->seconds_summarise;
  sum->seconds_apply += r->seconds_apply;
  sum->seconds_exact += r->seconds_exact;
  sum->seconds_wait += r->seconds_wait;
}

/* Of summaries, those of the group with most features stand for all; its outliers and rows of all
 * groups add up. */
static void add_summaries(precis_report *sum, const precis_report *r)
{
  if (r->features > sum->features) {
    sum->degree = r->degree;
    sum->envelope_degree = r->envelope_degree;
    sum->features = r->features;
    sum->count_features = r->count_features;
    sum->lead_axes = r->lead_axes;
  }
  sum->bound = fmax(sum->bound, r->bound);
  sum->outlier_keys += r->outlier_keys;
  sum->outlier_queries += r->outlier_queries;
  sum->rows_recomputed += r->rows_recomputed;
}

/* squares, heads: so far, of heads that are not constant. */
static void add_promises(precis_report *sum, const precis_report *r, int group_heads,
                         double *squares, int *heads)
{
  int varied = group_heads - r->constant_heads;
  sum->promise = fmax(sum->promise, r->promise);
  sum->promise_outputs = fmax(sum->promise_outputs, r->promise_outputs);
  sum->promise_range = fmax(sum->promise_range, r->promise_range);
  sum->lse_promise = fmax(sum->lse_promise, r->lse_promise);
  sum->constant_heads += r->constant_heads;
  if (varied > 0) {
    sum->mean_signal = *heads > 0 ? fmin(sum->mean_signal, r->mean_signal) : r->mean_signal;
    sum->trivial_error = *heads > 0 ? fmin(sum->trivial_error, r->trivial_error) : r->trivial_error;
  }
  *squares += varied * r->promise_outputs_rms * r->promise_outputs_rms;
  *heads += varied;
}

/* What the groups come to. Of moves that did not run, forecasts are of all heads together. */
static void sum_up(const mixed *x, double processor, precis_report *sum)
{
  const precis_call *c = x->c;
  double squares = 0;
  int heads = 0, group = c->a->problem.heads / c->a->problem.kv_heads;
  const precis_report *first = &x->reports[0];
  *sum = (precis_report){.size = sizeof *sum,
                         .ranks = first->ranks,
                         .nodes = first->nodes,
                         .threads = first->threads,
                         .fast_memory_bytes = first->fast_memory_bytes,
                         .queries = first->queries,
                         .keys = first->keys,
                         .move = PRECIS_MOVE_SUMMARIES,
                         .seconds_survey = c->surveyed - c->started,
                         .seconds_plan = c->planned - c->surveyed,
                         .seconds_total = MPI_Wtime() - c->started,
                         .seconds_processor = processor};
  for (int move = 0; move < PRECIS_MOVES; move++) {
    const precis_prediction *p = &c->plan.predicted[move];
    sum->forecast[move] = (precis_forecast){p->seconds, p->bytes.network, p->bytes.node,
                                            p->fast_memory_words, p->peak_bytes};
    sum->predicted_bytes[move] = c->plan.bytes[move];
  }
  precis_forecast *ours = &sum->forecast[PRECIS_MOVE_SUMMARIES];
  *ours = (precis_forecast){0};
  sum->predicted_bytes[PRECIS_MOVE_SUMMARIES] = 0;
  for (int i = 0; i < x->m->groups; i++) {
    const precis_report *r = &x->reports[i];
    add_forecast(ours, &r->forecast[r->move]);
    sum->predicted_bytes[PRECIS_MOVE_SUMMARIES] += r->predicted_bytes[r->move];
    add_costs(sum, r);
    if (r->move == PRECIS_MOVE_SUMMARIES)
      add_summaries(sum, r);
    add_promises(sum, r, list_group(x, i, x->list) * group, &squares, &heads);
  }
  sum->promise_outputs_rms = heads > 0 ? sqrt(squares / heads) : 0;
  explain(x, sum->why, sizeof sum->why);
}

static void hand_over(const mixed *x, const precis_results *results)
{
  const precis_problem *p = &x->c->a->problem;
  size_t rows = (size_t)x->c->rows * (size_t)p->heads;
  if (rows > 0 && x->own_out != NULL)
    memcpy(results->out, x->own_out, rows * (size_t)p->value_dim * sizeof(float));
  if (rows > 0 && results->lse != NULL)
    memcpy(results->lse, x->all.lse, rows * sizeof(float));
  if (rows > 0 && results->bounds != NULL)
    memcpy(results->bounds, x->all.bounds, rows * sizeof(float));
}

int precis_mixture_attend(precis_call *c, const precis_mixture *m, const precis_results *results,
                          precis_report *report, precis_message *why)
{
  precis_attention *a = c->a;
  mixed x = {.c = c, .m = m, .whole = a->options};
  int status = precis_world_agree(&a->world, create(&x, results), why);
  for (int i = 0; i < m->groups && status == PRECIS_SUCCESS; i++)
    status = attend_group(&x, i, why);
  double processor = precis_call_processor() - c->processor_started;
  if (status == PRECIS_SUCCESS &&
      MPI_Allreduce(MPI_IN_PLACE, &processor, 1, MPI_DOUBLE, MPI_MAX, a->world.comm))
    status = PRECIS_ERR_MPI;
  if (status == PRECIS_SUCCESS) {
    sum_up(&x, processor, report);
    hand_over(&x, results);
    precis_learnt_commit(a, &x.learnt);
    precis_attention_forget_groups(a);
    for (int i = 0; i < m->groups; i++) {
      int count = list_heads(&x, i);
      precis_attention_note_group(a, &x.reports[i], count, x.list);
    }
  }
  release(&x);
  return status;
}
