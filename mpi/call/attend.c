/* precis_attend(): survey, plan, move, report. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/call/call.h"
#include "mpi/call/mixture.h"
#include "src/base/blas.h"
#include "src/plan/limit.h"
#include "src/base/memory.h"

static int check_queries(precis_call *c, const float *out, precis_message *why)
{
  const precis_problem *p = &c->a->problem;
  int64_t row;
  int head;
  if (c->rows < 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "rows is %" PRId64 ", must not be negative",
                              c->rows);
  if (c->rows > 0 && (c->q == NULL || out == NULL))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "q and out must not be NULL where there are rows");
  c->query_most = precis_survey_queries(c->rows, p->heads, p->dim, c->q, &row, &head);
  if (c->query_most < 0)
    return precis_message_set(
        why, PRECIS_ERR_NONFINITE,
        "q holds a value that is not finite in local row %" PRId64 ", head %d", row, head);
  return PRECIS_SUCCESS;
}

static int check_call(precis_call *c, const precis_results *results, const precis_report *report,
                      precis_message *why)
{
  if (report != NULL && (report->size < sizeof(size_t) || report->size > sizeof *report))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "report->size is %zu, must be sizeof(precis_report): start with "
                              "PRECIS_REPORT_INIT",
                              report->size);
  return check_queries(c, results->out, why);
}

/* What ranks know of their keys and queries, and whether they can go on, becomes known to all. */
static int exchange_facts(precis_call *c, int status, precis_message *why)
{
  precis_attention *a = c->a;
  precis_told told[1 + PRECIS_PLAN_PARTS + PRECIS_SURVEY_PARTS] = {
      {PRECIS_FOLD_MAX, 1, &c->query_most, NULL}};
  int parts = 1 + PRECIS_PLAN_PARTS;
  int made = precis_attend_plan_tell(a, c->rows, c->first_position ? *c->first_position : 0,
                                     &c->plan, told + 1);
  status = status == PRECIS_SUCCESS ? made : status;
  if (a->surveyed < a->appended) {
    precis_survey_tell(&a->keys, &a->survey, told + parts);
    parts += PRECIS_SURVEY_PARTS;
  }
  return precis_world_meet(&a->world, status, why, told, parts);
}

/* Brings the survey up to date with what was told. */
static int survey(precis_call *c)
{
  precis_attention *a = c->a;
  a->surveyed_before = a->surveyed;
  if (a->surveyed == a->appended)
    return PRECIS_SUCCESS;
  int status = precis_survey_take(&a->world, &a->keys, &a->survey);
  if (status == PRECIS_SUCCESS)
    a->surveyed = a->appended;
  return status;
}

/* Float32 must hold every score, every value times the sum of a tile's weights, and the offsets
 * that centring takes away. All ranks see the same figures. */
static int check_range(const precis_call *c, precis_message *why)
{
  const precis_attention *a = c->a;
  precis_extremes extremes = precis_survey_extremes_view(&a->keys, a->survey.extremes);
  double score = precis_call_score_most(c);
  double bias = fmax(*extremes.bias_top, *extremes.bias_bottom);
  if (score > 1e37 || bias > 1e37 || c->query_most * fabs(a->problem.scale) > 1e37)
    return precis_message_set(
        why, PRECIS_ERR_RANGE,
        "scores may reach %g and biases %g, beyond the range of float32 arithmetic", score,
        fmax(bias, 0));
  for (int64_t i = 0; i < (int64_t)a->problem.kv_heads * a->problem.value_dim; i++)
    if (extremes.value_most[i] + extremes.value_least[i] > 1e30)
      return precis_message_set(why, PRECIS_ERR_RANGE,
                                "values span %g, beyond the range of float32 sums",
                                extremes.value_most[i] + extremes.value_least[i]);
  return PRECIS_SUCCESS;
}

/* Where results are made: arrays of our own, or the caller's; proofs are always our own. */
typedef struct made {
  precis_finished to;
  float *own_out, *own_lse;
} made;

/* Errors: MEMORY. */
static int make_results(const precis_call *c, const precis_results *results, made *m)
{
  const precis_problem *p = &c->a->problem;
  int64_t rows = c->rows * p->heads;
  *m = (made){.to = {.out = results->out, .lse = results->lse}};
  m->to.proof = precis_memory_array(rows, PRECIS_PROOF_NUMBERS * sizeof *m->to.proof);
  if (!c->a->options.results_in_place)
    m->to.out = m->own_out = precis_memory_array(rows, (size_t)p->value_dim * sizeof *m->to.out);
  if (!c->a->options.results_in_place || results->lse == NULL)
    m->to.lse = m->own_lse = precis_memory_array(rows, sizeof *m->to.lse);
  for (int64_t i = 0; i < rows * PRECIS_PROOF_NUMBERS && m->to.proof != NULL; i++)
    m->to.proof[i] = INFINITY;
  return (m->to.out && m->to.lse && m->to.proof) || rows == 0 ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

static void hand_over(const precis_call *c, const made *m, const precis_results *results)
{
  const precis_problem *p = &c->a->problem;
  int64_t rows = c->rows * p->heads;
  if (rows > 0 && m->own_out != NULL)
    memcpy(results->out, m->own_out, (size_t)rows * (size_t)p->value_dim * sizeof *m->own_out);
  if (rows > 0 && m->own_lse != NULL && results->lse != NULL)
    memcpy(results->lse, m->own_lse, (size_t)rows * sizeof *m->own_lse);
  int lse = c->a->options.tol_of == PRECIS_UNIT_LSE;
  for (int64_t i = 0; i < rows && results->bounds != NULL; i++)
    results->bounds[i] = m->to.proof[PRECIS_PROOF_NUMBERS * i + lse];
}

int precis_call_answer(precis_call *c, const precis_results *results, precis_report *report,
                       precis_message *why)
{
  precis_attention *a = c->a;
  made m;
  int status = precis_world_agree(&a->world, make_results(c, results, &m), why);
  if (status == PRECIS_SUCCESS) {
    precis_call_set_up(c, &m.to);
    int threads = precis_blas_threads(1);
    status = precis_call_run(c, why);
    precis_blas_threads(threads);
    precis_waiting_step(&a->world.waiting, "report");
    status = precis_call_report(c, status, report, why);
    c->told = 1;
  }
  if (status == PRECIS_SUCCESS)
    hand_over(c, &m, results);
  free(m.own_out);
  free(m.own_lse);
  free(m.to.proof);
  precis_judge_free(&c->judge);
  return status;
}

int precis_call_plan(precis_call *c, int status, precis_message *why)
{
  precis_attention *a = c->a;
  precis_waiting_step(&a->world.waiting, "survey");
  status = exchange_facts(c, status, why);
  c->told = status != PRECIS_SUCCESS;
  if (status == PRECIS_SUCCESS)
    status = survey(c);
  precis_waiting_step(&a->world.waiting, "plan");
  c->surveyed = MPI_Wtime();
  if (status == PRECIS_SUCCESS)
    status = check_range(c, why);
  if (status == PRECIS_SUCCESS)
    status = precis_attend_plan_make(a, c->first_position != NULL, &c->plan);
  if (status == PRECIS_SUCCESS) {
    c->terms = precis_call_terms(c);
    status = precis_call_consider(c, why);
  }
  c->planned = MPI_Wtime();
  if (status == PRECIS_SUCCESS)
    status =
        precis_limit_check(&c->plan.scene, c->plan.move, &c->plan.predicted[c->plan.move], why);
  return status;
}

void precis_call_free(precis_call *c)
{
  precis_align_free(&c->align);
  precis_prospect_free(&c->prospect);
  precis_attend_plan_free(&c->plan);
}

/* Its heads in groups, where that is faster. Without memory for it, they are attended to together.
 */
static int attend_groups(precis_call *c, const precis_results *results, precis_report *report,
                         int *done, precis_message *why)
{
  precis_mixture mixture;
  int status = precis_mixture_find(c, &mixture);
  *done = status == PRECIS_SUCCESS && mixture.groups > 1;
  if (*done)
    status = precis_mixture_attend(c, &mixture, results, report, why);
  precis_mixture_free(&mixture);
  if (status == PRECIS_ERR_MEMORY) {
    *done = 0;
    *why = (precis_message){""};
    c->before = c->a->world.traffic;
    status = PRECIS_SUCCESS;
  }
  return status;
}

static int attend_planned(precis_call *c, const precis_results *results, precis_report *report,
                          precis_message *why)
{
  precis_attention *a = c->a;
  int done;
  int status = attend_groups(c, results, report, &done, why);
  if (status != PRECIS_SUCCESS || done)
    return status;
  status = precis_call_answer(c, results, report, why);
  if (status == PRECIS_SUCCESS) {
    precis_attention_forget_groups(a);
    precis_attention_note_group(a, report, a->problem.heads, NULL);
  }
  return status;
}

static int attend(precis_attention *a, const int64_t *first_position, int64_t rows, const float *q,
                  const precis_results *results, precis_report *report)
{
  if (a == NULL)
    return PRECIS_ERR_ARGUMENT;
  precis_message why = {""};
  precis_report made_report;
  precis_call c = {.a = a,
                   .rows = rows,
                   .q = q,
                   .first_position = first_position,
                   .part = 1,
                   .before = a->world.traffic,
                   .started = MPI_Wtime(),
                   .processor_started = precis_call_processor()};
  int status = precis_call_plan(&c, check_call(&c, results, report, &why), &why);
  if (status == PRECIS_SUCCESS)
    status = attend_planned(&c, results, &made_report, &why);
  precis_call_free(&c);
  if (status == PRECIS_SUCCESS && report != NULL) {
    size_t size = report->size;
    made_report.size = size;
    memcpy(report, &made_report, size);
  }
  status = c.told ? precis_attention_say(a, status, &why) : precis_attention_end(a, status, &why);
  precis_waiting_step(&a->world.waiting, NULL);
  return status;
}

int precis_attend_results(precis_attention *attention, const int64_t *first_position, int64_t rows,
                          const float *q, const precis_results *results, precis_report *report)
{
  const precis_results none = {NULL, NULL, NULL};
  return attend(attention, first_position, rows, q, results ? results : &none, report);
}

int precis_attend(precis_attention *attention, int64_t rows, const float *q, float *out, float *lse,
                  precis_report *report)
{
  const precis_results results = {out, lse, NULL};
  return attend(attention, NULL, rows, q, &results, report);
}

int precis_attend_at(precis_attention *attention, int64_t first_position, int64_t rows,
                     const float *q, float *out, float *lse, precis_report *report)
{
  const precis_results results = {out, lse, NULL};
  return attend(attention, &first_position, rows, q, &results, report);
}
