#include "mpi/service/errands_unit.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/handle/attention.h"
#include "mpi/service/link.h"
#include "mpi/service/manifest.h"
#include "src/base/memory.h"

/* So much more than what is on record is worth a line. */
static const double GROWTH = 1.25;

int precis_errands_unit_take(precis_errands *e, precis_context *c)
{
  const precis_attention *a = e->hold->handles[c->slot];
  if (!a->signal.has_mean)
    return PRECIS_SUCCESS;
  if (c->unit == NULL)
    c->unit = precis_memory_array(precis_signal_numbers(&a->problem), sizeof *c->unit);
  if (c->unit == NULL)
    return PRECIS_ERR_MEMORY;
  precis_signal_pack(&a->problem, &a->signal, c->unit);
  return PRECIS_SUCCESS;
}

void precis_errands_unit_keep(precis_errands *e, precis_context *c, int ending)
{
  const precis_attention *a = e->hold->handles[c->slot];
  double rows = precis_signal_answered(&a->problem, &a->signal);
  int first = c->unit_recorded == 0,
      due = first || (ending ? rows > c->unit_recorded : rows > GROWTH * c->unit_recorded);
  if (e->journal == NULL || c->manifest < 0 || !a->signal.has_mean || !due)
    return;
  precis_message why = {""};
  int status = precis_errands_unit_take(e, c);
  json_t *record = status == PRECIS_SUCCESS ? precis_manifest_unit(c, first) : NULL;
  status = record ? precis_journal_note(e->journal, c, record, &why)
                  : precis_message_set(&why, PRECIS_ERR_MEMORY, "out of memory");
  json_decref(record);
  if (status == PRECIS_SUCCESS)
    c->unit_recorded = rows;
  else
    precis_log_write(e->journal->log, PRECIS_LOG_WARNING, "data",
                     json_pack("{s:s}", "context", c->id),
                     "what promises are measured in is not on record: %s", why.text);
}

int precis_errands_unit_restore(precis_errands *e, const precis_context *c, int forget)
{
  const precis_hold_data data = {.unit = c->unit};
  const precis_order order = {.kind = PRECIS_ORDER_UNIT, .slot = c->slot, .count = c->unit != NULL};
  if (c->unit == NULL && !forget)
    return PRECIS_SUCCESS;
  int status = precis_link_tell_all(e->hold->world, &e->hold->silence, &order);
  return status == PRECIS_SUCCESS ? precis_hold_obey(e->hold, &order, &data) : status;
}
