#include "mpi/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "mpi/rows/leaving.h"
#include "mpi/world/room.h"
#include "src/layout/balance.h"
#include "src/model/footprint.h"
#include "src/plan/limit.h"
#include "src/base/memory.h"

static int allocate(precis_attend_plan *plan, int ranks)
{
  plan->start = precis_memory_array(ranks + 1, sizeof *plan->start);
  plan->first_position = precis_memory_array(ranks, sizeof *plan->first_position);
  plan->key_rows = precis_memory_array(ranks, sizeof *plan->key_rows);
  plan->cuts = precis_memory_array(ranks + 1, sizeof *plan->cuts);
  return plan->start && plan->first_position && plan->key_rows && plan->cuts ? PRECIS_SUCCESS
                                                                             : PRECIS_ERR_MEMORY;
}

int precis_attend_plan_tell(const precis_attention *a, int64_t rows, int64_t first_position,
                            precis_attend_plan *plan, precis_told *told)
{
  int ranks = a->world.ranks, rank = a->world.rank;
  *plan = (precis_attend_plan){0};
  int status = allocate(plan, ranks);
  if (status != PRECIS_SUCCESS)
    precis_attend_plan_free(plan);
  for (int r = 0; r < ranks && status == PRECIS_SUCCESS; r++) {
    plan->start[r + 1] = r == rank ? rows : 0;
    plan->first_position[r] = r == rank ? first_position : 0;
    plan->key_rows[r] = r == rank ? a->keys.rows : 0;
  }
  told[0] = (precis_told){PRECIS_FOLD_SUM, ranks, NULL, plan->start ? plan->start + 1 : NULL};
  told[1] = (precis_told){PRECIS_FOLD_SUM, ranks, NULL, plan->first_position};
  told[2] = (precis_told){PRECIS_FOLD_SUM, ranks, NULL, plan->key_rows};
  return status;
}

/* Rows and positions of every rank. */
static void settle_map(const precis_attention *a, int explicit_positions, precis_attend_plan *plan)
{
  int ranks = a->world.ranks;
  plan->start[0] = 0;
  for (int r = 0; r < ranks; r++)
    plan->start[r + 1] += plan->start[r];
  for (int r = 0; r < ranks && !explicit_positions; r++)
    plan->first_position[r] = plan->start[r] + a->appended - plan->start[ranks];
  plan->map = (precis_query_map){.ranks = ranks,
                                 .causal = a->problem.causal,
                                 .keys = a->appended,
                                 .start = plan->start,
                                 .first_position = plan->first_position};
}

/* Where summaries are considered, queries will be remembered. */
static int64_t past_to_come(const precis_attention *a)
{
  int considered = a->options.move == PRECIS_MOVE_SUMMARIES ||
                   (a->options.move == PRECIS_MOVE_AUTO && a->options.tol > 0);
  return considered && a->options.guarantee != PRECIS_GUARANTEE_SAMPLED && a->past.q == NULL
             ? precis_past_most(&a->problem)
             : 0;
}

/* Decides on balance and fills the rest of the cost input. */
static int balance(precis_attention *a, precis_attend_plan *plan, precis_cost_input *cost)
{
  int ranks = a->world.ranks, causal = a->problem.causal;
  int64_t queries = precis_visible_queries(&plan->map);
  int pairs = precis_balance_pairs_of_rounds(queries, plan->map.keys, ranks, plan->tile_rows);
  precis_layout dealt_keys = precis_layout_dealt(ranks, plan->map.keys, pairs);
  precis_layout dealt_queries = precis_layout_dealt(ranks, queries, pairs);
  double mine = precis_balance_key_pairs(&plan->map, a->keys.rows, a->keys.position, 0);
  precis_wire none = {0, 0},
              keys = causal ? precis_leaving_keys(&a->keys, &dealt_keys, &a->world) : none;
  int mates = precis_nodes_mates(&a->world.layout, a->world.rank);
  double sum[3] = {mine, (double)keys.network, (double)keys.node},
         most[] = {mine, -(double)(mates > 1 ? precis_room_share(mates) : INT64_MAX),
                   (double)(precis_attention_held(a) + past_to_come(a))};
  const precis_told told[] = {{PRECIS_FOLD_SUM, 3, sum, NULL}, {PRECIS_FOLD_MAX, 3, most, NULL}};
  int status = precis_world_meet(&a->world, PRECIS_SUCCESS, NULL, told, 2);
  if (status != PRECIS_SUCCESS)
    return status;
  keys = (precis_wire){(int64_t)sum[1], (int64_t)sum[2]};
  plan->shared_room = -most[1] < 0x1p62 ? (int64_t)-most[1] : INT64_MAX;
  plan->held = (int64_t)most[2];
  plan->deal_queries = precis_balance_queries_uneven(&plan->map, plan->start, ranks);
  plan->deal_keys = plan->deal_queries && causal;
  plan->deal_keys_for_queries = precis_balance_uneven(most[0], sum[0], ranks);
  cost->queries_dealt = plan->deal_queries
                            ? precis_balance_leaving(plan->start, &dealt_queries, a->world.node)
                            : none;
  cost->keys_dealt = plan->deal_keys ? keys : none;
  cost->dealt = plan->deal_keys ? dealt_keys : (precis_layout){.ranks = 0};
  cost->keys_dealt_for_queries = plan->deal_keys_for_queries ? keys : none;
  return PRECIS_SUCCESS;
}

/* What the model needs to know of this call. */
static precis_scene scene_of(const precis_attention *a, const precis_attend_plan *plan,
                             const precis_cost_input *cost)
{
  int64_t queries = precis_visible_queries(&plan->map);
  precis_scene s = {.problem = &a->problem,
                    .rates = a->rates,
                    .ranks = a->world.ranks,
                    .nodes = a->world.nodes,
                    .smallest_node = a->world.layout.smallest,
                    .largest_node = a->world.layout.largest,
                    .queries = queries,
                    .keys = plan->map.keys,
                    .new_keys =
                        a->surveyed_before < a->appended ? a->appended - a->surveyed_before : 0,
                    .pairs = precis_visible_pairs(&plan->map, 0, queries) * a->problem.heads,
                    .with_bias = a->with_bias,
                    .tile_rows = plan->tile_rows,
                    .fixed_tiles = a->options.tile_rows > 0,
                    .thread_memory = a->thread_memory_least,
                    .memory_limit = a->options.memory_limit_bytes,
                    .results_in_place = a->options.results_in_place,
                    .shared_room = plan->shared_room,
                    .held = plan->held,
                    .held_kept = precis_kept_bytes(&a->kept, &a->problem),
                    .deal_queries = plan->deal_queries,
                    .deal_keys = plan->deal_keys,
                    .deal_keys_for_queries = plan->deal_keys_for_queries};
  for (int r = 0; r < s.ranks; r++) {
    int64_t rows = plan->start[r + 1] - plan->start[r];
    s.most_keys = plan->key_rows[r] > s.most_keys ? plan->key_rows[r] : s.most_keys;
    s.most_queries = rows > s.most_queries ? rows : s.most_queries;
  }
  precis_cost_pieces(cost, &s.pieces, &s.piece_rows, s.needed_heads);
  return s;
}

static precis_move wish_of(const precis_attention *a)
{
  return a->options.move == PRECIS_MOVE_SUMMARIES ? PRECIS_MOVE_AUTO : a->options.move;
}

/* Predicts and chooses. Returns nonzero if tiles have to be smaller: what is dealt depends on them.
 */
static int choose(precis_attention *a, precis_attend_plan *plan, precis_cost_input *cost)
{
  precis_wire wire[PRECIS_MOVES];
  plan->scene = scene_of(a, plan, cost);
  plan->tiles_apart = precis_footprint_tiles_apart(&plan->scene);
  cost->apart = plan->tiles_apart ? &a->world.apart : NULL;
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++) {
    wire[move] = precis_cost_wire(cost, move);
    plan->bytes[move] = precis_wire_sum(&wire[move]);
  }
  plan->bytes[PRECIS_MOVE_SUMMARIES] = -1;
  plan->move = precis_limit_choose(&plan->scene, wish_of(a), wire, plan->predicted);
  int smaller = plan->scene.tile_rows < plan->tile_rows;
  plan->tile_rows = plan->scene.tile_rows;
  return smaller;
}

static void explain(const precis_attention *a, precis_attend_plan *plan)
{
  const char *reason = wish_of(a) != PRECIS_MOVE_AUTO ? "asked for"
                       : a->world.ranks == 1          ? "one rank, nothing travels"
                                                      : "fewest predicted seconds";
  snprintf(plan->why, sizeof plan->why, "%s: %s", precis_move_name(plan->move), reason);
}

int precis_attend_plan_make(precis_attention *a, int explicit_positions, precis_attend_plan *plan)
{
  const precis_problem *p = &a->problem;
  int status;
  settle_map(a, explicit_positions, plan);
  plan->kind = (precis_parcel_kind){.heads = p->kv_heads,
                                    .dim = p->dim,
                                    .value_dim = p->value_dim,
                                    .with_bias = a->with_bias,
                                    .with_positions = p->causal};
  plan->tile_rows = precis_limit_tile_rows(p, a->options.tile_rows);
  precis_split_heads(&plan->map, p->heads, plan->cuts);
  precis_cost_input cost = {.problem = p,
                            .map = &plan->map,
                            .key_rows = plan->key_rows,
                            .cuts = plan->cuts,
                            .kind = plan->kind,
                            .nodes = a->world.nodes,
                            .node = a->world.node};
  do
    status = balance(a, plan, &cost);
  while (status == PRECIS_SUCCESS && choose(a, plan, &cost));
  explain(a, plan);
  return status;
}

void precis_attend_plan_free(precis_attend_plan *plan)
{
  free(plan->start);
  free(plan->first_position);
  free(plan->key_rows);
  free(plan->cuts);
  *plan = (precis_attend_plan){0};
}
