/* manage.c - contexts are made, shown, listed and deleted */
#include <stdlib.h>
#include <string.h>

#include "mpi/service/keys.h"
#include "mpi/service/routes.h"
#include "mpi/service/spec.h"

typedef struct text {
  char key[PRECIS_CONTEXT_KEY + 1]; /* claimed; "" for none */
  size_t bytes;
  char at[PRECIS_SPEC_BYTES];
} text;

static void claim_key(precis_request *request, text *t)
{
  const char *key = precis_keys_read(request);
  if (key == NULL || key[0] == '\0')
    return;
  switch (precis_keys_claim_context(request->http->contexts, key, &request->context)) {
  case PRECIS_CLAIM_DONE:
    precis_reply_json(&request->reply, 201,
                      precis_contexts_describe(request->http->contexts, request->context));
    return;
  case PRECIS_CLAIM_BUSY:
    precis_keys_refuse_busy(request);
    return;
  case PRECIS_CLAIM_NEW:
    strcpy(t->key, key);
  }
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
  claim_key(request, t);
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
  const char *field;
  int refused;
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
  errand.context = request->context;
  precis_queue_run(h->queue, &errand, &refused);
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
  if (t != NULL && t->key[0] != '\0')
    precis_keys_release(request->http->contexts, NULL, t->key);
  free(t);
}

void precis_route_fork(precis_request *request)
{
  precis_http *h = request->http;
  precis_message why = {""};
  precis_context *child;
  int refused;
  if (precis_contexts_make(h->contexts, &request->context->spec, &request->owner, request->context,
                           &child, &why) != PRECIS_SUCCESS) {
    precis_reply_error(&request->reply, 507, "contexts", "%s", why.text);
    return;
  }
  strcpy(child->parent, request->context->id);
  precis_errand errand = {.kind = PRECIS_ERRAND_FORK, .context = child, .parent = request->context};
  precis_queue_run(h->queue, &errand, &refused);
  if (refused)
    precis_contexts_vacate(h->contexts, child);
  if (refused || errand.status != PRECIS_SUCCESS)
    precis_request_failed(request, &errand, refused, "context");
  else
    precis_reply_json(&request->reply, 201, precis_contexts_describe(h->contexts, child));
  precis_contexts_release(h->contexts, child);
}

void precis_route_list(precis_request *request)
{
  precis_reply_json(&request->reply, 200,
                    json_pack("{s:o}", "contexts", precis_contexts_list(request->http->contexts)));
}

void precis_route_inspect(precis_request *request)
{
  precis_reply_json(&request->reply, 200,
                    precis_contexts_describe(request->http->contexts, request->context));
}

void precis_route_delete(precis_request *request)
{
  precis_http *h = request->http;
  precis_errand errand = {.kind = PRECIS_ERRAND_DESTROY, .context = request->context};
  int refused;
  precis_queue_run(h->queue, &errand, &refused);
  if (refused || errand.status != PRECIS_SUCCESS)
    precis_request_failed(request, &errand, refused, "context");
  else
    precis_reply_json(&request->reply, 200, json_pack("{s:s}", "deleted", request->context->id));
}
