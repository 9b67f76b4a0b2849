/* stage.c - appends on their way: whose rows they are, and whether there is room */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/service/contexts.h"
#include "mpi/service/quota.h"
#include "src/layout/level.h"
#include "src/base/share.h"

/* Bytes that the append takes on the rank that gets most: its rows wait in a shard, and go to
 * arrays that grow in place. */
static int64_t bytes_of(const precis_contexts *contexts, const precis_context *context,
                        const int64_t *counts, int with_bias)
{
  const precis_problem *p = &context->spec.problem;
  int64_t row = (p->kv_heads * ((int64_t)p->dim + p->value_dim) + with_bias + 2) * 4;
  return 2 * row * precis_largest(counts, contexts->ranks);
}

/* With the lock. */
static int check_room(precis_contexts *contexts, precis_context *context, const precis_quota *quota,
                      precis_stage *stage, precis_message *why)
{
  int64_t limit = contexts->options->memory_limit, most = contexts->options->tokens_most;
  int64_t tokens = 0;
  for (int r = 0; r < contexts->ranks; r++)
    tokens += context->dealt[r];
  if (stage->rows > most - tokens)
    return precis_message_set(why, PRECIS_ERR_MEMORY,
                              "%" PRId64 " tokens more would make %" PRId64
                              ", and a context may have %" PRId64,
                              stage->rows, tokens + stage->rows, most);
  precis_owner owner = {.quota = *quota};
  strcpy(owner.name, context->owner);
  const precis_quota more = {
      .tokens = stage->rows,
      .bytes = 4 * stage->rows *
               precis_quota_row(&context->spec, stage->with_bias || context->with_bias)};
  int status = precis_quota_check(contexts, &owner, &more, why);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_level_deal(contexts->ranks, context->dealt, stage->rows, stage->counts);
  stage->promised = bytes_of(contexts, context, stage->counts, stage->with_bias);
  int64_t need =
      precis_largest(contexts->bytes, contexts->ranks) + contexts->promised + stage->promised;
  if (limit > 0 && need > limit)
    return precis_message_set(why, PRECIS_ERR_MEMORY,
                              "a rank would have to hold %" PRId64
                              " bytes while it appends, and --memory-limit is %" PRId64,
                              need, limit);
  for (int r = 0; r < contexts->ranks; r++)
    context->dealt[r] += stage->counts[r];
  contexts->promised += stage->promised;
  context->references++;
  return PRECIS_SUCCESS;
}

int precis_stage_make(precis_contexts *contexts, precis_context *context, const precis_quota *quota,
                      int64_t rows, int with_bias, precis_stage **stage, precis_message *why)
{
  precis_stage *made = calloc(1, sizeof *made);
  if (made != NULL)
    made->counts = calloc((size_t)contexts->ranks, sizeof *made->counts);
  if (made == NULL || made->counts == NULL) {
    free(made);
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for an append");
  }
  made->context = context;
  made->number = -1;
  made->rows = rows;
  made->with_bias = with_bias;
  pthread_mutex_lock(&contexts->lock);
  int status = check_room(contexts, context, quota, made, why);
  pthread_mutex_unlock(&contexts->lock);
  if (status == PRECIS_SUCCESS) {
    *stage = made;
    return status;
  }
  free(made->counts);
  free(made);
  return status;
}

void precis_stage_end(precis_contexts *contexts, precis_stage *stage, int committed)
{
  precis_context *context = stage->context;
  pthread_mutex_lock(&contexts->lock);
  contexts->promised -= stage->promised;
  if (stage->number >= 0)
    contexts->stages[stage->number] = 0;
  if (committed) {
    context->tokens += stage->rows;
    context->appends++;
    context->with_bias |= stage->with_bias;
    stage->tokens = context->tokens;
    precis_contexts_remember(context, stage->key, stage->sum.text, stage->rows);
  }
  int64_t *rows = committed ? context->held : context->dealt;
  for (int r = 0; r < contexts->ranks; r++)
    rows[r] += committed ? stage->counts[r] : -stage->counts[r];
  pthread_mutex_unlock(&contexts->lock);
  precis_contexts_release(contexts, context);
  free(stage->counts);
  free(stage);
}
