/* report_json.c - the report as one JSON object. Keys are relied on by other programs: add,
 * never rename. */
#include <math.h>

#include "src/cli/json.h"
#include "src/cli/plan.h"
#include "src/cli/report.h"

static json_t *problem_object(const precis_run_report *r)
{
  const precis_problem *p = &r->problem;
  return json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:b, s:o, s:o, s:s}", "queries",
                   precis_json_integer(r->queries), "keys", precis_json_integer(r->attend.keys),
                   "heads", p->heads, "kv_heads", p->kv_heads, "dim", p->dim, "value_dim",
                   p->value_dim, "causal", p->causal, "scale", precis_json_number(p->scale), "tol",
                   precis_json_number(fmax(r->settings->want.tol, 0)), "guarantee",
                   r->settings->want.guarantee == PRECIS_GUARANTEE_SAMPLED ? "sampled" : "bound");
}

static json_t *machine_object(const precis_run_report *r)
{
  return json_pack("{s:i, s:i, s:i, s:o, s:s}", "ranks", r->attend.ranks, "nodes", r->attend.nodes,
                   "threads", r->attend.threads, "fast_memory_bytes",
                   precis_json_integer(r->attend.fast_memory_bytes), "cpu", r->cpu);
}

static json_t *move_object(const precis_run_report *r)
{
  const precis_report *a = &r->attend;
  if (a->move != PRECIS_MOVE_SUMMARIES)
    return json_pack("{s:s, s:i}", "move", precis_move_name(a->move), "heads", r->problem.heads);
  return json_pack(
      "{s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "move", precis_move_name(a->move), "heads",
      r->problem.heads, "degree", a->degree, "envelope_degree", a->envelope_degree, "features",
      precis_json_integer(a->features), "count_features", precis_json_integer(a->count_features),
      "bound_b", precis_json_number(a->bound), "outlier_keys", precis_json_integer(a->outlier_keys),
      "outlier_queries", precis_json_integer(a->outlier_queries));
}

static json_t *alternatives_array(const precis_report *attend)
{
  json_t *all = json_array();
  for (int move = PRECIS_MOVE_TILES; move < PRECIS_MOVES; move++) {
    if (move == (int)attend->move || attend->predicted_bytes[move] < 0)
      continue;
    json_t *other = json_pack("{s:s}", "move", precis_move_name((precis_move)move)),
           *forecast = precis_forecast_object(&attend->forecast[move]);
    json_object_update(other, forecast);
    json_decref(forecast);
    json_array_append_new(all, other);
  }
  return all;
}

static json_t *plan_object(const precis_run_report *r)
{
  return json_pack("{s:[o], s:s, s:o, s:o}", "moves", move_object(r), "why", r->attend.why,
                   "alternatives", alternatives_array(&r->attend), "predicted",
                   precis_forecast_object(&r->attend.forecast[r->attend.move]));
}

/* Of outputs null where no row changes with its query. */
static json_t *outputs_number(const precis_run_report *r, double x)
{
  return r->attend.constant_heads == r->problem.heads ? json_null() : precis_json_number(x);
}

static json_t *promise_object(const precis_run_report *r)
{
  const precis_report *attend = &r->attend;
  precis_unit unit = (precis_unit)r->settings->want.tol_of;
  return json_pack(
      "{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "error", precis_json_number(attend->promise),
      "unit", precis_unit_name(unit), "outputs", outputs_number(r, attend->promise_outputs),
      "outputs_rms", outputs_number(r, attend->promise_outputs_rms), "range",
      precis_json_number(attend->promise_range), "lse", precis_json_number(attend->lse_promise),
      "lse_error", precis_json_number(attend->lse_promise), "rows_recomputed",
      precis_json_integer(attend->rows_recomputed), "estimate", attend->estimate);
}

/* What the promise is worth; null where all heads are constant. */
static json_t *outputs_object(const precis_run_report *r)
{
  const precis_report *a = &r->attend;
  if (a->constant_heads == r->problem.heads)
    return json_null();
  return json_pack("{s:o, s:i, s:o}", "mean_signal", precis_json_number(a->mean_signal),
                   "constant_heads", a->constant_heads, "trivial_error",
                   precis_json_number(a->trivial_error));
}

static json_t *head_object(const precis_head_report *h, int head)
{
  return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "head", head, "outputs",
                   h->constant ? json_null() : precis_json_number(h->promise_outputs),
                   "outputs_rms",
                   h->constant ? json_null() : precis_json_number(h->promise_outputs_rms), "range",
                   precis_json_number(h->promise_range), "lse", precis_json_number(h->lse_promise),
                   "mean_signal", precis_json_number(h->mean_signal), "trivial_error",
                   precis_json_number(h->trivial_error), "constant", h->constant, "rows_recomputed",
                   precis_json_integer(h->rows_recomputed));
}

static json_t *heads_array(const precis_run_report *r)
{
  json_t *all = json_array();
  for (int h = 0; h < r->problem.heads; h++)
    json_array_append_new(all, head_object(&r->heads[h], h));
  return all;
}

static json_t *moved_object(const precis_report *attend)
{
  return json_pack("{s:o, s:o, s:o, s:o}", "network_bytes",
                   precis_json_integer(attend->network_bytes), "node_bytes",
                   precis_json_integer(attend->node_bytes), "messages",
                   precis_json_integer(attend->messages), "repair_bytes",
                   precis_json_integer(attend->repair_bytes));
}

static json_t *seconds_object(const precis_run_report *r)
{
  const precis_report *a = &r->attend;
  const struct {
    const char *name;
    double seconds;
  } all[] = {{"read", r->seconds_read},   {"survey", a->seconds_survey},
             {"plan", a->seconds_plan},   {"summarise", a->seconds_summarise},
             {"apply", a->seconds_apply}, {"exact", a->seconds_exact},
             {"wait", a->seconds_wait},   {"write", r->seconds_write},
             {"total", r->seconds_total}, {"processor", a->seconds_processor}};
  json_t *object = json_object();
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    json_object_set_new(object, all[i].name, precis_json_number(all[i].seconds));
  return object;
}

static json_t *batches_object(const precis_batches_report *b)
{
  json_t *moves = json_object();
  for (int move = PRECIS_MOVE_TILES; move < PRECIS_MOVES; move++)
    if (b->rows[move] > 0)
      json_object_set_new(moves, precis_move_name((precis_move)move),
                          precis_json_integer(b->rows[move]));
  return json_pack("{s:o, s:o, s:o, s:o, s:o}", "count", precis_json_integer(b->count), "largest",
                   precis_json_integer(b->largest), "by_move", moves, "again",
                   precis_json_integer(b->again), "resumed_rows",
                   precis_json_integer(b->resumed_rows));
}

static json_t *measured_object(const precis_verify_result *m)
{
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "rows", precis_json_integer(m->rows),
                   "max_error", precis_json_number(m->max_error), "max_error_outputs",
                   precis_json_number(m->max_error_outputs), "max_error_range",
                   precis_json_number(m->max_error_range), "trivial",
                   precis_json_number(m->trivial), "relative_error",
                   precis_json_number(m->relative_error));
}

json_t *precis_report_json(const precis_run_report *r)
{
  json_t *all = json_pack(
      "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o}, s:o}", "precis",
      precis_version(), "problem", problem_object(r), "machine", machine_object(r), "plan",
      plan_object(r), "promise", promise_object(r), "outputs", outputs_object(r), "batches",
      batches_object(&r->batches), "moved", moved_object(&r->attend), "seconds", seconds_object(r),
      "rates", "gflops", precis_json_number(precis_report_gflops(r)), "tokens_per_second",
      precis_json_number(precis_report_tokens_per_second(r)), "peak_bytes",
      precis_json_integer(r->peak_bytes));
  if (all != NULL && r->heads != NULL)
    json_object_set_new(all, "heads", heads_array(r));
  if (all != NULL && r->measured.rows > 0)
    json_object_set_new(all, "measured", measured_object(&r->measured));
  return all;
}
