/* schedule_case.h - problems spread over ranks, their schedules checked, and broken on purpose */
#ifndef PRECIS_TESTS_SCHEDULE_CASE_H
#define PRECIS_TESTS_SCHEDULE_CASE_H

#include "src/schedule/cost.h"
#include "src/schedule/build.h"
#include "tests/schedule_world.h"

enum { SPREADS = 4, BROKEN = 2 /* the rank whose steps are broken */ };

typedef struct problem_case {
  precis_problem problem;
  int64_t queries, keys, tile_rows;
} problem_case;

/* A problem spread over ranks, with all that builders take. */
typedef struct spread_case {
  const problem_case *c;
  int ranks;
  precis_nodes nodes;
  int64_t start[WORLD_RANKS + 1], first_position[WORLD_RANKS], query_rows[WORLD_RANKS],
      key_rows[WORLD_RANKS];
  precis_query_map map;
  precis_cut cuts[WORLD_RANKS + 1];
  precis_parcel_kind kind;
  world_facts facts;
  precis_cost_input cost;
} spread_case;

/* Case `number` of schedule_cases in all. */
enum { SCHEDULE_CASES = 7 };
extern const problem_case schedule_cases[SCHEDULE_CASES];

/* how: of the rows over the ranks, and of these over nodes, 0 .. SPREADS - 1: threes, two nodes in
 * turn, one large and others of one and two, and each its own. */
void schedule_spread(const problem_case *c, int ranks, int how, spread_case *s);
void schedule_spread_free(spread_case *s);

/* The same rows on other nodes. node: of each rank. */
void schedule_move(spread_case *s, const int *node);

/* Calls check for every case, many numbers of ranks, and every spread. */
void schedule_for_all(void (*check)(const spread_case *s));

/* Runs all ranks, and returns what they send. */
precis_schedule_totals schedule_check(const precis_schedule *schedule, const world_facts *facts);

/* One way to break a schedule. */
typedef struct breakage {
  const char *what;
  precis_step_kind kind; /* of the step that is broken, the `number`th of its kind */
  int number;
  void (*apply)(precis_step *step); /* NULL: done twice */
  world_verdict verdict;
} breakage;

/* Every breakage is found, and called by its name. */
void schedule_reject(const precis_schedule *schedule, const world_facts *facts,
                     const breakage *list, int count);

/* Breakages. */
void break_nothing(precis_step *step);
void break_drop(precis_step *step);
void break_fewer_bytes(precis_step *step);
void break_other_peer(precis_step *step);
void break_beyond(precis_step *step);
void break_other_rows(precis_step *step);
void break_other_features(precis_step *step);
void break_other_slot(precis_step *step);
void break_swap_next(precis_step *step);

#endif
