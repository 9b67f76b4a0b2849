/* Schedules of all moves: all ranks run against each other, totals against src/cost.h, and the
 * checks themselves against schedules that were broken on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cost.h"
#include "src/schedule_build.h"
#include "tests/schedule_world.h"

enum { SPREADS = 4, BROKEN = 2 /* the rank whose steps are broken */ };

typedef struct problem_case {
  precis_problem problem;
  int64_t queries, keys, tile_rows;
} problem_case;

static const problem_case cases[] = {
    {{.heads = 4, .kv_heads = 4, .dim = 8, .value_dim = 8}, 100, 100, 16},
    {{.heads = 6, .kv_heads = 2, .dim = 5, .value_dim = 3, .causal = 1}, 90, 130, 7},
    {{.heads = 5, .kv_heads = 5, .dim = 4, .value_dim = 4, .causal = 1}, 130, 90, 64},
    {{.heads = 8, .kv_heads = 2, .dim = 4, .value_dim = 4, .causal = 1}, 1, 70, 8},
    {{.heads = 3, .kv_heads = 1, .dim = 2, .value_dim = 1}, 5, 3, 1},
    {{.heads = 2, .kv_heads = 1, .dim = 2, .value_dim = 2}, 0, 30, 4},
    {{.heads = 2, .kv_heads = 2, .dim = 2, .value_dim = 2}, 30, 0, 4},
};

/* A problem spread over ranks, with all that builders take. */
typedef struct spread_case {
  const problem_case *c;
  int ranks, node[WORLD_RANKS];
  int64_t start[WORLD_RANKS + 1], first_position[WORLD_RANKS], query_rows[WORLD_RANKS],
      key_rows[WORLD_RANKS];
  precis_query_map map;
  precis_cut cuts[WORLD_RANKS + 1];
  precis_parcel_kind kind;
  world_facts facts;
  precis_cost_input cost;
} spread_case;

/* Rows of a rank: even, all on the last, ever more, or none on every other rank. */
static int64_t share(int how, int64_t rows, int ranks, int rank)
{
  int64_t end = rank + 1;
  switch (how) {
  case 0:
    return rows * end / ranks - rows * rank / ranks;
  case 1:
    return rank == ranks - 1 ? rows : 0;
  case 2:
    return rows * end * end / ranks / ranks - rows * rank * rank / ranks / ranks;
  default:
    return rows * ((end + 1) / 2) / ((ranks + 1) / 2) - rows * ((rank + 1) / 2) / ((ranks + 1) / 2);
  }
}

static void spread_make(const problem_case *c, int ranks, int how, spread_case *s)
{
  *s = (spread_case){.c = c, .ranks = ranks};
  for (int r = 0; r < ranks; r++) {
    s->node[r] = r / 3;
    s->query_rows[r] = share(how, c->queries, ranks, r);
    s->key_rows[r] = share((how + 1) % SPREADS, c->keys, ranks, r);
    s->start[r + 1] = s->start[r] + s->query_rows[r];
    s->first_position[r] = s->start[r] + c->keys - c->queries;
  }
  s->map = (precis_query_map){.ranks = ranks, .causal = c->problem.causal, .keys = c->keys,
                              .start = s->start, .first_position = s->first_position};
  s->kind = (precis_parcel_kind){.heads = c->problem.kv_heads, .dim = c->problem.dim,
                                 .value_dim = c->problem.value_dim,
                                 .with_positions = c->problem.causal};
  precis_split_heads(&s->map, c->problem.heads, s->cuts);
  s->facts = (world_facts){.ranks = ranks, .heads = c->problem.heads,
                           .kv_heads = c->problem.kv_heads, .query_rows = s->query_rows,
                           .key_rows = s->key_rows};
  s->cost = (precis_cost_input){.problem = &c->problem, .map = &s->map, .key_rows = s->key_rows,
                                .cuts = s->cuts, .kind = s->kind};
}

/* Runs it, and returns what all ranks send. */
static precis_schedule_totals check(const precis_schedule *schedule, const world_facts *facts)
{
  world_lists lists = {0};
  precis_schedule_totals all = {0};
  world_lists_make(schedule, &lists);
  assert_int_equal(world_run(schedule, facts, &lists, 1), WORLD_GOOD);
  for (int r = 0; r < schedule->ranks; r++) {
    precis_schedule_totals t = precis_schedule_count(schedule, r);
    assert_int_equal(t.steps, lists.count[r]);
    all.messages += t.messages;
    all.node_bytes += t.node_bytes;
    all.network_bytes += t.network_bytes;
    all.exchanged_bytes += t.exchanged_bytes;
  }
  world_lists_free(&lists);
  return all;
}

typedef void spread_check(const spread_case *s);

static void for_all(spread_check *check_one)
{
  static const int ranks[] = {1, 2, 3, 4, 5, 7, 8, 13, 64};
  static spread_case s;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t j = 0; j < sizeof ranks / sizeof *ranks; j++)
      for (int how = 0; how < SPREADS; how++) {
        spread_make(&cases[i], ranks[j], how, &s);
        check_one(&s);
      }
}

static precis_tiles_shape tiles_shape(const spread_case *s)
{
  return (precis_tiles_shape){.problem = &s->c->problem, .query_rows = s->query_rows,
                              .key_rows = s->key_rows, .tile_rows = s->c->tile_rows,
                              .kind = s->kind};
}

static void check_tiles(const spread_case *s)
{
  precis_tiles_shape shape = tiles_shape(s);
  precis_schedule schedule = precis_schedule_tiles(&shape, s->ranks, s->node);
  precis_schedule_totals t = check(&schedule, &s->facts);
  assert_int_equal(t.node_bytes + t.network_bytes, precis_cost_bytes(&s->cost, PRECIS_MOVE_TILES));
}

static void tiles(void **state)
{
  (void)state;
  for_all(check_tiles);
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
    cost.keys_dealt += precis_exchange_leaving(&shape.keys, r);
    cost.queries_dealt += precis_exchange_leaving(&shape.queries, r);
    for (int to = 0; to < s->ranks; to++)
      leaving += to == r ? 0 : precis_exchange_rows(&shape.queries, r, to);
    assert_int_equal(leaving, precis_exchange_leaving(&shape.queries, r));
  }
  world_facts facts = s->facts;
  facts.query_rows = query_rows;
  facts.key_rows = key_rows;
  precis_schedule schedule = precis_schedule_tiles(&shape, s->ranks, s->node);
  precis_schedule_totals t = check(&schedule, &facts);
  assert_int_equal(t.node_bytes + t.network_bytes + t.exchanged_bytes,
                   precis_cost_bytes(&cost, PRECIS_MOVE_TILES));
}

static void tiles_dealt(void **state)
{
  (void)state;
  for_all(check_dealt);
}

static precis_heads_shape heads_shape(const spread_case *s)
{
  return (precis_heads_shape){.problem = &s->c->problem, .map = &s->map, .key_rows = s->key_rows,
                              .cuts = s->cuts, .tile_rows = s->c->tile_rows, .kind = s->kind};
}

static void check_heads(const spread_case *s)
{
  precis_heads_shape shape = heads_shape(s);
  precis_schedule schedule = precis_schedule_heads(&shape, s->ranks, s->node);
  precis_schedule_totals t = check(&schedule, &s->facts);
  assert_int_equal(t.node_bytes + t.network_bytes, precis_cost_bytes(&s->cost, PRECIS_MOVE_HEADS));
}

static void heads(void **state)
{
  (void)state;
  for_all(check_heads);
}

static precis_queries_shape queries_shape(const spread_case *s)
{
  const precis_problem *p = &s->c->problem;
  return (precis_queries_shape){.move = "queries", .heads = p->heads, .value_dim = p->value_dim,
                                .rows = s->query_rows, .batch_rows = 9,
                                .row_bytes = (int64_t)p->heads * p->dim * 4,
                                .key_rows = s->key_rows, .tile_rows = s->c->tile_rows,
                                .kind = s->kind};
}

static void check_queries(const spread_case *s)
{
  precis_queries_shape shape = queries_shape(s);
  precis_schedule schedule = precis_schedule_queries(&shape, s->ranks, s->node);
  precis_schedule_totals t = check(&schedule, &s->facts);
  assert_int_equal(t.node_bytes + t.network_bytes,
                   precis_cost_bytes(&s->cost, PRECIS_MOVE_QUERIES));
}

static void queries(void **state)
{
  (void)state;
  for_all(check_queries);
}

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
                                  .tile_counts = f->tile_counts, .query_start = s->start,
                                  .key_rows = s->key_rows, .kind = s->kind,
                                  .parcel_rows = s->c->tile_rows};
}

/* Every rank sends all it has but its own slice, and its own sums to all others. */
static void check_summaries(const spread_case *s)
{
  for (size_t i = 0; i < sizeof feature_cases / sizeof *feature_cases; i++) {
    const feature_case *f = &feature_cases[i];
    if (s->ranks > 13 && (s->c != &cases[1] || i % 2 != 0)) /* enough, and quick */
      continue;
    precis_summaries_shape shape = summaries_shape(s, f);
    precis_schedule schedule = precis_schedule_summaries(&shape, s->ranks, s->node);
    world_facts facts = s->facts;
    facts.features = f->features + f->count_features;
    precis_schedule_totals t = check(&schedule, &facts);
    int64_t numbers = f->features * (shape.value_dim + 1) + f->count_features;
    assert_int_equal(t.node_bytes + t.network_bytes,
                     shape.kv_heads * 2 * (s->ranks - 1) * numbers * 4);
  }
}

static void summaries(void **state)
{
  (void)state;
  for_all(check_summaries);
}

static void check_causal(const spread_case *s)
{
  for (size_t i = 0; i < sizeof feature_cases / sizeof *feature_cases; i++) {
    const feature_case *f = &feature_cases[i];
    precis_summaries_shape shape = summaries_shape(s, f);
    precis_schedule schedule = precis_schedule_causal(&shape, s->ranks, s->node);
    world_facts facts = s->facts;
    facts.features = f->features + f->count_features;
    facts.prefixes = 1;
    precis_schedule_totals t = check(&schedule, &facts);
    int64_t numbers = f->features * (shape.value_dim + 1) + f->count_features;
    assert_int_equal(t.node_bytes + t.network_bytes,
                     shape.kv_heads * (s->ranks - 1) * numbers * 4);
  }
}

static void causal(void **state)
{
  (void)state;
  for_all(check_causal);
}

/* One way to break a schedule. */
typedef struct breakage {
  const char *what;
  precis_step_kind kind; /* of the step that is broken, the `number`th of its kind */
  int number;
  void (*apply)(precis_step *step); /* NULL: done twice */
  world_verdict verdict;
} breakage;

static void drop(precis_step *step)
{
  *step = (precis_step){.kind = PRECIS_STEP_WAIT, .requests = 0};
}

static void fewer_bytes(precis_step *step)
{
  step->bytes -= 4;
}

static void other_peer(precis_step *step)
{
  step->peer = step->peer == 0 ? 2 : 0;
}

static void beyond(precis_step *step)
{
  step->offset += 1;
}

static void other_rows(precis_step *step)
{
  step->block.first += 1;
}

static void other_features(precis_step *step)
{
  step->block.first_feature += 1;
}

static void other_slot(precis_step *step)
{
  step->slot += 1;
}

static void swap_next(precis_step *step)
{
  precis_step next = step[1];
  step[1] = step[0];
  step[0] = next;
}

/* Does step k of a list twice. */
static void repeat(world_lists *lists, int rank, int64_t k)
{
  int64_t count = ++lists->count[rank];
  precis_step *steps = realloc(lists->steps[rank], (size_t)count * sizeof *steps);
  assert_non_null(steps);
  memmove(steps + k + 1, steps + k, (size_t)(count - 1 - k) * sizeof *steps);
  lists->steps[rank] = steps;
}

/* Every breakage is found, and called by its name. */
static void reject(const precis_schedule *schedule, const world_facts *facts, const breakage *list,
                   int count)
{
  int wrong = 0;
  for (int i = 0; i < count; i++) {
    world_lists lists = {0};
    int found = 0;
    world_lists_make(schedule, &lists);
    for (int64_t k = 0; k < lists.count[BROKEN] && found <= list[i].number; k++) {
      if (lists.steps[BROKEN][k].kind != list[i].kind || found++ != list[i].number)
        continue;
      if (list[i].apply != NULL)
        list[i].apply(&lists.steps[BROKEN][k]);
      else
        repeat(&lists, BROKEN, k);
    }
    assert_int_equal(found, list[i].number + 1);
    world_verdict verdict = world_run(schedule, facts, &lists, 0);
    if (verdict != list[i].verdict) {
      print_error("%s, %s: %s\n", schedule->move, list[i].what, world_verdict_name(verdict));
      wrong++;
    }
    world_lists_free(&lists);
  }
  assert_int_equal(wrong, 0);
}

static void tiles_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"the last send is left out", PRECIS_STEP_SEND, 5, drop, WORLD_DEADLOCK},
      {"a send is left out", PRECIS_STEP_SEND, 0, drop, WORLD_LABEL},
      {"a receive is left out", PRECIS_STEP_RECEIVE, 1, drop, WORLD_LABEL},
      {"a message is short", PRECIS_STEP_SEND, 0, fewer_bytes, WORLD_BYTES},
      {"to the wrong rank", PRECIS_STEP_SEND, 5, other_peer, WORLD_DEADLOCK},
      {"no wait", PRECIS_STEP_WAIT, 0, drop, WORLD_OVERWRITE},
      {"a wait before its message", PRECIS_STEP_COMPUTE, 0, swap_next, WORLD_GOOD},
      {"outside of the slot", PRECIS_STEP_RECEIVE, 0, beyond, WORLD_BOUNDS},
      {"other keys packed", PRECIS_STEP_PACK, 0, other_rows, WORLD_LABEL},
      {"keys left out", PRECIS_STEP_COMPUTE, 2, drop, WORLD_COVERAGE},
      {"keys twice", PRECIS_STEP_COMPUTE, 6, NULL, WORLD_COVERAGE},
      {"a request under way", PRECIS_STEP_SEND, 2, NULL, WORLD_UNWAITED},
      {"no results", PRECIS_STEP_FINISH, 0, drop, WORLD_COVERAGE},
  };
  static spread_case s;
  spread_make(&cases[0], 4, 3, &s);
  precis_tiles_shape shape = tiles_shape(&s);
  precis_schedule schedule = precis_schedule_tiles(&shape, s.ranks, s.node);
  reject(&schedule, &s.facts, list, sizeof list / sizeof *list);
}

static void heads_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"queries not unpacked", PRECIS_STEP_UNPACK, 0, drop, WORLD_LABEL},
      {"queries unpacked twice", PRECIS_STEP_UNPACK, 1, NULL, WORLD_LABEL},
      {"a parcel not packed", PRECIS_STEP_PACK, 5, drop, WORLD_LABEL},
      {"a parcel short", PRECIS_STEP_SEND, 4, fewer_bytes, WORLD_BYTES},
      {"no wait", PRECIS_STEP_WAIT, 4, drop, WORLD_UNWAITED},
      {"keys left out", PRECIS_STEP_COMPUTE, 1, drop, WORLD_COVERAGE},
      {"keys twice", PRECIS_STEP_COMPUTE, 1, NULL, WORLD_COVERAGE},
      {"results of others", PRECIS_STEP_UNPACK, 3, other_rows, WORLD_LABEL},
      {"the last send is left out", PRECIS_STEP_SEND, 9, drop, WORLD_DEADLOCK},
  };
  static spread_case s;
  spread_make(&cases[0], 4, 3, &s);
  precis_heads_shape shape = heads_shape(&s);
  precis_schedule schedule = precis_schedule_heads(&shape, s.ranks, s.node);
  reject(&schedule, &s.facts, list, sizeof list / sizeof *list);
}

static void queries_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"a batch not passed on", PRECIS_STEP_SEND, 0, drop, WORLD_DEADLOCK},
      {"the wrong batch", PRECIS_STEP_RECEIVE, 0, other_rows, WORLD_LABEL},
      {"partials not merged", PRECIS_STEP_MERGE, 0, drop, WORLD_COVERAGE},
      {"partials merged twice", PRECIS_STEP_MERGE, 0, NULL, WORLD_COVERAGE},
      {"partials not packed", PRECIS_STEP_CLEAR, 0, drop, WORLD_LABEL},
      {"no wait", PRECIS_STEP_WAIT, 0, drop, WORLD_OVERWRITE},
      {"keys left out", PRECIS_STEP_COMPUTE, 0, drop, WORLD_COVERAGE},
      {"no results", PRECIS_STEP_FINISH, 0, drop, WORLD_COVERAGE},
      {"results twice", PRECIS_STEP_FINISH, 0, NULL, WORLD_COVERAGE},
  };
  static spread_case s;
  spread_make(&cases[0], 4, 3, &s);
  precis_queries_shape shape = queries_shape(&s);
  precis_schedule schedule = precis_schedule_queries(&shape, s.ranks, s.node);
  reject(&schedule, &s.facts, list, sizeof list / sizeof *list);
}

static void summaries_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"a slice not sent", PRECIS_STEP_SEND, 2, drop, WORLD_COVERAGE},
      {"a slice short", PRECIS_STEP_SEND, 2, fewer_bytes, WORLD_BYTES},
      {"slices not added", PRECIS_STEP_MERGE, 0, drop, WORLD_LABEL},
      {"slices added twice", PRECIS_STEP_MERGE, 0, NULL, WORLD_COVERAGE},
      {"not summarised", PRECIS_STEP_SUMMARISE, 1, drop, WORLD_LABEL},
      {"other features", PRECIS_STEP_SUMMARISE, 1, other_features, WORLD_LABEL},
      {"no wait", PRECIS_STEP_WAIT, 0, drop, WORLD_OVERWRITE},
      {"not applied", PRECIS_STEP_APPLY, 1, drop, WORLD_COVERAGE},
      {"applied twice", PRECIS_STEP_APPLY, 1, NULL, WORLD_COVERAGE},
      {"a stage too early", PRECIS_STEP_APPLY, 0, other_slot, WORLD_OVERWRITE},
  };
  static spread_case s;
  spread_make(&cases[0], 4, 3, &s);
  precis_summaries_shape shape = summaries_shape(&s, &feature_cases[2]);
  precis_schedule schedule = precis_schedule_summaries(&shape, s.ranks, s.node);
  world_facts facts = s.facts;
  facts.features = feature_cases[2].features + feature_cases[2].count_features;
  reject(&schedule, &facts, list, sizeof list / sizeof *list);
}

static void causal_broken(void **state)
{
  (void)state;
  static const breakage list[] = {
      {"a tile not sent", PRECIS_STEP_SEND, 0, drop, WORLD_LABEL},
      {"the last tile not sent", PRECIS_STEP_SEND, 19, drop, WORLD_DEADLOCK},
      {"lower ranks not added", PRECIS_STEP_MERGE, 0, drop, WORLD_COVERAGE},
      {"lower ranks added twice", PRECIS_STEP_MERGE, 0, NULL, WORLD_COVERAGE},
      {"not summarised", PRECIS_STEP_SUMMARISE, 1, drop, WORLD_LABEL},
      {"not applied", PRECIS_STEP_APPLY, 1, drop, WORLD_COVERAGE},
      {"a block left out", PRECIS_STEP_COMPUTE, 1, drop, WORLD_COVERAGE},
      {"no wait", PRECIS_STEP_WAIT, 1, drop, WORLD_OVERWRITE},
      {"no last wait", PRECIS_STEP_WAIT, 20, drop, WORLD_UNWAITED},
  };
  static spread_case s;
  spread_make(&cases[0], 4, 3, &s);
  precis_summaries_shape shape = summaries_shape(&s, &feature_cases[2]);
  precis_schedule schedule = precis_schedule_causal(&shape, s.ranks, s.node);
  world_facts facts = s.facts;
  facts.features = feature_cases[2].features + feature_cases[2].count_features;
  facts.prefixes = 1;
  reject(&schedule, &facts, list, sizeof list / sizeof *list);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tiles),
      cmocka_unit_test(tiles_dealt),
      cmocka_unit_test(tiles_broken),
      cmocka_unit_test(heads),
      cmocka_unit_test(heads_broken),
      cmocka_unit_test(queries),
      cmocka_unit_test(queries_broken),
      cmocka_unit_test(summaries),
      cmocka_unit_test(summaries_broken),
      cmocka_unit_test(causal),
      cmocka_unit_test(causal_broken),
  };
  return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
