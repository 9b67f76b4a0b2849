/* How far rows are from what the mean query gets, on ranks that have any of the keys and queries,
 * against the oracle: means, sums over all keys and over prefixes, several appends, positions as
 * they come. */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/sequence/signal.h"
#include "mpi/sequence/signal_prefixes.h"
#include "src/base/memory.h"
#include "src/oracle/oracle.h"
#include "tests/attention_data.h"

static int rank, ranks;

enum { RANKS_MOST = 64, APPENDS = 3 };

/* Where the queries of the ranks are. */
typedef enum places {
  PLACES_ALIGNED,
  PLACES_ASCENDING,
  PLACES_SCATTERED,
  PLACES_ALIKE,
  PLACES
} places;

typedef struct setting {
  attention_data d;
  precis_world world;
  precis_keys keys;
  precis_survey survey;
  precis_signal signal;
  int64_t appended, start[RANKS_MOST + 1], first_position[RANKS_MOST];
  precis_query_map map;
  int64_t *position; /* of all queries */
} setting;

static void set_up(const attention_case *c, setting *s)
{
  *s = (setting){.d = attention_data_make(c)};
  const precis_problem *p = &s->d.problem;
  s->keys = (precis_keys){.kv_heads = p->kv_heads, .dim = p->dim, .value_dim = p->value_dim};
  int status = precis_world_create(MPI_COMM_WORLD, &s->world);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS &&
                                 precis_survey_create(&s->keys, &s->survey) == PRECIS_SUCCESS &&
                                 precis_signal_create(p, &s->signal) == PRECIS_SUCCESS);
  s->position = malloc((size_t)(c->queries + 1) * sizeof *s->position);
}

static void tear_down(setting *s)
{
  precis_signal_free(&s->signal);
  precis_survey_free(&s->survey);
  precis_keys_free(&s->keys);
  precis_world_free(&s->world);
  attention_data_free(&s->d);
  free(s->position);
}

/* The next `part` keys of the case, each rank its share of them. */
static void append(setting *s, int64_t part)
{
  const attention_case *c = s->d.c;
  const precis_problem *p = &s->d.problem;
  int64_t begin = s->appended, rows = attention_case_share(c->spread, part, ranks, rank);
  int biased = c->bias != BIAS_NONE;
  for (int before = 0; before < rank; before++)
    begin += attention_case_share(c->spread, part, ranks, before);
  int status = precis_keys_reserve(&s->keys, rows, biased);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  precis_keys_add(&s->keys, begin, rows, s->d.k + begin * p->kv_heads * p->dim,
                  s->d.v + begin * p->kv_heads * p->value_dim, biased ? s->d.bias + begin : NULL);
  s->appended += part;
  status = precis_survey_update(&s->world, &s->keys, &s->survey);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
}

/* Before the first key, beyond the last, on other ranks' keys, twice the same. */
static void place(setting *s, places where)
{
  const attention_case *c = s->d.c;
  s->start[0] = 0;
  for (int r = 0; r < ranks; r++) {
    int64_t rows = attention_case_share(c->spread, c->queries, ranks, r), at = 0;
    switch (where) {
    case PLACES_ALIGNED:
      at = s->start[r] + s->appended - c->queries;
      break;
    case PLACES_ASCENDING:
      at = -7 + r * (s->appended + 20) / ranks;
      break;
    case PLACES_SCATTERED:
      at = (ranks - r) * s->appended / (ranks + 1) - (r % 2) * 15;
      break;
    default:
      at = s->appended / 3;
    }
    s->first_position[r] = at;
    s->start[r + 1] = s->start[r] + rows;
    for (int64_t i = 0; i < rows; i++)
      s->position[s->start[r] + i] = at + i;
  }
  s->map = (precis_query_map){.ranks = ranks,
                              .causal = s->d.problem.causal,
                              .keys = s->appended,
                              .start = s->start,
                              .first_position = s->first_position};
}

/* Of this rank's rows; `mean_query` NULL: of these queries. */
static precis_oracle oracle_of(const setting *s, const double *mean_query)
{
  const attention_case *c = s->d.c;
  int64_t first = s->start[rank], count = s->start[rank + 1] - first,
          *rows = malloc((size_t)(count + 1) * sizeof *rows);
  precis_oracle oracle;
  for (int64_t i = 0; i < count; i++)
    rows[i] = first + i;
  const precis_oracle_case of = {.problem = &s->d.problem,
                                 .queries = c->queries,
                                 .keys = s->appended,
                                 .q = s->d.q,
                                 .k = s->d.k,
                                 .v = s->d.v,
                                 .bias = c->bias == BIAS_NONE ? NULL : s->d.bias,
                                 .position = s->position,
                                 .mean_query = mean_query,
                                 .count = count,
                                 .rows = rows};
  int status = precis_oracle_make(&of, &oracle);
  free(rows);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  return oracle;
}

/* Results that are off by `off` in the norm, straight away from m_i or towards it. */
static void make_results(const setting *s, const precis_oracle *o, double off, double toward,
                         precis_finished *to)
{
  const precis_problem *p = &s->d.problem;
  for (int64_t at = 0; at < o->count * p->heads; at++) {
    double distance = o->distance[at], part = distance > 0 ? toward * off / distance : 0;
    to->lse[at] = (float)o->lse[at];
    to->proof[2 * at] = (float)(off * (1 + 1e-6));
    to->proof[2 * at + 1] = 0;
    for (int c = 0; c < p->value_dim; c++) {
      double out = o->out[at * p->value_dim + c], apart = out - o->anchor[at * p->value_dim + c];
      to->out[at * p->value_dim + c] = (float)(out + part * apart);
    }
  }
}

/* Lower bounds are none above the truth, and no further below than the proofs. */
static int measured(const setting *s, const precis_oracle *o, double off, double toward)
{
  const precis_problem *p = &s->d.problem;
  int64_t count = o->count * p->heads;
  precis_finished to;
  double *convert = malloc((size_t)p->kv_heads * sizeof *convert);
  float *least = malloc((size_t)(count + 1) * sizeof *least),
        *distance = malloc((size_t)(count + 1) * sizeof *distance);
  for (int g = 0; g < p->kv_heads; g++)
    convert[g] = 1;
  assert_all(MPI_COMM_WORLD, precis_finished_create(o->count * p->heads, p->value_dim, &to) == 0);
  make_results(s, o, off, toward, &to);
  const precis_signal_rows of = {.world = (precis_world *)&s->world,
                                 .problem = p,
                                 .keys = &s->keys,
                                 .survey = &s->survey,
                                 .map = &s->map,
                                 .prefixes = p->causal,
                                 .rows = o->count,
                                 .results = &to,
                                 .convert = convert};
  int good = precis_signal_measure(&s->signal, &of, least, distance) == PRECIS_SUCCESS;
  for (int64_t i = 0; i < count && good; i++) {
    double want = fabs(o->distance[i] + toward * off), slack = 1e-5 * (1 + want);
    if (o->lse[i] == -INFINITY || !(o->distance[i] > 0))
      continue;
    good = good && fabs(distance[i] - want) <= slack;
    good = good && least[i] <= o->distance[i] + 1e-5 && least[i] >= 0;
    good = good && least[i] >= want - off - slack;
    if (!good)
      fprintf(stderr, "row %lld: distance %.9g, least %.9g, want %.9g of %.9g\n", (long long)i,
              distance[i], least[i], want, o->distance[i]);
  }
  precis_finished_free(&to);
  free(convert);
  free(least);
  free(distance);
  return good;
}

static int same_means(const setting *s, const double *want)
{
  int good = 1;
  for (int i = 0; i < s->d.problem.heads * s->d.problem.dim; i++)
    good = good && fabs(s->signal.mean_query[i] - want[i]) <= 1e-12 * (1 + fabs(want[i]));
  return good;
}

/* What no deviation of a key is above, and is not far below that. */
static int bounded(const setting *s, const precis_oracle *o)
{
  int good = 1;
  for (int g = 0; g < s->d.problem.kv_heads; g++) /* about other centres: see attention_judge.c */
    good = good && s->signal.farthest[g] >= o->largest[g] / 2 &&
           s->signal.farthest[g] <= 2 * o->largest[g] * (1 + 1e-6);
  for (int h = 0; h < s->d.problem.heads; h++) {
    double rounding = precis_signal_rounding(&s->d.problem, &s->signal, &s->survey, h);
    good = good && rounding > 0 && rounding < 1e-7;
  }
  return good;
}

/* The mean query is that of the first call whose rows see a key, and stays; keys come in between.
 */
static void run(const attention_case *c, places where)
{
  setting s;
  double *mean = NULL;
  set_up(c, &s);
  for (int a = 0; a < APPENDS; a++) {
    append(&s, c->keys * (a + 1) / APPENDS - c->keys * a / APPENDS);
    place(&s, where);
    precis_oracle o = oracle_of(&s, mean);
    const precis_problem *p = &s.d.problem;
    int64_t first = s.start[rank], rows = o.count, any = 0;
    float *lse = malloc((size_t)(rows * p->heads + 1) * sizeof *lse);
    for (int64_t i = 0; i < rows * p->heads; i++) {
      lse[i] = (float)o.lse[i];
      any |= o.lse[i] > -INFINITY;
    }
    MPI_Allreduce(MPI_IN_PLACE, &any, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    int status = precis_signal_find_mean(&s.world, p, rows, s.d.q + first * p->heads * p->dim, lse,
                                         &s.signal);
    free(lse);
    if (status == PRECIS_SUCCESS)
      status = precis_signal_take(&s.world, p, &s.keys, &s.survey, s.appended, &s.signal);
    assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS && s.signal.has_mean == (mean || any));
    if (any) {
      if (mean == NULL) {
        mean = malloc((size_t)(p->heads * p->dim) * sizeof *mean);
        memcpy(mean, o.mean_query, (size_t)(p->heads * p->dim) * sizeof *mean);
      }
      int good = same_means(&s, mean) && bounded(&s, &o);
      for (int toward = -1; toward <= 1; toward++)
        good &= measured(&s, &o, toward == 0 ? 0 : .3, toward);
      if (!good)
        fprintf(stderr, "rank %d: %s, causal %d, places %d, append %d\n", rank, c->name, p->causal,
                where, a);
      assert_all(MPI_COMM_WORLD, good);
    }
    precis_oracle_free(&o);
  }
  free(mean);
  tear_down(&s);
}

static const attention_case cases[] = {
    {.name = "even",
     .problem = {.heads = 4, .kv_heads = 2, .dim = 5, .value_dim = 3},
     .queries = 90,
     .keys = 200},
    {.name = "masks",
     .problem = {.heads = 2, .dim = 4},
     .queries = 60,
     .keys = 150,
     .bias = BIAS_HALF_MASKED,
     .spread = SPREAD_RANDOM},
    {.name = "not on the first",
     .problem = {.heads = 1, .dim = 3, .value_dim = 7},
     .queries = 50,
     .keys = 60,
     .spread = SPREAD_NOT_FIRST,
     .bias = BIAS_RANDOM},
    {.name = "on the last",
     .problem = {.heads = 2, .dim = 3},
     .queries = 30,
     .keys = 90,
     .spread = SPREAD_LAST,
     .key_offset = 30,
     .value_offset = 50},
    {.name = "queries have something in common",
     .problem = {.heads = 2, .dim = 8},
     .queries = 70,
     .keys = 120,
     .query_offset = 2},
    {.name = "more queries than keys",
     .problem = {.heads = 2, .dim = 8},
     .queries = 150,
     .keys = 40},
};

static void all_keys(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    run(&cases[i], PLACES_ALIGNED);
}

static void prefixes(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (places where = PLACES_ALIGNED; where < PLACES; where++) {
      attention_case c = cases[i];
      c.problem.causal = 1;
      run(&c, where);
    }
}

/* A copy has the mean query and the rows so far, and its own keys. */
static void copies(void **state)
{
  (void)state;
  const precis_problem p = {.heads = 2, .kv_heads = 1, .dim = 3, .value_dim = 2, .scale = 1};
  precis_signal from, to;
  assert_all(MPI_COMM_WORLD,
             precis_signal_create(&p, &from) == 0 && precis_signal_create(&p, &to) == 0);
  from.has_mean = 1;
  from.keys_in = 9;
  from.m[1] = 4;
  for (int i = 0; i < 6; i++)
    from.mean_query[i] = i;
  from.sum[1] = 3;
  from.rows[1] = 2;
  precis_signal_copy(&p, &from, &to);
  assert_all(MPI_COMM_WORLD, to.has_mean && to.mean_query[5] == 5 && to.sum[1] == 3 &&
                                 to.rows[1] == 2 && to.keys_in == 0 && to.m[1] == -INFINITY);
  precis_signal_free(&from);
  precis_signal_free(&to);
}

/* The largest deviation of a head's values so far, from the centre and in the norm of now. */
static double true_farthest(const setting *s, int g)
{
  const precis_problem *p = &s->d.problem;
  const double *center = precis_survey_v_center(&s->keys, &s->survey) + (int64_t)g * p->value_dim,
               *per = s->survey.per + (int64_t)g * p->value_dim;
  double most = 0;
  for (int64_t j = 0; j < s->appended; j++) {
    double square = 0;
    for (int c = 0; c < p->value_dim; c++) {
      double off = per[c] * (s->d.v[(j * p->kv_heads + g) * p->value_dim + c] - center[c]);
      square += off * off;
    }
    most = fmax(most, sqrt(square));
  }
  return most;
}

/* Values of the first keys spread far less than those of the second; or later keys that have nearly
 * all of the weight spread less. The norm is another one then, and what was known of earlier keys
 * is in the old one: it was 1e5 times too large, or too small. */
static void deviations(void **state)
{
  (void)state;
  enum { HALF = 60 };
  const attention_case c = {.name = "widths",
                            .problem = {.heads = 2, .dim = 3, .value_dim = 2},
                            .queries = 10,
                            .keys = 2 * HALF,
                            .bias = BIAS_RANDOM};
  for (int grows = 0; grows < 2; grows++) {
    setting s;
    set_up(&c, &s);
    const int64_t width = (int64_t)s.d.problem.kv_heads * s.d.problem.value_dim;
    for (int64_t j = 0; j < c.keys; j++) {
      s.d.bias[j] = grows || j < HALF ? 0 : 60;
      for (int64_t i = 0; i < width && (grows ? j < HALF : j >= HALF); i++)
        s.d.v[j * width + i] *= 1e-5F;
    }
    s.signal.has_mean = 1;
    int good = 1;
    for (int half = 0; half < 2; half++) {
      append(&s, HALF);
      int status =
          precis_signal_take(&s.world, &s.d.problem, &s.keys, &s.survey, s.appended, &s.signal);
      assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
      for (int g = 0; g < s.d.problem.kv_heads; g++) {
        double all = true_farthest(&s, g);
        good &= s.signal.farthest[g] >= all * (1 - 1e-6) && s.signal.farthest[g] <= 2.01 * all;
        if (!good && rank == 0)
          fprintf(stderr, "grows %d, half %d: farthest %g, is %g\n", grows, half,
                  s.signal.farthest[g], all);
      }
    }
    assert_all(MPI_COMM_WORLD, good);
    tear_down(&s);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_keys), cmocka_unit_test(prefixes),
                                     cmocka_unit_test(copies), cmocka_unit_test(deviations)};
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = cmocka_run_group_tests_name("signal", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
