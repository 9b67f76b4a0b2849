#include "mpi/service/errands_attend.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/service/deadlines.h"
#include "mpi/service/errands_unit.h"
#include "mpi/service/link.h"
#include "mpi/service/pieces.h"
#include "src/base/memory.h"

/* A batch is answered when all of it is, so it stays small. */
enum { BATCH_ERRANDS = 64, BATCH_ROWS = 256 };

/* What takes so many times as long as a piece is still done in one go. */
static const double SOME_MORE = 1.5;

typedef struct batch {
  precis_errand *errands[BATCH_ERRANDS];
  int count;
  int64_t rows;
  float *q, *out, *lse, *bounds; /* of all; those of the errand itself where it is the only one */
} batch;

static void gather_errands(precis_errands *e, precis_errand *first, batch *b)
{
  int64_t most = precis_pieces_rows(e, first, 0);
  most = most < BATCH_ROWS ? most : BATCH_ROWS;
  *b = (batch){.errands = {first}, .count = 1, .rows = first->rows};
  while (b->count < BATCH_ERRANDS && b->rows < most) {
    precis_errand *more = precis_queue_take_like(e->queue, first, most - b->rows);
    if (more == NULL)
      return;
    if (precis_queue_is_useless(more)) {
      precis_queue_finish(e->queue, more, PRECIS_ERR_ARGUMENT, NULL);
      continue;
    }
    b->errands[b->count++] = more;
    b->rows += more->rows;
  }
}

static int join_queries(const precis_problem *p, batch *b)
{
  precis_errand *first = b->errands[0];
  int with_bounds = 0;
  for (int i = 0; i < b->count; i++)
    with_bounds |= b->errands[i]->bounds != NULL;
  if (b->count == 1) {
    b->q = (float *)(uintptr_t)first->q;
    b->out = first->out;
    b->lse = first->lse;
    b->bounds = first->bounds;
    return PRECIS_SUCCESS;
  }
  b->q = precis_memory_array(b->rows * p->heads, (size_t)p->dim * sizeof *b->q);
  b->out = precis_memory_array(b->rows * p->heads, (size_t)p->value_dim * sizeof *b->out);
  b->lse = precis_memory_array(b->rows * p->heads, sizeof *b->lse);
  if (with_bounds)
    b->bounds = precis_memory_array(b->rows * p->heads, sizeof *b->bounds);
  if (b->q == NULL || b->out == NULL || b->lse == NULL || (with_bounds && b->bounds == NULL))
    return PRECIS_ERR_MEMORY;
  int64_t at = 0;
  for (int i = 0; i < b->count; i++) {
    int64_t numbers = b->errands[i]->rows * p->heads * p->dim;
    memcpy(b->q + at, b->errands[i]->q, (size_t)numbers * sizeof *b->q);
    at += numbers;
  }
  return PRECIS_SUCCESS;
}

static void part_results(const precis_problem *p, batch *b)
{
  int64_t pairs = 0;
  for (int i = 0; i < b->count; i++) {
    precis_errand *errand = b->errands[i];
    int64_t more = errand->rows * p->heads;
    memcpy(errand->out, b->out + pairs * p->value_dim,
           (size_t)(more * p->value_dim) * sizeof *b->out);
    memcpy(errand->lse, b->lse + pairs, (size_t)more * sizeof *b->lse);
    if (errand->bounds != NULL)
      memcpy(errand->bounds, b->bounds + pairs, (size_t)more * sizeof *b->bounds);
    pairs += more;
  }
}

static void free_batch(batch *b)
{
  if (b->count == 1)
    return;
  free(b->q);
  free(b->out);
  free(b->lse);
  free(b->bounds);
}

/* Causal queries that go together each stand at the last key or beyond, where they see all keys. */
static int64_t position_of(const batch *b, const precis_context *c)
{
  return b->count > 1 && c->spec.problem.causal && c->tokens > 0 ? c->tokens - 1
                                                                 : b->errands[0]->position;
}

static int attend(precis_errands *e, batch *b, precis_report *report)
{
  precis_context *c = b->errands[0]->context;
  int status = join_queries(&c->spec.problem, b);
  if (status == PRECIS_SUCCESS) {
    const precis_hold_data data = {
        .q = b->q, .out = b->out, .lse = b->lse, .bounds = b->bounds, .report = report};
    const precis_order order = {.kind = PRECIS_ORDER_ATTEND,
                                .slot = c->slot,
                                .rows = b->rows,
                                .with_bounds = b->bounds != NULL,
                                .placed = position_of(b, c) >= 0,
                                .position = position_of(b, c)};
    double started = precis_deadlines_now();
    status = precis_link_tell_all(e->hold->world, &e->hold->silence, &order);
    if (status == PRECIS_SUCCESS)
      status = precis_hold_obey(e->hold, &order, &data);
    precis_contexts_weigh(e->contexts, e->hold->bytes);
    if (status == PRECIS_SUCCESS)
      precis_pieces_learn(e, b->errands[0], b->rows, report, precis_deadlines_now() - started);
  }
  if (status == PRECIS_SUCCESS && b->count > 1)
    part_results(&c->spec.problem, b);
  free_batch(b);
  return status;
}

static void finish(precis_errands *e, batch *b, int status, const precis_report *report)
{
  for (int i = 0; i < b->count; i++) {
    precis_errand *errand = b->errands[i];
    errand->tokens = errand->context->tokens;
    errand->batched = b->count;
    if (status == PRECIS_SUCCESS) {
      errand->report = *report;
      precis_contexts_attended(e->contexts, errand->context, report->move);
    }
    precis_queue_finish(e->queue, errand, status, &e->hold->why);
  }
}

/* What one client asked for must not fail another's. */
static int attend_singly(precis_errands *e, const batch *failed)
{
  int status = PRECIS_SUCCESS;
  for (int i = 0; i < failed->count; i++) {
    precis_report report = PRECIS_REPORT_INIT;
    batch alone = {.errands = {failed->errands[i]}, .count = 1, .rows = failed->errands[i]->rows};
    if (status != PRECIS_ERR_MPI)
      status = attend(e, &alone, &report);
    if (status == PRECIS_SUCCESS)
      precis_errands_unit_keep(e, failed->errands[i]->context, 0);
    finish(e, &alone, status, &report);
  }
  return status;
}

static int begin_pieces(precis_errands *e, precis_errand *errand)
{
  int status = precis_pieces_begin(e, errand);
  if (status != PRECIS_SUCCESS)
    precis_queue_finish(e->queue, errand, status, &e->hold->why);
  return status;
}

int precis_errands_attend(precis_errands *e, precis_errand *errand)
{
  batch b;
  precis_report report = PRECIS_REPORT_INIT;
  e->hold->why.text[0] = '\0';
  if (errand->context->slot < 0) {
    errand->gone = 1;
    precis_queue_finish(e->queue, errand, PRECIS_ERR_ARGUMENT, &e->hold->why);
    return PRECIS_SUCCESS;
  }
  if (precis_queue_is_useless(errand)) {
    precis_queue_finish(e->queue, errand, PRECIS_ERR_ARGUMENT, NULL);
    return PRECIS_SUCCESS;
  }
  if (errand->rows > 1 && errand->rows > SOME_MORE * (double)precis_pieces_rows(e, errand, 0))
    return begin_pieces(e, errand);
  gather_errands(e, errand, &b);
  int status = attend(e, &b, &report);
  if (status == PRECIS_SUCCESS)
    precis_errands_unit_keep(e, errand->context, 0);
  if (status == PRECIS_SUCCESS || status == PRECIS_ERR_MPI || b.count == 1)
    finish(e, &b, status, &report);
  else
    status = attend_singly(e, &b);
  return status;
}
