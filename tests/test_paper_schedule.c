/* Schedules of plans on paper: what they print is what was predicted, byte for byte, for every move,
 * any number of ranks and nodes, with and without a causal mask. */
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/paper/schedule.h"
#include "src/base/problem.h"
#include "src/schedule/print.h"

enum { RANKS_MOST = 8, LINE = 512 };

static precis_paper paper_of(precis_move move, int64_t queries, int64_t keys, int ranks, int each,
                             int causal)
{
  precis_paper p = {.problem = {.heads = 6, .kv_heads = 2, .dim = 8, .value_dim = 5,
                                .causal = causal},
                    .queries = queries,
                    .keys = keys,
                    .ranks = ranks,
                    .ranks_per_node = each,
                    .spread = .2,
                    .degree = move == PRECIS_MOVE_SUMMARIES ? 2 : 0,
                    .tol = move == PRECIS_MOVE_SUMMARIES ? DBL_MAX : 0,
                    .move = move,
                    .rates = precis_rates_nominal(1)};
  assert_int_equal(precis_problem_settle(&p.problem, NULL), PRECIS_SUCCESS);
  return p;
}

typedef struct tally {
  const precis_paper *paper;
  int rank;
  precis_wire sent;
} tally;

static int is_near(const tally *t, int peer)
{
  return peer / t->paper->ranks_per_node == t->rank / t->paper->ranks_per_node;
}

static int add(void *context, const precis_step *step)
{
  tally *t = context;
  if (step->kind == PRECIS_STEP_SEND) {
    assert_int_equal(step->link == PRECIS_LINK_NODE, is_near(t, step->peer));
    *(is_near(t, step->peer) ? &t->sent.node : &t->sent.network) += step->bytes;
  }
  for (int r = 0; step->kind == PRECIS_STEP_EXCHANGE && r < t->paper->ranks; r++) {
    int64_t rows = r == t->rank ? 0 : precis_exchange_rows(step->exchange, t->rank, r);
    *(is_near(t, r) ? &t->sent.node : &t->sent.network) += rows * step->exchange->row_bytes;
  }
  return 0;
}

/* What all ranks send. */
static precis_wire sent_by(const precis_paper *p, const precis_paper_schedules *s)
{
  tally t = {.paper = p};
  for (int i = 0; i < s->count; i++)
    for (t.rank = 0; t.rank < p->ranks; t.rank++)
      for (int64_t round = 0; round < s->schedule[i].rounds; round++)
        precis_schedule_visit(&s->schedule[i], t.rank, round, add, &t);
  return t.sent;
}

static void check(const precis_paper *p)
{
  precis_paper_fits fits;
  precis_paper_plan plan;
  precis_paper_schedules s;
  assert_int_equal(precis_paper_fit_all(p, &fits), PRECIS_SUCCESS);
  assert_int_equal(precis_paper_make(p, &fits, &plan, NULL), PRECIS_SUCCESS);
  assert_int_equal(plan.move, p->move);
  assert_int_equal(precis_paper_schedules_make(p, &fits, &plan, &s), PRECIS_SUCCESS);
  assert_true(s.count > 0);
  const precis_wire sent = sent_by(p, &s), *predicted = &plan.predicted[plan.move].bytes;
  assert_int_equal(precis_wire_sum(&sent), precis_wire_sum(predicted));
  /* Ranks of one node may see what they would send. */
  assert_true(precis_wire_sum(&sent) > 0 || p->ranks <= p->ranks_per_node);
  assert_true(precis_wire_sum(&sent) == 0 || p->ranks > 1);
  /* By the kind of link: slices of reductions are equal but for a number, and shares of keys that
   * were dealt out but for a block, which predictions leave out. */
  int64_t slack = p->move == PRECIS_MOVE_SUMMARIES && !p->problem.causal
                      ? precis_wire_sum(&sent) / 20
                  : p->move == PRECIS_MOVE_TILES && plan.scene.deal_keys
                      ? precis_wire_sum(&sent) / 500
                      : 0;
  if (p->ranks % p->ranks_per_node == 0 || slack == 0) {
    assert_true(llabs((long long)(sent.node - predicted->node)) <= slack);
    assert_true(llabs((long long)(sent.network - predicted->network)) <= slack);
  }
  precis_paper_schedules_free(&s);
}

static void bytes(void **state)
{
  (void)state;
  static const int64_t shapes[][2] = {{900, 900}, {301, 2000}, {2, 700}, {500, 133}};
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_SUMMARIES; move++)
    for (int ranks = 1; ranks <= RANKS_MOST; ranks++)
      for (int each = 1; each <= ranks; each++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
          for (int causal = 0; causal < 2; causal++) {
            precis_paper p = paper_of(move, shapes[i][0], shapes[i][1], ranks, each, causal);
            check(&p);
          }
}

/* Many parcels, so that rows are dealt out in many rounds; a limit that asks for small ones. */
static void dealt(void **state)
{
  (void)state;
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++)
    for (int part = 0; part < 2; part++) {
      precis_paper p = paper_of(move, 100000, 100000, 6, 3, 1);
      p.memory_limit = part ? 25000000 : 0;
      precis_paper_fits fits;
      precis_paper_plan plan;
      assert_int_equal(precis_paper_fit_all(&p, &fits), PRECIS_SUCCESS);
      if (precis_paper_make(&p, &fits, &plan, NULL) == PRECIS_SUCCESS)
        check(&p);
      else
        assert_int_equal(part, 1);
    }
}

/* Thousands of ranks: every kind of page is short, no line is longer than a terminal's, and what is
 * left out is said. */
static void pages(void **state)
{
  (void)state;
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_SUMMARIES; move++)
    for (int causal = 0; causal < 2; causal++) {
      precis_paper p = paper_of(move, 1000000000, 1000000000, 4096, 64, causal);
      precis_paper_fits fits;
      precis_paper_plan plan;
      precis_paper_schedules s;
      const precis_schedule_page page = {.rank = 4095, .first = 0, .end = INT64_MAX, .most = 100};
      char line[LINE];
      int lines = 0, said = 0;
      assert_int_equal(precis_paper_fit_all(&p, &fits), PRECIS_SUCCESS);
      assert_int_equal(precis_paper_make(&p, &fits, &plan, NULL), PRECIS_SUCCESS);
      assert_int_equal(precis_paper_schedules_make(&p, &fits, &plan, &s), PRECIS_SUCCESS);
      FILE *file = tmpfile();
      assert_non_null(file);
      int64_t left_out = precis_schedule_print(&s.schedule[s.count - 1], &page, file);
      rewind(file);
      for (; fgets(line, sizeof line, file) != NULL; lines++) {
        assert_true(strlen(line) <= 101);
        said += strstr(line, "more steps") != NULL;
      }
      fclose(file);
      int is_short = move == PRECIS_MOVE_SUMMARIES && causal;
      assert_true((left_out > 0) == !is_short && said == !is_short && lines < 200);
      precis_paper_schedules_free(&s);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes),
      cmocka_unit_test(dealt),
      cmocka_unit_test(pages),
  };
  return cmocka_run_group_tests_name("paper_schedule", tests, NULL, NULL);
}
