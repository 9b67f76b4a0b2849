/* Attention by summaries: every row within its promise, the promise within the tolerance, bytes as
 * predicted; and what happens where summaries will not do. */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "src/plan/choose.h"
#include "tests/attention_case.h"

static int rank, ranks;

/* What summaries of some degree can do. Those without a tolerance have the degree named, and
 * promise what they can. */
static const attention_case cases[] = {
    {.name = "plain", .problem = {.heads = 2, .dim = 16}, .queries = 200, .keys = 300,
     .strength = .1, .tol = .05},
    {.name = "unit", .problem = {.heads = 2, .dim = 16}, .queries = 200, .keys = 300,
     .kind = PRECIS_KIND_UNIT, .strength = .2, .tol = .02},
    {.name = "fine", .problem = {.heads = 1, .dim = 4}, .queries = 200, .keys = 300, .strength = .1,
     .tol = 5e-4},
    {.name = "grouped", .problem = {.heads = 6, .kv_heads = 2, .dim = 8}, .queries = 97,
     .keys = 131, .strength = .1, .tol = .05},
    {.name = "unequal dimensions", .problem = {.heads = 2, .dim = 5, .value_dim = 33},
     .queries = 70, .keys = 110, .strength = .2, .tol = .05},
    {.name = "narrow values", .problem = {.heads = 2, .dim = 12, .value_dim = 1}, .queries = 70,
     .keys = 110, .strength = .1, .tol = .05},
    {.name = "d = 1", .problem = {.heads = 2, .dim = 1}, .queries = 90, .keys = 110,
     .strength = .25, .tol = .01},
    {.name = "d = 64", .problem = {.heads = 1, .dim = 64}, .queries = 60, .keys = 90,
     .strength = .2, .degree = 2},
    {.name = "degree 8", .problem = {.heads = 1, .dim = 3}, .queries = 100, .keys = 200,
     .strength = .5, .degree = 8, .tol = .01},
    {.name = "degree 1", .problem = {.heads = 2, .dim = 32}, .queries = 100, .keys = 200,
     .strength = .05, .degree = 1},
    {.name = "bias", .problem = {.heads = 2, .dim = 8}, .queries = 90, .keys = 400, .strength = .1,
     .bias = BIAS_RANDOM, .tol = .05},
    {.name = "far biases", .problem = {.heads = 2, .dim = 8}, .queries = 90, .keys = 400,
     .strength = .1, .bias = BIAS_RANDOM, .bias_factor = 1000, .tol = .05},
    {.name = "half masked", .problem = {.heads = 2, .dim = 8, .causal = 1}, .queries = 500,
     .keys = 500, .strength = .1, .bias = BIAS_HALF_MASKED, .appends = 3, .tol = .05},
    {.name = "key offset", .problem = {.heads = 2, .dim = 8}, .queries = 90, .keys = 200,
     .strength = .1, .key_offset = 10, .tol = .05},
    {.name = "value offset", .problem = {.heads = 2, .dim = 8}, .queries = 90, .keys = 200,
     .strength = .1, .value_offset = 1e4, .tol = .05},
    {.name = "query offset", .problem = {.heads = 2, .dim = 8}, .queries = 90, .keys = 200,
     .strength = .1, .query_offset = 10, .degree = 4},
    {.name = "all offsets", .problem = {.heads = 2, .dim = 8, .causal = 1}, .queries = 390,
     .keys = 390, .strength = .1, .query_offset = 2, .key_offset = 10, .value_offset = 1e4,
     .tol = .05},
    {.name = "one token", .problem = {.heads = 1, .dim = 4}, .queries = 1, .keys = 1,
     .strength = .1, .tol = .05},
    {.name = "one key", .problem = {.heads = 2, .dim = 4}, .queries = 30, .keys = 1, .strength = .1,
     .tol = .05},
    {.name = "one query", .problem = {.heads = 4, .kv_heads = 2, .dim = 4}, .queries = 1,
     .keys = 400, .strength = .1, .tol = .05},
    {.name = "fewer tokens than ranks", .problem = {.heads = 1, .dim = 8, .causal = 1},
     .queries = 3, .keys = 2, .strength = .1, .tol = .1},
    {.name = "scale", .problem = {.heads = 2, .dim = 8, .scale = -.2}, .queries = 90, .keys = 120,
     .strength = .2, .tol = .05},
    {.name = "causal", .problem = {.heads = 2, .dim = 8, .causal = 1}, .queries = 1100,
     .keys = 1100, .strength = .1, .tol = .05},
    {.name = "causal, grouped", .problem = {.heads = 6, .kv_heads = 2, .dim = 8, .causal = 1},
     .queries = 600, .keys = 600, .strength = .1, .tol = .05, .bias = BIAS_RANDOM},
    {.name = "causal, fewer queries", .problem = {.heads = 3, .dim = 8, .causal = 1}, .queries = 61,
     .keys = 700, .strength = .1, .tol = .05},
    {.name = "causal, more queries", .problem = {.heads = 3, .dim = 8, .causal = 1}, .queries = 600,
     .keys = 400, .strength = .1, .tol = .05},
    {.name = "causal, all on the last rank", .problem = {.heads = 2, .dim = 8, .causal = 1},
     .queries = 600, .keys = 600, .strength = .1, .tol = .05, .spread = SPREAD_LAST},
    {.name = "causal, heavy late keys", .problem = {.heads = 1, .dim = 4, .causal = 1},
     .queries = 900, .keys = 900, .strength = .1, .tol = .05, .bias = BIAS_RANDOM,
     .bias_factor = 100},
    {.name = "positions", .problem = {.heads = 2, .dim = 8, .causal = 1}, .queries = 300,
     .keys = 400, .strength = .1, .tol = .05, .explicit_positions = 1, .first_position = -10},
    {.name = "positions beyond", .problem = {.heads = 2, .dim = 8, .causal = 1}, .queries = 300,
     .keys = 400, .strength = .1, .tol = .05, .explicit_positions = 1, .first_position = 260,
     .spread = SPREAD_RANDOM},
    {.name = "rank 0 empty", .problem = {.heads = 2, .dim = 8}, .queries = 200, .keys = 220,
     .strength = .1, .tol = .05, .spread = SPREAD_NOT_FIRST, .appends = 4, .bias = BIAS_RANDOM},
    {.name = "all on the last rank", .problem = {.heads = 3, .dim = 8}, .queries = 100, .keys = 300,
     .strength = .1, .tol = .05, .spread = SPREAD_LAST},
    {.name = "decode", .problem = {.heads = 4, .kv_heads = 2, .dim = 8, .causal = 1}, .queries = 1,
     .keys = 410, .strength = .1, .tol = .05, .later = 9},
    {.name = "grow", .problem = {.heads = 2, .dim = 8}, .queries = 90, .keys = 300, .strength = .1,
     .tol = .05, .later = 5, .bias = BIAS_RANDOM, .bias_factor = 20, .spread = SPREAD_RANDOM,
     .appends = 2},
    {.name = "grow, causal", .problem = {.heads = 2, .dim = 8, .causal = 1}, .queries = 300,
     .keys = 600, .strength = .1, .tol = .05, .later = 2, .appends = 3},
    {.name = "drift", .problem = {.heads = 2, .dim = 8}, .queries = 90, .keys = 300, .strength = .1,
     .drift = 2, .tol = .05, .later = 3},
    {.name = "heavy keys", .problem = {.heads = 2, .dim = 8}, .queries = 300, .keys = 2000,
     .strength = .1, .heavy = 400, .tol = .05},
    {.name = "heavy keys, grouped", .problem = {.heads = 4, .kv_heads = 2, .dim = 8},
     .queries = 300, .keys = 2000, .strength = .1, .heavy = 400, .bias = BIAS_RANDOM, .tol = .05,
     .spread = SPREAD_RANDOM, .appends = 2},
    {.name = "heavy keys, causal", .problem = {.heads = 2, .dim = 8, .causal = 1}, .queries = 2000,
     .keys = 2000, .strength = .1, .heavy = 400, .tol = .05},
    {.name = "heavy keys, causal, masked", .problem = {.heads = 2, .dim = 8, .causal = 1},
     .queries = 700, .keys = 2000, .strength = .1, .heavy = 300, .bias = BIAS_HALF_MASKED,
     .tol = .05, .spread = SPREAD_LAST},
    {.name = "long query", .problem = {.heads = 2, .dim = 8}, .queries = 300, .keys = 500,
     .strength = .1, .long_query = 77, .length = 30, .tol = .05},
    {.name = "long query, causal", .problem = {.heads = 2, .dim = 8, .causal = 1}, .queries = 500,
     .keys = 500, .strength = .1, .long_query = 477, .length = 30, .tol = .05},
    {.name = "heavy keys and a long query, growing", .problem = {.heads = 2, .dim = 8},
     .queries = 300, .keys = 2000, .strength = .1, .heavy = 333, .long_query = 5, .length = 20,
     .tol = .05, .later = 3},
    {.name = "heavy keys later", .problem = {.heads = 2, .dim = 8}, .queries = 300, .keys = 2001,
     .strength = .1, .heavy = 400, .tol = .05, .later = 5, .spread = SPREAD_RANDOM},
    {.name = "threads", .problem = {.heads = 3, .dim = 16, .causal = 1}, .queries = 500,
     .keys = 500, .strength = .1, .threads = 3, .tol = .05},
};

static void describe(const attention_case *c, const attention_outcome *o)
{
  const precis_report *r = &o->report;
  if (rank == 0)
    fprintf(stderr,
            "%s: status %d (%s), %s (%s), degrees %d %d, bound %.3g, error %.3g of %.3g, lse error "
            "%.3g of %.3g, broken %d, bad "
            "empty %d, false heads %d, touched %d, miscounted %d, recomputed %lld, by summaries %d\n",
            c->name, o->status, o->why, precis_move_name(r->move), r->why, r->degree,
            r->envelope_degree, r->bound, o->error, r->promise, o->lse_error, r->lse_promise,
            o->broken, o->bad_empty, o->false_heads, o->touched, o->miscounted, (long long)r->rows_recomputed,
            o->by_summaries);
}

/* Of any values, errors relative to their range. */
static attention_case in_range(const attention_case *c)
{
  attention_case of = *c;
  of.tol_of = PRECIS_UNIT_RANGE;
  return of;
}

static void asked_for(void **state)
{
  (void)state;
  int all = 1; /* go on, and say all that fail */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    attention_case c = in_range(&cases[i]);
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    int good = attention_case_good(&c, &o) && o.by_summaries == 1 + c.later &&
               o.report.rows_recomputed == 0;
    if (!good)
      describe(&c, &o);
    all &= good;
  }
  assert_all(MPI_COMM_WORLD, all);
}

/* The same where ranks are spread over nodes as they come: one each, in turn, uneven. */
static void nodes(void **state)
{
  static const char *const places[] = {"0 1 2 3 4 5 6", "0 1", "0 0 0 1 2", "0 0 1 1 2", "0 1 1 1 0"};
  /* One rank is one node. */
  for (size_t i = 0; ranks > 1 && i < sizeof places / sizeof *places; i++) {
    setenv("PRECIS_NODES", places[i], 1);
    asked_for(state);
  }
  unsetenv("PRECIS_NODES");
}

/* The same, whatever runs, in all units: errors relative to what queries change where values follow
 * the keys. What a unit changes is the same for any number of ranks, so three of them do for the others. */
static void automatic(void **state)
{
  (void)state;
  int all = 1; /* go on, and say all that fail */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (precis_unit unit = PRECIS_UNIT_OUTPUTS;
         unit <= (ranks <= 3 ? PRECIS_UNIT_LSE : PRECIS_UNIT_OUTPUTS); unit++) {
      attention_case c = cases[i];
      c.tol = c.tol > 0 ? c.tol : .05;
      c.tol_of = unit;
      c.signal = unit == PRECIS_UNIT_OUTPUTS ? PRECIS_SIGNAL : 0;
      attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
      int good = attention_case_good(&c, &o);
      if (!good)
        describe(&c, &o);
      all &= good;
    }
  assert_all(MPI_COMM_WORLD, all);
}

/* Where summaries are much cheaper they are chosen, and move a number of bytes that does not depend
 * on the number of keys. On nodes of their own: inside of one, keys are looked at where they are. */
static void chosen(void **state)
{
  (void)state;
  setenv("PRECIS_NODES", "0 1 2 3 4 5 6", 1);
  attention_case c = {.name = "chosen",
                      .problem = {.heads = 1, .dim = 4},
                      .queries = 1500,
                      .keys = 1500,
                      .kind = PRECIS_KIND_UNIT, /* nobody is an outlier */
                      .strength = .1,
                      .tol = .01,
                      .tol_of = PRECIS_UNIT_RANGE};
  int64_t bytes = -1;
  for (int causal = 0; causal < 2; causal++)
    for (int longer = 0; longer < 2; longer++) {
      c.problem.causal = causal;
      c.keys = c.queries = longer ? 2500 : 1500;
      attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
      int good = attention_case_good(&c, &o) && o.by_summaries == 1 &&
                 o.report.forecast[PRECIS_MOVE_SUMMARIES].seconds <
                     o.report.forecast[PRECIS_MOVE_TILES].seconds &&
                 !o.report.kept && o.report.lead_axes == 0;
      good = good && o.report.degree > 0 && o.report.features > 0 && o.report.bound > 0 &&
             !o.report.estimate;
      if (!good)
        describe(&c, &o);
      assert_all(MPI_COMM_WORLD, good);
      assert_all(MPI_COMM_WORLD, o.report.predicted_bytes[PRECIS_MOVE_SUMMARIES] <
                                     o.report.predicted_bytes[PRECIS_MOVE_QUERIES] + (ranks == 1));
      assert_all(MPI_COMM_WORLD, !longer || o.report.network_bytes + o.report.node_bytes == bytes);
      bytes = o.report.network_bytes + o.report.node_bytes;
    }
  unsetenv("PRECIS_NODES");
}

/* A few rows over the tolerance are computed exactly, and the others keep theirs. */
static void repair(void **state)
{
  (void)state;
  attention_case c = {.name = "repair",
                      .problem = {.heads = 2, .dim = 3},
                      .queries = 1200,
                      .keys = 1200,
                      .strength = .2,
                      .degree = 2,
                      .tol = 1e-2,
                      .tol_of = PRECIS_UNIT_RANGE};
  int64_t recomputed = 0;
  for (c.seed = 1; c.seed <= 8; c.seed++) {
    c.problem.causal = c.seed % 2;
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
    int good = attention_case_good(&c, &o) && o.by_summaries == 1 && o.report.rows_recomputed < 200;
    good = good && (o.report.repair_bytes > 0) == (ranks > 1 && o.report.rows_recomputed > 0);
    if (!good)
      describe(&c, &o);
    assert_all(MPI_COMM_WORLD, good);
    recomputed += o.report.rows_recomputed;
  }
  assert_all(MPI_COMM_WORLD, recomputed > 0);
}

/* The worst case: what the planner samples is not like the rest, a summary is made, and nearly all
 * rows miss the tolerance. They are recomputed, the promise holds, and the report says how many. */
static void repair_of_nearly_all(void **state)
{
  (void)state;
  attention_case c = {.name = "repair of nearly all",
                      .problem = {.heads = 2, .dim = 3},
                      .queries = 10 * PRECIS_SAMPLE_QUERIES,
                      .keys = 1200,
                      .kind = PRECIS_KIND_UNIT, /* so long queries are no outliers */
                      .strength = .4,
                      .short_step = 10,
                      .tol = 2e-3,
                      .tol_of = PRECIS_UNIT_RANGE};
  for (int causal = 0; causal < 2; causal++) {
    c.problem.causal = causal;
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
    int64_t rows = c.queries * c.problem.heads;
    int good = attention_case_good(&c, &o) && o.by_summaries == 1 && o.report.rows_recomputed > rows / 2 &&
               (o.report.repair_bytes > 0) == (ranks > 1);
    if (!good)
      describe(&c, &o);
    assert_all(MPI_COMM_WORLD, good);
  }
}

/* One long query among short ones is answered exactly, and no other pays for it. */
static void outlier_query(void **state)
{
  (void)state;
  attention_case c = {.name = "outlier query",
                      .problem = {.heads = 2, .dim = 3},
                      .queries = 1200,
                      .keys = 1200,
                      .strength = .05,
                      .length = 100,
                      .tol = 1e-3,
                      .tol_of = PRECIS_UNIT_RANGE};
  for (int causal = 0; causal < 2; causal++)
    for (c.long_query = 3; c.long_query < c.queries; c.long_query += 597) {
      c.problem.causal = causal;
      attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
      int good = attention_case_good(&c, &o) && o.by_summaries == 1 && o.report.outlier_queries >= 2 &&
                 o.report.outlier_queries < 50 && o.report.rows_recomputed == 0 &&
                 o.report.bound < 1;
      if (!good)
        describe(&c, &o);
      assert_all(MPI_COMM_WORLD, good);
    }
}

/* A large common offset, and one key in a thousand ten or a hundred times as long as the others:
 * with one norm for all, scores might reach more than 50. */
static void outlier_keys(void **state)
{
  (void)state;
  attention_case c = {.name = "outlier keys",
                      .problem = {.heads = 2, .dim = 8},
                      .queries = 500,
                      .keys = 4000,
                      .strength = .2,
                      .heavy = 1000,
                      .heavy_factor = 100,
                      .key_offset = 10,
                      .tol = 1e-2,
                      .tol_of = PRECIS_UNIT_RANGE};
  for (int causal = 0; causal < 2; causal++) {
    c.problem.causal = causal;
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
    int good = attention_case_good(&c, &o) && o.by_summaries == 1 && o.report.outlier_keys >= 4 &&
               o.report.outlier_keys < 80 && o.report.bound < 3;
    if (!good)
      describe(&c, &o);
    assert_all(MPI_COMM_WORLD, good);
  }
}

static const attention_case misses[] = {
    {.name = "degree too low", .problem = {.heads = 2, .dim = 8}, .queries = 600, .keys = 700,
     .strength = .3, .degree = 1, .tol = 1e-3, .words = "miss the tolerance"},
    {.name = "scores too large", .problem = {.heads = 2, .dim = 8}, .queries = 60, .keys = 90,
     .strength = 5, .tol = 1e-2, .words = "scores may reach"},
    {.name = "below float32", .problem = {.heads = 2, .dim = 8}, .queries = 60, .keys = 90,
     .strength = .1, .tol = 1e-9, .words = "miss the tolerance"},
    {.name = "nothing visible", .problem = {.heads = 2, .dim = 8}, .queries = 60, .keys = 90,
     .bias = BIAS_ALL_MASKED, .tol = 1e-2, .words = "no key is visible"},
};

/* Exact moves forbidden: a missed tolerance is an error on all ranks, in words, and results stay
 * untouched. */
static void missed(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof misses / sizeof *misses; i++)
    for (int causal = 0; causal < 2; causal++) {
      attention_case c = in_range(&misses[i]);
      c.problem.causal = causal;
      attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
      int good =
          o.status == PRECIS_ERR_TOLERANCE && !o.touched && strstr(o.why, misses[i].words) != NULL;
      if (!good)
        describe(&c, &o);
      assert_all(MPI_COMM_WORLD, good);
    }
}

/* Where a low degree would miss the tolerance and a higher one keeps it, the higher one is taken,
 * at whatever price. */
static void adequate_degree(void **state)
{
  (void)state;
  attention_case c = {.name = "adequate degree",
                      .problem = {.heads = 1, .dim = 2},
                      .queries = 40,
                      .keys = 50,
                      .strength = .25,
                      .tol_of = PRECIS_UNIT_RANGE};
  for (c.tol = .1; c.tol > 3e-3; c.tol /= 2) {
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    int good = attention_case_good(&c, &o);
    if (!good)
      describe(&c, &o);
    assert_all(MPI_COMM_WORLD, good);
  }
}

static const attention_case left_exact[] = {
    {.name = "scores too large", .problem = {.heads = 1, .dim = 2}, .queries = 900, .keys = 900,
     .strength = 9, .tol = 1e-2, .words = "scores may reach"},
    {.name = "too few", .problem = {.heads = 2, .dim = 64, .value_dim = 64}, .queries = 20,
     .keys = 20, .strength = .1, .tol = 1e-4, .degree = 3, .words = "too few tokens"},
    {.name = "nothing visible", .problem = {.heads = 1, .dim = 2}, .queries = 900, .keys = 900,
     .bias = BIAS_ALL_MASKED, .tol = 1e-2, .words = "no key is visible"},
    {.name = "degree too low", .problem = {.heads = 1, .dim = 2}, .queries = 900, .keys = 900,
     .strength = .4, .degree = 1, .tol = 1e-3, .words = "keeps the tolerance"},
};

/* Allowed: exact, and the report says why. */
static void exact_instead(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof left_exact / sizeof *left_exact; i++) {
    attention_case c = in_range(&left_exact[i]);
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
    int good = o.status == PRECIS_SUCCESS && o.broken == 0 && !o.bad_empty && o.by_summaries == 0 &&
               o.miscounted == 0 && strstr(o.report.why, left_exact[i].words) != NULL;
    if (!good)
      describe(&left_exact[i], &o);
    assert_all(MPI_COMM_WORLD, good);
  }
}

/* Results are float32: what these cannot keep nothing can, and that is an error. What float32 sums
 * cannot keep is computed in double. */
static void float32_and_below(void **state)
{
  (void)state;
  attention_case c = {.name = "below float32",
                      .problem = {.heads = 2, .dim = 8},
                      .queries = 60,
                      .keys = 90,
                      .strength = .1,
                      .tol_of = PRECIS_UNIT_RANGE};
  for (int causal = 0; causal < 2; causal++) {
    c.problem.causal = causal;
    c.tol = 1e-9;
    attention_outcome beyond = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
    c.tol = 0;
    attention_outcome plain = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
    c.tol = plain.report.promise / 4;
    attention_outcome in_double = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
    int good = attention_case_hopeless(&beyond) && strstr(beyond.why, "float32") != NULL && attention_case_good(&c, &in_double) &&
               in_double.by_summaries == 0;
    if (!good) {
      describe(&c, &beyond);
      describe(&c, &plain);
      describe(&c, &in_double);
    }
    assert_all(MPI_COMM_WORLD, good);
  }
}

static attention_case reproducible(int which)
{
  const attention_case kinds[] = {
      {.name = "bits",
       .problem = {.heads = 2, .dim = 8},
       .queries = 150,
       .keys = 400,
       .strength = .1,
       .degree = 3,
       .threads = 2,
       .later = 1},
      {.name = "bits, causal",
       .problem = {.heads = 2, .dim = 8, .causal = 1},
       .queries = 700,
       .keys = 700,
       .strength = .1,
       .degree = 3,
       .threads = 2},
  };
  return kinds[which];
}

/* Equal bits from equal calls. */
static void bits(void **state)
{
  (void)state;
  for (int which = 0; which < 2; which++) {
    attention_case c = reproducible(which);
    int64_t lses = c.queries * c.problem.heads, outs = lses * c.problem.dim;
    float *first = malloc((size_t)(outs + lses) * sizeof *first),
          *second = malloc((size_t)(outs + lses) * sizeof *second);
    c.out = first;
    c.lse = first + outs;
    attention_outcome one = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    c.out = second;
    c.lse = second + outs;
    attention_outcome two = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    int good = attention_case_good(&c, &one) && attention_case_good(&c, &two) &&
               memcmp(first, second, (size_t)(outs + lses) * sizeof *first) == 0;
    good = good && one.report.promise == two.report.promise &&
           one.report.lse_promise == two.report.lse_promise;
    free(first);
    free(second);
    assert_all(MPI_COMM_WORLD, good);
  }
}

/* All ranks, some of them and one alone agree within their promises. Generated values span less
 * than 13.5. */
static void rank_counts(void **state)
{
  (void)state;
  for (int which = 0; which < 2; which++) {
    attention_case c = reproducible(which);
    int64_t lses = c.queries * c.problem.heads, outs = lses * c.problem.dim;
    float *all = malloc((size_t)(outs + lses) * sizeof *all),
          *some = malloc((size_t)(outs + lses) * sizeof *some);
    c.out = all;
    c.lse = all + outs;
    attention_outcome of_all = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    assert_all(MPI_COMM_WORLD, attention_case_good(&c, &of_all));
    for (int count = 1; count <= ranks; count += ranks / 2 + 1) {
      MPI_Comm comm;
      MPI_Comm_split(MPI_COMM_WORLD, rank < count, rank, &comm); /* both halves run it */
      c.out = some;
      c.lse = some + outs;
      attention_outcome of_some = attention_case_run(comm, &c, PRECIS_MOVE_SUMMARIES);
      MPI_Comm_free(&comm);
      int good = attention_case_good(&c, &of_some);
      double far = 13.5 * (of_all.report.promise + of_some.report.promise);
      double lse_far = of_all.report.lse_promise + of_some.report.lse_promise + 1e-6;
      for (int64_t i = 0; i < outs + lses; i++)
        good = good && fabs((double)all[i] - some[i]) <= (i < outs ? far : lse_far);
      assert_all(MPI_COMM_WORLD, good);
    }
    free(all);
    free(some);
  }
}

/* Ranks with different numbers of threads cut their work differently, but not what they send. */
static void different_threads(void **state)
{
  (void)state;
#ifdef _OPENMP
  int before = omp_get_max_threads();
  omp_set_num_threads(1 + rank % 3);
#endif
  attention_case c = {.name = "different threads",
                      .problem = {.heads = 2, .dim = 16},
                      .queries = 150,
                      .keys = 200,
                      .strength = .1,
                      .degree = 3,
                      .own_threads = 1,
                      .later = 1};
  for (int causal = 0; causal < 2; causal++) {
    c.problem.causal = causal;
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    int good = attention_case_good(&c, &o) && o.by_summaries == 2;
    if (!good)
      describe(&c, &o);
    assert_all(MPI_COMM_WORLD, good);
  }
#ifdef _OPENMP
  omp_set_num_threads(before);
#endif
}

/* An estimate is called one. */
static void sampled(void **state)
{
  (void)state;
  attention_case c = {.name = "sampled",
                      .problem = {.heads = 2, .dim = 4},
                      .queries = 1000,
                      .keys = 1000,
                      .strength = .3,
                      .guarantee = PRECIS_GUARANTEE_SAMPLED,
                      .tol = 1e-2};
  for (int causal = 0; causal < 2; causal++)
    for (int outputs = 0; outputs < 2; outputs++) {
      c.problem.causal = causal;
      c.tol_of = outputs ? PRECIS_UNIT_OUTPUTS : PRECIS_UNIT_RANGE;
      c.signal = outputs ? PRECIS_SIGNAL : 0;
      c.tol = outputs ? .1 : 1e-2;
      attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
      double error = outputs ? o.outputs_error : o.error;
      int good = o.status == PRECIS_SUCCESS && o.by_summaries == 1 && o.report.estimate &&
                 o.report.promise > 0 && o.report.promise <= c.tol && error <= 3 * c.tol &&
                 o.miscounted == 0 && o.broken == 0 && o.false_heads == 0;
      if (!good)
        describe(&c, &o);
      assert_all(MPI_COMM_WORLD, good);
    }
}

/* What the planner samples is not like the rest, which the rows that are measured show: the exact
 * move runs after all, or where it may not, that is said. */
static void estimate_gives_up(void **state)
{
  (void)state;
  attention_case c = {.name = "estimate gives up",
                      .problem = {.heads = 2, .dim = 3},
                      .queries = 10 * PRECIS_SAMPLE_QUERIES,
                      .keys = 1200,
                      .kind = PRECIS_KIND_UNIT,
                      .strength = .4,
                      .short_step = 10,
                      .guarantee = PRECIS_GUARANTEE_SAMPLED,
                      .tol = 2e-4,
                      .tol_of = PRECIS_UNIT_RANGE};
  for (int causal = 0; causal < 2; causal++) {
    c.problem.causal = causal;
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO),
                      forced = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    int good = attention_case_good(&c, &o) && o.by_summaries == 0 && !o.report.estimate &&
               o.report.estimate_missed > c.tol;
    good = good && forced.status == PRECIS_ERR_TOLERANCE && !forced.touched &&
           strstr(forced.why, "estimated at") != NULL;
    if (!good) {
      describe(&c, &o);
      describe(&c, &forced);
    }
    assert_all(MPI_COMM_WORLD, good);
  }
}

/* Biases so large that even a double holds scores beside them only roughly: proofs know. */
static void huge_biases(void **state)
{
  (void)state;
  attention_case c = {.name = "huge biases",
                      .problem = {.heads = 2, .dim = 4},
                      .queries = 90,
                      .keys = 2000,
                      .strength = .1,
                      .query_offset = 3,
                      .bias = BIAS_RANDOM,
                      .degree = 3};
  for (c.bias_factor = 1e6; c.bias_factor < 1e30; c.bias_factor *= 100)
    for (int causal = 0; causal < 2; causal++) {
      c.problem.causal = causal;
      attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
      int good = o.status == PRECIS_ERR_TOLERANCE || attention_case_good(&c, &o);
      if (!good)
        describe(&c, &o);
      assert_all(MPI_COMM_WORLD, good);
    }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(asked_for),     cmocka_unit_test(nodes),
      cmocka_unit_test(automatic),
      cmocka_unit_test(chosen),        cmocka_unit_test(repair), cmocka_unit_test(repair_of_nearly_all),
      cmocka_unit_test(outlier_query),
      cmocka_unit_test(outlier_keys),
      cmocka_unit_test(missed),        cmocka_unit_test(adequate_degree),
      cmocka_unit_test(exact_instead), cmocka_unit_test(bits),
      cmocka_unit_test(rank_counts),   cmocka_unit_test(different_threads),
      cmocka_unit_test(float32_and_below),
      cmocka_unit_test(sampled), cmocka_unit_test(estimate_gives_up),     cmocka_unit_test(huge_biases),
  };
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = cmocka_run_group_tests_name("summaries", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
