/* plan_json.c - a plan on paper, for programs: keys as in the report of a run, where they apply */
#include <math.h>
#include <stdlib.h>

#include "src/cli/json.h"
#include "src/cli/plan.h"
#include "src/base/memory.h"

static json_t *prediction_object(const precis_prediction *p)
{
  precis_forecast f = {p->seconds, p->bytes.network, p->bytes.node, p->fast_memory_words,
                       p->peak_bytes};
  json_t *object = precis_json_forecast(&f);
  if (object != NULL)
    json_object_set_new(
        object, "parts",
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "survey", precis_json_number(p->survey), "plan",
                  precis_json_number(p->plan), "compute", precis_json_number(p->compute), "passes",
                  precis_json_number(p->passes), "wait", precis_json_number(p->wire)));
  return object;
}

/* A plan on paper knows no outliers, and promises nothing. */
static json_t *move_object(const precis_plan_answer *a, precis_move move)
{
  const precis_candidate *c = move == PRECIS_MOVE_SUMMARIES ? precis_plan_summary(a) : NULL;
  const int heads = a->paper.problem.heads;
  if (move == PRECIS_MOVE_SUMMARIES && c == NULL)
    return json_pack("{s:s, s:i}", "move", precis_move_name(move), "heads", heads);
  int *list = precis_memory_array(heads, sizeof *list);
  for (int h = 0; h < heads && list != NULL; h++)
    list[h] = h;
  precis_group group = {.move = move,
                        .heads = list ? heads : 0,
                        .head_list = list,
                        .bound = a->plan.bound,
                        .outlier_keys = -1,
                        .outlier_queries = -1,
                        .promise = NAN};
  if (c != NULL) {
    group.degree = c->degree;
    group.envelope_degree = c->envelope_degree;
    group.features = c->features;
    group.count_features = c->count_features;
  }
  json_t *object = list ? precis_json_group(&group) : NULL;
  free(list);
  if (object != NULL && c != NULL)
    json_object_set_new(object, "repaired_share", precis_json_number(a->plan.failing));
  return object;
}

static json_t *plan_object(const precis_plan_answer *a)
{
  json_t *others = json_array();
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_SUMMARIES; move++) {
    const precis_prediction *p = &a->plan.predicted[move];
    if (move == a->plan.move || !(p->seconds > 0))
      continue;
    json_t *other = move_object(a, move);
    precis_json_join(other, prediction_object(p));
    json_array_append_new(others, other);
  }
  return json_pack("{s:[o], s:s, s:o, s:o, s:o}", "moves", move_object(a, a->plan.move), "why",
                   a->plan.why, "alternatives", others, "predicted",
                   prediction_object(&a->plan.predicted[a->plan.move]), "tile_rows",
                   precis_json_integer(a->plan.tile_rows));
}

/* What was predicted from, as keys of a machine file. */
static json_t *rates_object(precis_rates rates)
{
  json_t *object = json_object();
  for (const precis_rate_field *f = precis_rate_fields; f->key != NULL; f++)
    json_object_set_new(object, f->key, precis_json_number(*precis_rate_of(&rates, f)));
  return object;
}

static json_t *limit(int64_t value)
{
  return value > 0 ? precis_json_integer(value) : json_null();
}

static json_t *crossing_object(const precis_paper_crossing *c)
{
  return json_pack("{s:o, s:o}", "summaries_from", limit(c->from), "summaries_until",
                   limit(c->until));
}

json_t *precis_plan_object(const precis_plan_answer *a)
{
  const precis_paper *p = &a->paper;
  json_t *problem = json_pack("{s:o, s:o}", "queries", precis_json_integer(p->queries), "keys",
                              precis_json_integer(p->keys));
  precis_json_join(problem, precis_json_problem(&p->problem, precis_plan_tol(a), p->tol_of,
                                                PRECIS_GUARANTEE_BOUND));
  json_t *all = json_pack("{s:s, s:o, s:{s:i, s:i, s:i, s:o, s:o}, s:o}", "precis",
                          precis_version(), "problem", problem, "machine", "ranks", p->ranks,
                          "nodes", (p->ranks + p->ranks_per_node - 1) / p->ranks_per_node,
                          "threads", (int)p->rates.threads, "fast_memory_bytes",
                          precis_json_integer((int64_t)p->rates.fast_memory), "rates",
                          rates_object(p->rates), "plan", plan_object(a));
  if (all == NULL || !(p->tol > 0))
    return all;
  json_object_set_new(all, "assumed",
                      json_pack("{s:o, s:o, s:o, s:o}", "spread", precis_json_number(p->spread),
                                "bound_b", precis_json_number(a->plan.bound), "signal",
                                precis_json_number(p->signal), "mean_signal",
                                precis_json_number(precis_paper_mean_signal(p))));
  json_object_set_new(all, "crossings",
                      json_pack("{s:o, s:o}", "keys", crossing_object(&a->keys), "ranks",
                                crossing_object(&a->ranks)));
  return all;
}
