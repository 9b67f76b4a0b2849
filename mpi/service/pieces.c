#include "mpi/service/pieces.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/handle/attention.h"
#include "mpi/service/deadlines.h"
#include "mpi/service/errands_unit.h"
#include "mpi/service/link.h"
#include "mpi/service/pieces_report.h"

/* What is foretold may be wrong by so much at first; pieces grow by so much at a time. */
static const double PACE_MOST = 100, PACE_LEAST = .01, GROWTH = 4;
/* Attends that took less say nothing of how fast this machine is. */
static const double TELLS = 2e-3;

/* Seconds by exact moves with nothing else to do, of rows [first, first + rows). */
static double foretell(const precis_errands *e, const precis_errand *errand, int64_t first,
                       int64_t rows)
{
  const precis_context *c = errand->context;
  const precis_attention *a = e->hold->handles[c->slot];
  double seen = (double)c->tokens;
  if (c->spec.problem.causal) {
    int64_t base = errand->position < 0 ? c->tokens - errand->rows : errand->position;
    seen = fmin(seen, fmax((double)base + (double)first + .5 * (double)rows + 1, 1));
  }
  return precis_attention_foretell(a, (double)rows * fmax(seen, 1) * c->spec.problem.heads /
                                          e->contexts->ranks);
}

/* At `pace` times what is foretold. */
static int64_t rows_for(const precis_errands *e, const precis_errand *errand, int64_t first,
                        double pace)
{
  double rows = e->piece_seconds / (pace * foretell(e, errand, first, 1));
  rows = fmax(rows, (double)e->piece_rows);
  return rows < 0x1p40 ? (int64_t)rows : INT64_C(1) << 40;
}

int64_t precis_pieces_rows(const precis_errands *e, const precis_errand *errand, int64_t first)
{
  return rows_for(e, errand, first, e->pace);
}

static double pace_of(double took, double foretold)
{
  return foretold > 0 ? fmin(fmax(took / foretold, PACE_LEAST), PACE_MOST) : 1;
}

void precis_pieces_learn(precis_errands *e, const precis_errand *errand, int64_t rows,
                         const precis_report *report, double seconds)
{
  double took = seconds - report->seconds_survey - report->seconds_plan;
  if (report->move != PRECIS_MOVE_SUMMARIES && took > TELLS && rows >= e->piece_rows)
    e->pace = (e->pace + pace_of(took, foretell(e, errand, 0, rows))) / 2;
}

static void set_pieces(precis_errands *e, precis_context *c, int more)
{
  pthread_mutex_lock(&e->queue->lock);
  c->pieces += more;
  pthread_mutex_unlock(&e->queue->lock);
}

static void add_last(precis_errands *e, precis_pieces *p)
{
  precis_pieces **at = &e->pieces;
  while (*at != NULL)
    at = &(*at)->next;
  p->next = NULL;
  *at = p;
}

static precis_order order_of(const precis_pieces *p, precis_order_kind kind, int64_t first,
                             int64_t rows)
{
  const precis_errand *errand = p->errand;
  return (precis_order){.kind = kind,
                        .slot = errand->context->slot,
                        .rows = rows,
                        .with_bounds = errand->bounds != NULL,
                        .placed = 1,
                        .position = p->base + first};
}

static int obey(precis_errands *e, const precis_order *order, const precis_hold_data *data)
{
  int status = precis_link_tell_all(e->hold->world, &e->hold->silence, order);
  if (status == PRECIS_SUCCESS)
    status = precis_hold_obey(e->hold, order, data);
  precis_contexts_weigh(e->contexts, e->hold->bytes);
  return status;
}

int precis_pieces_begin(precis_errands *e, precis_errand *errand)
{
  precis_context *c = errand->context;
  precis_pieces *p = calloc(1, sizeof *p);
  int status = p ? precis_pieces_report_create(c->spec.problem.heads, p) : PRECIS_ERR_MEMORY;
  if (status != PRECIS_SUCCESS) {
    free(p);
    return status;
  }
  p->errand = errand;
  p->pace = e->pace;
  p->most = rows_for(e, errand, 0, p->pace);
  p->base = errand->position < 0 ? c->tokens - errand->rows : errand->position;
  const precis_hold_data data = {.q = errand->q};
  const precis_order order = order_of(p, PRECIS_ORDER_MEAN, 0, errand->rows);
  status = obey(e, &order, &data);
  if (status != PRECIS_SUCCESS) {
    precis_pieces_report_free(p);
    free(p);
    return status;
  }
  errand->pieces = 0;
  set_pieces(e, c, 1);
  add_last(e, p);
  return PRECIS_SUCCESS;
}

static int run_piece(precis_errands *e, precis_pieces *p, int64_t first, int64_t rows, int again)
{
  const precis_errand *errand = p->errand;
  const precis_problem *problem = &errand->context->spec.problem;
  int64_t pairs = first * problem->heads;
  precis_report report = PRECIS_REPORT_INIT;
  const precis_hold_data data = {.q = errand->q + pairs * problem->dim,
                                 .out = errand->out + pairs * problem->value_dim,
                                 .lse = errand->lse + pairs,
                                 .bounds = errand->bounds ? errand->bounds + pairs : NULL,
                                 .report = &report};
  precis_order order = order_of(p, PRECIS_ORDER_ATTEND, first, rows);
  order.again = again;
  double started = precis_deadlines_now();
  e->hold->why.text[0] = '\0';
  int status = obey(e, &order, &data);
  if (status == PRECIS_SUCCESS)
    status = precis_pieces_report_add(p, e->hold->handles[errand->context->slot], &report, again);
  double took = precis_deadlines_now() - started;
  precis_pieces_learn(e, errand, rows, &report, took);
  took -= report.seconds_survey + report.seconds_plan + report.seconds_summarise;
  p->pace = pace_of(took, foretell(e, errand, first, rows));
  int64_t fit = rows_for(e, errand, first + rows, p->pace);
  p->most = fit < GROWTH * (double)p->most ? fit : (int64_t)(GROWTH * (double)p->most);
  return status;
}

static void end(precis_errands *e, precis_pieces *p, int status)
{
  precis_errand *errand = p->errand;
  set_pieces(e, errand->context, -1);
  errand->tokens = errand->context->tokens;
  errand->batched = 1;
  if (status == PRECIS_SUCCESS) {
    precis_pieces_report_make(p, &errand->context->spec, &errand->report);
    precis_contexts_attended(e->contexts, errand->context, errand->report.move);
    precis_errands_unit_keep(e, errand->context, 0);
  }
  precis_queue_finish(e->queue, errand, status, &e->hold->why);
  precis_pieces_report_free(p);
  free(p);
}

int precis_pieces_any(const precis_errands *e)
{
  return e->pieces != NULL;
}

int precis_pieces_due(const precis_errands *e)
{
  return e->pieces != NULL && precis_deadlines_now() - e->piece_ended > e->piece_seconds;
}

/* Rows that have no results yet, or are in a stretch whose results relied on too large an R; 0:
 * there are none. */
static int64_t next_rows(precis_pieces *p, int64_t *first)
{
  int64_t end = p->errand->rows;
  *first = p->done;
  if (p->done == end) {
    if (p->again == p->again_end)
      precis_pieces_report_find_short(p);
    *first = p->again;
    end = p->again_end;
  }
  return end - *first < p->most ? end - *first : p->most;
}

int precis_pieces_step(precis_errands *e)
{
  precis_pieces *p = e->pieces;
  int64_t first, rows = next_rows(p, &first);
  int again = p->done == p->errand->rows, status = PRECIS_SUCCESS, over = rows == 0;
  e->pieces = p->next;
  if (!over && precis_queue_is_useless(p->errand)) {
    over = 1;
    status = PRECIS_ERR_ARGUMENT;
  }
  if (!over) {
    status = run_piece(e, p, first, rows, again);
    p->errand->pieces++;
    *(again ? &p->again : &p->done) += rows;
    over = status != PRECIS_SUCCESS || (p->done == p->errand->rows && next_rows(p, &first) == 0);
  }
  e->piece_ended = precis_deadlines_now();
  if (over)
    end(e, p, status);
  else
    add_last(e, p);
  return status == PRECIS_ERR_MPI ? status : PRECIS_SUCCESS;
}
