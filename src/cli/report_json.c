/* report_json.c - the report as one JSON object. Keys are relied on by other programs: add,
 * never rename. */
#include <math.h>

#include "src/cli/json.h"
#include "src/cli/report.h"

static json_t *problem_object(const precis_run_report *r)
{
  const precis_setting_want *want = &r->settings->want;
  json_t *object = json_pack("{s:o, s:o}", "queries", precis_json_integer(r->queries), "keys",
                             precis_json_integer(r->attend.keys));
  precis_json_join(object,
                   precis_json_problem(&r->problem, fmax(want->tol, 0), (precis_unit)want->tol_of,
                                       (precis_guarantee)want->guarantee));
  return object;
}

static void append_warning(void *list, const char *text)
{
  json_array_append_new(list, json_string(text));
}

static json_t *machine_object(const precis_run_report *r)
{
  json_t *warnings = json_array();
  if (r->machines != NULL)
    precis_topo_warn(r->machines, r->attend.ranks, append_warning, warnings);
  return json_pack("{s:i, s:i, s:i, s:o, s:s, s:o}", "ranks", r->attend.ranks, "nodes", r->attend.nodes,
                   "threads", r->attend.threads, "fast_memory_bytes",
                   precis_json_integer(r->attend.fast_memory_bytes), "cpu", r->cpu,
                   "warnings", warnings);
}

static json_t *moves_array(const precis_run_report *r)
{
  json_t *all = json_array();
  for (int i = 0; i < r->groups.count; i++)
    json_array_append_new(all, precis_json_group(&r->groups.all[i]));
  return all;
}

static json_t *alternatives_array(const precis_report *attend)
{
  json_t *all = json_array();
  for (int move = PRECIS_MOVE_TILES; move < PRECIS_MOVES; move++) {
    if (move == (int)attend->move || attend->predicted_bytes[move] < 0)
      continue;
    json_t *other = json_pack("{s:s}", "move", precis_move_name((precis_move)move));
    precis_json_join(other, precis_json_forecast(&attend->forecast[move]));
    json_array_append_new(all, other);
  }
  return all;
}

static json_t *plan_object(const precis_run_report *r)
{
  return json_pack("{s:o, s:s, s:b, s:i, s:o, s:o}", "moves", moves_array(r), "why", r->attend.why,
                   "kept", r->attend.kept, "lead_axes", r->attend.lead_axes, "alternatives",
                   alternatives_array(&r->attend), "predicted",
                   precis_json_forecast(&r->attend.forecast[r->attend.move]));
}

static json_t *promise_object(const precis_run_report *r)
{
  const precis_report *attend = &r->attend;
  json_t *object = json_pack("{s:o, s:o}", "error", precis_json_number(attend->promise),
                             "lse_error", precis_json_number(attend->lse_promise));
  precis_json_join(
      object, precis_json_promise(attend, (precis_unit)r->settings->want.tol_of, r->problem.heads));
  return object;
}

/* What the promise is worth; null where all heads are constant. */
static json_t *outputs_object(const precis_run_report *r)
{
  return r->attend.constant_heads == r->problem.heads
             ? json_null()
             : precis_json_worth(&r->attend, r->problem.heads);
}

static json_t *heads_array(const precis_run_report *r)
{
  json_t *all = json_array();
  for (int h = 0; h < r->problem.heads; h++)
    json_array_append_new(all, precis_json_head(&r->heads[h], h));
  return all;
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
      batches_object(&r->batches), "moved", precis_json_moved(&r->attend), "seconds",
      seconds_object(r), "rates", "gflops", precis_json_number(precis_report_gflops(r)),
      "tokens_per_second", precis_json_number(precis_report_tokens_per_second(r)), "peak_bytes",
      precis_json_integer(r->peak_bytes));
  if (all != NULL && r->heads != NULL)
    json_object_set_new(all, "heads", heads_array(r));
  if (all != NULL && r->measured.rows > 0)
    json_object_set_new(all, "measured", measured_object(&r->measured));
  return all;
}
