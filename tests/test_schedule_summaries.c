/* Schedules of summaries, reduced over the ranks or passed down a chain, checked as those of
 * tests/test_schedule.c are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/schedule_case.h"

typedef struct feature_case {
  int64_t features, count_features, tile_features, tile_counts;
} feature_case;

static const feature_case feature_cases[] = {
    {1, 0, 8, 8}, {45, 0, 8, 8}, {45, 120, 16, 64}, {40, 7, 40, 2}, {3, 1, 1, 1},
};

static precis_summaries_shape summaries_shape(const spread_case *s, const feature_case *f)
{
  const precis_problem *p = &s->c->problem;
  return (precis_summaries_shape){.heads = p->heads, .kv_heads = p->kv_heads, .dim = p->dim,
                                  .value_dim = p->value_dim, .features = f->features,
                                  .count_features = f->count_features,
                                  .tile_features = f->tile_features,
                                  .tile_counts = f->tile_counts, .least_slice = 1,
                                  .query_start = s->start,
                                  .key_rows = s->key_rows, .kind = s->kind,
                                  .parcel_rows = s->c->tile_rows};
}

/* Every node sends all it has but its own slice, and its own sums to all others. */
static void check_summaries(const spread_case *s)
{
  for (size_t i = 0; i < sizeof feature_cases / sizeof *feature_cases; i++) {
    const feature_case *f = &feature_cases[i];
    if (s->ranks > 13 && (s->c != &schedule_cases[1] || i % 2 != 0)) /* enough, and quick */
      continue;
    for (int least = 1; least < 100; least *= 8) {
      precis_summaries_shape shape = summaries_shape(s, f);
      shape.least_slice = least;
      precis_schedule schedule = precis_schedule_summaries(&shape, &s->nodes);
      world_facts facts = s->facts;
      facts.features = f->features + f->count_features;
      precis_schedule_totals t = schedule_check(&schedule, &facts);
      int64_t numbers = f->features * (shape.value_dim + 2) + f->count_features;
      assert_int_equal(t.network_bytes, shape.kv_heads * 2 * (s->nodes.count - 1) * numbers * 4);
      assert_int_equal(t.node_bytes, 0);
      precis_nodes apart;
      assert_int_equal(precis_nodes_part(&s->nodes, &apart), 0);
      schedule = precis_schedule_summaries(&shape, &apart);
      assert_false(schedule.shares);
      t = schedule_check(&schedule, &facts);
      precis_wire wire = precis_cost_summaries_apart(&apart, shape.kv_heads * numbers);
      assert_int_equal(t.network_bytes + t.node_bytes, precis_wire_sum(&wire));
      if (s->nodes.smallest == s->nodes.largest)
        assert_int_equal(t.network_bytes, wire.network);
      precis_nodes_free(&apart);
    }
  }
}

static void summaries(void **state)
{
  (void)state;
  schedule_for_all(check_summaries);
}

static void check_causal(const spread_case *s)
{
  for (size_t i = 0; i < sizeof feature_cases / sizeof *feature_cases; i++) {
    const feature_case *f = &feature_cases[i];
    precis_summaries_shape shape = summaries_shape(s, f);
    precis_schedule schedule = precis_schedule_causal(&shape, &s->nodes);
    world_facts facts = s->facts;
    facts.features = f->features + f->count_features;
    facts.prefixes = 1;
    precis_schedule_totals t = schedule_check(&schedule, &facts);
    int64_t numbers = f->features * (shape.value_dim + 2) + f->count_features;
    assert_int_equal(t.node_bytes + t.network_bytes,
                     shape.kv_heads * (s->ranks - 1) * numbers * 4);
  }
}

static void causal(void **state)
{
  (void)state;
  schedule_for_all(check_causal);
}

static precis_spread_shape spread_shape(const spread_case *s)
{
  return (precis_spread_shape){.move = "outliers", .rows = s->key_rows, .batch_rows = 5,
                               .row_bytes = 44, .kv_heads = s->c->problem.kv_heads};
}

static void check_spread(const spread_case *s)
{
  precis_spread_shape shape = spread_shape(s);
  precis_schedule schedule = precis_schedule_spread(&shape, &s->nodes);
  world_facts facts = s->facts;
  facts.spread = 1;
  precis_schedule_totals t = schedule_check(&schedule, &facts);
  assert_int_equal(t.node_bytes + t.network_bytes, (s->ranks - 1) * s->c->keys * 44);
}

static void spread(void **state)
{
  (void)state;
  schedule_for_all(check_spread);
}

static void spread_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"a batch left out", PRECIS_STEP_COMPUTE, 3, break_drop, WORLD_COVERAGE},
      {"a batch twice", PRECIS_STEP_COMPUTE, 3, NULL, WORLD_COVERAGE},
      {"not passed on", PRECIS_STEP_SEND, 0, break_drop, WORLD_LABEL},
      {"no wait", PRECIS_STEP_WAIT, 0, break_drop, WORLD_OVERWRITE},
  };
  static spread_case s;
  schedule_spread(&schedule_cases[0], 4, 3, &s);
  precis_spread_shape shape = spread_shape(&s);
  precis_schedule schedule = precis_schedule_spread(&shape, &s.nodes);
  world_facts facts = s.facts;
  facts.spread = 1;
  schedule_reject(&schedule, &facts, list, sizeof list / sizeof *list);
  schedule_spread_free(&s);
}

static void summaries_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"a slice not sent", PRECIS_STEP_SEND, 2, break_drop, WORLD_COVERAGE},
      {"a slice short", PRECIS_STEP_SEND, 2, break_fewer_bytes, WORLD_BYTES},
      {"slices not added", PRECIS_STEP_MERGE, 0, break_drop, WORLD_LABEL},
      {"slices added twice", PRECIS_STEP_MERGE, 0, NULL, WORLD_COVERAGE},
      {"not summarised", PRECIS_STEP_SUMMARISE, 1, break_drop, WORLD_LABEL},
      {"other features", PRECIS_STEP_SUMMARISE, 1, break_other_features, WORLD_LABEL},
      {"no wait", PRECIS_STEP_WAIT, 0, break_drop, WORLD_OVERWRITE},
      {"not applied", PRECIS_STEP_APPLY, 1, break_drop, WORLD_COVERAGE},
      {"applied twice", PRECIS_STEP_APPLY, 1, NULL, WORLD_COVERAGE},
      {"a stage too early", PRECIS_STEP_APPLY, 0, break_other_slot, WORLD_OVERWRITE},
  };
  static spread_case s;
  schedule_spread(&schedule_cases[0], 4, 3, &s);
  precis_summaries_shape shape = summaries_shape(&s, &feature_cases[2]);
  precis_schedule schedule = precis_schedule_summaries(&shape, &s.nodes);
  world_facts facts = s.facts;
  facts.features = feature_cases[2].features + feature_cases[2].count_features;
  schedule_reject(&schedule, &facts, list, sizeof list / sizeof *list);
  schedule_spread_free(&s);
}

/* Where three ranks share a node. */
static void summaries_shared_broken(void **state)
{
  (void)state;
  static const int node[] = {0, 0, 0, 1};
  static const breakage list[] = {
      {"nothing", PRECIS_STEP_WAIT, 0, break_nothing, WORLD_GOOD},
      {"not marked", PRECIS_STEP_MARK, 1, break_drop, WORLD_DEADLOCK},
      {"not met", PRECIS_STEP_MEET, 0, break_drop, WORLD_UNORDERED},
      {"added up before all are there", PRECIS_STEP_MEET, 1, break_swap_next, WORLD_UNORDERED},
      {"a share not added up", PRECIS_STEP_SUM, 0, break_drop, WORLD_LABEL},
      {"a share added up twice", PRECIS_STEP_SUM, 1, NULL, WORLD_COVERAGE},
      {"another share", PRECIS_STEP_SUM, 0, break_beyond, WORLD_UNORDERED},
      {"other nodes not added", PRECIS_STEP_MERGE, 0, break_drop, WORLD_LABEL},
      {"not summarised", PRECIS_STEP_SUMMARISE, 1, break_drop, WORLD_LABEL},
      {"applied twice", PRECIS_STEP_APPLY, 1, NULL, WORLD_COVERAGE},
  };
  static spread_case s;
  schedule_spread(&schedule_cases[0], 4, 3, &s);
  schedule_move(&s, node);
  precis_summaries_shape shape = summaries_shape(&s, &feature_cases[2]);
  precis_schedule schedule = precis_schedule_summaries(&shape, &s.nodes);
  world_facts facts = s.facts;
  facts.features = feature_cases[2].features + feature_cases[2].count_features;
  schedule_reject(&schedule, &facts, list, sizeof list / sizeof *list);
  schedule_spread_free(&s);
}

static void causal_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"a tile not sent", PRECIS_STEP_SEND, 0, break_drop, WORLD_LABEL},
      {"the last tile not sent", PRECIS_STEP_SEND, 19, break_drop, WORLD_DEADLOCK},
      {"lower ranks not added", PRECIS_STEP_MERGE, 0, break_drop, WORLD_COVERAGE},
      {"lower ranks added twice", PRECIS_STEP_MERGE, 0, NULL, WORLD_COVERAGE},
      {"not summarised", PRECIS_STEP_SUMMARISE, 1, break_drop, WORLD_LABEL},
      {"not applied", PRECIS_STEP_APPLY, 1, break_drop, WORLD_COVERAGE},
      {"a block left out", PRECIS_STEP_COMPUTE, 1, break_drop, WORLD_COVERAGE},
      {"no wait", PRECIS_STEP_WAIT, 1, break_drop, WORLD_OVERWRITE},
      {"no last wait", PRECIS_STEP_WAIT, 20, break_drop, WORLD_UNWAITED},
  };
  static spread_case s;
  schedule_spread(&schedule_cases[0], 4, 3, &s);
  precis_summaries_shape shape = summaries_shape(&s, &feature_cases[2]);
  precis_schedule schedule = precis_schedule_causal(&shape, &s.nodes);
  world_facts facts = s.facts;
  facts.features = feature_cases[2].features + feature_cases[2].count_features;
  facts.prefixes = 1;
  schedule_reject(&schedule, &facts, list, sizeof list / sizeof *list);
  schedule_spread_free(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(spread),
      cmocka_unit_test(spread_broken),
      cmocka_unit_test(summaries),
      cmocka_unit_test(summaries_broken),
      cmocka_unit_test(summaries_shared_broken),
      cmocka_unit_test(causal),
      cmocka_unit_test(causal_broken),
  };
  return cmocka_run_group_tests_name("schedule_summaries", tests, NULL, NULL);
}
