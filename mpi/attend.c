/* precis_attend(): survey, plan, move, report. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/call.h"
#include "src/blas.h"
#include "src/limit.h"
#include "src/memory.h"

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

/* Brings the survey up to date and the largest query to all ranks. */
static int survey(precis_call *c)
{
  precis_attention *a = c->a;
  if (MPI_Allreduce(MPI_IN_PLACE, &c->query_most, 1, MPI_DOUBLE, MPI_MAX, a->world.comm))
    return PRECIS_ERR_MPI;
  a->surveyed_before = a->surveyed;
  if (a->surveyed == a->appended)
    return PRECIS_SUCCESS;
  int status = precis_survey_update(&a->world, &a->keys, &a->survey);
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
  if (score > 1e37 || *extremes.bias_most > 1e37 || c->query_most * fabs(a->problem.scale) > 1e37)
    return precis_message_set(
        why, PRECIS_ERR_RANGE,
        "scores may reach %g and biases %g, beyond the range of float32 arithmetic", score,
        *extremes.bias_most);
  for (int64_t i = 0; i < (int64_t)a->problem.kv_heads * a->problem.value_dim; i++)
    if (extremes.value_most[i] + extremes.value_least[i] > 1e30)
      return precis_message_set(why, PRECIS_ERR_RANGE,
                                "values span %g, beyond the range of float32 sums",
                                extremes.value_most[i] + extremes.value_least[i]);
  return PRECIS_SUCCESS;
}

/* Where results are made: arrays of our own, or the caller's. */
typedef struct results {
  float *out, *lse, *own_out, *own_lse;
} results;

/* Errors: MEMORY. */
static int make_results(const precis_call *c, float *out, float *lse, results *made)
{
  const precis_problem *p = &c->a->problem;
  int64_t rows = c->rows * p->heads;
  *made = (results){.out = out, .lse = lse};
  if (!c->a->options.results_in_place)
    made->out = made->own_out = precis_memory_array(rows, (size_t)p->value_dim * sizeof *out);
  if (!c->a->options.results_in_place || lse == NULL)
    made->lse = made->own_lse = precis_memory_array(rows, sizeof *lse);
  return (made->out && made->lse) || rows == 0 ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

static void hand_over(const precis_call *c, const results *made, float *out, float *lse)
{
  const precis_problem *p = &c->a->problem;
  size_t rows = (size_t)(c->rows * p->heads);
  if (rows > 0 && made->own_out != NULL)
    memcpy(out, made->own_out, rows * (size_t)p->value_dim * sizeof *out);
  if (rows > 0 && made->own_lse != NULL && lse != NULL)
    memcpy(lse, made->own_lse, rows * sizeof *lse);
}

/* Everything after the plan. */
static int attend_planned(precis_call *c, float *out, float *lse, precis_report *report,
                          precis_message *why)
{
  precis_attention *a = c->a;
  results made;
  precis_report made_report;
  int status = precis_world_agree(&a->world, make_results(c, out, lse, &made), why);
  if (status == PRECIS_SUCCESS) {
    precis_call_set_up(c, made.out, made.lse);
    int threads = precis_blas_threads(1);
    status = precis_call_run(c, why);
    precis_blas_threads(threads);
    status = precis_world_agree(&a->world, status, why);
    precis_waiting_step(&a->world.waiting, "report");
  }
  if (status == PRECIS_SUCCESS)
    status = precis_call_report(c, &made_report);
  if (status == PRECIS_SUCCESS)
    hand_over(c, &made, out, lse);
  if (status == PRECIS_SUCCESS && report != NULL)
    *report = made_report;
  free(made.own_out);
  free(made.own_lse);
  return status;
}

static int attend(precis_attention *a, int explicit_positions, int64_t first_position, int64_t rows,
                  const float *q, float *out, float *lse, precis_report *report)
{
  if (a == NULL)
    return PRECIS_ERR_ARGUMENT;
  precis_message why = {""};
  precis_call c = {.a = a,
                   .rows = rows,
                   .q = q,
                   .before = a->world.traffic,
                   .started = MPI_Wtime(),
                   .processor_started = precis_call_processor()};
  int status = precis_attention_end(a, check_queries(&c, out, &why), &why);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_waiting_step(&a->world.waiting, "survey");
  status = survey(&c);
  precis_waiting_step(&a->world.waiting, "plan");
  c.surveyed = MPI_Wtime();
  c.output_rounding = precis_call_output_rounding(a);
  if (status == PRECIS_SUCCESS)
    status = check_range(&c, &why);
  if (status == PRECIS_SUCCESS)
    status = precis_attend_plan_make(a, rows, explicit_positions, first_position, &c.plan);
  if (status == PRECIS_SUCCESS) {
    status = precis_call_consider(&c, &why);
    c.planned = MPI_Wtime();
    if (status == PRECIS_SUCCESS)
      status = precis_limit_check(&c.plan.scene, c.plan.move, &c.plan.predicted[c.plan.move], &why);
    if (status == PRECIS_SUCCESS)
      status = attend_planned(&c, out, lse, report, &why);
    precis_align_free(&c.align);
    precis_prospect_free(&c.prospect);
    precis_attend_plan_free(&c.plan);
  }
  status = precis_attention_end(a, status, &why);
  precis_waiting_step(&a->world.waiting, NULL);
  return status;
}

int precis_attend(precis_attention *attention, int64_t rows, const float *q, float *out, float *lse,
                  precis_report *report)
{
  return attend(attention, 0, 0, rows, q, out, lse, report);
}

int precis_attend_at(precis_attention *attention, int64_t first_position, int64_t rows,
                     const float *q, float *out, float *lse, precis_report *report)
{
  return attend(attention, 1, first_position, rows, q, out, lse, report);
}
