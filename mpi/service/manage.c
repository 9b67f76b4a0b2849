/* manage.c - contexts are made, shown, listed and deleted */
#include <stdlib.h>
#include <string.h>

#include "mpi/service/keys.h"
#include "mpi/service/routes.h"
#include "mpi/service/spec.h"

typedef struct text {
  char key[PRECIS_CONTEXT_KEY + 1]; /* claimed; "" for none */
  precis_context *done;             /* that was made with the key before, held */
  size_t bytes;
  char at[PRECIS_SPEC_BYTES];
} text;

/* Returns the key, "" for none, or NULL and an error in the reply. What was made with it before is
 * in *done, held. */
static const char *claim_key(precis_request *request, precis_context **done)
{
  precis_contexts *contexts = request->http->contexts;
  const char *key = precis_keys_read(request);
  if (key == NULL || key[0] == '\0')
    return key;
  switch (precis_keys_claim_context(contexts, request->owner.name, key, done)) {
  case PRECIS_CLAIM_BUSY:
    precis_keys_refuse_busy(request);
    return NULL;
  case PRECIS_CLAIM_DONE:
  case PRECIS_CLAIM_NEW:
    break;
  }
  return key;
}

/* Of what a request asks for. */
static int sum_of(const char *what, const void *bytes, size_t count, precis_sum *sum,
                  precis_message *why)
{
  precis_summing summing;
  int status = precis_sum_begin(&summing, why);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_sum_add(&summing, what, (int64_t)strlen(what) + 1);
  precis_sum_add(&summing, bytes, (int64_t)count);
  *sum = precis_sum_end(&summing);
  return status;
}

void precis_route_create_begin(precis_request *request)
{
  text *t = malloc(sizeof *t);
  if (t == NULL)
    precis_reply_error(&request->reply, 507, "body", "out of memory");
  request->work = t;
  if (t == NULL)
    return;
  t->bytes = 0;
  t->key[0] = '\0';
  t->done = NULL;
  const char *key = claim_key(request, &t->done);
  if (key != NULL && t->done == NULL)
    strcpy(t->key, key);
}

/* No more than fits comes in: see the route's body_most. */
void precis_route_create_take(precis_request *request, const char *bytes, int64_t count)
{
  text *t = request->work;
  memcpy(t->at + t->bytes, bytes, (size_t)count);
  t->bytes += (size_t)count;
}

void precis_route_create_finish(precis_request *request)
{
  const text *t = request->work;
  precis_http *h = request->http;
  precis_message why = {""};
  precis_spec spec;
  precis_sum sum = {""};
  const char *field;
  if (sum_of("create", t->at, t->bytes, &sum, &why) != PRECIS_SUCCESS) {
    precis_reply_error(&request->reply, 507, "body", "%s", why.text);
    return;
  }
  if (t->done != NULL) {
    precis_keys_answer_context(request, t->done, &sum);
    return;
  }
  if (precis_spec_parse(t->at, t->bytes, &spec, &field, &why) != PRECIS_SUCCESS) {
    precis_reply_error(&request->reply, 400, field, "%s", why.text);
    return;
  }
  precis_errand errand = {.kind = PRECIS_ERRAND_CREATE};
  if (precis_contexts_make(h->contexts, &spec, &request->owner, NULL, &request->context, &why) !=
      PRECIS_SUCCESS) {
    precis_reply_error(&request->reply, 507, "contexts", "%s", why.text);
    return;
  }
  strcpy(request->context->key, t->key);
  request->context->sum = sum;
  errand.context = request->context;
  int refused = precis_request_run(request, &errand);
  if (refused)
    precis_contexts_vacate(h->contexts, request->context);
  if (refused || errand.status != PRECIS_SUCCESS)
    precis_request_failed(request, &errand, refused, "body");
  else
    precis_reply_json(&request->reply, 201,
                      precis_contexts_describe(h->contexts, request->context));
}

void precis_route_create_end(precis_request *request)
{
  text *t = request->work;
  precis_contexts *contexts = request->http->contexts;
  if (t->key[0] != '\0')
    precis_keys_release_context(contexts, request->owner.name, t->key);
  if (t->done != NULL)
    precis_contexts_release(contexts, t->done);
  free(t);
}

/* `key` is claimed. */
static void make_fork(precis_request *request, const char *key, const precis_sum *sum)
{
  precis_http *h = request->http;
  precis_message why = {""};
  precis_context *child;
  if (precis_contexts_make(h->contexts, &request->context->spec, &request->owner, request->context,
                           &child, &why) != PRECIS_SUCCESS) {
    precis_reply_error(&request->reply, 507, "contexts", "%s", why.text);
    return;
  }
  strcpy(child->parent, request->context->id);
  strcpy(child->key, key);
  child->sum = *sum;
  precis_errand errand = {.kind = PRECIS_ERRAND_FORK, .context = child, .parent = request->context};
  int refused = precis_request_run(request, &errand);
  if (refused)
    precis_contexts_vacate(h->contexts, child);
  if (refused || errand.status != PRECIS_SUCCESS)
    precis_request_failed(request, &errand, refused, "context");
  else
    precis_reply_json(&request->reply, 201, precis_contexts_describe(h->contexts, child));
  precis_contexts_release(h->contexts, child);
}

void precis_route_fork(precis_request *request)
{
  precis_contexts *contexts = request->http->contexts;
  precis_message why = {""};
  precis_context *done = NULL;
  precis_sum sum = {""};
  const char *id = request->context->id, *key = claim_key(request, &done);
  if (key == NULL)
    return;
  if (sum_of("fork", id, strlen(id), &sum, &why) != PRECIS_SUCCESS)
    precis_reply_error(&request->reply, 507, "context", "%s", why.text);
  else if (done != NULL)
    precis_keys_answer_context(request, done, &sum);
  else
    make_fork(request, key, &sum);
  if (done != NULL)
    precis_contexts_release(contexts, done);
  else if (key[0] != '\0')
    precis_keys_release_context(contexts, request->owner.name, key);
}

void precis_route_list(precis_request *request)
{
  precis_contexts *contexts = request->http->contexts;
  precis_reply_json(&request->reply, 200,
                    json_pack("{s:o, s:o}", "contexts", precis_contexts_list(contexts), "damaged",
                              precis_contexts_left_out(contexts)));
}

void precis_route_inspect(precis_request *request)
{
  precis_reply_json(&request->reply, 200,
                    precis_contexts_describe(request->http->contexts, request->context));
}

void precis_route_delete(precis_request *request)
{
  precis_errand errand = {.kind = PRECIS_ERRAND_DESTROY, .context = request->context};
  int refused = precis_request_run(request, &errand);
  if (refused || errand.status != PRECIS_SUCCESS)
    precis_request_failed(request, &errand, refused, "context");
  else
    precis_reply_json(&request->reply, 200, json_pack("{s:s}", "deleted", request->context->id));
}
