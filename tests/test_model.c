/* The cost model: what takes longer, and what chooses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/schedule/cost.h"
#include "src/model/footprint.h"
#include "src/plan/limit.h"
#include "src/model/model.h"
#include "src/base/share.h"

static const precis_problem problem = {
    .heads = 8, .kv_heads = 2, .dim = 16, .value_dim = 32, .scale = .25};

static precis_scene scene_of(int ranks, int nodes, int64_t tokens)
{
  return (precis_scene){.problem = &problem,
                        .rates = precis_rates_nominal(1),
                        .ranks = ranks,
                        .nodes = nodes,
                        .queries = tokens,
                        .keys = tokens,
                        .new_keys = tokens,
                        .pairs = (double)tokens * (double)tokens * problem.heads,
                        .tile_rows = 1024,
                        .thread_memory = 1 << 20,
                        .pieces = 2,
                        .piece_rows = tokens * problem.heads / ranks,
                        .needed_heads = {1, 1}};
}

static const precis_summary_size quadratic = {
    .degree = 2, .envelope_degree = 4, .features = 153, .count_features = 4845 - 153};

/* More work or more bytes never take less time; a faster machine never more. */
static void monotone(void **state)
{
  (void)state;
  const precis_wire bytes = {1000000, 0}, more = {2000000, 0};
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++) {
    precis_scene s = scene_of(4, 2, 8000), longer = scene_of(4, 2, 16000),
                 wide = scene_of(8, 2, 8000), fast = s;
    fast.rates = precis_rates_with_threads(&s.rates, 2);
    precis_prediction base = precis_model_exact(&s, move, &bytes);
    assert_true(base.seconds > 0 && base.fast_memory_words > 0 && base.peak_bytes > 0);
    assert_true(fabs(base.seconds -
                     (base.survey + base.plan + base.compute + base.passes + base.wire)) < 1e-12);
    assert_true(precis_model_exact(&longer, move, &bytes).seconds > base.seconds);
    assert_true(precis_model_exact(&longer, move, &bytes).peak_bytes > base.peak_bytes);
    assert_true(precis_model_exact(&s, move, &more).wire >= base.wire);
    assert_true(precis_model_exact(&wide, move, &bytes).compute < base.compute);
    assert_true(precis_model_exact(&fast, move, &bytes).compute < base.compute);
  }
  precis_scene s = scene_of(4, 2, 8000), longer = scene_of(4, 2, 16000), causal = s;
  causal.prefixes = 1;
  precis_prediction base = precis_model_summaries(&s, &quadratic, &bytes);
  precis_summary_size larger = quadratic;
  larger.features *= 2;
  assert_true(base.seconds > 0 && base.fast_memory_words > 0 && base.peak_bytes > 0);
  assert_true(precis_model_summaries(&longer, &quadratic, &bytes).seconds > base.seconds);
  assert_true(precis_model_summaries(&s, &larger, &bytes).seconds > base.seconds);
  double least = precis_model_summaries_least(&s);
  assert_true(least > 0 && least < precis_model_summaries(&s, &quadratic, &bytes).seconds);
  double few = precis_model_outlier_seconds(&s, 1e8, 1e5, 0);
  assert_true(precis_model_outlier_seconds(&s, 1e9, 1e5, 0) > few);
  assert_true(precis_model_outlier_seconds(&s, 1e8, 1e6, 0) > few);
  assert_true(precis_model_summaries(&causal, &quadratic, &bytes).compute > base.compute);
  assert_true(precis_model_kept(&s, &quadratic, &bytes, 0).seconds < base.seconds);
}

/* Exact attention is quadratic in n, summaries linear: somewhere they meet. */
static void orders(void **state)
{
  (void)state;
  const precis_wire none = {0, 0};
  precis_scene s = scene_of(4, 2, 1 << 20), twice = scene_of(4, 2, 1 << 21);
  double exact = precis_model_exact(&twice, PRECIS_MOVE_TILES, &none).seconds /
                 precis_model_exact(&s, PRECIS_MOVE_TILES, &none).seconds;
  double summaries = precis_model_summaries(&twice, &quadratic, &none).seconds /
                     precis_model_summaries(&s, &quadratic, &none).seconds;
  assert_true(exact > 3.8 && exact < 4.1);
  assert_true(summaries > 1.9 && summaries < 2.1);
}

/* Fewest seconds win; among equals fewest bytes; among those the first. */
static void choice(void **state)
{
  (void)state;
  precis_prediction p[PRECIS_MOVES] = {{0}};
  p[PRECIS_MOVE_TILES] = (precis_prediction){.seconds = 2, .bytes = {5, 0}};
  p[PRECIS_MOVE_HEADS] = (precis_prediction){.seconds = 1, .bytes = {9, 0}};
  p[PRECIS_MOVE_QUERIES] = (precis_prediction){.seconds = 1, .bytes = {4, 4}};
  assert_int_equal(precis_model_choose(p), PRECIS_MOVE_QUERIES);
  p[PRECIS_MOVE_HEADS].bytes.network = 8;
  assert_int_equal(precis_model_choose(p), PRECIS_MOVE_HEADS);
  p[PRECIS_MOVE_TILES].seconds = .5;
  assert_int_equal(precis_model_choose(p), PRECIS_MOVE_TILES);
}

/* Bytes by the kind of link: sums are those of one node, everything is inside on one node, nothing
 * is where each rank has its own; what ranks of a node see of each other is no message. */
static void links(void **state)
{
  (void)state;
  enum { RANKS = 6 };
  const int nodes[][RANKS] = {{0, 0, 0, 0, 0, 0},
                              {0, 0, 0, 1, 1, 1},
                              {0, 1, 2, 0, 1, 2},
                              {0, 0, 0, 0, 1, 1},
                              {0, 1, 2, 3, 4, 5}};
  const int counts[] = {1, 2, 3, 2, RANKS};
  int64_t start[RANKS + 1], first[RANKS], rows[RANKS];
  for (int r = 0; r <= RANKS; r++)
    start[r] = precis_share_first(1003, RANKS, r);
  for (int r = 0; r < RANKS; r++) {
    first[r] = start[r];
    rows[r] = precis_share_rows(1003, RANKS, r);
  }
  precis_query_map map = {
      .ranks = RANKS, .causal = 1, .keys = 1003, .start = start, .first_position = first};
  precis_cut cuts[RANKS + 1];
  precis_split_heads(&map, problem.heads, cuts);
  precis_cost_input in = {.problem = &problem,
                          .map = &map,
                          .key_rows = rows,
                          .cuts = cuts,
                          .kind = {.heads = 2, .dim = 16, .value_dim = 32, .with_positions = 1}};
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++) {
    in.node = NULL;
    in.nodes = 1;
    precis_wire alone = precis_cost_wire(&in, move);
    assert_true(alone.network == 0 && (alone.node > 0) == (move != PRECIS_MOVE_TILES));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
      in.node = nodes[i];
      in.nodes = counts[i];
      precis_wire wire = precis_cost_wire(&in, move);
      assert_true((wire.network == 0) == (counts[i] == 1));
      if (move == PRECIS_MOVE_TILES)
        continue;
      assert_int_equal(precis_wire_sum(&wire), alone.node);
      assert_true((wire.node == 0) == (counts[i] == RANKS));
    }
  }
  /* Round a ring of two nodes, each key crosses once. */
  in.node = nodes[1];
  in.nodes = 2;
  precis_wire ring = precis_cost_wire(&in, PRECIS_MOVE_TILES);
  assert_int_equal(ring.node, 0);
  assert_int_equal(ring.network, 1003 * (8 + 2 * 4 * (16 + 33)));
  precis_wire reduced = precis_cost_summaries(RANKS, 2, nodes[1], 600, 0),
              chain = precis_cost_summaries(RANKS, 2, nodes[1], 600, 1);
  assert_int_equal(reduced.node, 0);
  assert_int_equal(reduced.network, 2 * 600 * 4);
  assert_int_equal(chain.node, 4 * 600 * 4);
  assert_int_equal(chain.network, 600 * 4);
}

/* Repair of a row reads the keys of its head, that of many rows those of all heads, and that of all
 * rows takes about what exact attention does. */
static void repairs(void **state)
{
  (void)state;
  const precis_wire none = {0};
  precis_scene s = scene_of(4, 1, 8000);
  double all = (double)s.queries * problem.heads, before = 0;
  double exact = precis_model_exact(&s, PRECIS_MOVE_QUERIES, &none).seconds;
  assert_true(precis_model_repair_seconds(&s, 0) == 0);
  for (double rows = 1; rows < all; rows *= 3) {
    double seconds = precis_model_repair_seconds(&s, rows);
    assert_true(seconds > before && seconds < 3 * rows * precis_model_repair_seconds(&s, 1));
    before = seconds;
  }
  before = precis_model_repair_seconds(&s, all);
  assert_true(before > exact / 2 && before < 2 * exact);
}

/* Memory that is slow to take anew makes calls dearer that take more of it, and parcels smaller,
 * unless their size was given. */
static void pages(void **state)
{
  (void)state;
  precis_scene s = scene_of(4, 1, 40000), slow = s;
  const precis_wire none[PRECIS_MOVES] = {{0}};
  precis_prediction fast[PRECIS_MOVES] = {{0}}, paid[PRECIS_MOVES] = {{0}};
  s.queries = slow.queries = 8;
  s.pairs = slow.pairs = 8. * 40000 * problem.heads;
  s.tile_rows = slow.tile_rows = 8192;
  slow.rates.page_bandwidth = s.rates.page_bandwidth / 100;
  precis_limit_choose(&s, PRECIS_MOVE_TILES, none, fast);
  precis_limit_choose(&slow, PRECIS_MOVE_TILES, none, paid);
  assert_true(paid[PRECIS_MOVE_TILES].seconds > fast[PRECIS_MOVE_TILES].seconds);
  assert_true(slow.tile_rows == 1024);
  slow.tile_rows = 8192;
  slow.fixed_tiles = 1;
  precis_limit_choose(&slow, PRECIS_MOVE_TILES, none, paid);
  assert_true(slow.tile_rows == 8192);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(monotone), cmocka_unit_test(orders),     cmocka_unit_test(choice),
      cmocka_unit_test(pages),
      cmocka_unit_test(repairs),
      cmocka_unit_test(links),
  };
  return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
