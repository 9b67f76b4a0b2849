#include "tests/schedule_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const problem_case schedule_cases[SCHEDULE_CASES] = {
    {{.heads = 4, .kv_heads = 4, .dim = 8, .value_dim = 8}, 100, 100, 16},
    {{.heads = 6, .kv_heads = 2, .dim = 5, .value_dim = 3, .causal = 1}, 90, 130, 7},
    {{.heads = 5, .kv_heads = 5, .dim = 4, .value_dim = 4, .causal = 1}, 130, 90, 64},
    {{.heads = 8, .kv_heads = 2, .dim = 4, .value_dim = 4, .causal = 1}, 1, 70, 8},
    {{.heads = 3, .kv_heads = 1, .dim = 2, .value_dim = 1}, 5, 3, 1},
    {{.heads = 2, .kv_heads = 1, .dim = 2, .value_dim = 2}, 0, 30, 4},
    {{.heads = 2, .kv_heads = 2, .dim = 2, .value_dim = 2}, 30, 0, 4},
};

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

static int node_of(int how, int ranks, int rank)
{
  switch (how) {
  case 0:
    return rank / 3;
  case 1:
    return rank % 2;
  case 2:
    return rank < ranks / 2 ? 0 : 1 + 2 * rank / 3;
  default:
    return rank;
  }
}

void schedule_spread(const problem_case *c, int ranks, int how, spread_case *s)
{
  int node[WORLD_RANKS];
  *s = (spread_case){.c = c, .ranks = ranks};
  for (int r = 0; r < ranks; r++) {
    node[r] = node_of(how, ranks, r);
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
  schedule_move(s, node);
}

void schedule_move(spread_case *s, const int *node)
{
  precis_nodes_free(&s->nodes);
  assert_int_equal(precis_nodes_create(s->ranks, node, &s->nodes), 0);
  s->cost.node = s->nodes.node;
  s->cost.nodes = s->nodes.count;
}

void schedule_spread_free(spread_case *s)
{
  precis_nodes_free(&s->nodes);
}

precis_schedule_totals schedule_check(const precis_schedule *schedule, const world_facts *facts)
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

void schedule_for_all(void (*check)(const spread_case *s))
{
  static const int ranks[] = {1, 2, 3, 4, 5, 7, 8, 13, 64};
  static spread_case s;
  for (size_t i = 0; i < SCHEDULE_CASES; i++)
    for (size_t j = 0; j < sizeof ranks / sizeof *ranks; j++)
      for (int how = 0; how < SPREADS; how++) {
        schedule_spread(&schedule_cases[i], ranks[j], how, &s);
        check(&s);
        schedule_spread_free(&s);
      }
}

void break_nothing(precis_step *step)
{
  (void)step;
}

void break_drop(precis_step *step)
{
  *step = (precis_step){.kind = PRECIS_STEP_WAIT, .requests = 0};
}

void break_fewer_bytes(precis_step *step)
{
  step->bytes -= 4;
}

void break_other_peer(precis_step *step)
{
  step->peer = step->peer == 0 ? 2 : 0;
}

void break_beyond(precis_step *step)
{
  step->offset += 1;
}

void break_other_rows(precis_step *step)
{
  step->block.first += 1;
}

void break_other_features(precis_step *step)
{
  step->block.first_feature += 1;
}

void break_other_slot(precis_step *step)
{
  step->slot += 1;
}

void break_swap_next(precis_step *step)
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

void schedule_reject(const precis_schedule *schedule, const world_facts *facts, const breakage *list,
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
