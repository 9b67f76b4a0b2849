#include "mpi/service/restore.h"

#include <stdio.h>
#include <stdlib.h>

#include "mpi/service/hold_load.h"
#include "mpi/service/link.h"
#include "src/memory.h"

static precis_segment *segments_of(const precis_context *c, int64_t *count)
{
  *count = (int64_t)json_array_size(c->segments);
  precis_segment *list = precis_memory_array(*count, sizeof *list);
  for (int64_t i = 0; list != NULL && i < *count; i++) {
    const json_t *pair = json_array_get(c->segments, (size_t)i);
    snprintf(list[i].name, sizeof list[i].name, "%s", json_string_value(json_array_get(pair, 0)));
    list[i].rows = (int64_t)json_integer_value(json_array_get(pair, 1));
  }
  return list;
}

static int load(precis_errands *e, precis_context *c)
{
  precis_order order = {.kind = PRECIS_ORDER_LOAD, .slot = c->slot, .with_bias = c->with_bias};
  precis_segment *segments = segments_of(c, &order.count);
  if (segments == NULL)
    return PRECIS_ERR_MEMORY;
  const precis_hold_data data = {.segments = segments};
  int status = precis_link_tell_all(e->hold->world, &order);
  if (status == PRECIS_SUCCESS)
    status = precis_hold_obey(e->hold, &order, &data);
  precis_hold_load_deal(&c->spec.problem, e->contexts->ranks, c->tokens, c->dealt);
  precis_contexts_weigh(e->contexts, e->hold->bytes);
  free(segments);
  return status;
}

int precis_restore(precis_errands *e, precis_context *list, precis_message *why)
{
  int status = PRECIS_SUCCESS;
  while (list != NULL) {
    precis_context *c = list;
    list = c->next;
    c->next = NULL;
    if (status == PRECIS_SUCCESS)
      status = precis_errands_create(e, c);
    if (status == PRECIS_SUCCESS)
      status = load(e, c);
    if (status == PRECIS_SUCCESS)
      precis_contexts_enlist(e->contexts, c);
    else
      precis_message_set(why, status, "%s",
                         e->hold->why.text[0] ? e->hold->why.text : precis_strerror(status));
    precis_contexts_release(e->contexts, c);
  }
  return status;
}
