#include "src/paper.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/cost.h"
#include "src/feature_kernel.h"
#include "src/features.h"
#include "src/footprint.h"
#include "src/limit.h"
#include "src/memory.h"
#include "src/paper_sample.h"
#include "src/share.h"

/* Arrays that say where everything lies, one entry a rank. */
typedef struct layout {
  int64_t *start, *first_position, *key_rows;
  int *node;
  precis_cut *cuts;
  precis_query_map map;
} layout;

static void layout_free(layout *l)
{
  free(l->start);
  free(l->first_position);
  free(l->key_rows);
  free(l->node);
  free(l->cuts);
}

static int layout_make(const precis_paper *p, layout *l)
{
  int ranks = p->ranks;
  *l = (layout){.start = precis_memory_array(ranks + 1, sizeof *l->start),
                .first_position = precis_memory_array(ranks, sizeof *l->first_position),
                .key_rows = precis_memory_array(ranks, sizeof *l->key_rows),
                .node = precis_memory_array(ranks, sizeof *l->node),
                .cuts = precis_memory_array(ranks + 1, sizeof *l->cuts)};
  if (!l->start || !l->first_position || !l->key_rows || !l->node || !l->cuts) {
    layout_free(l);
    return PRECIS_ERR_MEMORY;
  }
  for (int r = 0; r <= ranks; r++)
    l->start[r] = precis_share_first(p->queries, ranks, r);
  for (int r = 0; r < ranks; r++) {
    l->first_position[r] = l->start[r] + p->keys - p->queries;
    l->key_rows[r] = precis_share_rows(p->keys, ranks, r);
    l->node[r] = r / p->ranks_per_node;
  }
  l->map = (precis_query_map){.ranks = ranks,
                              .causal = p->problem.causal,
                              .keys = p->keys,
                              .start = l->start,
                              .first_position = l->first_position};
  const int64_t ends[] = {0, p->queries};
  precis_query_map whole = l->map;
  whole.ranks = 1;
  whole.start = ends;
  precis_split_heads_over(&whole, p->problem.heads, ranks, l->cuts);
  return PRECIS_SUCCESS;
}

static int nodes_of(const precis_paper *p)
{
  return (p->ranks + p->ranks_per_node - 1) / p->ranks_per_node;
}

static int64_t tile_rows_of(const precis_paper *p)
{
  return precis_limit_tile_rows(&p->problem, 0);
}

static precis_scene scene_of(const precis_paper *p)
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
                        .deal_queries = p->problem.causal && p->ranks > 1 && p->queries > 1,
                        .deal_keys = p->problem.causal && p->ranks > 1 && p->queries > 1,
                        .deal_keys_for_queries =
                            p->problem.causal && p->ranks > 1 && p->queries >= 256};
}

/* When work is balanced, nearly all rows go to another rank, as likely of this node as any. */
static precis_wire dealt(const precis_paper *p, int64_t rows)
{
  double away = (double)rows * (p->ranks - 1) / p->ranks,
         node = away * (p->ranks_per_node - 1) / fmax(1, p->ranks - 1);
  return (precis_wire){(int64_t)(away - node), (int64_t)node};
}

static void predict_exact(const precis_paper *p, const layout *l, precis_scene *s,
                          precis_paper_plan *plan)
{
  const precis_problem *problem = &p->problem;
  precis_wire none = {0, 0};
  precis_cost_input in = {.problem = problem,
                          .map = &l->map,
                          .key_rows = l->key_rows,
                          .cuts = l->cuts,
                          .kind = {.heads = problem->kv_heads,
                                   .dim = problem->dim,
                                   .value_dim = problem->value_dim,
                                   .with_positions = problem->causal},
                          .nodes = s->nodes,
                          .node = l->node,
                          .queries_dealt = s->deal_queries ? dealt(p, p->queries) : none,
                          .keys_dealt = s->deal_keys ? dealt(p, p->keys) : none,
                          .keys_dealt_for_queries =
                              s->deal_keys_for_queries ? dealt(p, p->keys) : none};
  precis_cost_pieces(&in, &s->pieces, &s->piece_rows, s->needed_heads);
  precis_wire wire[PRECIS_MOVES];
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++)
    wire[move] = precis_cost_wire(&in, move);
  plan->move = precis_limit_choose(s, PRECIS_MOVE_AUTO, wire, plan->predicted);
  plan->tile_rows = s->tile_rows;
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

/* The best summary, and whether it is better than exact; one that will not do is for comparison. */
static void consider_summaries(const precis_paper *p, const precis_scene *s, const layout *l,
                               const precis_paper_fits *fits, precis_paper_plan *plan)
{
  double exact = plan->predicted[plan->move].seconds;
  plan->fit = cheapest(s, fits, exact, PRECIS_REPAIRED_MOST);
  if (plan->fit < 0)
    plan->fit = cheapest(s, fits, exact, 0.999);
  if (plan->fit < 0)
    return;
  const precis_paper_fit *f = &fits->fit[plan->fit];
  precis_summary_size size = precis_candidate_size(&f->candidate);
  int64_t numbers =
      p->problem.kv_heads * (size.features * (p->problem.value_dim + 1) + size.count_features);
  precis_wire wire = precis_cost_summaries(p->ranks, s->nodes, l->node, numbers, s->prefixes);
  precis_prediction made = precis_model_summaries(s, &size, &wire);
  made.seconds += f->failing * exact;
  plan->predicted[PRECIS_MOVE_SUMMARIES] = made;
  plan->failing = f->failing;
  if (made.seconds < exact && f->failing <= PRECIS_REPAIRED_MOST)
    plan->move = PRECIS_MOVE_SUMMARIES;
}

static void explain(const precis_paper *p, const precis_paper_fits *fits, precis_paper_plan *plan)
{
  const precis_prediction *all = plan->predicted;
  const char *name = precis_move_name(plan->move);
  if (plan->move == PRECIS_MOVE_SUMMARIES)
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
  else if (plan->failing > PRECIS_REPAIRED_MOST)
    snprintf(plan->why, sizeof plan->why,
             "%s: exact, as the best summary would leave %.2g of the rows to repair", name,
             plan->failing);
  else
    snprintf(plan->why, sizeof plan->why, "%s: exact is faster than the best summary by %.3g", name,
             all[PRECIS_MOVE_SUMMARIES].seconds / all[plan->move].seconds);
}

int precis_paper_make(const precis_paper *p, const precis_paper_fits *fits, precis_paper_plan *plan,
                      precis_message *why)
{
  layout l;
  int status = layout_make(p, &l);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_paper_plan made = {.fit = -1, .bound = fits->bound};
  precis_scene s = scene_of(p);
  predict_exact(p, &l, &s, &made);
  if (p->tol > 0)
    consider_summaries(p, &s, &l, fits, &made);
  explain(p, fits, &made);
  layout_free(&l);
  status = precis_limit_check(&s, made.move, &made.predicted[made.move], why);
  if (status == PRECIS_SUCCESS)
    *plan = made;
  return status;
}

static void fit_one(const precis_paper *p, const precis_scene *s, const precis_head_sample *sample,
                    precis_paper_fit *f)
{
  const precis_candidate *c = &f->candidate;
  precis_polynomial fit;
  const precis_summary_rounding rounding = {
      c->envelope_degree, PRECIS_KEY_BLOCK,
      precis_cost_summary_roundings(p->ranks, s->nodes, p->ranks_per_node, s->prefixes),
      PRECIS_CHUNK_FEATURES + 16 + c->features / PRECIS_CHUNK_FEATURES};
  f->failing = 1;
  if (precis_choose_fit(sample, c->degree, c->envelope_degree, &fit) == PRECIS_SUCCESS)
    f->failing = precis_choose_failing(sample, &fit, &rounding, p->tol);
}

int precis_paper_fit_all(const precis_paper *p, precis_paper_fits *fits)
{
  const precis_paper_scores scores = {.dim = p->problem.dim,
                                      .queries =
                                          p->queries * (p->problem.heads / p->problem.kv_heads),
                                      .keys = p->keys,
                                      .spread = p->spread,
                                      .bound = p->bound,
                                      .unit = p->unit};
  double *moments =
      precis_memory_array(PRECIS_SAMPLE_QUERIES * PRECIS_SAMPLE_MOMENTS, sizeof *moments);
  double lengths[PRECIS_SAMPLE_QUERIES];
  *fits = (precis_paper_fits){.bound = precis_paper_bound(&scores)};
  if (moments == NULL)
    return PRECIS_ERR_MEMORY;
  if (p->tol > 0 && fits->bound <= PRECIS_BOUND_MOST) {
    precis_head_sample sample = precis_paper_sample(&scores, moments, lengths);
    precis_candidate all[PRECIS_PAPER_FITS];
    precis_scene s = scene_of(p);
    s.memory_limit = 0;
    fits->count = precis_choose_candidates(&s, p->degree, PRECIS_PAPER_FITS, all);
    for (int i = 0; i < fits->count; i++) {
      fits->fit[i].candidate = all[i];
      fit_one(p, &s, &sample, &fits->fit[i]);
    }
  }
  free(moments);
  return PRECIS_SUCCESS;
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
