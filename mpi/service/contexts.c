#include "mpi/service/contexts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "mpi/service/quota.h"

int precis_contexts_create(const precis_service_options *options, int ranks,
                           precis_contexts *contexts)
{
  *contexts = (precis_contexts){.options = options, .ranks = ranks};
  pthread_mutex_init(&contexts->lock, NULL);
  contexts->bytes = calloc((size_t)ranks, sizeof *contexts->bytes);
  contexts->in_slot = calloc((size_t)options->contexts_most, sizeof *contexts->in_slot);
  contexts->stages = calloc((size_t)options->connections_most, 1);
  contexts->pending = json_object();
  contexts->damaged = json_array();
  if (contexts->bytes && contexts->in_slot && contexts->stages && contexts->pending &&
      contexts->damaged)
    return PRECIS_SUCCESS;
  precis_contexts_free(contexts);
  return PRECIS_ERR_MEMORY;
}

static void discard(precis_context *context)
{
  json_decref(context->keys);
  json_decref(context->pending);
  json_decref(context->segments);
  if (context->manifest >= 0)
    close(context->manifest);
  free(context->dealt);
  free(context->held);
  free(context->unit);
  free(context);
}

void precis_contexts_free(precis_contexts *contexts)
{
  while (contexts->first != NULL) {
    precis_context *next = contexts->first->next;
    discard(contexts->first);
    contexts->first = next;
  }
  free(contexts->bytes);
  free(contexts->in_slot);
  free(contexts->stages);
  json_decref(contexts->pending);
  json_decref(contexts->damaged);
  pthread_mutex_destroy(&contexts->lock);
}

static int take_number(unsigned char *taken, int64_t count)
{
  for (int64_t i = 0; i < count; i++)
    if (!taken[i]) {
      taken[i] = 1;
      return (int)i;
    }
  return -1;
}

/* Ids cannot be guessed and are never used again. */
static int make_id(char *id)
{
  uint64_t number;
  if (getrandom(&number, sizeof number, 0) != sizeof number)
    return 0;
  snprintf(id, PRECIS_CONTEXT_ID, "c%016" PRIx64, number);
  return 1;
}

static precis_context *make(const precis_contexts *contexts)
{
  precis_context *made = calloc(1, sizeof *made);
  if (made == NULL)
    return NULL;
  made->dealt = calloc((size_t)contexts->ranks, sizeof *made->dealt);
  made->held = calloc((size_t)contexts->ranks, sizeof *made->held);
  made->keys = json_object();
  made->pending = json_object();
  made->segments = json_array();
  made->manifest = made->slot = -1;
  made->references = 1;
  if (made->dealt && made->held && made->keys && made->pending && made->segments &&
      make_id(made->id))
    return made;
  discard(made);
  return NULL;
}

/* With the lock. */
static int take_slot(precis_contexts *contexts, const precis_owner *owner,
                     const precis_context *parent, precis_context *context, precis_message *why)
{
  precis_quota more = {.contexts = 1};
  int64_t most = contexts->options->contexts_most, slot = 0;
  if (parent != NULL) {
    more.tokens = parent->tokens;
    more.bytes = 4 * more.tokens * precis_quota_row(&parent->spec, parent->with_bias);
  }
  int status = precis_quota_check(contexts, owner, &more, why);
  if (status != PRECIS_SUCCESS)
    return status;
  while (slot < most && contexts->in_slot[slot] != NULL)
    slot++;
  if (slot == most)
    return precis_message_set(why, PRECIS_ERR_MEMORY,
                              "there are %" PRId64 " contexts already, as many as are allowed",
                              most);
  contexts->in_slot[slot] = context;
  context->slot = (int)slot;
  contexts->made++;
  return PRECIS_SUCCESS;
}

int precis_contexts_make(precis_contexts *contexts, const precis_spec *spec,
                         const precis_owner *owner, const precis_context *parent,
                         precis_context **context, precis_message *why)
{
  precis_context *made = make(contexts);
  if (made == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for a context");
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  made->created = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
  made->spec = *spec;
  strcpy(made->owner, owner->name);
  pthread_mutex_lock(&contexts->lock);
  int status = take_slot(contexts, owner, parent, made, why);
  pthread_mutex_unlock(&contexts->lock);
  if (status == PRECIS_SUCCESS)
    *context = made;
  else
    discard(made);
  return status;
}

void precis_contexts_enlist(precis_contexts *contexts, precis_context *context)
{
  pthread_mutex_lock(&contexts->lock);
  precis_context **end = &contexts->first;
  while (*end != NULL)
    end = &(*end)->next;
  *end = context;
  context->listed = 1;
  context->references++;
  contexts->count++;
  pthread_mutex_unlock(&contexts->lock);
}

precis_context *precis_contexts_find(precis_contexts *contexts, const char *id)
{
  pthread_mutex_lock(&contexts->lock);
  precis_context *context = contexts->first;
  while (context != NULL && strcmp(context->id, id) != 0)
    context = context->next;
  if (context != NULL)
    context->references++;
  pthread_mutex_unlock(&contexts->lock);
  return context;
}

static void let_go(precis_contexts *contexts, precis_context *context)
{
  if (--context->references > 0)
    return;
  if (context->slot >= 0)
    contexts->in_slot[context->slot] = NULL;
  discard(context);
}

void precis_contexts_delist(precis_contexts *contexts, precis_context *context)
{
  pthread_mutex_lock(&contexts->lock);
  if (context->listed) {
    precis_context **at = &contexts->first;
    while (*at != context)
      at = &(*at)->next;
    *at = context->next;
    context->listed = 0;
    contexts->count--;
    let_go(contexts, context);
  }
  pthread_mutex_unlock(&contexts->lock);
}

void precis_contexts_release(precis_contexts *contexts, precis_context *context)
{
  pthread_mutex_lock(&contexts->lock);
  let_go(contexts, context);
  pthread_mutex_unlock(&contexts->lock);
}

void precis_contexts_vacate(precis_contexts *contexts, precis_context *context)
{
  pthread_mutex_lock(&contexts->lock);
  if (context->slot >= 0)
    contexts->in_slot[context->slot] = NULL;
  context->slot = -1;
  pthread_mutex_unlock(&contexts->lock);
}

void precis_stage_number(precis_contexts *contexts, precis_stage *stage)
{
  pthread_mutex_lock(&contexts->lock);
  stage->number = take_number(contexts->stages, contexts->options->connections_most);
  pthread_mutex_unlock(&contexts->lock);
}

void precis_contexts_attended(precis_contexts *contexts, precis_context *context, precis_move move)
{
  pthread_mutex_lock(&contexts->lock);
  context->attends++;
  context->moves[move]++;
  pthread_mutex_unlock(&contexts->lock);
}

void precis_contexts_weigh(precis_contexts *contexts, const int64_t *bytes)
{
  pthread_mutex_lock(&contexts->lock);
  memcpy(contexts->bytes, bytes, (size_t)contexts->ranks * sizeof *bytes);
  pthread_mutex_unlock(&contexts->lock);
}
