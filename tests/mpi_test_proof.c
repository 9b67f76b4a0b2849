/* The proof holds: on random problems of every kind, each row's measured error is within what the
 * report promises, and the promise within the tolerance.
 *
 *   PRECIS_PROOF_PROBLEMS  how many (default 100)
 *   PRECIS_PROOF_SEED      of which series (default 1)
 *   PRECIS_PROOF_FIRST     the number of the first (default 0), to repeat one alone */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/features.h"
#include "src/base/random.h"
#include "tests/attention_case.h"

/* Work that a problem may take: multiplications of the oracle, numbers of a summary. */
static const double PAIRS_MOST = 3e7;
static const int64_t NUMBERS_MOST = 200000;

/* Numbers that are the same on every rank. */
typedef struct dice {
  precis_stream stream;
  uint32_t thrown;
} dice;

static double uniform(dice *d)
{
  return (precis_random_word(d->stream, d->thrown++) + .5) * 0x1p-32;
}

static int one_of(dice *d, int count)
{
  return (int)(uniform(d) * count);
}

static int chance(dice *d, double probability)
{
  return uniform(d) < probability;
}

/* Evenly spread logarithm. */
static double between(dice *d, double low, double high)
{
  return low * pow(high / low, uniform(d));
}

static void throw_shape(dice *d, attention_case *c)
{
  precis_problem *p = &c->problem;
  p->kv_heads = 1 + one_of(d, 3);
  p->heads = p->kv_heads * (1 + one_of(d, 3));
  p->dim = (int)between(d, 1, chance(d, .5) ? 9 : 65);
  p->value_dim = chance(d, .5) ? p->dim : (int)between(d, 1, 65);
  p->causal = chance(d, .4);
  p->scale = chance(d, .2) ? -between(d, .5, 1.5) / sqrt(p->dim) : 0;
  c->keys = (int64_t)between(d, chance(d, .1) ? 1 : 50, 600);
  c->queries = chance(d, .5) ? c->keys : (int64_t)between(d, chance(d, .2) ? 1 : 50, 600);
  double pairs = (double)c->keys * (double)c->queries * p->heads * (p->dim + p->value_dim);
  if (pairs > PAIRS_MOST) {
    c->keys = (int64_t)((double)c->keys * sqrt(PAIRS_MOST / pairs)) + 1;
    c->queries = (int64_t)((double)c->queries * sqrt(PAIRS_MOST / pairs)) + 1;
  }
  c->spread = (spread)one_of(d, 4);
  c->appends = 1 + one_of(d, 3);
  c->later = chance(d, .3) ? 1 + one_of(d, 3) : 0;
  c->later = c->later < c->keys ? c->later : 0;
  c->explicit_positions = chance(d, .1);
  c->first_position = one_of(d, 200) - 50;
  c->threads = 1 + chance(d, .2);
  c->fast_memory = (int64_t)between(d, 4096, 1 << 20);
}

/* Thrown last, so that it changes nothing else. */
static void throw_place(dice *d, attention_case *c)
{
  c->in_place = chance(d, .3);
}

static void throw_numbers(dice *d, attention_case *c)
{
  c->kind = (precis_kind)(chance(d, .4) ? 0 : one_of(d, 4));
  c->strength = between(d, .05, chance(d, .7) ? .5 : 3);
  c->decay = chance(d, .25) ? between(d, .2, 1.5) : 0;
  c->key_decay = chance(d, .1) ? between(d, .2, 1.5) : 0;
  c->turned = chance(d, .3);
  c->drift = chance(d, .25) ? between(d, .1, 3) : 0;
  c->heavy = chance(d, .2) ? 5 + one_of(d, 400) : 0;
  c->heavy_factor = between(d, 2, 100);
  if (chance(d, .2)) {
    c->long_query = one_of(d, (int)c->queries);
    c->length = between(d, 1.5, 50);
  }
  c->query_offset = chance(d, .15) ? between(d, .1, 10) : 0;
  c->key_offset = chance(d, .15) ? between(d, 1, 100) : 0;
  c->value_offset = chance(d, .15) ? between(d, 1, 1e4) : 0;
  c->bias = chance(d, .6) ? BIAS_NONE : chance(d, .5) ? BIAS_RANDOM : BIAS_HALF_MASKED;
  c->bias_factor = between(d, .1, 40);
}

/* What is asked for: summaries with a degree and no tolerance, summaries within a tolerance,
 * whatever keeps one. */
static precis_move throw_wish(dice *d, attention_case *c)
{
  int wish = one_of(d, 4), degree = 1 + one_of(d, 8);
  while (degree > 1 &&
         (precis_features_count(c->problem.dim, degree) + 1) * (c->problem.value_dim + 1) >
             NUMBERS_MOST)
    degree--;
  c->degree = wish <= 1 || chance(d, .3) ? degree : 0;
  if (precis_features_count(c->problem.dim, 3) * (c->problem.value_dim + 1) > NUMBERS_MOST &&
      c->degree == 0)
    c->degree = degree;
  c->tol = wish <= 1 ? 0 : between(d, 1e-5, 1e-1);
  c->tol_of = (precis_unit)one_of(d, 3);
  c->signal = chance(d, .5) ? between(d, .3, 5) : 0;
  return wish <= 2 ? PRECIS_MOVE_SUMMARIES : PRECIS_MOVE_AUTO;
}

static attention_case throw_case(uint64_t seed, int64_t number, precis_move *move)
{
  dice d = {.stream = {.seed = seed, .tensor = 9, .row = number}};
  attention_case c = {.name = "random", .tol_of = PRECIS_UNIT_RANGE, .seed = seed * 100003 + (uint64_t)number};
  throw_shape(&d, &c);
  throw_numbers(&d, &c);
  *move = throw_wish(&d, &c);
  throw_place(&d, &c);
  return c;
}

static void describe(int64_t number, const attention_case *c, precis_move move,
                     const attention_outcome *o)
{
  const precis_problem *p = &c->problem;
  fprintf(stderr,
          "problem %lld: heads %d/%d, dim %d/%d, causal %d, scale %g, queries %lld, keys %lld, "
          "kind %d, signal %.3g, strength %.3g, decay %.3g, drift "
          "%.3g, heavy %lld, long %lld x %.3g, offsets %.3g %.3g %.3g, bias %d x %.3g, spread %d, "
          "appends %d + %lld, positions "
          "%d %lld, move %s, tol %.3g of %s, degree %d\n",
          (long long)number, p->heads, p->kv_heads, p->dim, p->value_dim, p->causal, p->scale,
          (long long)c->queries, (long long)c->keys, (int)c->kind, c->signal, c->strength, c->decay, c->drift,
          (long long)c->heavy, (long long)c->long_query, c->length, c->query_offset, c->key_offset,
          c->value_offset, (int)c->bias, c->bias_factor, (int)c->spread, c->appends,
          (long long)c->later, c->explicit_positions, (long long)c->first_position,
          precis_move_name(move), c->tol, precis_unit_name(c->tol_of), c->degree);
  fprintf(stderr,
          "  status %d (%s), %s (%s), degrees %d %d, bound %.3g, error %.3g of %.3g, lse error "
          "%.3g of %.3g, used %.3g, broken %d, false heads %d, bad empty %d, rounding %.3g, touched "
          "%d, miscounted %d, recomputed %lld\n",
          o->status, o->why, precis_move_name(o->report.move), o->report.why, o->report.degree,
          o->report.envelope_degree, o->report.bound, o->error, o->report.promise, o->lse_error,
          o->report.lse_promise, o->used, o->broken, o->false_heads, o->bad_empty, o->rounding,
          o->touched, o->miscounted,
          (long long)o->report.rows_recomputed);
}

/* What may run exactly is declined only where results in float32 cannot keep the tolerance. */
static int kept_promise(const attention_case *c, precis_move move, const attention_outcome *o)
{
  if (o->status == PRECIS_ERR_TOLERANCE)
    return !o->touched && (move == PRECIS_MOVE_SUMMARIES || attention_case_hopeless(o));
  return attention_case_good(c, o);
}

typedef struct tally {
  int64_t problems, declined, exact, proved, repaired, count;
  double *used; /* error / promise of those by summaries */
} tally;

static void count(tally *t, const attention_outcome *o)
{
  t->problems++;
  if (o->status != PRECIS_SUCCESS)
    t->declined++;
  else if (o->by_summaries == 0)
    t->exact++;
  else {
    t->proved++;
    t->repaired += o->report.rows_recomputed > 0;
    if (o->used > 0 && o->used <= 1)
      t->used[t->count++] = o->used;
  }
}

static int ascending(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int64_t setting(const char *name, int64_t otherwise)
{
  const char *text = getenv(name);
  return text != NULL && *text != '\0' ? strtoll(text, NULL, 10) : otherwise;
}

static void random_problems(void **state)
{
  (void)state;
  int64_t problems = setting("PRECIS_PROOF_PROBLEMS", 100),
          first = setting("PRECIS_PROOF_FIRST", 0);
  uint64_t seed = (uint64_t)setting("PRECIS_PROOF_SEED", 1);
  int rank, all = 1;
  tally t = {.used = malloc((size_t)(problems + 1) * sizeof *t.used)};
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (int64_t number = first; number < first + problems; number++) {
    precis_move move;
    attention_case c = throw_case(seed, number, &move);
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, move);
    int good = kept_promise(&c, move, &o);
    if (rank == 0 && (!good || getenv("PRECIS_PROOF_TALK") != NULL))
      describe(number, &c, move, &o);
    all &= good;
    count(&t, &o);
  }
  qsort(t.used, (size_t)t.count, sizeof *t.used, ascending);
  if (rank == 0)
    printf("proof: %lld problems: %lld by summaries (%lld with repair), %lld exact, %lld declined; "
           "error / promise: median %.3g, largest %.3g\n",
           (long long)t.problems, (long long)t.proved, (long long)t.repaired, (long long)t.exact,
           (long long)t.declined, t.count > 0 ? t.used[t.count / 2] : 0,
           t.count > 0 ? t.used[t.count - 1] : 0);
  double most_used = t.count > 0 ? t.used[t.count - 1] : 0;
  free(t.used);
  assert_all(MPI_COMM_WORLD, all);
  /* Lest nothing be tested: of a hundred problems there are many of every kind, and some row uses much
   * of what it was promised. */
  if (problems >= 100) {
    assert_all(MPI_COMM_WORLD, t.proved > problems / 2 && t.repaired > 0);
    assert_all(MPI_COMM_WORLD, t.exact > problems / 20 && t.declined < problems / 3);
    assert_all(MPI_COMM_WORLD, most_used > .3);
  }
}

/* Values at their worst: what a summary of one variable makes of every weight is found out first,
 * with a column for each key, and then all errors are made to pull one way. */
enum { WORST_KEYS = 200, WORST_COLUMNS = 2 };

/* Attends with one query, the number 1, to WORST_KEYS keys of one dimension that all ranks share.
 */
static int attend_worst(const float *k, int value_dim, const float *v,
                        const precis_options *options, float *out, precis_report *report)
{
  const precis_problem problem = {
      .heads = 1, .kv_heads = 1, .dim = 1, .value_dim = value_dim, .scale = 1};
  precis_attention *a;
  int rank, ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int first = WORST_KEYS * rank / ranks, end = WORST_KEYS * (rank + 1) / ranks;
  const float one = 1;
  int status = precis_create(MPI_COMM_WORLD, &problem, options, &a);
  if (status == PRECIS_SUCCESS)
    status = precis_append(a, end - first, k + first, v + (int64_t)first * value_dim, NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_attend(a, rank == 0, &one, out, NULL, report);
  precis_destroy(&a);
  MPI_Bcast(out, value_dim, MPI_FLOAT, 0, MPI_COMM_WORLD);
  return status;
}

/* All values are 1 or -1 but one, `far` away, which widens the range and is proved by deviations.
 * Returns how much of the promise was used, and in *promise how much that was. */
static double worst_values(double reach, double far, const precis_options *options, double *promise)
{
  static float k[WORST_KEYS], each[WORST_KEYS * WORST_KEYS], v[WORST_KEYS * WORST_COLUMNS];
  float weight[WORST_KEYS], out[WORST_COLUMNS];
  double exact[WORST_KEYS], sum = 0, want[WORST_COLUMNS] = {0}, error = 0;
  precis_report report = PRECIS_REPORT_INIT;
  memset(each, 0, sizeof each);
  for (int j = 0; j < WORST_KEYS; j++) {
    k[j] = (float)(reach * cos((j + .5) * 3.14159265358979 / WORST_KEYS));
    each[j * WORST_KEYS + j] = 1;
    exact[j] = exp(k[j]);
    sum += exact[j];
  }
  int status = attend_worst(k, WORST_KEYS, each, options, weight, &report);
  for (int j = 0; j < WORST_KEYS; j++) {
    double sign = weight[j] > exact[j] / sum ? 1 : -1;
    for (int c = 0; c < WORST_COLUMNS; c++) {
      v[j * WORST_COLUMNS + c] = (float)(j == WORST_KEYS / 2 ? far : sign * (c + 1));
      want[c] += exact[j] / sum * v[j * WORST_COLUMNS + c];
    }
  }
  if (status == PRECIS_SUCCESS)
    status = attend_worst(k, WORST_COLUMNS, v, options, out, &report);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, report.move == PRECIS_MOVE_SUMMARIES && report.rows_recomputed == 0);
  for (int c = 0; c < WORST_COLUMNS; c++)
    error = fmax(error, fabs(out[c] - want[c]) / (fmax(far, c + 1) + c + 1));
  *promise = report.promise;
  return error / report.promise;
}

static void values_at_their_worst(void **state)
{
  (void)state;
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (int degree = 1; degree <= 3; degree++)
    for (double far = 1; far < 1e3; far *= 20)
      for (double tol = 0; tol <= .5; tol += .5) {
        const precis_options options = {
            .move = PRECIS_MOVE_SUMMARIES, .degree = degree, .tol = tol, .threads = 1,
            .tol_of = PRECIS_UNIT_RANGE};
        double promise, used = worst_values(.8, far, &options, &promise), rounding = 5e-4;
        if (rank == 0)
          printf("degree %d, one value at %g: %.3g of a promise of %.3g is used\n", degree, far,
                 used, promise);
        assert_all(MPI_COMM_WORLD, used <= 1 && (used > .35 || promise < rounding));
      }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_problems),
                                     cmocka_unit_test(values_at_their_worst)};
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int failed = cmocka_run_group_tests_name("proof", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
