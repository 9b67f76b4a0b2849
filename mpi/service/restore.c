#include "mpi/service/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/service/deadlines.h"
#include "mpi/service/errands_unit.h"
#include "mpi/service/link.h"
#include "mpi/service/manifest.h"
#include "mpi/service/signals.h"
#include "src/base/memory.h"
#include "src/base/share.h"

/* Segments that both contexts begin with. */
static size_t in_common(const precis_context *a, const precis_context *b)
{
  size_t i = 0;
  while (i < json_array_size(a->segments) && i < json_array_size(b->segments) &&
         json_equal(json_array_get(a->segments, i), json_array_get(b->segments, i)))
    i++;
  return i;
}

/* Of the contexts that are there again, the one that has most in common with this one, or NULL. */
static precis_context *relative_of(const precis_errands *e, const precis_context *c, size_t *common)
{
  precis_context *best = NULL;
  *common = 0;
  for (precis_context *other = e->contexts->first; other != NULL; other = other->next) {
    size_t shared = other->spec.problem.dim == c->spec.problem.dim ? in_common(other, c) : 0;
    if (shared > *common) {
      *common = shared;
      best = other;
    }
  }
  return best;
}

/* The segments from number `first` on. */
static precis_segment *segments_of(const precis_context *c, size_t first, int64_t *count)
{
  *count = (int64_t)(json_array_size(c->segments) - first);
  precis_segment *list = precis_memory_array(*count, sizeof *list);
  for (int64_t i = 0; list != NULL && i < *count; i++)
    precis_manifest_segment(json_array_get(c->segments, first + (size_t)i), &list[i]);
  return list;
}

static int64_t rows_before(const precis_context *c, size_t end)
{
  int64_t rows = 0;
  for (size_t i = 0; i < end; i++)
    rows += (int64_t)json_integer_value(json_array_get(json_array_get(c->segments, i), 1));
  return rows;
}

static int load(precis_errands *e, precis_context *c, size_t first)
{
  precis_order order = {.kind = PRECIS_ORDER_LOAD, .slot = c->slot, .with_bias = c->with_bias};
  precis_segment *segments = segments_of(c, first, &order.count);
  if (segments == NULL)
    return PRECIS_ERR_MEMORY;
  const precis_hold_data data = {.segments = segments, .rows = c->held};
  int status = precis_link_tell_all(e->hold->world, &e->hold->silence, &order);
  if (status == PRECIS_SUCCESS)
    status = precis_hold_obey(e->hold, &order, &data);
  for (int r = 0; r < e->contexts->ranks; r++)
    c->dealt[r] = c->held[r];
  precis_contexts_weigh(e->contexts, e->hold->bytes);
  free(segments);
  return status;
}

/* What contexts shared they share again. */
static int bring_back(precis_errands *e, precis_context *c)
{
  size_t common;
  precis_context *relative = relative_of(e, c, &common);
  int status = relative ? precis_errands_fork(e, relative, rows_before(c, common), c)
                        : precis_errands_create(e, c);
  atomic_fetch_add(&e->hold->loaded, rows_before(c, common));
  if (status == PRECIS_SUCCESS)
    status = load(e, c, common);
  return status == PRECIS_SUCCESS ? precis_errands_unit_restore(e, c, relative != NULL) : status;
}

/* What was appended under another limit, or on more ranks, may be too much for these. */
static int check_limit(const precis_contexts *contexts, precis_message *why)
{
  int64_t limit = contexts->options->memory_limit,
          held = precis_largest(contexts->bytes, contexts->ranks);
  if (limit == 0 || held <= limit)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_MEMORY,
                            "contexts that were kept take %" PRId64
                            " bytes of a rank or more, and --memory-limit is %" PRId64,
                            held, limit);
}

/* What one context lacks must not keep the others down, if that is wished. */
static int skip(precis_errands *e, precis_context *c, int status, precis_message *why)
{
  const precis_message words = e->hold->why;
  precis_message_set(why, status, "%s", words.text[0] ? words.text : precis_strerror(status));
  int skipped = precis_journal_skip(e->journal, e->contexts, c->id, status, why->text);
  if (skipped == PRECIS_SUCCESS && c->slot >= 0)
    skipped = precis_errands_forget(e, c);
  return skipped;
}

int precis_restore(precis_errands *e, precis_context *list, precis_message *why)
{
  int status = PRECIS_SUCCESS;
  while (list != NULL) {
    precis_context *c = list;
    const double begun = precis_deadlines_now();
    list = c->next;
    c->next = NULL;
    if (status == PRECIS_SUCCESS && !precis_signals_stop()) {
      status = bring_back(e, c);
      status = status == PRECIS_SUCCESS ? check_limit(e->contexts, why) : skip(e, c, status, why);
    }
    int there = status == PRECIS_SUCCESS && c->slot >= 0 && !precis_signals_stop();
    if (there)
      precis_log_write(e->log, PRECIS_LOG_INFO, "load", NULL,
                       "context %s: %" PRId64 " tokens, %zu segments, after %.3f s", c->id,
                       c->tokens, json_array_size(c->segments), precis_deadlines_now() - begun);
    if (there)
      precis_contexts_enlist(e->contexts, c);
    precis_contexts_release(e->contexts, c);
  }
  return status;
}
