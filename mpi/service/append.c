/* append.c - keys and values on their way from a body to the ranks, a few at a time */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/service/keys.h"
#include "mpi/service/order.h"
#include "mpi/service/routes.h"
#include "src/files/body.h"
#include "src/base/memory.h"

enum { BLOCK = 1 << 16 }; /* floats that travel together */

typedef struct append {
  precis_request *request;
  precis_body body;
  precis_stage *stage;              /* NULL: not begun, or handed over */
  char key[PRECIS_CONTEXT_KEY + 1]; /* claimed; "" for none */
  precis_summing summing;           /* of the body, where there is a key */
  json_t *done;                     /* what was done with the key before */
  int64_t row[PRECIS_SHARD_ARRAYS];
  int array, rank; /* where values go now ... */
  int64_t start;   /* ... whose part of the array begins at this element */
  float *block;    /* values that wait: `held` from `first` of the part on */
  int64_t first, held;
} append;

/* An errand that nobody waits for. */
static precis_errand *make_errand(precis_errand_kind kind, precis_stage *stage)
{
  precis_errand *errand = calloc(1, sizeof *errand);
  if (errand != NULL) {
    errand->kind = kind;
    errand->stage = stage;
  }
  return errand;
}

static int put(precis_request *request, precis_errand *errand, precis_message *why)
{
  if (precis_queue_put(request->http->queue, errand))
    return PRECIS_SUCCESS;
  free(errand->values);
  free(errand);
  precis_reply_error(&request->reply, 503, "service", "the service is stopping");
  return precis_message_set(why, PRECIS_ERR_IO, "the service is stopping");
}

static int flush(append *a, precis_message *why)
{
  if (a->held == 0)
    return PRECIS_SUCCESS;
  precis_errand *errand = make_errand(PRECIS_ERRAND_FILL, a->stage);
  if (errand == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  errand->array = a->array;
  errand->rank = a->rank;
  errand->first = a->first;
  errand->count = a->held;
  errand->values = a->block;
  a->block = NULL;
  a->held = 0;
  return put(a->request, errand, why);
}

static int64_t elements(const append *a)
{
  return a->stage->counts[a->rank] * a->row[a->array];
}

/* Turns to the rank whose part has this element; elements come in order. */
static int turn_to(append *a, int array, int64_t element, precis_message *why)
{
  int status = PRECIS_SUCCESS;
  if (array != a->array) {
    status = flush(a, why);
    a->array = array;
    a->rank = 0;
    a->start = 0;
  }
  while (status == PRECIS_SUCCESS && element >= a->start + elements(a)) {
    status = flush(a, why);
    a->start += elements(a);
    a->rank++;
  }
  return status;
}

static int keep(append *a, int64_t element, int64_t count, const float *x, precis_message *why)
{
  if (a->block == NULL)
    a->block = precis_memory_array(BLOCK, sizeof *a->block);
  if (a->block == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  if (a->held == 0)
    a->first = element - a->start;
  memcpy(a->block + a->held, x, (size_t)count * sizeof *x);
  a->held += count;
  return a->held == BLOCK ? flush(a, why) : PRECIS_SUCCESS;
}

/* What float32 cannot compute with, see precis_attend(): of a key the scores, of values that lie so
 * far apart their sums, of a bias the weight. Very negative biases are masks. Once it is appended
 * it would fail every attend. */
static const float MOST[PRECIS_SHARD_ARRAYS] = {1e30F, 5e29F, 1e37F};

static int64_t first_unusable(const float *x, int64_t count, int array)
{
  float most = MOST[array], least = array == PRECIS_SHARD_BIAS ? -INFINITY : -most;
  for (int64_t i = 0; i < count; i++)
    if (x[i] > most || x[i] < least)
      return i;
  return count;
}

static int take_values(void *context, int array, int64_t first, int64_t count, const float *x,
                       precis_message *why)
{
  append *a = context;
  int64_t bad = precis_f32_nonfinite(x, count, array == PRECIS_SHARD_BIAS),
          large = first_unusable(x, count, array);
  int status = PRECIS_SUCCESS;
  if (bad < count) {
    precis_reply_error(&a->request->reply, 422, a->body.arrays[array].name,
                       "token %" PRId64 " holds a value that is not finite",
                       (first + bad) / a->row[array]);
    return PRECIS_ERR_NONFINITE;
  }
  if (large < count) {
    precis_reply_error(&a->request->reply, 422, a->body.arrays[array].name,
                       "token %" PRId64 " holds %g, and no attend could use more than %g",
                       (first + large) / a->row[array], (double)x[large], (double)MOST[array]);
    return PRECIS_ERR_RANGE;
  }
  while (count > 0 && status == PRECIS_SUCCESS) {
    status = turn_to(a, array, first, why);
    int64_t fit = a->start + elements(a) - first, room = BLOCK - a->held;
    int64_t some = count < fit ? count : fit;
    some = some < room ? some : room;
    if (status == PRECIS_SUCCESS)
      status = keep(a, first, some, x, why);
    first += some;
    x += some;
    count -= some;
  }
  return status;
}

static int check_shape(append *a, const precis_body_array *array, int axes, int64_t rows, int heads,
                       int dim)
{
  const precis_tensor *t = &array->tensor;
  if (t->axes == axes && t->shape[0] == rows &&
      (axes == 1 || (t->shape[1] == heads && t->shape[2] == dim)))
    return PRECIS_SUCCESS;
  if (axes == 1)
    precis_reply_error(&a->request->reply, 400, array->name,
                       "has shape %s, must be (%" PRId64 ",), one number a token",
                       precis_tensor_shape_text(t).text, rows);
  else
    precis_reply_error(&a->request->reply, 400, array->name,
                       "has shape %s, must be (tokens, %d, %d), with as many tokens in k and v",
                       precis_tensor_shape_text(t).text, heads, dim);
  return PRECIS_ERR_FORMAT;
}

/* As the token that the context was made with has it now. */
static precis_quota quota_of(precis_http *h, const precis_context *context)
{
  pthread_mutex_lock(&h->token_lock);
  precis_quota quota = precis_tokens_quota(&h->tokens, context->owner);
  pthread_mutex_unlock(&h->token_lock);
  return quota;
}

/* The head of the body is there: rows are dealt to the ranks, which make room. */
static int begin_stage(void *context, const precis_body_array *arrays, precis_message *why)
{
  append *a = context;
  precis_request *request = a->request;
  const precis_problem *p = &request->context->spec.problem;
  int64_t rows = arrays[0].tensor.shape[0];
  int status = check_shape(a, &arrays[0], 3, rows, p->kv_heads, p->dim);
  if (status == PRECIS_SUCCESS)
    status = check_shape(a, &arrays[1], 3, rows, p->kv_heads, p->value_dim);
  if (status == PRECIS_SUCCESS && arrays[2].found)
    status = check_shape(a, &arrays[2], 1, rows, 1, 1);
  if (status != PRECIS_SUCCESS)
    return status;
  const precis_quota quota = quota_of(request->http, request->context);
  status = precis_stage_make(request->http->contexts, request->context, &quota, rows,
                             arrays[2].found, &a->stage, why);
  if (status != PRECIS_SUCCESS)
    return status;
  strcpy(a->stage->key, a->key);
  precis_errand *errand = make_errand(PRECIS_ERRAND_OPEN, a->stage);
  if (errand == NULL)
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
  return put(request, errand, why);
}

/* What was done is answered again, and not done again, if the body is the same. */
static void claim_key(precis_request *request, append *a)
{
  precis_message why = {""};
  const char *key = precis_keys_read(request);
  if (key == NULL || key[0] == '\0')
    return;
  if (precis_sum_begin(&a->summing, &why) != PRECIS_SUCCESS) {
    precis_reply_error(&request->reply, 507, "body", "%s", why.text);
    return;
  }
  switch (precis_keys_claim(request->http->contexts, request->context, key, &a->done)) {
  case PRECIS_CLAIM_DONE:
    return;
  case PRECIS_CLAIM_BUSY:
    precis_keys_refuse_busy(request);
    return;
  case PRECIS_CLAIM_NEW:
    strcpy(a->key, key);
  }
}

void precis_route_append_begin(precis_request *request)
{
  append *a = calloc(1, sizeof *a);
  if (a == NULL) {
    precis_reply_error(&request->reply, 507, "body", "out of memory");
    return;
  }
  const precis_problem *p = &request->context->spec.problem;
  a->request = request;
  a->row[PRECIS_SHARD_K] = (int64_t)p->kv_heads * p->dim;
  a->row[PRECIS_SHARD_V] = (int64_t)p->kv_heads * p->value_dim;
  a->row[PRECIS_SHARD_BIAS] = 1;
  a->body = (precis_body){.label = "body",
                          .arrays = {{.name = "k"}, {.name = "v"}, {.name = "bias", .optional = 1}},
                          .count = PRECIS_SHARD_ARRAYS,
                          .sink = {begin_stage, take_values, a},
                          .announced = request->announced};
  precis_body_begin(&a->body);
  request->work = a;
  claim_key(request, a);
}

void precis_route_append_take(precis_request *request, const char *bytes, int64_t count)
{
  append *a = request->work;
  if (a->summing.hash != NULL)
    precis_sum_add(&a->summing, bytes, count);
  if (a->done == NULL)
    precis_request_take_body(request, &a->body, bytes, count);
}

void precis_route_append_finish(precis_request *request)
{
  append *a = request->work;
  precis_message why = {""};
  const precis_sum sum = a->summing.hash ? precis_sum_end(&a->summing) : (precis_sum){""};
  if (a->done != NULL) {
    precis_keys_answer(request, a->done, &sum);
    return;
  }
  int status = precis_body_end(&a->body, &why);
  if (status == PRECIS_SUCCESS)
    status = flush(a, &why);
  if (status != PRECIS_SUCCESS) {
    precis_reply_error(&request->reply, precis_reply_code(status), "body", "%s", why.text);
    return;
  }
  int64_t rows = a->stage->rows;
  a->stage->sum = sum;
  precis_errand errand = {.kind = PRECIS_ERRAND_COMMIT, .stage = a->stage};
  int refused = precis_request_run(request, &errand);
  if (!refused)
    a->stage = NULL;
  if (refused || errand.status != PRECIS_SUCCESS) {
    precis_request_failed(request, &errand, refused, "body");
    return;
  }
  precis_metrics_append(&request->http->metrics, rows);
  precis_reply_json(
      &request->reply, 200,
      json_pack("{s:I, s:I}", "appended", (json_int_t)rows, "tokens", (json_int_t)errand.tokens));
}

void precis_route_append_end(precis_request *request)
{
  append *a = request->work;
  /* Without memory for it, the rows stay where they are until the service ends. */
  precis_errand *errand = a->stage ? make_errand(PRECIS_ERRAND_DROP, a->stage) : NULL;
  if (errand != NULL)
    precis_queue_put(request->http->queue, errand);
  if (a->key[0] != '\0')
    precis_keys_release(request->http->contexts, request->context, a->key);
  if (a->summing.hash != NULL)
    precis_sum_end(&a->summing);
  json_decref(a->done);
  free(a->block);
  precis_body_free(&a->body);
  free(a);
}
