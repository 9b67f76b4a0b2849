/* Schedules of the exact moves: all ranks run against each other, totals against src/schedule/cost.h, and the
 * checks themselves against schedules that were broken on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/exact/partial.h"
#include "src/base/problem.h"
#include "src/base/share.h"
#include "tests/schedule_case.h"

/* What the schedule sends is what cost.h says, on either kind of link. */
static void assert_wire(const spread_case *s, const precis_schedule_totals *t, precis_move move)
{
  precis_wire wire = precis_cost_wire(&s->cost, move);
  assert_int_equal(t->node_bytes + t->network_bytes, precis_wire_sum(&wire));
  assert_int_equal(t->node_bytes, wire.node);
}

static precis_tiles_shape tiles_shape(const spread_case *s)
{
  return (precis_tiles_shape){.problem = &s->c->problem, .query_rows = s->query_rows,
                              .key_rows = s->key_rows,
                              .most_keys = precis_largest(s->key_rows, s->ranks),
                              .tile_rows = s->c->tile_rows, .kind = s->kind};
}

static void check_tiles(const spread_case *s)
{
  precis_tiles_shape shape = tiles_shape(s);
  precis_schedule schedule = precis_schedule_tiles(&shape, &s->nodes);
  precis_schedule_totals t = schedule_check(&schedule, &s->facts);
  assert_wire(s, &t, PRECIS_MOVE_TILES);
  /* The same by messages alone, where those of a node share no memory. */
  spread_case apart = *s;
  precis_nodes nodes;
  assert_int_equal(precis_nodes_part(&s->nodes, &nodes), 0);
  apart.cost.apart = &nodes;
  schedule = precis_schedule_tiles(&shape, &nodes);
  assert_false(schedule.shares);
  t = schedule_check(&schedule, &s->facts);
  assert_wire(&apart, &t, PRECIS_MOVE_TILES);
  precis_nodes_free(&nodes);
}

static void tiles(void **state)
{
  (void)state;
  schedule_for_all(check_tiles);
}

/* Queries and keys dealt out first: rows that leave are those that come, and totals hold. */
static void check_dealt(const spread_case *s)
{
  const precis_problem *p = &s->c->problem;
  static int64_t start[WORLD_RANKS + 1], query_rows[WORLD_RANKS], key_rows[WORLD_RANKS];
  for (int r = 0; r < s->ranks; r++)
    start[r + 1] = start[r] + s->key_rows[r];
  precis_layout home = precis_layout_consecutive(s->ranks, s->start),
                away = precis_layout_dealt(s->ranks, s->c->queries, 2);
  precis_tiles_shape shape = tiles_shape(s);
  shape.queries =
      (precis_exchange_shape){1, home, away, precis_cost_query_row(p)};
  shape.results = (precis_exchange_shape){1, away, home, precis_cost_output_row(p)};
  shape.keys = (precis_exchange_shape){1, precis_layout_consecutive(s->ranks, start),
                                       precis_layout_dealt(s->ranks, s->c->keys, 2),
                                       precis_cost_key_row(p, 0)};
  shape.query_rows = query_rows;
  shape.key_rows = key_rows;
  precis_cost_input cost = s->cost;
  cost.key_rows = key_rows;
  for (int r = 0; r < s->ranks; r++) {
    int64_t leaving = 0;
    query_rows[r] = precis_layout_share(&away, r);
    key_rows[r] = precis_layout_share(&shape.keys.to, r);
    cost.keys_dealt.network += precis_exchange_leaving(&shape.keys, r);
    cost.queries_dealt.network += precis_exchange_leaving(&shape.queries, r);
    for (int to = 0; to < s->ranks; to++)
      leaving += to == r ? 0 : precis_exchange_rows(&shape.queries, r, to);
    assert_int_equal(leaving, precis_exchange_leaving(&shape.queries, r));
  }
  shape.most_keys = precis_largest(key_rows, s->ranks);
  world_facts facts = s->facts;
  facts.query_rows = query_rows;
  facts.key_rows = key_rows;
  precis_schedule schedule = precis_schedule_tiles(&shape, &s->nodes);
  precis_schedule_totals t = schedule_check(&schedule, &facts);
  precis_wire wire = precis_cost_wire(&cost, PRECIS_MOVE_TILES);
  assert_int_equal(t.node_bytes + t.network_bytes + t.exchanged_bytes, precis_wire_sum(&wire));
}

static void tiles_dealt(void **state)
{
  (void)state;
  schedule_for_all(check_dealt);
}

static precis_heads_shape heads_shape(const spread_case *s)
{
  return (precis_heads_shape){.problem = &s->c->problem, .map = &s->map, .key_rows = s->key_rows,
                              .cuts = s->cuts, .tile_rows = s->c->tile_rows, .kind = s->kind};
}

static void check_heads(const spread_case *s)
{
  precis_heads_shape shape = heads_shape(s);
  precis_schedule schedule = precis_schedule_heads(&shape, &s->nodes);
  precis_schedule_totals t = schedule_check(&schedule, &s->facts);
  assert_wire(s, &t, PRECIS_MOVE_HEADS);
}

static void heads(void **state)
{
  (void)state;
  schedule_for_all(check_heads);
}

static precis_queries_shape queries_shape(const spread_case *s)
{
  const precis_problem *p = &s->c->problem;
  return (precis_queries_shape){.move = "queries", .heads = p->heads,
                                .partial_words = precis_partial_words(1, precis_problem_columns(p)),
                                .columns = precis_problem_columns(p),
                                .rows = s->query_rows, .batch_rows = 9, .owners = 3,
                                .row_bytes = (int64_t)p->heads * p->dim * 4,
                                .key_rows = s->key_rows, .tile_rows = s->c->tile_rows,
                                .kind = s->kind};
}

static void check_queries(const spread_case *s)
{
  static const int owners[] = {1, 3, PRECIS_QUERIES_OWNERS};
  static const int rows[] = {9, 1 << 20};
  precis_queries_shape shape = queries_shape(s);
  for (int i = 0; i < 6; i++) {
    shape.owners = owners[i / 2];
    shape.batch_rows = rows[i % 2];
    precis_schedule schedule = precis_schedule_queries(&shape, &s->nodes);
    precis_schedule_totals t = schedule_check(&schedule, &s->facts);
    assert_wire(s, &t, PRECIS_MOVE_QUERIES);
  }
}

static void queries(void **state)
{
  (void)state;
  schedule_for_all(check_queries);
}

static void tiles_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"the last send is left out", PRECIS_STEP_SEND, 5, break_drop, WORLD_DEADLOCK},
      {"a send is left out", PRECIS_STEP_SEND, 0, break_drop, WORLD_LABEL},
      {"a receive is left out", PRECIS_STEP_RECEIVE, 1, break_drop, WORLD_LABEL},
      {"a message is short", PRECIS_STEP_SEND, 0, break_fewer_bytes, WORLD_BYTES},
      {"to the wrong rank", PRECIS_STEP_SEND, 5, break_other_peer, WORLD_DEADLOCK},
      {"no wait", PRECIS_STEP_WAIT, 0, break_drop, WORLD_OVERWRITE},
      {"a wait before its message", PRECIS_STEP_COMPUTE, 0, break_swap_next, WORLD_GOOD},
      {"outside of the slot", PRECIS_STEP_RECEIVE, 0, break_beyond, WORLD_BOUNDS},
      {"other keys packed", PRECIS_STEP_PACK, 0, break_other_rows, WORLD_LABEL},
      {"keys left out", PRECIS_STEP_COMPUTE, 2, break_drop, WORLD_COVERAGE},
      {"keys twice", PRECIS_STEP_COMPUTE, 6, NULL, WORLD_COVERAGE},
      {"a request under way", PRECIS_STEP_SEND, 2, NULL, WORLD_UNWAITED},
      {"no results", PRECIS_STEP_FINISH, 0, break_drop, WORLD_COVERAGE},
  };
  static spread_case s;
  schedule_spread(&schedule_cases[0], 4, 3, &s);
  precis_tiles_shape shape = tiles_shape(&s);
  precis_schedule schedule = precis_schedule_tiles(&shape, &s.nodes);
  schedule_reject(&schedule, &s.facts, list, sizeof list / sizeof *list);
  schedule_spread_free(&s);
}

/* Where three ranks share a node. */
static void tiles_shared_broken(void **state)
{
  (void)state;
  static const int node[] = {0, 0, 0, 1};
  static const breakage list[] = {
      {"nothing", PRECIS_STEP_WAIT, 0, break_nothing, WORLD_GOOD},
      {"not marked", PRECIS_STEP_MARK, 1, break_drop, WORLD_DEADLOCK},
      {"another's parcel before it is packed", PRECIS_STEP_MEET, 0, break_drop, WORLD_UNORDERED},
      {"another's parcel before it has come", PRECIS_STEP_MEET, 1, break_swap_next,
       WORLD_UNORDERED},
      {"marked before it is packed", PRECIS_STEP_PACK, 1, break_swap_next, WORLD_UNORDERED},
      {"the wrong rank's slot", PRECIS_STEP_COMPUTE, 1, break_other_peer, WORLD_LABEL},
      {"keys of another left out", PRECIS_STEP_COMPUTE, 3, break_drop, WORLD_COVERAGE},
      {"no wait", PRECIS_STEP_WAIT, 0, break_drop, WORLD_OVERWRITE},
  };
  static spread_case s;
  schedule_spread(&schedule_cases[0], 4, 3, &s);
  schedule_move(&s, node);
  precis_tiles_shape shape = tiles_shape(&s);
  precis_schedule schedule = precis_schedule_tiles(&shape, &s.nodes);
  schedule_reject(&schedule, &s.facts, list, sizeof list / sizeof *list);
  schedule_spread_free(&s);
}

static void heads_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"queries not unpacked", PRECIS_STEP_UNPACK, 0, break_drop, WORLD_LABEL},
      {"queries unpacked twice", PRECIS_STEP_UNPACK, 1, NULL, WORLD_LABEL},
      {"a parcel not packed", PRECIS_STEP_PACK, 5, break_drop, WORLD_LABEL},
      {"a parcel short", PRECIS_STEP_SEND, 4, break_fewer_bytes, WORLD_BYTES},
      {"no wait", PRECIS_STEP_WAIT, 4, break_drop, WORLD_UNWAITED},
      {"keys left out", PRECIS_STEP_COMPUTE, 1, break_drop, WORLD_COVERAGE},
      {"keys twice", PRECIS_STEP_COMPUTE, 1, NULL, WORLD_COVERAGE},
      {"results of others", PRECIS_STEP_UNPACK, 3, break_other_rows, WORLD_LABEL},
      {"the last send is left out", PRECIS_STEP_SEND, 9, break_drop, WORLD_DEADLOCK},
  };
  static spread_case s;
  schedule_spread(&schedule_cases[0], 4, 3, &s);
  precis_heads_shape shape = heads_shape(&s);
  precis_schedule schedule = precis_schedule_heads(&shape, &s.nodes);
  schedule_reject(&schedule, &s.facts, list, sizeof list / sizeof *list);
  schedule_spread_free(&s);
}

static void queries_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"a batch not passed on", PRECIS_STEP_SEND, 0, break_drop, WORLD_DEADLOCK},
      {"the wrong batch", PRECIS_STEP_RECEIVE, 0, break_other_rows, WORLD_LABEL},
      {"partials not merged", PRECIS_STEP_MERGE, 0, break_drop, WORLD_COVERAGE},
      {"partials merged twice", PRECIS_STEP_MERGE, 0, NULL, WORLD_COVERAGE},
      {"partials not packed", PRECIS_STEP_CLEAR, 0, break_drop, WORLD_LABEL},
      {"no wait", PRECIS_STEP_WAIT, 0, break_drop, WORLD_OVERWRITE},
      {"queries not unpacked", PRECIS_STEP_UNPACK, 1, break_drop, WORLD_LABEL},
      {"queries unpacked twice", PRECIS_STEP_UNPACK, 1, NULL, WORLD_LABEL},
      {"other queries in their place", PRECIS_STEP_PACK, 0, break_beyond, WORLD_BOUNDS},
      {"keys left out", PRECIS_STEP_COMPUTE, 0, break_drop, WORLD_COVERAGE},
      {"no results", PRECIS_STEP_FINISH, 0, break_drop, WORLD_COVERAGE},
      {"results twice", PRECIS_STEP_FINISH, 0, NULL, WORLD_COVERAGE},
  };
  static spread_case s;
  schedule_spread(&schedule_cases[0], 4, 3, &s);
  precis_queries_shape shape = queries_shape(&s);
  precis_schedule schedule = precis_schedule_queries(&shape, &s.nodes);
  schedule_reject(&schedule, &s.facts, list, sizeof list / sizeof *list);
  schedule_spread_free(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tiles),
      cmocka_unit_test(tiles_dealt),
      cmocka_unit_test(tiles_broken),
      cmocka_unit_test(tiles_shared_broken),
      cmocka_unit_test(heads),
      cmocka_unit_test(heads_broken),
      cmocka_unit_test(queries),
      cmocka_unit_test(queries_broken),
  };
  return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
