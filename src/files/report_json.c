#include "src/files/report_json.h"

#include <math.h>

json_t *precis_json_number(double value)
{
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *precis_json_integer(int64_t value)
{
  return json_integer((json_int_t)value);
}

void precis_json_join(json_t *object, json_t *more)
{
  json_object_update(object, more);
  json_decref(more);
}

json_t *precis_json_problem(const precis_problem *p, double tol, precis_unit tol_of,
                            precis_guarantee guarantee)
{
  return json_pack("{s:i, s:i, s:i, s:i, s:b, s:o, s:o, s:s, s:s}", "heads", p->heads, "kv_heads",
                   p->kv_heads, "dim", p->dim, "value_dim", p->value_dim, "causal", p->causal,
                   "scale", precis_json_number(p->scale), "tol", precis_json_number(tol), "tol_of",
                   precis_unit_name(tol_of), "guarantee",
                   guarantee == PRECIS_GUARANTEE_SAMPLED ? "sampled" : "bound");
}

json_t *precis_json_forecast(const precis_forecast *f)
{
  return json_pack("{s:o, s:o, s:o, s:o, s:o}", "seconds", precis_json_number(f->seconds),
                   "network_bytes", precis_json_integer(f->network_bytes), "node_bytes",
                   precis_json_integer(f->node_bytes), "fast_memory_words",
                   precis_json_number(f->fast_memory_words), "peak_bytes",
                   precis_json_integer(f->peak_bytes));
}

static void add_summary(json_t *object, const precis_group *g)
{
  json_object_set_new(object, "degree", json_integer(g->degree));
  json_object_set_new(object, "envelope_degree", json_integer(g->envelope_degree));
  json_object_set_new(object, "features", precis_json_integer(g->features));
  json_object_set_new(object, "count_features", precis_json_integer(g->count_features));
  json_object_set_new(object, "bound_b", precis_json_number(g->bound));
  if (g->outlier_keys >= 0)
    json_object_set_new(object, "outlier_keys", precis_json_integer(g->outlier_keys));
  if (g->outlier_queries >= 0)
    json_object_set_new(object, "outlier_queries", precis_json_integer(g->outlier_queries));
}

json_t *precis_json_group(const precis_group *g)
{
  json_t *heads = json_array();
  for (int i = 0; i < g->heads; i++)
    json_array_append_new(heads, json_integer(g->head_list[i]));
  json_t *object = json_pack("{s:s, s:i, s:o}", "move", precis_move_name(g->move), "heads",
                             g->heads, "head_list", heads);
  if (object != NULL && g->move == PRECIS_MOVE_SUMMARIES)
    add_summary(object, g);
  if (object != NULL && !isnan(g->promise))
    json_object_set_new(object, "promise", precis_json_number(g->promise));
  return object;
}

/* Of outputs. */
static json_t *outputs_number(const precis_report *r, int heads, double x)
{
  return r->constant_heads == heads ? json_null() : precis_json_number(x);
}

json_t *precis_json_promise(const precis_report *r, precis_unit unit, int heads)
{
  return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "unit", precis_unit_name(unit), "outputs",
                   outputs_number(r, heads, r->promise_outputs), "outputs_rms",
                   outputs_number(r, heads, r->promise_outputs_rms), "range",
                   precis_json_number(r->promise_range), "lse", precis_json_number(r->lse_promise),
                   "rows_recomputed", precis_json_integer(r->rows_recomputed), "estimate",
                   r->estimate);
}

json_t *precis_json_worth(const precis_report *r, int heads)
{
  return json_pack("{s:o, s:i, s:o}", "mean_signal", outputs_number(r, heads, r->mean_signal),
                   "constant_heads", r->constant_heads, "trivial_error",
                   outputs_number(r, heads, r->trivial_error));
}

json_t *precis_json_head(const precis_head_report *h, int head)
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

json_t *precis_json_moved(const precis_report *r)
{
  return json_pack("{s:o, s:o, s:o, s:o}", "network_bytes", precis_json_integer(r->network_bytes),
                   "node_bytes", precis_json_integer(r->node_bytes), "messages",
                   precis_json_integer(r->messages), "repair_bytes",
                   precis_json_integer(r->repair_bytes));
}
