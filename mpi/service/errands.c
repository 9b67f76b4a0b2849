#include "mpi/service/errands.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/service/errands_attend.h"
#include "mpi/service/link.h"

static int obey_all(precis_errands *e, const precis_order *order)
{
  const precis_hold_data none = {0};
  int status = precis_link_tell_all(e->hold->world, order);
  if (status == PRECIS_SUCCESS)
    status = precis_hold_obey(e->hold, order, &none);
  precis_contexts_weigh(e->contexts, e->hold->bytes);
  return status;
}

static int create(precis_errands *e, precis_errand *errand)
{
  precis_context *c = errand->context;
  const precis_order order = {.kind = PRECIS_ORDER_CREATE,
                              .slot = c->slot,
                              .problem = c->spec.problem,
                              .tol = c->spec.tol,
                              .guarantee = c->spec.guarantee,
                              .move = c->spec.move};
  int status = obey_all(e, &order);
  if (status == PRECIS_SUCCESS)
    precis_contexts_enlist(e->contexts, c);
  else
    precis_contexts_vacate(e->contexts, c);
  return status;
}

static int destroy(precis_errands *e, precis_errand *errand)
{
  const precis_order order = {.kind = PRECIS_ORDER_DESTROY, .slot = errand->context->slot};
  int status = obey_all(e, &order);
  precis_contexts_vacate(e->contexts, errand->context);
  return status;
}

/* Each rank is told of its own rows. */
static int open_stage(precis_errands *e, precis_errand *errand)
{
  precis_stage *s = errand->stage;
  const precis_hold_data none = {0};
  precis_stage_number(e->contexts, s);
  precis_order order = {.kind = PRECIS_ORDER_OPEN,
                        .shard = s->number,
                        .with_bias = s->with_bias,
                        .problem = s->context->spec.problem};
  int status = s->number < 0 ? PRECIS_ERR_INTERNAL : PRECIS_SUCCESS;
  for (int r = 1; r < e->hold->world->ranks && status == PRECIS_SUCCESS; r++) {
    order.rows = s->counts[r];
    status = precis_link_tell(e->hold->world, r, &order);
  }
  order.rows = s->counts[0];
  return status == PRECIS_SUCCESS ? precis_hold_obey(e->hold, &order, &none) : status;
}

static int fill(precis_errands *e, precis_errand *errand)
{
  const precis_hold_data data = {.values = errand->values};
  const precis_order order = {.kind = PRECIS_ORDER_FILL,
                              .shard = errand->stage->number,
                              .array = errand->array,
                              .first = errand->first,
                              .count = errand->count};
  if (errand->rank == 0)
    return precis_hold_obey(e->hold, &order, &data);
  int status = precis_link_tell(e->hold->world, errand->rank, &order);
  return status == PRECIS_SUCCESS
             ? precis_link_send(e->hold->world, errand->rank, errand->values, errand->count)
             : status;
}

/* The stage ends here, whether it is committed or dropped. */
static int end_stage(precis_errands *e, precis_errand *errand, precis_order_kind kind)
{
  precis_stage *s = errand->stage;
  const precis_order order = {.kind = kind, .shard = s->number, .slot = s->context->slot};
  int status = s->number < 0 ? PRECIS_SUCCESS : obey_all(e, &order);
  int committed = kind == PRECIS_ORDER_COMMIT && status == PRECIS_SUCCESS;
  errand->tokens = s->context->tokens + (committed ? s->rows : 0);
  precis_stage_end(e->contexts, s, committed);
  errand->stage = NULL;
  return status;
}

static int commit(precis_errands *e, precis_errand *errand)
{
  if (errand->stage->context->slot >= 0)
    return end_stage(e, errand, PRECIS_ORDER_COMMIT);
  int status = end_stage(e, errand, PRECIS_ORDER_DROP);
  errand->gone = 1;
  return status == PRECIS_SUCCESS ? PRECIS_ERR_ARGUMENT : status;
}

static int run(precis_errands *e, precis_errand *errand)
{
  switch (errand->kind) {
  case PRECIS_ERRAND_CREATE:
    return create(e, errand);
  case PRECIS_ERRAND_DESTROY:
    return destroy(e, errand);
  case PRECIS_ERRAND_OPEN:
    return open_stage(e, errand);
  case PRECIS_ERRAND_FILL:
    return fill(e, errand);
  case PRECIS_ERRAND_COMMIT:
    return commit(e, errand);
  case PRECIS_ERRAND_DROP:
    return end_stage(e, errand, PRECIS_ORDER_DROP);
  case PRECIS_ERRAND_ATTEND:
    break;
  }
  return PRECIS_ERR_INTERNAL;
}

int precis_errands_run(precis_errands *e, precis_errand *errand)
{
  int status;
  if (errand->kind == PRECIS_ERRAND_ATTEND) {
    status = precis_errands_attend(e, errand);
  } else {
    e->hold->why.text[0] = '\0';
    status = run(e, errand);
    precis_queue_finish(e->queue, errand, status, &e->hold->why);
  }
  return status == PRECIS_ERR_MPI ? status : PRECIS_SUCCESS;
}
