#include "mpi/service/errands.h"

#include <stdio.h>
#include <stdlib.h>

#include "mpi/handle/fork.h"
#include "mpi/service/deadlines.h"
#include "mpi/service/errands_attend.h"
#include "mpi/service/errands_unit.h"
#include "mpi/service/hold_commit.h"
#include "mpi/service/link.h"

static int obey_all(precis_errands *e, const precis_order *order)
{
  const precis_hold_data none = {0};
  int status = precis_link_tell_all(e->hold->world, &e->hold->silence, order);
  if (status == PRECIS_SUCCESS)
    status = precis_hold_obey(e->hold, order, &none);
  precis_contexts_weigh(e->contexts, e->hold->bytes);
  return status;
}

int precis_errands_create(precis_errands *e, precis_context *c)
{
  const precis_order order = {.kind = PRECIS_ORDER_CREATE,
                              .slot = c->slot,
                              .problem = c->spec.problem,
                              .tol = c->spec.tol,
                              .tol_of = c->spec.tol_of,
                              .guarantee = c->spec.guarantee,
                              .move = c->spec.move};
  int status = obey_all(e, &order);
  if (status != PRECIS_SUCCESS)
    precis_contexts_vacate(e->contexts, c);
  return status;
}

int precis_errands_forget(precis_errands *e, precis_context *c)
{
  const precis_order order = {.kind = PRECIS_ORDER_DESTROY, .slot = c->slot};
  int status = obey_all(e, &order);
  precis_contexts_vacate(e->contexts, c);
  return status;
}

/* On disk first: what cannot be deleted there is still there. */
static int destroy(precis_errands *e, precis_context *c)
{
  if (e->journal != NULL && c->manifest >= 0) {
    int status = precis_journal_delete(e->journal, c, &e->hold->why);
    if (status != PRECIS_SUCCESS)
      return status;
  }
  precis_contexts_delist(e->contexts, c);
  return precis_errands_forget(e, c);
}

/* Requests to delete it may have come in together. */
static int delete_context(precis_errands *e, precis_errand *errand)
{
  if (errand->context->slot >= 0)
    return destroy(e, errand->context);
  errand->gone = 1;
  return PRECIS_ERR_ARGUMENT;
}

int precis_errands_fork(precis_errands *e, const precis_context *parent, int64_t tokens,
                        precis_context *c)
{
  const precis_order order = {
      .kind = PRECIS_ORDER_FORK, .slot = c->slot, .parent = parent->slot, .count = tokens};
  int status = obey_all(e, &order);
  if (status != PRECIS_SUCCESS)
    precis_contexts_vacate(e->contexts, c);
  return status;
}

/* What is there on all ranks goes on record, and is listed; or it is no longer there. */
static int establish(precis_errands *e, precis_context *c)
{
  precis_message why = {""};
  int status = e->journal ? precis_journal_create(e->journal, c, &why) : PRECIS_SUCCESS;
  if (status == PRECIS_SUCCESS) {
    precis_contexts_enlist(e->contexts, c);
    return status;
  }
  int destroyed = destroy(e, c);
  e->hold->why = why;
  return destroyed == PRECIS_SUCCESS ? status : destroyed;
}

static int create(precis_errands *e, precis_errand *errand)
{
  int status = precis_errands_create(e, errand->context);
  return status == PRECIS_SUCCESS ? establish(e, errand->context) : status;
}

/* The child is what the parent is now: all appends that were acknowledged, and no more. */
static int fork_context(precis_errands *e, precis_errand *errand)
{
  const precis_context *parent = errand->parent;
  precis_context *c = errand->context;
  if (parent->slot < 0) {
    errand->gone = 1;
    precis_contexts_vacate(e->contexts, c);
    return PRECIS_ERR_ARGUMENT;
  }
  c->tokens = parent->tokens;
  c->with_bias = parent->with_bias;
  c->sequence = parent->sequence;
  for (int r = 0; r < e->contexts->ranks; r++)
    c->held[r] = c->dealt[r] = parent->held[r];
  json_array_extend(c->segments, parent->segments);
  int status = precis_errands_fork(e, parent, parent->tokens, c);
  if (status != PRECIS_SUCCESS)
    return status;
  status = precis_errands_unit_take(e, c);
  if (status == PRECIS_SUCCESS)
    return establish(e, c);
  int destroyed = destroy(e, c);
  return destroyed == PRECIS_SUCCESS ? status : destroyed;
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
static void end_stage(precis_errands *e, precis_errand *errand, int committed)
{
  precis_stage *s = errand->stage;
  errand->tokens = s->context->tokens + (committed ? s->rows : 0);
  precis_stage_end(e->contexts, s, committed);
  errand->stage = NULL;
}

static int drop(precis_errands *e, precis_errand *errand)
{
  const precis_order order = {.kind = PRECIS_ORDER_DROP, .shard = errand->stage->number};
  int status = PRECIS_SUCCESS;
  if (order.shard >= 0) {
    const precis_hold_data none = {0};
    status = precis_link_tell_all(e->hold->world, &e->hold->silence, &order);
    precis_hold_obey(e->hold, &order, &none);
  }
  end_stage(e, errand, 0);
  return status;
}

typedef struct recording {
  precis_errands *e;
  const precis_stage *stage;
  const char *name;
  double seconds;
} recording;

/* All ranks have written their segments. */
static int record(void *context, precis_message *why)
{
  recording *r = context;
  int ranks = r->e->contexts->ranks, count = 0;
  precis_segment *segments = malloc((size_t)ranks * sizeof *segments);
  if (segments == NULL)
    return PRECIS_ERR_MEMORY;
  for (int rank = 0; rank < ranks; rank++)
    if (r->stage->counts[rank] > 0) {
      precis_segment segment = precis_hold_segment(r->name, rank, r->stage->counts[rank]);
      segment.sum = r->e->hold->sums[rank];
      segments[count++] = segment;
    }
  double started = precis_deadlines_now();
  int status = precis_journal_append(r->e->journal, r->stage, segments, count, why);
  r->seconds = precis_deadlines_now() - started;
  free(segments);
  return status;
}

static int commit(precis_errands *e, precis_errand *errand)
{
  precis_stage *s = errand->stage;
  const precis_context *c = s->context;
  if (c->slot < 0 || s->number < 0) {
    errand->gone = c->slot < 0;
    int status = drop(e, errand);
    return status == PRECIS_SUCCESS ? PRECIS_ERR_ARGUMENT : status;
  }
  precis_order order = {
      .kind = PRECIS_ORDER_COMMIT, .shard = s->number, .slot = c->slot, .with_bias = s->with_bias};
  recording r = {e, s, order.name, 0};
  const precis_hold_data data = {.record = record, .context = &r};
  if (e->journal != NULL)
    precis_segment_stem(c->id, c->sequence + 1, e->journal->job, order.name);
  int status = precis_link_tell_all(e->hold->world, &e->hold->silence, &order);
  if (status == PRECIS_SUCCESS)
    status = precis_hold_obey(e->hold, &order, &data);
  precis_contexts_weigh(e->contexts, e->hold->bytes);
  end_stage(e, errand, status == PRECIS_SUCCESS);
  errand->synced = r.seconds;
  return status;
}

static int run(precis_errands *e, precis_errand *errand)
{
  switch (errand->kind) {
  case PRECIS_ERRAND_CREATE:
    return create(e, errand);
  case PRECIS_ERRAND_FORK:
    return fork_context(e, errand);
  case PRECIS_ERRAND_DESTROY:
    return delete_context(e, errand);
  case PRECIS_ERRAND_OPEN:
    return open_stage(e, errand);
  case PRECIS_ERRAND_FILL:
    return fill(e, errand);
  case PRECIS_ERRAND_COMMIT:
    return commit(e, errand);
  case PRECIS_ERRAND_DROP:
    return drop(e, errand);
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

int precis_errands_refresh(precis_errands *e)
{
  for (precis_context *c = e->contexts->first; c != NULL; c = c->next) {
    if (c->slot < 0 || c->refreshed == c->tokens ||
        !precis_attention_is_behind(e->hold->handles[c->slot]))
      continue;
    const precis_order order = {.kind = PRECIS_ORDER_REFRESH, .slot = c->slot};
    c->refreshed = c->tokens; /* what fails the next attend may say */
    return obey_all(e, &order) == PRECIS_ERR_MPI ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
  }
  return PRECIS_SUCCESS;
}

int precis_errands_ping(precis_errands *e)
{
  const precis_order order = {.kind = PRECIS_ORDER_PING};
  return precis_link_tell_all(e->hold->world, &e->hold->silence, &order);
}
