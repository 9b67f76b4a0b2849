#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/call.h"
#include "src/limit.h"
#include "src/memory.h"
#include "src/outliers.h"
#include "src/problem.h"

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

static precis_summary_size size_of(const precis_summaries *plan)
{
  return (precis_summary_size){plan->degree, plan->envelope_degree, plan->features,
                               plan->count_features, &plan->set};
}

/* Bytes of which only the sum is known, on the links that most of them take. */
static precis_wire wire_of(const precis_world *world, int64_t bytes)
{
  return world->nodes > 1 ? (precis_wire){bytes, 0} : (precis_wire){0, bytes};
}

static void predict_kept(precis_call *c)
{
  precis_attention *a = c->a;
  int64_t added = a->appended - a->kept.rows,
          bytes = precis_kept_update_bytes(&a->problem, a->world.ranks, added);
  precis_wire wire = wire_of(&a->world, bytes);
  precis_summary_size size = size_of(&a->kept.plan);
  c->plan.bytes[PRECIS_MOVE_SUMMARIES] = bytes;
  c->plan.predicted[PRECIS_MOVE_SUMMARIES] = precis_model_kept(&c->plan.scene, &size, &wire, added);
}

static void predict_summaries(precis_call *c)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  precis_summary_size size = size_of(&c->prospect.plan);
  int64_t numbers = p->kv_heads * (size.features * (p->value_dim + 1) + size.count_features);
  precis_wire wire = precis_cost_summaries(a->world.ranks, a->world.node, numbers, c->prefixes);
  int64_t all = precis_summaries_bytes(p, &c->prospect.plan, a->world.ranks, c->prefixes) +
                c->align.keys_leaving * precis_cost_key_row(p, a->with_bias);
  wire = precis_wire_plus(wire, wire_of(&a->world, all - precis_wire_sum(&wire)));
  wire = precis_wire_plus(wire,
                          precis_wire_times(c->align.queries_leaving,
                                            precis_cost_query_row(p) + precis_cost_output_row(p)));
  precis_prediction made = precis_model_summaries(&c->plan.scene, &size, &wire);
  made.seconds = fmax(made.seconds, c->prospect.seconds); /* which counts outliers and repair */
  c->plan.bytes[PRECIS_MOVE_SUMMARIES] = precis_wire_sum(&wire);
  c->plan.predicted[PRECIS_MOVE_SUMMARIES] = made;
}

/* Uses the handle's summary if there is one that serves these queries. */
static int consider_kept(precis_call *c)
{
  precis_attention *a = c->a;
  const precis_problem *p = &a->problem;
  if (!a->kept.valid || a->options.guarantee == PRECIS_GUARANTEE_SAMPLED ||
      precis_call_certificate_tol(c) <= 0)
    return PRECIS_SUCCESS;
  enum { NUMBERS = sizeof(precis_kept_reach) / sizeof(double) };
  precis_kept_reach *reach = precis_memory_array(p->kv_heads, sizeof *reach);
  int status = precis_world_agree(&a->world, reach ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    precis_kept_measure(p, &a->survey, &a->keys, c->rows, c->q, &a->kept, reach);
    if (MPI_Allreduce(MPI_IN_PLACE, reach, p->kv_heads * NUMBERS, MPI_DOUBLE, MPI_MAX,
                      a->world.comm))
      status = PRECIS_ERR_MPI;
  }
  if (status == PRECIS_SUCCESS)
    status = precis_kept_check(&a->world, p, &a->survey, reach, a->appended, &a->kept);
  free(reach);
  if (status != PRECIS_SUCCESS || !a->kept.valid)
    return status;
  c->use_kept = 1;
  c->plan.move = PRECIS_MOVE_SUMMARIES;
  predict_kept(c);
  snprintf(c->plan.why, sizeof c->plan.why,
           "summaries: kept from an earlier call, %" PRId64 " keys are new",
           a->appended - a->kept.rows);
  return PRECIS_SUCCESS;
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

/* Fills c->prospect: whether summaries can and should be used, or why not. */
static int study_summaries(precis_call *c, int forced)
{
  precis_attention *a = c->a;
  precis_wish wish = {
      .tol = precis_call_certificate_tol(c), .degree = a->options.degree, .force = forced};
  c->prefixes = c->plan.scene.prefixes = !all_visible(&c->plan.map);
  if (!(wish.tol > 0)) {
    snprintf(c->prospect.why, sizeof c->prospect.why,
             "float32 cannot hold results to the tolerance");
    return PRECIS_SUCCESS;
  }
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
  wish.sampled = a->options.guarantee == PRECIS_GUARANTEE_SAMPLED;
  wish.prefixes = c->prefixes;
  wish.credit = c->prefixes ? 0 : a->exact_spent;
  wish.exact_rounding = precis_call_rounding(c);
  wish.scene = &c->plan.scene;
  wish.exact_seconds = c->plan.predicted[c->plan.move].seconds;
  if (precis_limit_check(&c->plan.scene, c->plan.move, &c->plan.predicted[c->plan.move], NULL))
    wish.exact_seconds = FORBIDDEN_SECONDS;
  return precis_prospect_make(a, &c->plan.map, c->rows, c->q, &wish, &c->prospect);
}

/* Puts summaries in the place of the exact move that was planned, where they are wanted and better.
 */
int precis_call_consider(precis_call *c, precis_message *why)
{
  precis_attention *a = c->a;
  int forced = a->options.move == PRECIS_MOVE_SUMMARIES;
  if (!forced && (a->options.move != PRECIS_MOVE_AUTO || !(a->options.tol > 0)))
    return PRECIS_SUCCESS;
  int status = all_visible(&c->plan.map) ? consider_kept(c) : PRECIS_SUCCESS;
  if (status != PRECIS_SUCCESS || c->use_kept)
    return status;
  status = study_summaries(c, forced);
  if (status != PRECIS_SUCCESS)
    return status;
  if (c->prospect.plan.features > 0)
    predict_summaries(c);
  if (c->prospect.use) {
    char axes[48];
    describe_axes(&c->prospect.plan, sizeof axes, axes);
    snprintf(c->plan.why, sizeof c->plan.why,
             "summaries: %s%s, predicted %.3g s against %.3g s exact, %.2g of rows to repair",
             forced ? "asked for" : "cheaper", axes, c->prospect.seconds, c->prospect.exact_seconds,
             c->prospect.failing);
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
