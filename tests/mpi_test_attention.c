/* Every exact move against the oracle: shapes, masks, distributions, extremes. */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/attention_case.h"

static const attention_case cases[] = {
    {.name = "one token", .problem = {.heads = 1, .dim = 1}, .queries = 1, .keys = 1},
    {.name = "d = 1", .problem = {.heads = 2, .dim = 1}, .queries = 40, .keys = 60},
    {.name = "plain", .problem = {.heads = 4, .dim = 64}, .queries = 150, .keys = 150},
    {.name = "grouped", .problem = {.heads = 6, .kv_heads = 2, .dim = 32}, .queries = 97,
     .keys = 131},
    {.name = "causal", .problem = {.heads = 2, .dim = 32, .causal = 1}, .queries = 333,
     .keys = 333, .tile_rows = 50},
    {.name = "causal, fewer queries", .problem = {.heads = 3, .dim = 16, .causal = 1},
     .queries = 61, .keys = 400},
    {.name = "causal, more queries", .problem = {.heads = 3, .dim = 16, .causal = 1},
     .queries = 90, .keys = 50},
    {.name = "decode", .problem = {.heads = 8, .kv_heads = 2, .dim = 64, .causal = 1},
     .queries = 1, .keys = 500,
     .appends = 7},
    {.name = "unequal dimensions", .problem = {.heads = 2, .dim = 24, .value_dim = 33},
     .queries = 70, .keys = 110},
    {.name = "wide", .problem = {.heads = 1, .dim = 256, .value_dim = 256}, .queries = 33,
     .keys = 65},
    {.name = "scale", .problem = {.heads = 2, .dim = 8, .scale = -0.7}, .queries = 50, .keys = 70},
    {.name = "bias", .problem = {.heads = 2, .dim = 16}, .queries = 50, .keys = 120,
     .bias = BIAS_RANDOM},
    {.name = "mask", .problem = {.heads = 2, .dim = 16, .causal = 1}, .queries = 120, .keys = 120,
     .bias = BIAS_HALF_MASKED, .appends = 3},
    {.name = "all masked", .problem = {.heads = 2, .dim = 16}, .queries = 20, .keys = 30,
     .bias = BIAS_ALL_MASKED},
    {.name = "no keys", .problem = {.heads = 2, .dim = 16}, .queries = 20, .keys = 0},
    {.name = "no queries", .problem = {.heads = 2, .dim = 16}, .queries = 0, .keys = 20},
    {.name = "nothing", .problem = {.heads = 2, .dim = 16, .causal = 1}, .queries = 0, .keys = 0},
    {.name = "more ranks than tokens", .problem = {.heads = 1, .dim = 8, .causal = 1},
     .queries = 3, .keys = 2},
    {.name = "all on the last rank", .problem = {.heads = 3, .dim = 16, .causal = 1},
     .queries = 300, .keys = 300,
     .spread = SPREAD_LAST},
    {.name = "uneven", .problem = {.heads = 5, .dim = 16}, .queries = 200, .keys = 220,
     .spread = SPREAD_RANDOM,
     .appends = 2},
    {.name = "rank 0 empty", .problem = {.heads = 2, .dim = 16, .causal = 1}, .queries = 200,
     .keys = 220,
     .spread = SPREAD_NOT_FIRST, .appends = 4, .bias = BIAS_RANDOM},
    {.name = "positions", .problem = {.heads = 2, .dim = 16, .causal = 1}, .queries = 80,
     .keys = 100,
     .explicit_positions = 1, .first_position = -10},
    {.name = "positions beyond", .problem = {.heads = 2, .dim = 16, .causal = 1}, .queries = 80,
     .keys = 100,
     .explicit_positions = 1, .first_position = 60, .spread = SPREAD_RANDOM},
    {.name = "offset", .problem = {.heads = 2, .dim = 64}, .queries = 64, .keys = 256,
     .kind = PRECIS_KIND_OFFSET},
    {.name = "sinks", .problem = {.heads = 2, .dim = 64}, .queries = 64, .keys = 256,
     .kind = PRECIS_KIND_SINKS},
    {.name = "unit", .problem = {.heads = 2, .dim = 64}, .queries = 64, .keys = 256,
     .kind = PRECIS_KIND_UNIT},
    {.name = "values far away", .problem = {.heads = 2, .dim = 32}, .queries = 64, .keys = 256,
     .value_offset = 1e4},
    {.name = "peaked", .problem = {.heads = 2, .dim = 32}, .queries = 64, .keys = 256,
     .strength = 50},
    {.name = "threads", .problem = {.heads = 3, .dim = 32, .causal = 1}, .queries = 500,
     .keys = 500, .threads = 3,
     .tile_rows = 128},
};

static void check(const attention_case *c, precis_move move)
{
  attention_outcome o = attention_case_run(MPI_COMM_WORLD, c, move);
  int good = attention_case_good(c, &o);
  /* The promise is a worst case; roundings go either way, so that what is seen must be far better
   * wherever there are more than a few. */
  if (c->keys > 9)
    good = good && o.computed_error <= o.report.promise_range / 5 &&
           o.lse_error <= o.report.lse_promise / 5;
  if (!good)
    fprintf(stderr,
            "%s, %s: status %d, error %.3g, lse error %.3g of %.3g, used %.3g of %.3g, broken %d, "
            "false heads %d, miscounted %d, empty rows %s\n",
            c->name, precis_move_name(move), o.status, o.error, o.lse_error, o.report.lse_promise,
            o.used, o.report.promise, o.broken, o.false_heads, o.miscounted,
            o.bad_empty ? "bad" : "good");
  assert_all(MPI_COMM_WORLD, good);
  int64_t predicted = o.report.predicted_bytes[move],
          counted = o.report.network_bytes + o.report.node_bytes;
  if (predicted != counted)
    fprintf(stderr, "%s, %s: predicted %lld bytes, counted %lld\n", c->name, precis_move_name(move),
            (long long)predicted, (long long)counted);
  assert_all(MPI_COMM_WORLD, predicted == counted);
  precis_forecast forecast = o.report.forecast[move];
  assert_all(MPI_COMM_WORLD, forecast.network_bytes == o.report.network_bytes &&
                                 forecast.node_bytes == o.report.node_bytes);
}

static void check_all(precis_move move)
{
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check(&cases[i], move);
}

static void tiles(void **state)
{
  (void)state;
  check_all(PRECIS_MOVE_TILES);
}

static void heads(void **state)
{
  (void)state;
  check_all(PRECIS_MOVE_HEADS);
}

static void queries(void **state)
{
  (void)state;
  check_all(PRECIS_MOVE_QUERIES);
}

/* The same where ranks are spread over nodes as they come: one each, in turn, uneven. */
static void nodes(void **state)
{
  (void)state;
  static const char *const places[] = {"0 1 2 3 4 5 6", "0 1", "0 0 0 1 2", "0 0 1 1 2", "0 1 1 1 0"};
  for (size_t n = 0; n < sizeof places / sizeof *places; n++) {
    setenv("PRECIS_NODES", places[n], 1);
    for (size_t i = n % 2; i < sizeof cases / sizeof *cases; i += 2) {
      check(&cases[i], PRECIS_MOVE_TILES);
      check(&cases[i], i % 4 < 2 ? PRECIS_MOVE_QUERIES : PRECIS_MOVE_HEADS);
    }
  }
  unsetenv("PRECIS_NODES");
}

/* The slowest rank's pairs are within a tenth of the mean. */
static void balance(void **state)
{
  (void)state;
  const attention_case big = {.name = "balance",
                              .problem = {.heads = 3, .dim = 8, .causal = 1},
                              .queries = 900,
                              .keys = 900,
                              .tile_rows = 64};
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++) {
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &big, move);
    int good = o.status == PRECIS_SUCCESS &&
               (double)o.report.pairs_most * o.report.ranks <= 1.1 * (double)o.report.pairs;
    if (!good)
      fprintf(stderr, "%s: busiest rank %lld of %lld pairs\n", precis_move_name(move),
              (long long)o.report.pairs_most, (long long)o.report.pairs);
    assert_all(MPI_COMM_WORLD, good);
    assert_all(MPI_COMM_WORLD, o.report.pairs == (int64_t)3 * 900 * 901 / 2);
  }
}

/* Without a wish, the move with the fewest predicted seconds runs. */
static void automatic(void **state)
{
  (void)state;
  const attention_case decode = {
      .name = "auto", .problem = {.heads = 2, .dim = 16}, .queries = 1, .keys = 400};
  const char *const places[] = {"0", "0 1 2 3 4 5 6"}; /* one node, one each */
  for (int apart = 0; apart < 2; apart++) {
    setenv("PRECIS_NODES", places[apart], 1);
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &decode, PRECIS_MOVE_AUTO);
    unsetenv("PRECIS_NODES");
    const precis_report *r = &o.report;
    assert_all(MPI_COMM_WORLD, attention_case_good(&decode, &o) && r->move != PRECIS_MOVE_AUTO &&
                                   r->move != PRECIS_MOVE_SUMMARIES);
    for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++)
      assert_all(MPI_COMM_WORLD, r->ranks == 1
                                     ? r->move == PRECIS_MOVE_TILES /* nothing moves */
                                     : r->forecast[r->move].seconds <= r->forecast[move].seconds);
    assert_all(MPI_COMM_WORLD, r->nodes == (apart ? r->ranks : 1));
    assert_all(MPI_COMM_WORLD, r->nodes == 1 || r->move == PRECIS_MOVE_QUERIES);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tiles),   cmocka_unit_test(heads),     cmocka_unit_test(queries),
      cmocka_unit_test(nodes),   cmocka_unit_test(balance),   cmocka_unit_test(automatic),
  };
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int failed = cmocka_run_group_tests_name("attention", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
