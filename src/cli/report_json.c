/* report_json.c - the report as one JSON object. Keys are relied on by other programs: add,
 * never rename. */
#include <math.h>

#include "src/cli/json.h"
#include "src/cli/report.h"

static json_t *problem_object(const precis_run_report *r)
{
  const precis_problem *p = &r->problem;
  return json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:b, s:o, s:o, s:s}", "queries",
                   precis_json_integer(r->attend.queries), "keys",
                   precis_json_integer(r->attend.keys), "heads", p->heads, "kv_heads", p->kv_heads,
                   "dim", p->dim, "value_dim", p->value_dim, "causal", p->causal, "scale",
                   precis_json_number(p->scale), "tol",
                   precis_json_number(fmax(r->settings->tol, 0)), "guarantee", "bound");
}

static json_t *machine_object(const precis_run_report *r)
{
  return json_pack("{s:i, s:i, s:i, s:o, s:s}", "ranks", r->attend.ranks, "nodes", r->attend.nodes,
                   "threads", r->attend.threads, "fast_memory_bytes",
                   precis_json_integer(r->attend.fast_memory_bytes), "cpu", r->cpu);
}

static json_t *alternatives_array(const precis_report *attend)
{
  json_t *all = json_array();
  for (int move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++)
    if (move != (int)attend->move && attend->predicted_bytes[move] >= 0)
      json_array_append_new(all, json_pack("{s:s, s:o}", "move",
                                           precis_move_name((precis_move)move), "network_bytes",
                                           precis_json_integer(attend->predicted_bytes[move])));
  return all;
}

/* Predictions do not tell the network from the inside of a node; where there is but one kind of
 * link, we can. */
static json_t *predicted_object(const precis_report *attend)
{
  int64_t bytes = attend->predicted_bytes[attend->move];
  if (attend->nodes == 1)
    return json_pack("{s:i, s:o}", "network_bytes", 0, "node_bytes", precis_json_integer(bytes));
  if (attend->nodes == attend->ranks)
    return json_pack("{s:o, s:i}", "network_bytes", precis_json_integer(bytes), "node_bytes", 0);
  return json_object();
}

static json_t *plan_object(const precis_run_report *r)
{
  return json_pack("{s:[{s:s, s:i}], s:s, s:o, s:o}", "moves", "move",
                   precis_move_name(r->attend.move), "heads", r->problem.heads, "why",
                   r->attend.why, "alternatives", alternatives_array(&r->attend), "predicted",
                   predicted_object(&r->attend));
}

static json_t *moved_object(const precis_report *attend)
{
  return json_pack("{s:o, s:o, s:o}", "network_bytes", precis_json_integer(attend->network_bytes),
                   "node_bytes", precis_json_integer(attend->node_bytes), "messages",
                   precis_json_integer(attend->messages));
}

static json_t *seconds_object(const precis_run_report *r)
{
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "read", precis_json_number(r->seconds_read),
                   "survey", precis_json_number(r->attend.seconds_survey), "exact",
                   precis_json_number(r->attend.seconds_exact), "wait",
                   precis_json_number(r->attend.seconds_wait), "write",
                   precis_json_number(r->seconds_write), "total",
                   precis_json_number(r->seconds_total));
}

json_t *precis_report_json(const precis_run_report *r)
{
  json_t *all = json_pack(
      "{s:s, s:o, s:o, s:o, s:{s:o, s:i, s:b}, s:o, s:o, s:{s:o, s:o}, s:o}", "precis",
      precis_version(), "problem", problem_object(r), "machine", machine_object(r), "plan",
      plan_object(r), "promise", "error", precis_json_number(r->attend.promise), "rows_recomputed",
      0, "estimate", 0, "moved", moved_object(&r->attend), "seconds", seconds_object(r), "rates",
      "gflops", precis_json_number(precis_report_gflops(r)), "tokens_per_second",
      precis_json_number(precis_report_tokens_per_second(r)), "peak_bytes",
      precis_json_integer(r->peak_bytes));
  if (all != NULL && r->measured.rows > 0)
    json_object_set_new(all, "measured",
                        json_pack("{s:o, s:o, s:o}", "rows", precis_json_integer(r->measured.rows),
                                  "max_error", precis_json_number(r->measured.max_error),
                                  "relative_error",
                                  precis_json_number(r->measured.relative_error)));
  return all;
}
