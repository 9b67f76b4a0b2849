/* attend.c - queries in, results and their certificate out */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/service/routes.h"
#include "src/files/body.h"
#include "src/base/memory.h"
#include "src/files/npy.h"
#include "src/files/report_json.h"
#include "src/files/safetensors.h"
#include "src/base/size.h"

/* So many times what one request may take may be on its way at once. */
enum { FLIGHTS = 4 };

typedef struct attend {
  precis_request *request;
  precis_body body;
  int64_t position; /* -1: the last query stands at the last key */
  int wants_npy;
  int wants_bounds;
  int64_t rows;
  float *q;
} attend;

static int64_t bytes_of(const precis_problem *p, int64_t rows)
{
  return rows * p->heads * ((int64_t)p->dim + p->value_dim + 2) * (int64_t)sizeof(float);
}

static int check_size(attend *a, int64_t rows)
{
  precis_http *h = a->request->http;
  const precis_problem *p = &a->request->context->spec.problem;
  int64_t most = h->options->query_bytes_most / bytes_of(p, 1);
  if (rows > most) {
    precis_reply_error(&a->request->reply, 413, "q",
                       "has %" PRId64 " queries, and %" PRId64 " may be asked at once", rows, most);
    return PRECIS_ERR_MEMORY;
  }
  int64_t bytes = a->request->flight = bytes_of(p, rows);
  if (atomic_fetch_add(&h->flight, bytes) + bytes > FLIGHTS * h->options->query_bytes_most) {
    precis_reply_error(&a->request->reply, 503, "q",
                       "too many queries are on their way, try again");
    return PRECIS_ERR_MEMORY;
  }
  return PRECIS_SUCCESS;
}

static int begin_queries(void *context, const precis_body_array *arrays, precis_message *why)
{
  attend *a = context;
  const precis_tensor *t = &arrays[0].tensor;
  const precis_problem *p = &a->request->context->spec.problem;
  if (t->axes != 3 || t->shape[1] != p->heads || t->shape[2] != p->dim) {
    precis_reply_error(&a->request->reply, 400, "q", "has shape %s, must be (queries, %d, %d)",
                       precis_tensor_shape_text(t).text, p->heads, p->dim);
    return PRECIS_ERR_FORMAT;
  }
  int status = check_size(a, t->shape[0]);
  if (status != PRECIS_SUCCESS)
    return status;
  a->rows = t->shape[0];
  a->q = precis_memory_array(a->rows * p->heads, (size_t)p->dim * sizeof *a->q);
  return a->q ? PRECIS_SUCCESS : precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory");
}

static int take_values(void *context, int array, int64_t first, int64_t count, const float *x,
                       precis_message *why)
{
  attend *a = context;
  const precis_problem *p = &a->request->context->spec.problem;
  int64_t bad = precis_f32_nonfinite(x, count, 0);
  (void)array;
  (void)why;
  if (bad < count) {
    precis_reply_error(&a->request->reply, 422, "q",
                       "query %" PRId64 " holds a value that is not finite",
                       (first + bad) / ((int64_t)p->heads * p->dim));
    return PRECIS_ERR_NONFINITE;
  }
  memcpy(a->q + first, x, (size_t)count * sizeof *x);
  return PRECIS_SUCCESS;
}

static void read_position(precis_request *request, attend *a)
{
  const char *text = precis_request_argument(request, "first_position");
  a->position = -1;
  if (text != NULL &&
      precis_size_parse("first_position", text, 0, INT64_C(1) << 48, &a->position, NULL))
    precis_reply_error(&request->reply, 400, "first_position",
                       "must be a whole number from 0 to 2^48");
}

static void read_bounds(precis_request *request, attend *a)
{
  const char *text = precis_request_argument(request, "bounds");
  a->wants_bounds = text != NULL && strcmp(text, "1") == 0;
  if (text != NULL && !a->wants_bounds && strcmp(text, "0") != 0)
    precis_reply_error(&request->reply, 400, "bounds", "must be 0 or 1");
  else if (a->wants_bounds && a->wants_npy)
    precis_reply_error(&request->reply, 400, "bounds", "there is no room for them in a .npy file");
}

void precis_route_attend_begin(precis_request *request)
{
  attend *a = calloc(1, sizeof *a);
  if (a == NULL) {
    precis_reply_error(&request->reply, 507, "body", "out of memory");
    return;
  }
  const char *accept = precis_request_header(request, "Accept");
  a->request = request;
  a->wants_npy = accept != NULL && strstr(accept, "application/x-npy") != NULL;
  a->body = (precis_body){.label = "body",
                          .arrays = {{.name = "q"}},
                          .count = 1,
                          .sink = {begin_queries, take_values, a},
                          .announced = request->announced};
  precis_body_begin(&a->body);
  request->work = a;
  read_position(request, a);
  read_bounds(request, a);
}

void precis_route_attend_take(precis_request *request, const char *bytes, int64_t count)
{
  attend *a = request->work;
  precis_request_take_body(request, &a->body, bytes, count);
}

/* The file that goes back: its head, and where results belong in it. What a .npy file has is out,
 * and comes first. */
static int make_file(const attend *a, char **file, int64_t *bytes, precis_errand *errand,
                     precis_message *why)
{
  const precis_problem *p = &a->request->context->spec.problem;
  static const char *const names[] = {"out", "lse", "bounds"};
  precis_tensor tensors[] = {{.axes = 3, .shape = {a->rows, p->heads, p->value_dim}},
                             {.axes = 2, .shape = {a->rows, p->heads}},
                             {.axes = 2, .shape = {a->rows, p->heads}}};
  char *head = NULL;
  int64_t head_bytes = 0;
  int count = 2 + a->wants_bounds;
  int status = a->wants_npy
                   ? precis_npy_format(&tensors[0], &head, &head_bytes, why)
                   : precis_safetensors_format(names, tensors, count, &head, &head_bytes, why);
  if (status != PRECIS_SUCCESS)
    return status;
  int64_t results = precis_tensor_bytes(&tensors[0]), each = precis_tensor_bytes(&tensors[1]),
          all = results + (count - 1) * each;
  *file = realloc(head, (size_t)(head_bytes + all));
  if (*file == NULL) {
    free(head);
    return precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for results");
  }
  *bytes = head_bytes + (a->wants_npy ? results : all);
  errand->out = (float *)(void *)(*file + head_bytes);
  errand->lse = (float *)(void *)(*file + head_bytes + results);
  errand->bounds = a->wants_bounds ? (float *)(void *)(*file + head_bytes + results + each) : NULL;
  return PRECIS_SUCCESS;
}

/* Names are those of precis run's report. */
static char *report_text(const precis_errand *errand)
{
  const precis_report *r = &errand->report;
  const precis_spec *spec = &errand->context->spec;
  json_t *report =
      json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:b, s:i, s:i, s:i, s:I, s:i, s:i, s:f}", "move",
                precis_move_name(r->move), "why", r->why, "promise", precis_json_number(r->promise),
                "lse_promise", precis_json_number(r->lse_promise), "tokens",
                (json_int_t)errand->tokens, "queries", (json_int_t)errand->rows, "kept", r->kept,
                "lead_axes", r->lead_axes, "degree", r->degree, "envelope_degree",
                r->envelope_degree, "features", (json_int_t)r->features, "batched", errand->batched,
                "pieces", errand->pieces > 0 ? errand->pieces : 1, "seconds", r->seconds_total);
  if (report == NULL)
    return NULL;
  precis_json_join(report, precis_json_promise(r, spec->tol_of, spec->problem.heads));
  precis_json_join(report, precis_json_worth(r, spec->problem.heads));
  char *text = json_dumps(report, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
  json_decref(report);
  return text;
}

void precis_route_attend_finish(precis_request *request)
{
  attend *a = request->work;
  precis_message why = {""};
  char *file = NULL;
  int64_t bytes = 0;
  int status = precis_body_end(&a->body, &why);
  precis_errand errand = {.kind = PRECIS_ERRAND_ATTEND,
                          .context = request->context,
                          .rows = a->rows,
                          .position = a->position,
                          .q = a->q};
  if (status == PRECIS_SUCCESS)
    status = make_file(a, &file, &bytes, &errand, &why);
  if (status != PRECIS_SUCCESS) {
    precis_reply_error(&request->reply, precis_reply_code(status), "body", "%s", why.text);
    return;
  }
  atomic_fetch_add(&request->http->attending, 1);
  int refused = precis_request_run(request, &errand);
  atomic_fetch_sub(&request->http->attending, 1);
  if (refused || errand.status != PRECIS_SUCCESS) {
    free(file);
    precis_request_failed(request, &errand, refused, "q");
    return;
  }
  precis_metrics_attend(&request->http->metrics, &errand.report, a->rows, errand.batched,
                        errand.pieces > 0 ? errand.pieces : 1);
  request->reply.report = report_text(&errand);
  precis_reply_bytes(&request->reply,
                     a->wants_npy ? "application/x-npy" : "application/x-safetensors", file,
                     (size_t)bytes);
}

void precis_route_attend_end(precis_request *request)
{
  attend *a = request->work;
  free(a->q);
  precis_body_free(&a->body);
  free(a);
}
