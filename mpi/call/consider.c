#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/call/call.h"
#include "src/model/footprint.h"
#include "src/plan/limit.h"
#include "src/base/memory.h"
#include "src/summary/outliers.h"
#include "src/base/problem.h"

/* Of exact moves that would exceed the memory limit. */
static const double FORBIDDEN_SECONDS = 1e9;

/* Every query sees every key, as far as positions go. */
static int all_visible(const precis_query_map *map)
{
  for (int r = 0; r < map->ranks && map->causal; r++)
    if (map->start[r + 1] > map->start[r] && map->first_position[r] < map->keys - 1)
      return 0;
  return 1;
}

/* Summaries of such calls are kept. */
static int keeps(const precis_call *c)
{
  return !c->prefixes && !c->grouped && c->a->options.guarantee != PRECIS_GUARANTEE_SAMPLED;
}

static void predict_kept(precis_call *c)
{
  precis_attention *a = c->a;
  int64_t added = a->appended - a->kept.rows;
  precis_wire wire = precis_kept_update_wire(&a->problem, &a->world, added);
  precis_summary_size size = precis_summaries_size(&a->kept.plan);
  c->plan.bytes[PRECIS_MOVE_SUMMARIES] = precis_wire_sum(&wire);
  c->plan.predicted[PRECIS_MOVE_SUMMARIES] = precis_model_kept(&c->plan.scene, &size, &wire, added);
}

static void predict_summaries(precis_call *c)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  precis_summary_size size = precis_summaries_size(&c->prospect.plan);
  c->plan.summary_apart = precis_footprint_summary_apart(&c->plan.scene, &size);
  precis_wire wire =
      precis_summaries_wire(p, &c->prospect.plan, &a->world, c->prefixes, c->plan.summary_apart);
  wire = precis_wire_plus(wire,
                          precis_wire_times(c->align.queries_leaving,
                                            precis_cost_query_row(p) + precis_cost_output_row(p)));
  wire = precis_wire_plus(
      wire, precis_wire_times(c->align.keys_leaving, precis_cost_key_row(p, a->with_bias)));
  precis_prediction made = precis_model_summaries(&c->plan.scene, &size, &wire);
  made.seconds = fmax(made.seconds, c->prospect.seconds); /* which counts outliers and repair */
  c->plan.bytes[PRECIS_MOVE_SUMMARIES] = precis_wire_sum(&wire);
  c->plan.predicted[PRECIS_MOVE_SUMMARIES] = made;
}

/* Into which axes rows are turned, in a few words; none for none. */
static void describe_axes(const precis_summaries *plan, size_t size, char *words)
{
  *words = '\0';
  if (plan->turning.keys && plan->set.lead < plan->set.dim)
    snprintf(words, size, ", blocks in %d leading axes", plan->set.lead);
  else if (plan->turning.keys)
    snprintf(words, size, ", in balanced axes");
}

static precis_wish wish_of(const precis_call *c)
{
  const precis_attention *a = c->a;
  precis_wish wish = {.unit = a->options.tol_of,
                      .tol = a->options.tol > 0 ? c->part * a->options.tol : DBL_MAX,
                      .degree = a->options.degree,
                      .force = a->options.move == PRECIS_MOVE_SUMMARIES,
                      .sampled = a->options.guarantee == PRECIS_GUARANTEE_SAMPLED,
                      .prefixes = c->prefixes,
                      .scene = &c->plan.scene,
                      .calls = 1,
                      .instead_seconds = c->plan.predicted[c->plan.move].seconds};
  if (precis_limit_check(&c->plan.scene, c->plan.move, &c->plan.predicted[c->plan.move], NULL))
    wish.instead_seconds = FORBIDDEN_SECONDS;
  if (!keeps(c))
    return wish;
  wish.calls = 1 + a->past.calls;
  wish.past = a->past.calls > 0 && precis_visible_queries(&c->plan.map) < PRECIS_SAMPLE_QUERIES;
  wish.credit = a->exact_spent;
  return wish;
}

/* Fills c->prospect: whether summaries can and should be used, or why not. */
static int study_for(precis_call *c, const precis_wish *wish)
{
  precis_attention *a = c->a;
  if (!wish->past)
    return precis_prospect_make(a, &c->plan.map, c->rows, c->q, wish, &c->prospect);
  precis_past_view view;
  int status = precis_past_view_make(&a->past, &a->world, &a->problem, c->plan.map.keys, c->rows,
                                     c->q, &view);
  if (status == PRECIS_SUCCESS)
    status = precis_prospect_make(a, &view.map, view.rows, view.q, wish, &c->prospect);
  precis_past_view_free(&view);
  return status;
}

static int study_summaries(precis_call *c)
{
  precis_attention *a = c->a;
  if (c->prefixes) {
    int status = precis_align_plan(&a->world, &a->keys, &c->plan.map, &c->align);
    if (status != PRECIS_SUCCESS)
      return status;
    if (!c->align.possible) {
      snprintf(c->prospect.why, sizeof c->prospect.why,
               "positions of queries do not ascend over the ranks");
      return PRECIS_SUCCESS;
    }
  }
  precis_wish wish = wish_of(c);
  double spent = wish.credit + wish.instead_seconds;
  if (!wish.force && keeps(c) && spent < a->exact_patience) {
    snprintf(c->prospect.why, sizeof c->prospect.why, "no summary was good when last looked for");
    return PRECIS_SUCCESS;
  }
  int status = study_for(c, &wish);
  a->exact_patience = keeps(c) && !c->prospect.use ? 2 * spent : 0;
  return status;
}

/* Where the handle's summary has left so much to repair that another may have been cheaper. */
static int study_another(precis_call *c)
{
  precis_attention *a = c->a;
  const precis_wire none = {0};
  precis_wish wish = wish_of(c);
  precis_summary_size size = precis_summaries_size(&a->kept.plan);
  double repair = a->repair_spent / fmax(1, a->kept.calls),
         now = precis_model_kept(&c->plan.scene, &size, &none, 0).seconds + repair;
  wish.instead_seconds = fmin(wish.instead_seconds, now);
  wish.credit = a->repair_spent;
  a->repair_patience = 2 * a->repair_spent;
  int status = study_for(c, &wish);
  if (status == PRECIS_SUCCESS && c->prospect.use)
    precis_kept_free(&a->kept);
  else
    precis_prospect_free(&c->prospect);
  return status;
}

/* Whether the handle's summary, if there is one, serves these queries. */
static int check_kept(precis_call *c)
{
  enum { NUMBERS = sizeof(precis_kept_reach) / sizeof(double) };
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  precis_kept_reach *reach = precis_memory_array(p->kv_heads, sizeof *reach);
  int status = precis_world_agree(&a->world, reach ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    precis_kept_measure(&c->terms, &a->keys, c->rows, c->q, &a->kept, reach);
    if (MPI_Allreduce(MPI_IN_PLACE, reach, p->kv_heads * NUMBERS, MPI_DOUBLE, MPI_MAX,
                      a->world.comm))
      status = PRECIS_ERR_MPI;
  }
  if (status == PRECIS_SUCCESS)
    status = precis_kept_check(&a->world, &c->terms, a->survey.moves, reach, a->appended, &a->kept);
  free(reach);
  return status;
}

/* Uses the handle's summary if there is one that serves these queries, and no other is better by
 * now. */
static int consider_kept(precis_call *c)
{
  precis_attention *a = c->a;
  if (!a->kept.valid || !keeps(c))
    return PRECIS_SUCCESS;
  int status = check_kept(c);
  if (status == PRECIS_SUCCESS && a->kept.valid && a->repair_spent > a->repair_patience)
    status = study_another(c);
  if (status != PRECIS_SUCCESS || !a->kept.valid)
    return status;
  c->use_kept = 1;
  c->exact_move = c->plan.move;
  c->plan.move = PRECIS_MOVE_SUMMARIES;
  predict_kept(c);
  snprintf(c->plan.why, sizeof c->plan.why,
           "summaries: kept from an earlier call, %" PRId64 " keys are new",
           a->appended - a->kept.rows);
  return PRECIS_SUCCESS;
}

/* What the plan will say of summaries. */
static void explain(precis_call *c)
{
  const precis_prospect *prospect = &c->prospect;
  char axes[48], price[96];
  describe_axes(&prospect->plan, sizeof axes, axes);
  if (c->a->options.move == PRECIS_MOVE_SUMMARIES)
    snprintf(price, sizeof price, "asked for");
  else if (prospect->calls > 1)
    snprintf(price, sizeof price, "cheaper over %.0f calls", prospect->calls);
  else
    snprintf(price, sizeof price, "cheaper");
  snprintf(c->plan.why, sizeof c->plan.why,
           "summaries: %s%s, predicted %.3g s against %.3g s %s, %.2g of rows to repair", price,
           axes, prospect->seconds, prospect->instead_seconds,
           prospect->instead_seconds < c->plan.predicted[c->plan.move].seconds ? "now" : "exact",
           prospect->failing);
}

/* Puts summaries in the place of the exact move that was planned, where they are wanted and better.
 */
int precis_call_consider(precis_call *c, precis_message *why)
{
  precis_attention *a = c->a;
  int forced = a->options.move == PRECIS_MOVE_SUMMARIES;
  c->prefixes = c->plan.scene.prefixes = !all_visible(&c->plan.map);
  if (!forced && (a->options.move != PRECIS_MOVE_AUTO || !(a->options.tol > 0)))
    return PRECIS_SUCCESS;
  int status = consider_kept(c);
  if (status == PRECIS_SUCCESS && !c->use_kept && !c->prospect.use)
    status = study_summaries(c);
  if (status == PRECIS_SUCCESS && keeps(c))
    precis_past_add(&a->past, &a->problem, c->rows, c->q);
  if (status != PRECIS_SUCCESS || c->use_kept)
    return status;
  if (c->prospect.plan.features > 0)
    predict_summaries(c);
  if (c->prospect.use) {
    explain(c);
    c->exact_move = c->plan.move;
    c->plan.move = PRECIS_MOVE_SUMMARIES;
  } else if (forced) {
    return precis_message_set(why,
                              c->prospect.over_memory ? PRECIS_ERR_MEMORY : PRECIS_ERR_TOLERANCE,
                              "summaries cannot be used: %s", c->prospect.why);
  } else {
    snprintf(c->plan.why, sizeof c->plan.why, "%s: exact, as %s", precis_move_name(c->plan.move),
             c->prospect.why);
    a->exact_spent += c->prefixes ? 0 : c->plan.predicted[c->plan.move].seconds;
  }
  return PRECIS_SUCCESS;
}

/* What tells two plans of summaries apart, as far as it matters here. */
static int is_other(const precis_summaries *plan, const precis_summaries *before)
{
  return plan->features != before->features || plan->count_features != before->count_features ||
         plan->key_rho < before->key_rho || plan->query_rho < before->query_rho;
}

int precis_call_strengthen(precis_call *c)
{
  const double weaker = 0.25, times_most = 1000;
  precis_attention *a = c->a;
  const precis_summaries before = c->summary;
  int status = PRECIS_SUCCESS, other = 0;
  while (status == PRECIS_SUCCESS && !other && c->part > 1e-6) {
    c->part *= weaker;
    precis_prospect_free(&c->prospect);
    precis_wish wish = wish_of(c);
    status = study_for(c, &wish);
    if (status == PRECIS_SUCCESS &&
        (!c->prospect.use ||
         c->prospect.seconds > times_most * c->plan.predicted[c->exact_move].seconds))
      break;
    other = status == PRECIS_SUCCESS && is_other(&c->prospect.plan, &before);
  }
  if (status != PRECIS_SUCCESS || !other)
    return status != PRECIS_SUCCESS ? status : PRECIS_ERR_TOLERANCE;
  precis_kept_free(&a->kept);
  c->use_kept = c->keeping = 0;
  if (c->prefixes) {
    precis_align_free(&c->align);
    status = precis_align_plan(&a->world, &a->keys, &c->plan.map, &c->align);
  }
  if (status == PRECIS_SUCCESS) {
    predict_summaries(c);
    explain(c);
  }
  return status;
}
