/* Summaries in common axes: fewer features where few axes carry most of the scores, with a proof of
 * every row as ever. */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/feature_set.h"
#include "tests/attention_case.h"

static int rank, ranks;

static void describe(const attention_case *c, const attention_outcome *o)
{
  const precis_report *r = &o->report;
  if (rank == 0)
    fprintf(stderr,
            "%s: status %d (%s), %s (%s), degrees %d %d, features %lld + %lld, bound %.3g, error "
            "%.3g of %.3g, lse error %.3g of %.3g, broken %d, miscounted %d, recomputed %lld, by "
            "summaries %d, false heads %d, seconds %.3g, planned in %.3g\n",
            c->name, o->status, o->why, precis_move_name(r->move), r->why, r->degree,
            r->envelope_degree, (long long)r->features, (long long)r->count_features, r->bound,
            o->error, r->promise, o->lse_error, r->lse_promise, o->broken, o->miscounted,
            (long long)r->rows_recomputed, o->by_summaries, o->false_heads, r->seconds_total, r->seconds_plan);
}

/* Variances of queries and keys like 1/i over 64 axes that are not the coordinates', standard
 * deviation of the scores .25: where a full set of degree 4 has 814,385 features, a fortieth will
 * do. */
static void decaying_axes(void **state)
{
  (void)state;
  enum { FULL = 814385 };
  attention_case c = {.name = "decaying axes",
                      .problem = {.heads = 1, .dim = 64},
                      .queries = 2000,
                      .keys = 4000,
                      .strength = 1.57,
                      .decay = .5,
                      .turned = 1,
                      .tol = 1e-2,
                      .tol_of = PRECIS_UNIT_RANGE};
  assert_int_equal(precis_features_count(64, 4), FULL);
  attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
  int good = attention_case_good(&c, &o) && o.by_summaries == 1 && o.report.lead_axes > 0 &&
             o.report.lead_axes < 64 &&
             o.report.rows_recomputed == 0 && o.report.features <= FULL / 40 &&
             o.report.features > 0;
  if (!good)
    describe(&c, &o);
  assert_all(MPI_COMM_WORLD, good);
}

/* Full sets would take many times as long. */
static const attention_case cases[] = {
    {.name = "grouped", .problem = {.heads = 4, .kv_heads = 2, .dim = 64, .value_dim = 8},
     .queries = 500, .keys = 3000, .strength = 1.4, .decay = .5, .turned = 1, .tol = .02},
    {.name = "causal", .problem = {.heads = 2, .dim = 64, .value_dim = 12, .causal = 1},
     .queries = 2500, .keys = 2500, .strength = 1.2, .decay = .5, .turned = 1, .tol = .02},
    {.name = "keys alone decay", .problem = {.heads = 1, .dim = 64, .value_dim = 24},
     .queries = 2000, .keys = 4000, .strength = .9, .key_decay = 1, .turned = 1, .tol = .01},
    {.name = "offsets and biases", .problem = {.heads = 1, .dim = 64, .value_dim = 17},
     .queries = 1500, .keys = 4000, .strength = 1.6, .decay = .5, .turned = 1, .key_offset = 3,
     .bias = BIAS_RANDOM, .bias_factor = .2, .tol = .02},
    {.name = "half masked", .problem = {.heads = 1, .dim = 64, .value_dim = 9}, .queries = 2000,
     .keys = 4000, .strength = 1.2, .decay = .5, .turned = 1, .bias = BIAS_HALF_MASKED,
     .tol = .02, .appends = 3, .spread = SPREAD_RANDOM},
    {.name = "heavy keys", .problem = {.heads = 1, .dim = 64, .value_dim = 16}, .queries = 1500,
     .keys = 4000, .strength = 1, .decay = .5, .turned = 1, .heavy = 1000, .heavy_factor = 4,
     .tol = .02, .spread = SPREAD_LAST},
    {.name = "not on the first", .problem = {.heads = 1, .dim = 64, .value_dim = 16},
     .queries = 2000, .keys = 4000, .strength = 1.2, .decay = .5, .turned = 1, .tol = .02,
     .threads = 2, .spread = SPREAD_NOT_FIRST},
};

static void many_kinds(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    attention_case c = cases[i];
    c.tol_of = PRECIS_UNIT_RANGE;
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    int good =
        attention_case_good(&c, &o) && o.by_summaries == 1 && o.report.lead_axes > 0;
    if (!good || getenv("VERBOSE"))
      describe(&c, &o);
    assert_all(MPI_COMM_WORLD, good);
  }
}

/* A decoding caller: the summary is kept in its axes, keys are added to it, later ones longer and in
 * other places than those that it was built from. */
static void kept(void **state)
{
  (void)state;
  attention_case c = {.name = "kept",
                      .problem = {.heads = 2, .kv_heads = 1, .dim = 64, .value_dim = 8},
                      .queries = 600,
                      .keys = 4000,
                      .strength = 1.5,
                      .decay = .5,
                      .turned = 1,
                      .drift = .1,
                      .later = 12,
                      .tol = 2e-2,
                      .tol_of = PRECIS_UNIT_RANGE};
  attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
  int good = attention_case_good(&c, &o) && o.by_summaries == 13 && o.report.kept &&
             o.report.lead_axes > 0 &&
             o.report.degree > 2 && o.report.features < precis_features_count(64, 3);
  if (!good || getenv("VERBOSE"))
    describe(&c, &o);
  assert_all(MPI_COMM_WORLD, good);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decaying_axes),
      cmocka_unit_test(many_kinds),
      cmocka_unit_test(kept),
  };
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = cmocka_run_group_tests_name("turned summaries", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
