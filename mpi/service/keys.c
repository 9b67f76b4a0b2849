#include "mpi/service/keys.h"

#include <stdio.h>
#include <string.h>

#include "mpi/service/routes.h"

const char *precis_keys_read(precis_request *request)
{
  const char *key = precis_request_header(request, "Idempotency-Key");
  size_t length = key ? strlen(key) : 0;
  if (key == NULL)
    return "";
  int good = length >= 1 && length <= PRECIS_CONTEXT_KEY;
  for (size_t i = 0; i < length; i++)
    good = good && key[i] > ' ' && key[i] <= '~';
  if (good)
    return key;
  precis_reply_error(&request->reply, 400, "Idempotency-Key",
                     "must be 1 to %d visible ASCII characters", PRECIS_CONTEXT_KEY);
  return NULL;
}

precis_claim precis_keys_claim(precis_contexts *contexts, precis_context *context, const char *key,
                               json_t **done_before)
{
  precis_claim claim = PRECIS_CLAIM_NEW;
  pthread_mutex_lock(&contexts->lock);
  json_t *done = json_object_get(context->keys, key);
  if (done != NULL) {
    *done_before = json_deep_copy(done);
    claim = PRECIS_CLAIM_DONE;
  } else if (json_object_get(context->pending, key) != NULL) {
    claim = PRECIS_CLAIM_BUSY;
  } else {
    json_object_set_new(context->pending, key, json_true());
  }
  pthread_mutex_unlock(&contexts->lock);
  return claim;
}

static int is_same(precis_request *request, const char *then, const precis_sum *now)
{
  if (then == NULL || then[0] == '\0' || strcmp(then, now->text) == 0)
    return 1; /* what 0.1.0 has written does not tell */
  precis_reply_error(&request->reply, 422, "Idempotency-Key",
                     "another request has had this key: each request needs one of its own");
  return 0;
}

void precis_keys_answer(precis_request *request, const json_t *done, const precis_sum *sum)
{
  if (is_same(request, json_string_value(json_object_get(done, "sum")), sum))
    precis_reply_json(&request->reply, 200,
                      json_pack("{s:O, s:O}", "appended", json_object_get(done, "appended"),
                                "tokens", json_object_get(done, "tokens")));
}

typedef struct owned_key {
  char text[PRECIS_TOKEN_NAME + PRECIS_CONTEXT_KEY + 2];
} owned_key;

static owned_key key_of(const char *owner, const char *key)
{
  owned_key k;
  snprintf(k.text, sizeof k.text, "%s %s", owner, key);
  return k;
}

precis_claim precis_keys_claim_context(precis_contexts *contexts, const char *owner,
                                       const char *key, precis_context **context)
{
  precis_claim claim = PRECIS_CLAIM_NEW;
  owned_key owned = key_of(owner, key);
  pthread_mutex_lock(&contexts->lock);
  precis_context *c = contexts->first;
  while (c != NULL && (strcmp(c->key, key) != 0 || strcmp(c->owner, owner) != 0))
    c = c->next;
  if (c != NULL) {
    c->references++;
    *context = c;
    claim = PRECIS_CLAIM_DONE;
  } else if (json_object_get(contexts->pending, owned.text) != NULL) {
    claim = PRECIS_CLAIM_BUSY;
  } else {
    json_object_set_new(contexts->pending, owned.text, json_true());
  }
  pthread_mutex_unlock(&contexts->lock);
  return claim;
}

void precis_keys_answer_context(precis_request *request, precis_context *context,
                                const precis_sum *sum)
{
  if (is_same(request, context->sum.text, sum))
    precis_reply_json(&request->reply, 201,
                      precis_contexts_describe(request->http->contexts, context));
}

void precis_keys_refuse_busy(precis_request *request)
{
  precis_reply_error(&request->reply, 409, "Idempotency-Key",
                     "a request with this key is under way, try again");
}

void precis_keys_release(precis_contexts *contexts, precis_context *context, const char *key)
{
  pthread_mutex_lock(&contexts->lock);
  json_object_del(context->pending, key);
  pthread_mutex_unlock(&contexts->lock);
}

void precis_keys_release_context(precis_contexts *contexts, const char *owner, const char *key)
{
  owned_key owned = key_of(owner, key);
  pthread_mutex_lock(&contexts->lock);
  json_object_del(contexts->pending, owned.text);
  pthread_mutex_unlock(&contexts->lock);
}

void precis_contexts_remember(precis_context *context, const char *key, const char *sum,
                              int64_t rows)
{
  if (key[0] == '\0')
    return;
  if (json_object_size(context->keys) >= PRECIS_KEYS_MOST)
    json_object_del(context->keys, json_object_iter_key(json_object_iter(context->keys)));
  json_object_set_new(context->keys, key,
                      json_pack("{s:I, s:I, s:s}", "appended", (json_int_t)rows, "tokens",
                                (json_int_t)context->tokens, "sum", sum));
}
