#include "src/paper/paper.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/layout/balance.h"
#include "src/schedule/cost.h"
#include "src/model/footprint.h"
#include "src/plan/limit.h"
#include "src/summary/summarise.h"

static int nodes_of(const precis_paper *p)
{
  return (p->ranks + p->ranks_per_node - 1) / p->ranks_per_node;
}

static int64_t tile_rows_of(const precis_paper *p)
{
  return precis_limit_tile_rows(&p->problem, 0);
}

/* Of a rank; 0: enough. */
static int64_t room_of(const precis_paper *p)
{
  int64_t each = p->shared_room / p->ranks_per_node;
  return p->shared_room == 0 ? 0 : each > 0 ? each : 1;
}

precis_scene precis_paper_scene(const precis_paper *p)
{
  double all = (double)p->queries * (double)p->keys,
         hidden = p->problem.causal ? (double)p->queries * ((double)p->queries - 1) / 2 : 0;
  return (precis_scene){.problem = &p->problem,
                        .rates = p->rates,
                        .ranks = p->ranks,
                        .nodes = nodes_of(p),
                        .smallest_node = p->ranks - (nodes_of(p) - 1) * p->ranks_per_node,
                        .largest_node = nodes_of(p) > 1 ? p->ranks_per_node : p->ranks,
                        .queries = p->queries,
                        .keys = p->keys,
                        .new_keys = p->keys,
                        .pairs = (all - hidden) * p->problem.heads,
                        .prefixes = p->problem.causal && p->queries > 1,
                        .tile_rows = tile_rows_of(p),
                        .thread_memory = (int64_t)(p->rates.fast_memory / p->rates.threads),
                        .memory_limit = p->memory_limit,
                        .shared_room = room_of(p),
                        .results_in_place = 1}; /* as precis run has it */
}

/* What moves to balance work: the first keys are those that most queries see. */
static void balance(const precis_paper *p, const precis_paper_layout *l, precis_scene *s,
                    precis_cost_input *in)
{
  int64_t ends[2];
  const precis_wire none = {0, 0};
  precis_query_map whole = precis_paper_layout_whole(l, ends);
  int pairs = precis_balance_pairs_of_rounds(p->queries, p->keys, p->ranks, s->tile_rows);
  precis_layout queries = precis_layout_dealt(p->ranks, p->queries, pairs),
                keys = precis_layout_dealt(p->ranks, p->keys, pairs);
  double most = precis_balance_key_pairs(&whole, l->key_rows[0], NULL, 0),
         sum = most > 0 ? precis_visible_pairs(&whole, 0, p->queries) : 0;
  s->deal_queries = precis_balance_queries_uneven(&whole, l->start, p->ranks);
  s->deal_keys = s->deal_queries && p->problem.causal;
  s->deal_keys_for_queries = precis_balance_uneven(most, sum, p->ranks);
  precis_wire leaving = s->deal_keys || s->deal_keys_for_queries
                            ? precis_balance_leaving(l->key_start, &keys, l->node)
                            : none;
  in->queries_dealt = s->deal_queries ? precis_balance_leaving(l->start, &queries, l->node) : none;
  in->keys_dealt = s->deal_keys ? leaving : none;
  in->dealt = s->deal_keys ? keys : (precis_layout){.ranks = 0};
  in->keys_dealt_for_queries = s->deal_keys_for_queries ? leaving : none;
}

/* Again where tiles have to be smaller: what is dealt depends on them. */
static void predict_exact(const precis_paper *p, const precis_paper_layout *l,
                          precis_paper_plan *plan)
{
  precis_scene *s = &plan->scene;
  precis_move wish = p->move == PRECIS_MOVE_SUMMARIES ? PRECIS_MOVE_AUTO : p->move;
  precis_cost_input in = {.problem = &p->problem,
                          .map = &l->map,
                          .key_rows = l->key_rows,
                          .cuts = l->cuts,
                          .kind = precis_paper_kind(p),
                          .nodes = s->nodes,
                          .node = l->node};
  int64_t tile_rows;
  precis_cost_pieces(&in, &s->pieces, &s->piece_rows, s->needed_heads);
  do {
    precis_wire wire[PRECIS_MOVES];
    tile_rows = s->tile_rows;
    in.apart = precis_footprint_tiles_apart(s) ? &l->apart : NULL;
    balance(p, l, s, &in);
    for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++)
      wire[move] = precis_cost_wire(&in, move);
    plan->move = precis_limit_choose(s, wish, wire, plan->predicted);
  } while (s->tile_rows < tile_rows);
  plan->tile_rows = s->tile_rows;
}

precis_parcel_kind precis_paper_kind(const precis_paper *p)
{
  return (precis_parcel_kind){.heads = p->problem.kv_heads,
                              .dim = p->problem.dim,
                              .value_dim = p->problem.value_dim,
                              .with_positions = p->problem.causal};
}

/* The cheapest that leaves at most a share `most` of the rows to repair; -1: there is none. */
static int cheapest(const precis_scene *s, const precis_paper_fits *fits, double exact, double most)
{
  double best = INFINITY;
  int found = -1;
  for (int i = 0; i < fits->count; i++) {
    const precis_paper_fit *f = &fits->fit[i];
    precis_summary_size size = precis_candidate_size(&f->candidate);
    if (f->failing > most ||
        (s->memory_limit > 0 && precis_footprint_summaries(s, &size) > s->memory_limit))
      continue;
    double seconds = precis_model_summary_seconds(s, &size) + f->failing * exact;
    if (seconds < best) {
      best = seconds;
      found = i;
    }
  }
  return found;
}

/* Of a summary: its tiles, and queries on their way to where they are in line and results back. */
static precis_wire wire_of(const precis_paper *p, const precis_paper_layout *l,
                           const precis_summary_size *size, int prefixes, int apart)
{
  const precis_problem *problem = &p->problem;
  int64_t numbers = problem->kv_heads * precis_summary_numbers(size->features, size->count_features,
                                                               problem->value_dim);
  precis_wire wire = precis_cost_summaries(p->ranks, l->nodes.count, l->node, numbers, prefixes);
  if (apart)
    return precis_cost_summaries_apart(&l->apart, numbers);
  if (!prefixes || !l->leaves)
    return wire;
  precis_layout line = precis_layout_consecutive(p->ranks, l->line_start);
  return precis_wire_plus(
      wire, precis_wire_times(precis_balance_leaving(l->start, &line, l->node),
                              precis_cost_query_row(problem) + precis_cost_output_row(problem)));
}

/* The best summary; one that will not do is for comparison. Where exact moves are forbidden, the
 * best is one that leaves nothing to them. */
static int best_summary(const precis_paper *p, const precis_scene *s, const precis_paper_fits *fits,
                        double exact)
{
  int best = p->move == PRECIS_MOVE_SUMMARIES ? cheapest(s, fits, exact, 0) : -1;
  return best < 0 ? cheapest(s, fits, exact, 0.999) : best;
}

static void consider_summaries(const precis_paper *p, const precis_paper_layout *l,
                               const precis_paper_fits *fits, precis_paper_plan *plan)
{
  const precis_scene *s = &plan->scene;
  double exact = plan->predicted[plan->move].seconds;
  plan->fit = best_summary(p, s, fits, exact);
  if (plan->fit < 0)
    return;
  const precis_paper_fit *f = &fits->fit[plan->fit];
  precis_summary_size size = precis_candidate_size(&f->candidate);
  plan->summary_apart = precis_footprint_summary_apart(s, &size);
  precis_wire wire = wire_of(p, l, &size, s->prefixes, plan->summary_apart);
  precis_prediction made = precis_model_summaries(s, &size, &wire);
  made.seconds += f->failing * exact;
  plan->predicted[PRECIS_MOVE_SUMMARIES] = made;
  plan->failing = f->failing;
  if (p->move == PRECIS_MOVE_SUMMARIES ||
      (p->move == PRECIS_MOVE_AUTO && made.seconds < exact))
    plan->move = PRECIS_MOVE_SUMMARIES;
}

/* Whether what was asked for can be had. */
static int check_forced(const precis_paper *p, const precis_paper_fits *fits,
                        const precis_paper_plan *plan, precis_message *why)
{
  if (p->move != PRECIS_MOVE_SUMMARIES || (plan->fit >= 0 && !(plan->failing > 0)))
    return PRECIS_SUCCESS;
  if (plan->fit >= 0)
    return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                              "summaries would miss the tolerance in %.2g of the rows, and exact "
                              "moves are not allowed",
                              plan->failing);
  if (fits->count == 0)
    return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                              "summaries cannot be used: scores may reach %.3g, and summaries are "
                              "fitted up to %d",
                              fits->bound, PRECIS_BOUND_MOST);
  int short_of_memory = p->memory_limit > 0;
  return precis_message_set(why, short_of_memory ? PRECIS_ERR_MEMORY : PRECIS_ERR_TOLERANCE,
                            "summaries cannot be used: none keeps the tolerance%s",
                            short_of_memory ? " within the memory limit" : "");
}

static void explain(const precis_paper *p, const precis_paper_fits *fits, precis_paper_plan *plan)
{
  const precis_prediction *all = plan->predicted;
  const char *name = precis_move_name(plan->move);
  if (p->move != PRECIS_MOVE_AUTO)
    snprintf(plan->why, sizeof plan->why, "%s: asked for", name);
  else if (plan->move == PRECIS_MOVE_SUMMARIES)
    snprintf(plan->why, sizeof plan->why,
             "summaries: fewest predicted seconds within the tolerance");
  else if (!(p->tol > 0))
    snprintf(plan->why, sizeof plan->why, "%s: fewest predicted seconds of the exact moves", name);
  else if (fits->count == 0)
    snprintf(plan->why, sizeof plan->why,
             "%s: exact, as scores may reach %.3g and summaries are fitted up to %d", name,
             fits->bound, PRECIS_BOUND_MOST);
  else if (plan->fit < 0)
    snprintf(plan->why, sizeof plan->why, "%s: exact, as no summary keeps the tolerance%s", name,
             p->memory_limit > 0 ? " within the memory limit" : "");
  else if (plan->failing > 0.05)
    snprintf(plan->why, sizeof plan->why,
             "%s: exact, as the best summary would leave %.2g of the rows to repair", name,
             plan->failing);
  else
    snprintf(plan->why, sizeof plan->why, "%s: exact is faster than the best summary by %.3g", name,
             all[PRECIS_MOVE_SUMMARIES].seconds / all[plan->move].seconds);
}

/* Appends to what explain() says. */
static void explain_sharing(const precis_paper *p, precis_paper_plan *plan)
{
  plan->tiles_apart = precis_footprint_tiles_apart(&plan->scene);
  int apart = plan->move == PRECIS_MOVE_TILES       ? plan->tiles_apart
              : plan->move == PRECIS_MOVE_SUMMARIES ? plan->summary_apart
                                                    : 0;
  size_t length = strlen(plan->why);
  if (apart)
    snprintf(plan->why + length, sizeof plan->why - length,
             "; by messages inside nodes, as they have %.3g MB to share",
             (double)p->shared_room * 1e-6);
}

int precis_paper_layout_of(const precis_paper *p, precis_paper_layout *layout)
{
  return precis_paper_layout_make(p->queries, p->keys, p->problem.causal, p->problem.heads,
                                  p->ranks, p->ranks_per_node, layout);
}

int precis_paper_make(const precis_paper *p, const precis_paper_fits *fits, precis_paper_plan *plan,
                      precis_message *why)
{
  precis_paper_layout l;
  int status = precis_paper_layout_of(p, &l);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_paper_plan made = {.fit = -1, .bound = fits->bound, .scene = precis_paper_scene(p)};
  predict_exact(p, &l, &made);
  if (p->tol > 0)
    consider_summaries(p, &l, fits, &made);
  explain(p, fits, &made);
  explain_sharing(p, &made);
  precis_paper_layout_free(&l);
  status = check_forced(p, fits, &made, why);
  if (status == PRECIS_SUCCESS)
    status = precis_limit_check(&made.scene, made.move, &made.predicted[made.move], why);
  if (status == PRECIS_SUCCESS)
    *plan = made;
  return status;
}

int precis_paper_check(const precis_paper *p, precis_message *why)
{
  double row = 4. * p->problem.heads * (p->problem.dim + p->problem.value_dim + 3.),
         bytes = ((double)p->queries + (double)p->keys) * row * p->ranks;
  if (p->ranks_per_node > p->ranks)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "--ranks-per-node is %d, must be at most --ranks %d",
                              p->ranks_per_node, p->ranks);
  if (bytes > 0x1p61)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%" PRId64
                              " tokens on %d ranks may move %.3g bytes, more than are counted",
                              p->keys, p->ranks, bytes);
  return PRECIS_SUCCESS;
}
